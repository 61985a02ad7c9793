/* libbaton. The order: the environment, one request to the master, listening, accepting.
 *
 * The library keeps no state: what a listener is, the kernel tells. A descriptor that listens is a
 * plain listening socket; one whose own name is a struct native_name is an accept socket, and the
 * name carries the listener's number and address. So dup(2), fork(2), passing a listener on and
 * threads need no care here.
 *
 * What the preload library would answer in libc's place is asked of the kernel by syscall(2) where
 * a listener may be an accept socket: the one library must see it as it is when both are there.
 *
 * Inner functions answer a negative errno and may change errno; the public ones put it back. */

#pragma GCC visibility push(default)
#include "baton/worker.h"
#pragma GCC visibility pop

#include "ipc/native_protocol.h"
#include "ipc/native_token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG_DEFAULT  511
#define ANSWER_WITHIN_MS 10000
#define ADDRESS_ROOM     sizeof(((struct native_client *)0)->address)

_Static_assert(sizeof(((struct native_name *)0)->address) == ADDRESS_ROOM,
               "records and names hold addresses of the same size");

bool baton_has_master(void) {
    const char *name = getenv(NATIVE_SOCKET_VARIABLE);

    return name && name[0] != '\0';
}

int baton_slot(void) {
    const char *text = getenv(NATIVE_SLOT_VARIABLE);
    int saved = errno, slot = -1;
    char *end;
    long value;

    if (!baton_has_master() || !text)
        return -1;
    errno = 0;
    value = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && value >= 0 && value <= INT_MAX)
        slot = (int)value;
    errno = saved;
    return slot;
}

/* One message that was read: its length (0: end of file) and the descriptor that came along, -1
 * when there was none. Cut off: the kernel had no room for a descriptor and dropped it. */
struct arrival {
    size_t length;
    int descriptor;
    bool cut_off;
};

/* The first descriptor of a message; all others, which nobody asked for, are closed. */
static int keep_first_descriptor(struct msghdr *message) {
    int kept = -1, descriptor;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
            memcpy(&descriptor, (unsigned char *)part + at, sizeof(descriptor));
            if (kept < 0)
                kept = descriptor;
            else
                close(descriptor);
        }
    }
    return kept;
}

static int receive(int socket, void *bytes, size_t size, int flags, struct arrival *ret_arrival) {
    union {
        struct cmsghdr aligned;
        unsigned char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);

    if (length < 0)
        return -errno;
    ret_arrival->length = (size_t)length;
    ret_arrival->descriptor = keep_first_descriptor(&message);
    ret_arrival->cut_off = (message.msg_flags & MSG_CTRUNC) != 0;
    return 0;
}

/* A descriptor that finds no free slot in our table is lost together with its message, so this is
 * asked before a message with a descriptor is received: 0 or -EMFILE. */
static int check_free_slot(int any_descriptor) {
    int spare = fcntl(any_descriptor, F_DUPFD_CLOEXEC, 0);

    if (spare < 0)
        return -errno;
    close(spare);
    return 0;
}

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Lets a blocking call on the socket wait until the deadline: 0 or -ETIMEDOUT when it has passed.
 * `option` is SO_SNDTIMEO (which connect(2) heeds too) or SO_RCVTIMEO. */
static int wait_until(int socket, int option, int64_t deadline_ms) {
    int64_t left = deadline_ms - now_ms();
    struct timeval timeout = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};

    if (left <= 0)
        return -ETIMEDOUT;
    return setsockopt(socket, SOL_SOCKET, option, &timeout, sizeof(timeout)) < 0 ? -errno : 0;
}

static int connect_to_master(int socket, int64_t deadline_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = getenv(NATIVE_SOCKET_VARIABLE);
    size_t length = name ? strlen(name) : 0;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    int error;

    if (length == 0 || length > sizeof(address.sun_path) - 1)
        return -EPROTO;
    memcpy(address.sun_path + 1, name, length);
    do {
        error = wait_until(socket, SO_SNDTIMEO, deadline_ms);
        if (error < 0)
            return error;
        error = connect(socket, (const struct sockaddr *)&address, size) < 0 ? -errno : 0;
    } while (error == -EINTR);
    return error == -EAGAIN ? -ETIMEDOUT : error;
}

/* Reads one answer and the descriptor that came with it (-1: none). */
static int receive_reply(int socket, int64_t deadline_ms, struct native_reply *ret_reply,
                         int *ret_descriptor) {
    struct arrival arrival = {.descriptor = -1};
    int error;

    do {
        error = wait_until(socket, SO_RCVTIMEO, deadline_ms);
        if (error < 0)
            return error;
        error = receive(socket, ret_reply, sizeof(*ret_reply), 0, &arrival);
    } while (error == -EINTR);
    if (error < 0)
        return error == -EAGAIN ? -ETIMEDOUT : error;
    *ret_descriptor = arrival.descriptor;
    if (arrival.length == 0)
        error = -ECONNRESET;
    else if (arrival.length != sizeof(*ret_reply) || ret_reply->magic != NATIVE_MAGIC ||
             ret_reply->version != NATIVE_VERSION)
        error = -EPROTO;
    else if (arrival.cut_off && arrival.descriptor < 0)
        error = -EMFILE;
    return error;
}

