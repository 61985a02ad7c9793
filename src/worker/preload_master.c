#include "worker/preload_master.h"

#include "ipc/native_token.h"
#include "worker/preload_socket.h"
#include "worker/system_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_WITHIN_MS 10000
#define ENTRY_MAX        256

/* Node's own, which it takes out of its environment when it starts. */
#define NODE_CHANNEL_VARIABLE "NODE_CHANNEL_FD"

enum state { UNREAD, ALONE, WORKER };

static struct {
    int state;
    char name[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* with its leading NUL */
    socklen_t name_length;
    uint8_t token[NATIVE_TOKEN_SIZE];
    bool has_token;
    bool node;
} master;

/* What follows "NAME=" in the entry, or NULL. */
static const char *value_of(const char *entry, const char *name) {
    while (*name && *entry == *name) {
        entry++;
        name++;
    }
    return *name == '\0' && *entry == '=' ? entry + 1 : NULL;
}

static void take_name(const char *text) {
    socklen_t length = 1;

    while (text[length - 1] != '\0' && length < sizeof(master.name)) {
        master.name[length] = text[length - 1];
        length++;
    }
    if (length > 1 && text[length - 1] == '\0')
        master.name_length = length;
}

static void take_entry(const char *entry) {
    const char *name = value_of(entry, NATIVE_SOCKET_VARIABLE);
    const char *token = value_of(entry, NATIVE_TOKEN_VARIABLE);

    if (name)
        take_name(name);
    if (token)
        master.has_token = native_token_parse(token, master.token);
    if (value_of(entry, NODE_CHANNEL_VARIABLE))
        master.node = true;
}

/* The environment that the process was started with, for a process without `environ`. */
static void read_environment_file(void) {
    char block[1024], entry[ENTRY_MAX];
    size_t length = 0;
    long count;
    int file = system_open("/proc/self/environ", O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return;
    while ((count = system_read(file, block, sizeof(block))) > 0) {
        for (long i = 0; i < count; i++) {
            if (length < sizeof(entry))
                entry[length++] = block[i];
            if (block[i] != '\0')
                continue;
            if (entry[length - 1] == '\0') /* not one that was too long */
                take_entry(entry);
            length = 0;
        }
    }
    system_close(file);
}

/* Two threads may do this at once: they write the same. */
__attribute__((constructor)) static void read_environment(void) {
    bool worker;

    if (environ) {
        for (char **entry = environ; *entry; entry++)
            take_entry(*entry);
    } else {
        read_environment_file();
    }
    worker = master.name_length > 0 && master.has_token;
    __atomic_store_n(&master.state, worker ? WORKER : ALONE, __ATOMIC_RELEASE);
}

bool preload_has_master(void) {
    int state = __atomic_load_n(&master.state, __ATOMIC_ACQUIRE);

    if (__builtin_expect(state == UNREAD, 0)) {
        read_environment();
        state = __atomic_load_n(&master.state, __ATOMIC_ACQUIRE);
    }
    return state == WORKER;
}

bool preload_is_node(void) {
    return master.node;
}

static int64_t now_ms(void) {
    struct timespec now = {0};

    system_clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Lets a blocking call on the socket wait until the deadline. `option` is SO_SNDTIMEO (which
 * connect(2) heeds too) or SO_RCVTIMEO. */
static int wait_until(int socket, int option, int64_t deadline_ms) {
    int64_t left = deadline_ms - now_ms();
    struct timeval timeout = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};

    if (left <= 0)
        return -ETIMEDOUT;
    return system_setsockopt(socket, SOL_SOCKET, option, &timeout, sizeof(timeout));
}

static int connect_to_master(int socket, int64_t deadline_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = (socklen_t)offsetof(struct sockaddr_un, sun_path) + master.name_length;
    int error;

    preload_copy(address.sun_path, master.name, master.name_length);
    do {
        error = wait_until(socket, SO_SNDTIMEO, deadline_ms);
        if (error == 0)
            error = system_connect(socket, &address, length);
    } while (error == -EINTR);
    return error == -EAGAIN ? -ETIMEDOUT : error;
}

static int send_request(int socket, const struct native_request *request, int descriptor) {
    union {
        struct cmsghdr header;
        unsigned char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part;
    struct msghdr message;
    long length;

    preload_clear(&message, sizeof(message));
    preload_copy(&part.iov_base, &request, sizeof(request));
    part.iov_len = sizeof(*request);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        preload_clear(&control, sizeof(control));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        preload_copy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    do {
        length = system_sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (length == -EINTR);
    return length < 0 ? (int)length : 0;
}

static bool is_reply(const struct native_reply *reply, const struct native_request *request) {
    return reply->magic == NATIVE_MAGIC && reply->version == NATIVE_VERSION &&
           reply->type == request->type && reply->error <= 0 &&
           reply->address_length <= sizeof(reply->address);
}

static void take_descriptors(const struct msghdr *message, struct preload_answer *answer) {
    const struct cmsghdr *part = message->msg_control;
    size_t size = PRELOAD_REPLY_DESCRIPTORS * sizeof(int);

    if (message->msg_controllen < CMSG_LEN(sizeof(int)) || part->cmsg_level != SOL_SOCKET ||
        part->cmsg_type != SCM_RIGHTS)
        return;
    if (part->cmsg_len - CMSG_LEN(0) < size)
        size = part->cmsg_len - CMSG_LEN(0);
    preload_copy(answer->descriptors, CMSG_DATA(part), size);
}

/* One message, with its length. More descriptors than there is room for the kernel drops. */
static long receive_once(int socket, struct preload_answer *answer) {
    union {
        struct cmsghdr header;
        unsigned char bytes[CMSG_SPACE(PRELOAD_REPLY_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &answer->reply, .iov_len = sizeof(answer->reply)};
    struct msghdr message;
    long length;

    preload_clear(&message, sizeof(message));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = CMSG_LEN(PRELOAD_REPLY_DESCRIPTORS * sizeof(int));
    length = system_recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (length >= 0)
        take_descriptors(&message, answer);
    return length;
}

static int receive_reply(int socket, const struct native_request *request, int64_t deadline_ms,
                         struct preload_answer *answer) {
    long length;

    do {
        length = wait_until(socket, SO_RCVTIMEO, deadline_ms);
        if (length == 0)
            length = receive_once(socket, answer);
    } while (length == -EINTR);
    if (length == -EAGAIN)
        return -ETIMEDOUT;
    if (length < 0)
        return (int)length;
    if (length != sizeof(answer->reply) || !is_reply(&answer->reply, request))
        return -EPROTO;
    return 0;
}

/* Before a request whose reply brings descriptors: without free numbers they would be lost. */
static int check_free_numbers(int any_descriptor) {
    int first = system_fcntl(any_descriptor, F_DUPFD_CLOEXEC, 0);
    int second = first < 0 ? first : system_fcntl(any_descriptor, F_DUPFD_CLOEXEC, 0);

    if (second >= 0)
        system_close(second);
    if (first >= 0)
        system_close(first);
    return second < 0 ? second : 0;
}

static int converse(int socket, const struct native_request *request, int descriptor,
                    struct preload_answer *answer) {
    int64_t deadline_ms = now_ms() + ANSWER_WITHIN_MS;
    bool brings = request->type == NATIVE_BIND || request->type == NATIVE_RETRIEVE;
    int error = brings ? check_free_numbers(socket) : 0;

    if (error == 0)
        error = connect_to_master(socket, deadline_ms);
    if (error == 0)
        error = send_request(socket, request, descriptor);
    if (error == 0 && answer)
        error = receive_reply(socket, request, deadline_ms, answer);
    return error;
}

/* On a connection of its own. Without an answer to fill in, it does not wait for one. */
static int send_to_master(struct native_request *request, int descriptor,
                          struct preload_answer *answer) {
    int connection = system_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int error;

    if (connection < 0)
        return connection;
    request->magic = NATIVE_MAGIC;
    request->version = NATIVE_VERSION;
    preload_copy(request->token, master.token, sizeof(request->token));
    error = converse(connection, request, descriptor, answer);
    system_close(connection);
    return error;
}

/* What the program is told when the master could not be asked. */
static int translate(int error) {
    switch (error) {
    case -ETIMEDOUT:
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOBUFS:
    case -EBADF:
        return error;
    default:
        return -EADDRNOTAVAIL;
    }
}

int preload_ask_master(struct native_request *request, int descriptor,
                       struct preload_answer *ret_answer) {
    int error;

    for (unsigned i = 0; i < PRELOAD_REPLY_DESCRIPTORS; i++)
        ret_answer->descriptors[i] = -1;
    error = send_to_master(request, descriptor, ret_answer);
    error = error < 0 ? translate(error) : ret_answer->reply.error;
    if (error < 0)
        preload_close_descriptors(ret_answer);
    return error;
}

void preload_tell_closed(uint32_t listener) {
    struct native_request request;

    preload_clear(&request, sizeof(request));
    request.type = NATIVE_CHECK;
    request.listener = listener;
    send_to_master(&request, -1, NULL);
}

void preload_close_descriptors(struct preload_answer *answer) {
    for (unsigned i = 0; i < PRELOAD_REPLY_DESCRIPTORS; i++) {
        if (answer->descriptors[i] >= 0)
            system_close(answer->descriptors[i]);
        answer->descriptors[i] = -1;
    }
}
