#include "master/seccomp_internal.h"

#include "ipc/shared_bind.h"
#include "master/seccomp_address.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static int get_option(int socket, int option) {
    int value = 0;
    socklen_t length = sizeof value;

    return getsockopt(socket, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

static bool is_ours_to_bind(int socket, sa_family_t family) {
    return shared_bind_takes_socket(get_option(socket, SO_TYPE), get_option(socket, SO_DOMAIN),
                                    get_option(socket, SO_PROTOCOL), family);
}

/* Puts our socket in the place of the program's and lets bind() return. When the caller does not
 * wait any more it will call again. */
static void finish_bind(const struct seccomp_listener *listener, const struct seccomp_call *call) {
    int number = (int)call->arguments[0];
    int flags = 0;
    int result = seccomp_call_flags(call, number, &flags);

    if (result == 0)
        result = seccomp_call_replace(call, listener->socket, number, flags & O_CLOEXEC);
    seccomp_call_answer(call, result);
}

/* What the accept socket takes over from the program's own. O_ASYNC is not among it: the kernel
 * would tell the program our number of the socket. */
struct own_settings {
    bool non_blocking;
    struct timeval receive_timeout, send_timeout;
};

static struct own_settings read_settings(int socket) {
    struct own_settings settings = {.non_blocking = (fcntl(socket, F_GETFL) & O_NONBLOCK) != 0};
    socklen_t length = sizeof(struct timeval);

    getsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &settings.receive_timeout, &length);
    length = sizeof(struct timeval);
    getsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &settings.send_timeout, &length);
    return settings;
}

static void apply_settings(int socket, const struct own_settings *settings) {
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &settings->receive_timeout,
               sizeof settings->receive_timeout);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &settings->send_timeout,
               sizeof settings->send_timeout);
    if (settings->non_blocking)
        fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
}

/* Asks for the request's socket to be bound, and answers. */
static void bind_by_owner(struct seccomp_supervisor *supervisor, const struct seccomp_call *call,
                          struct worker_request *request) {
    struct own_settings settings = read_settings(request->descriptor);
    uint64_t original = seccomp_listener_inode(request->descriptor);
    struct seccomp_listener *listener;
    struct worker_reply reply;

    seccomp_listener_destroy_given_up(supervisor);
    reply = seccomp_ask(supervisor, request);
    if (reply.message.error == 0 && (reply.message.flags & NATIVE_PRIVATE)) {
        seccomp_call_continue(call);
        return;
    }
    if (reply.message.error < 0) {
        seccomp_call_answer(call, reply.message.error);
        return;
    }
    listener = reply.count > 0 ? seccomp_listener_create(supervisor, &reply) : NULL;
    if (!listener) {
        seccomp_call_answer(call, UV_ENOMEM);
        return;
    }
    if (!listener->shared) {
        apply_settings(listener->socket, &settings);
        seccomp_copy_leave_notification(supervisor, call);
        listener->copy = seccomp_copy_leave(supervisor, call, reply.descriptors[1]);
    }
    listener->binder = call->thread;
    listener->original = original;
    memcpy(listener->bind_arguments, call->arguments, sizeof listener->bind_arguments);
    finish_bind(listener, call);
}

/* With the program's socket open in the request. */
static void bind_socket(struct seccomp_supervisor *supervisor, const struct seccomp_call *call,
                        struct worker_request *request, struct native_request *message) {
    const struct sockaddr *address = (const struct sockaddr *)(const void *)message->address;

    if (!is_ours_to_bind(request->descriptor, address->sa_family) || !seccomp_call_waits(call)) {
        seccomp_call_continue(call);
        return;
    }
    if (get_option(request->descriptor, SO_REUSEPORT) > 0)
        message->flags = NATIVE_REUSE_PORT;
    bind_by_owner(supervisor, call, request);
}

/* A bind() of anything but a socket that was bound through us. */
static void on_first_bind(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    struct native_request message = {
        .magic = NATIVE_MAGIC, .version = NATIVE_VERSION, .type = NATIVE_BIND};
    struct worker_request request = {.message = &message, .pid = call->thread, .descriptor = -1};

    if (seccomp_address_read(call, &message))
        request.descriptor = seccomp_call_open(call, (int)call->arguments[0]);
    if (request.descriptor == UV_EMFILE || request.descriptor == UV_ENFILE)
        seccomp_call_answer(call, UV_ENFILE);
    else if (request.descriptor < 0)
        seccomp_call_continue(call);
    else
        bind_socket(supervisor, call, &request, &message);
    if (request.descriptor >= 0)
        close(request.descriptor);
}

static bool is_same_bind(const struct seccomp_listener *listener, const struct seccomp_call *call) {
    return listener->binder == call->thread && call->number == SYS_bind &&
           memcmp(listener->bind_arguments, call->arguments, sizeof listener->bind_arguments) == 0;
}

/* True when it is about a socket that was bound through us. */
static bool on_bind_again(const struct seccomp_listener *listener, const struct seccomp_call *call,
                          uint64_t inode) {
    bool same = is_same_bind(listener, call);

    if (inode == listener->inode)
        seccomp_call_answer(call, same ? 0 : UV_EINVAL);
    else if (inode == listener->original && same)
        finish_bind(listener, call);
    else
        return false;
    return true;
}

void seccomp_bind(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    uint64_t inode;

    if (seccomp_call_inode(call, (int)call->arguments[0], &inode) < 0) {
        seccomp_call_continue(call);
        return;
    }
    LIST_EACH(node, following, &supervisor->listeners)
        if (on_bind_again(seccomp_listener_of(node), call, inode))
            return;
    on_first_bind(supervisor, call);
}

void seccomp_bind_forget_thread(struct seccomp_supervisor *supervisor,
                                const struct seccomp_call *call) {
    LIST_EACH(node, following, &supervisor->listeners) {
        struct seccomp_listener *listener = seccomp_listener_of(node);

        if (listener->binder != call->thread || is_same_bind(listener, call))
            continue;
        listener->binder = 0;
        if (listener->shared)
            seccomp_listener_destroy(supervisor, listener);
    }
}