static int read_token(uint8_t ret_token[NATIVE_TOKEN_SIZE]) {
    const char *text = getenv(NATIVE_TOKEN_VARIABLE);

    return text && native_token_parse(text, ret_token) ? 0 : -EPROTO;
}

/* The conversation on a fresh socket. A descriptor that came is *ret_descriptor even on failure. */
static int converse(int socket, const struct native_request *request,
                    struct native_reply *ret_reply, int *ret_descriptor) {
    int64_t deadline_ms = now_ms() + ANSWER_WITHIN_MS;
    int error = connect_to_master(socket, deadline_ms);

    if (error < 0)
        return error;
    error = check_free_slot(socket);
    if (error < 0)
        return error;
    while (send(socket, request, sizeof(*request), MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    error = receive_reply(socket, deadline_ms, ret_reply, ret_descriptor);
    if (error < 0)
        return error;
    return ret_reply->type == request->type ? ret_reply->error : -EPROTO;
}

/* Asks the master and waits for the answer: what it says, or why it could not be asked. The
 * caller fills in what its type needs. ret_descriptor: NULL where none is expected; with it, it
 * is an error when none comes. */
static int ask_master(struct native_request *request, int *ret_descriptor) {
    struct native_reply reply;
    int descriptor = -1, error, connection;

    request->magic = NATIVE_MAGIC;
    request->version = NATIVE_VERSION;
    error = read_token(request->token);
    if (error < 0)
        return error;
    connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -errno;
    error = converse(connection, request, &reply, &descriptor);
    if (error > 0 || (error == 0 && ret_descriptor && descriptor < 0))
        error = -EPROTO;
    if (error == 0 && ret_descriptor)
        *ret_descriptor = descriptor;
    else if (descriptor >= 0)
        close(descriptor);
    close(connection);
    return error;
}

static int listen_with_master(const struct sockaddr *address, socklen_t length, int backlog) {
    struct native_request request = {
        .type = NATIVE_LISTEN, .value = backlog, .address_length = length};
    int listener = -1, error;

    memcpy(request.address, address, length);
    error = ask_master(&request, &listener);
    return error < 0 ? error : listener;
}

static int set_options_and_listen(int listener, const struct sockaddr *address, socklen_t length,
                                  int backlog) {
    int yes = 1, no = 0;

    if (address->sa_family != AF_UNIX &&
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        return -errno;
    if (address->sa_family == AF_INET6 &&
        setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
        return -errno;
    if (bind(listener, address, length) < 0 || listen(listener, backlog) < 0)
        return -errno;
    return 0;
}

static int listen_alone(const struct sockaddr *address, socklen_t length, int backlog) {
    int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error;

    if (listener < 0)
        return -errno;
    error = set_options_and_listen(listener, address, length, backlog);
    if (error < 0) {
        close(listener);
        return error;
    }
    return listener;
}

int baton_listen(const struct sockaddr *address, socklen_t length, int backlog) {
    int saved = errno, result;

    if (!address || length < sizeof(address->sa_family) || length > NATIVE_ADDRESS_SIZE)
        return -EINVAL;
    if (backlog == 0)
        backlog = BACKLOG_DEFAULT;
    if (baton_has_master())
        result = listen_with_master(address, length, backlog);
    else
        result = listen_alone(address, length, backlog);
    errno = saved;
    return result;
}

static int listen_everywhere(uint16_t port, int backlog) {
    struct sockaddr_in6 all = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in all4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    int listener = baton_listen((const struct sockaddr *)&all, sizeof(all), backlog);

    if (listener == -EAFNOSUPPORT || listener == -EADDRNOTAVAIL) /* a kernel without IPv6 */
        listener = baton_listen((const struct sockaddr *)&all4, sizeof(all4), backlog);
    return listener;
}

int baton_listen_tcp(const char *host, uint16_t port, int backlog) {
    struct sockaddr_in6 address6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in address4 = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (!host)
        return listen_everywhere(port, backlog);
    if (inet_pton(AF_INET, host, &address4.sin_addr) == 1)
        return baton_listen((const struct sockaddr *)&address4, sizeof(address4), backlog);
    if (inet_pton(AF_INET6, host, &address6.sin6_addr) == 1)
        return baton_listen((const struct sockaddr *)&address6, sizeof(address6), backlog);
    return -EINVAL;
}

int baton_listen_unix(const char *path, int backlog) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;

    if (length == 0)
        return -EINVAL;
    if (length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length + 1);
    return baton_listen((const struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1), backlog);
}

/* An address of a record or name, handed out as accept4(2) does: cut to the room that there is,
 * with its whole length. None, as with Unix sockets, is the family alone. */
static void store_address(const uint8_t bytes[ADDRESS_ROOM], uint32_t size,
                          struct sockaddr *address, socklen_t *length) {
    static const sa_family_t none = AF_UNIX;
    const void *source = bytes;

    if (size == 0 || size > ADDRESS_ROOM) {
        source = &none;
        size = sizeof(none);
    }
    memcpy(address, source, size < *length ? size : *length);
    *length = size;
}

/* Takes one record off an accept socket: a client's descriptor, -EAGAIN when there is nothing,
 * -ERESTART when the next one is to be taken instead, or another error. Never waits, so that the
 * slot that was found free is so still. */
static int take_record(int listener, struct native_client *ret_record) {
    union {
        struct native_client record;
        unsigned char bytes[NATIVE_CLIENT_MAX];
    } buffer;
    struct arrival arrival = {.descriptor = -1};
    int error = check_free_slot(listener);

    if (error == 0)
        error = receive(listener, &buffer, sizeof(buffer), MSG_DONTWAIT, &arrival);
    if (error == -ECONNRESET) /* the master is gone, but what it sent before is still there */
        return -ERESTART;
    if (error < 0)
        return error;
    if (arrival.length == 0)
        return -ESHUTDOWN;
    if (arrival.descriptor < 0) /* a probe, unless another thread has taken the free slot */
        return arrival.cut_off ? -EMFILE : -ERESTART;
    if (arrival.length < sizeof(buffer.record) || buffer.record.magic != NATIVE_MAGIC) {
        close(arrival.descriptor);
        return -EPROTO;
    }
    *ret_record = buffer.record;
    return arrival.descriptor;
}

/* Waits as long as the descriptor is set to wait (O_NONBLOCK, SO_RCVTIMEO) for something to take,
 * and leaves it there, for it may be taken only when a slot is free: -ERESTART, or -EAGAIN, -EINTR
 * and others. */
static int wait_for_record(int listener) {
    unsigned char byte;

    if (recv(listener, &byte, sizeof(byte), MSG_PEEK) >= 0 || errno == ECONNRESET)
        return -ERESTART;
    return -errno;
}

static int accept_handed(int listener, struct native_client *ret_record) {
    int result;

    do {
        result = take_record(listener, ret_record);
        if (result == -EAGAIN)
            result = wait_for_record(listener);
    } while (result == -ERESTART);
    return result;
}

static int accept_from_master(int listener, struct sockaddr *address, socklen_t *length) {
    struct native_client record = {.address_length = 0};
    int client = accept_handed(listener, &record);

    if (client >= 0 && address)
        store_address(record.address, record.address_length, address, length);
    return client;
}

/* One cheap call tells the two kinds of listener apart: a tenth of an accept. Trying one way
 * first and the other when it fails costs more, as what must precede each is done in vain. */
static bool is_listening(int listener) {
    int listening = 0;
    socklen_t size = sizeof(listening);

    return syscall(SYS_getsockopt, listener, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
           listening;
}

int baton_accept(int listener, struct sockaddr *address, socklen_t *length) {
    int saved = errno, client;

    if (address && !length)
        return -EFAULT;
    if (is_listening(listener)) {
        client = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0)
            client = -errno;
    } else {
        client = accept_from_master(listener, address, length);
    }
    errno = saved;
    return client;
}

/* Reads what the master named the accept socket; false for any other descriptor. */
static bool read_name(int listener, struct native_name *ret_name) {
    struct sockaddr_un own = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof(own);

    if (syscall(SYS_getsockname, listener, &own, &length) < 0 || own.sun_family != AF_UNIX ||
        length != offsetof(struct sockaddr_un, sun_path) + sizeof(*ret_name))
        return false;
    memcpy(ret_name, own.sun_path, sizeof(*ret_name));
    return ret_name->zero[0] == 0 && ret_name->zero[1] == 0 && ret_name->magic == NATIVE_MAGIC &&
           ret_name->version == NATIVE_VERSION;
}

int baton_address(int listener, struct sockaddr *address, socklen_t *length) {
    int saved = errno, error = 0;
    struct native_name name;

    if (!address || !length)
        return -EFAULT;
    if (read_name(listener, &name))
        store_address(name.address, name.address_length, address, length);
    else if (getsockname(listener, address, length) < 0)
        error = -errno;
    errno = saved;
    return error;
}

int baton_close(int listener) {
    struct native_request request = {.type = NATIVE_CLOSE};
    int saved = errno, error = 0;
    struct native_name name;

    if (baton_has_master() && read_name(listener, &name)) {
        request.listener = name.listener;
        error = ask_master(&request, NULL);
    }
    if (syscall(SYS_close, listener) < 0)
        error = -errno;
    errno = saved;
    return error;
}

int baton_ready(void) {
    struct native_request request = {.type = NATIVE_READY};
    int saved = errno;
    int error = baton_has_master() ? ask_master(&request, NULL) : 0;

    errno = saved;
    return error;
}

int baton_report_load(uint32_t load) {
    struct native_request request = {.type = NATIVE_LOAD,
                                     .value = load > INT32_MAX ? INT32_MAX : (int32_t)load};
    int saved = errno;
    int error = baton_has_master() ? ask_master(&request, NULL) : 0;

    errno = saved;
    return error;
}
