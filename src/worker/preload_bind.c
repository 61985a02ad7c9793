#include "worker/preload_bind.h"

#include "ipc/native_protocol.h"
#include "ipc/shared_bind.h"
#include "worker/preload_master.h"
#include "worker/preload_socket.h"
#include "worker/system_call.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>

/* What a program has set on a descriptor and expects to find there when another socket has taken
 * its number. */
struct settings {
    int status_flags;
    int descriptor_flags;
    int signal; /* the last two only with O_ASYNC */
    struct f_owner_ex owner;
    struct timeval receive_timeout, send_timeout;
};

static void read_settings(int descriptor, struct settings *ret_settings) {
    socklen_t length = sizeof(struct timeval);

    preload_clear(ret_settings, sizeof(*ret_settings));
    ret_settings->status_flags = system_fcntl(descriptor, F_GETFL, 0);
    ret_settings->descriptor_flags = system_fcntl(descriptor, F_GETFD, 0);
    system_getsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &ret_settings->receive_timeout, &length);
    length = sizeof(struct timeval);
    system_getsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &ret_settings->send_timeout, &length);
    if (ret_settings->status_flags & O_ASYNC) {
        ret_settings->signal = system_fcntl(descriptor, F_GETSIG, 0);
        system_fcntl(descriptor, F_GETOWN_EX, (intptr_t)&ret_settings->owner);
    }
}

/* Puts a socket in the program's place. The flags come last: O_ASYNC remembers the number. */
static int replace(int descriptor, int socket, const struct settings *settings) {
    bool close_on_exec = (settings->descriptor_flags & FD_CLOEXEC) != 0;
    int result = system_dup3(socket, descriptor, close_on_exec ? O_CLOEXEC : 0);

    if (result < 0)
        return result;
    preload_set_hint(descriptor, PRELOAD_UNKNOWN);
    system_setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &settings->receive_timeout,
                      sizeof(settings->receive_timeout));
    system_setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &settings->send_timeout,
                      sizeof(settings->send_timeout));
    if (settings->status_flags & O_ASYNC) {
        system_fcntl(descriptor, F_SETSIG, settings->signal);
        system_fcntl(descriptor, F_SETOWN_EX, (intptr_t)&settings->owner);
    }
    system_fcntl(descriptor, F_SETFL, settings->status_flags);
    return 0;
}

/* The length of the whole address that a program names, or 0 when the master is not asked for it.
 */
static uint32_t shared_length(const void *address, socklen_t length, int *ret_family) {
    struct sockaddr_in start;

    if (!address || length < sizeof(start) || length > NATIVE_ADDRESS_SIZE)
        return 0;
    preload_copy(&start, address, sizeof(start));
    *ret_family = start.sin_family;
    return shared_bind_address_length(&start, length);
}

static int option_of(int descriptor, int option) {
    int value = -1;
    socklen_t length = sizeof(value);
    int error = system_getsockopt(descriptor, SOL_SOCKET, option, &value, &length);

    return error < 0 ? error : value;
}

/* Whether bind(2) can succeed at all: what is bound already, an accept socket among it, the kernel
 * refuses. */
static bool is_unbound_tcp(int descriptor, int family) {
    struct sockaddr_storage own;
    socklen_t length = sizeof(own);
    int bound_family;

    if (!shared_bind_takes_socket(option_of(descriptor, SO_TYPE), option_of(descriptor, SO_DOMAIN),
                                  option_of(descriptor, SO_PROTOCOL), family))
        return false;
    return system_getsockname(descriptor, &own, &length) == 0 &&
           shared_length(&own, length, &bound_family) == 0;
}

/* The master's own end of an accept socket: while somebody has it open, nothing hangs up when the
 * master dies, where nearly every server would spin. Numbers, 0 for a free place; they are hints
 * like those of preload_socket.h. */
#define KEPT_MAX 64
static int kept[KEPT_MAX];

static int kept_at(unsigned place) {
    return __atomic_load_n(&kept[place], __ATOMIC_RELAXED);
}

/* False when another thread was here first. */
static bool change_kept(unsigned place, int from, int to) {
    return __atomic_compare_exchange_n(&kept[place], &from, to, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

/* Out of the way of the lowest free numbers, which programs expect to get, and below 1024, so that
 * the kernel's table and a select(2) over all descriptors do not grow. The new number. */
static int move_up(int descriptor) {
    uint64_t limit = 1024;
    int moved = -EMFILE;

    if (system_descriptor_limit(&limit) < 0 || limit > 1024)
        limit = 1024;
    for (long least = (long)(limit - limit / 16); moved < 0 && least > descriptor; least /= 2)
        moved = system_fcntl(descriptor, F_DUPFD_CLOEXEC, least);
    if (moved < 0)
        return descriptor;
    system_close(descriptor);
    return moved;
}

static void keep(int descriptor) {
    int moved = move_up(descriptor);

    for (unsigned i = 0; i < KEPT_MAX; i++) {
        if (change_kept(i, 0, moved))
            return;
    }
}

/* Whether this is still a master's end: the program may have closed it and got another descriptor
 * of the same number. */
static bool is_master_end(int descriptor) {
    struct sockaddr_un peer;
    socklen_t length = sizeof(peer);
    struct native_name name;

    return system_getpeername(descriptor, &peer, &length) == 0 &&
           preload_parse_name(&peer, length, &name);
}

/* Whether nobody, the master neither, has the accept socket to it. */
static bool has_hung_up(int descriptor) {
    unsigned char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = sizeof(byte)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    long length = system_recvmsg(descriptor, &message, MSG_PEEK | MSG_DONTWAIT);

    return length == 0 || length == -ECONNRESET;
}

void preload_close_kept(void) {
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        int descriptor = kept_at(i);

        if (descriptor == 0)
            continue;
        if (!is_master_end(descriptor))
            change_kept(i, descriptor, 0);
        else if (has_hung_up(descriptor) && change_kept(i, descriptor, 0))
            system_close(descriptor);
    }
}

/* An accept socket or, under policy none, the shared TCP socket, in the place of the program's. */
static int take_place(int descriptor, const struct settings *settings,
                      struct preload_answer *answer) {
    bool shared = (answer->reply.flags & NATIVE_SHARED) != 0;
    int error;

    if (answer->descriptors[0] < 0)
        return -EADDRNOTAVAIL;
    error = replace(descriptor, answer->descriptors[0], settings);
    if (error < 0 || shared)
        return error;
    preload_set_listening(descriptor, false);
    if (answer->descriptors[1] >= 0)
        keep(answer->descriptors[1]);
    answer->descriptors[1] = -1;
    return 0;
}

static int bind_by_master(int descriptor, const void *address, socklen_t length,
                          uint32_t whole_length) {
    struct native_request request;
    struct preload_answer answer;
    struct settings settings;
    int error;

    read_settings(descriptor, &settings);
    preload_clear(&request, sizeof(request));
    request.type = NATIVE_BIND;
    request.flags = option_of(descriptor, SO_REUSEPORT) > 0 ? NATIVE_REUSE_PORT : 0;
    request.address_length = whole_length;
    preload_copy(request.address, address,
                 length < request.address_length ? length : request.address_length);
    error = preload_ask_master(&request, descriptor, &answer);
    if (error < 0)
        return error;
    if (answer.reply.flags & NATIVE_PRIVATE)
        error = system_bind(descriptor, address, length);
    else
        error = take_place(descriptor, &settings, &answer);
    preload_close_descriptors(&answer);
    return error;
}

int preload_bind(int descriptor, const void *address, socklen_t length) {
    int family;
    uint32_t whole_length = shared_length(address, length, &family);

    if (whole_length == 0 || !is_unbound_tcp(descriptor, family))
        return system_bind(descriptor, address, length);
    preload_close_kept();
    return bind_by_master(descriptor, address, length, whole_length);
}

int preload_retrieve(int descriptor, uint32_t listener) {
    struct native_request request;
    struct preload_answer answer;
    struct settings settings;
    int error;

    read_settings(descriptor, &settings);
    preload_clear(&request, sizeof(request));
    request.type = NATIVE_RETRIEVE;
    request.listener = listener;
    error = preload_ask_master(&request, -1, &answer);
    if (error < 0)
        return error;
    if (answer.descriptors[0] < 0)
        return -EADDRNOTAVAIL;
    error = replace(descriptor, answer.descriptors[0], &settings);
    preload_close_descriptors(&answer);
    return error;
}
