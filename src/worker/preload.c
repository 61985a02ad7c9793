/* libbaton-preload.so, loaded into unmodified servers with LD_PRELOAD: turns the socket that the
 * program binds into an accept socket of the master (see native_protocol.h and
 * docs/decisions/0013-preload-library.md).
 *
 * The hooks stand in the place of libc's functions. Each makes the raw call first wherever the
 * kernel's answer tells whether the descriptor was one of ours, so that all other sockets cost
 * nothing. Inner functions answer a negative errno; only the hooks touch errno, on failure, as libc
 * does. Any of them may run in a signal handler, in a child of vfork(2), in any thread and before
 * constructors. */

#include "worker/preload_accept.h"
#include "worker/preload_bind.h"
#include "worker/preload_cancel.h"
#include "worker/preload_master.h"
#include "worker/preload_options.h"
#include "worker/preload_socket.h"
#include "worker/system_call.h"

#include <errno.h>
#include <unistd.h>

#define HOOK __attribute__((visibility("default")))

static int answer(int result) {
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

HOOK int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    if (!preload_has_master())
        return answer(system_bind(descriptor, address, length));
    return answer(preload_bind(descriptor, address, length));
}

static int ask_to_listen(int descriptor, uint32_t listener, int backlog) {
    struct native_request request;
    struct preload_answer reply;
    int error;

    preload_clear(&request, sizeof(request));
    request.type = NATIVE_LISTEN;
    request.listener = listener;
    request.value = backlog;
    error = preload_ask_master(&request, -1, &reply);
    if (error < 0)
        return error;
    preload_close_descriptors(&reply);
    preload_set_listening(descriptor, true);
    return 0;
}

HOOK int listen(int descriptor, int backlog) {
    struct native_name name;
    int result = system_listen(descriptor, backlog);

    if ((result == -EINVAL || result == -EOPNOTSUPP) && preload_has_master() &&
        preload_read_name(descriptor, &name))
        result = ask_to_listen(descriptor, name.listener, backlog);
    return answer(result);
}

static int accept_by_kernel(int descriptor, void *address, socklen_t *length, int flags) {
    int type = preload_allow_cancel();
    int client = system_accept4(descriptor, address, length, flags);

    preload_restore_cancel(type);
    if (client >= 0)
        preload_set_hint(client, PRELOAD_FOREIGN);
    return client;
}

/* Whether preload_accept() might have been asked of the wrong kind of descriptor. */
static bool is_doubtful(int result) {
    return result == -ENOTCONN || result == -ENOTSOCK || result == -EOPNOTSUPP ||
           result == -EINVAL || result == -EPROTO;
}

static int accept_any(int descriptor, void *address, socklen_t *length, int flags) {
    struct native_name name;
    int client;

    if (!preload_has_master())
        return accept_by_kernel(descriptor, address, length, flags);
    if (preload_hint(descriptor) >= PRELOAD_ACCEPT) {
        client = preload_accept(descriptor, address, length, flags);
        if (!is_doubtful(client) || preload_read_name(descriptor, &name))
            return client;
    }
    client = accept_by_kernel(descriptor, address, length, flags);
    if ((client == -EINVAL || client == -EOPNOTSUPP) && preload_read_name(descriptor, &name))
        return preload_accept(descriptor, address, length, flags);
    return client;
}

HOOK int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags) {
    return answer(accept_any(descriptor, address, length, flags));
}

HOOK int accept(int descriptor, struct sockaddr *address, socklen_t *length) {
    return answer(accept_any(descriptor, address, length, 0));
}

/* The kernel has written the name of an accept socket, as far as there was room. What is left of it
 * behind the shorter address is cleared, for programs compare whole structures. */
static void replace_name(const struct native_name *name, void *address, socklen_t room,
                         socklen_t *length) {
    socklen_t written = room < PRELOAD_NAME_LENGTH ? room : PRELOAD_NAME_LENGTH;

    *length = room;
    preload_store_address(name->address, name->address_length, address, length);
    if (written > *length)
        preload_clear((char *)address + *length, written - *length);
}

HOOK int getsockname(int descriptor, struct sockaddr *address, socklen_t *length) {
    socklen_t room = length ? *length : 0;
    struct native_name name;
    int result = system_getsockname(descriptor, address, length);

    if (result == 0 && length && *length == PRELOAD_NAME_LENGTH && preload_has_master() &&
        preload_read_name(descriptor, &name))
        replace_name(&name, address, room, length);
    return answer(result);
}

/* The peer of an accept socket is a Unix socket without a name. */
HOOK int getpeername(int descriptor, struct sockaddr *address, socklen_t *length) {
    socklen_t room = length ? *length : 0;
    struct native_name name;
    int result = system_getpeername(descriptor, address, length);

    if (result == 0 && length && *length == sizeof(sa_family_t) && preload_has_master() &&
        preload_read_name(descriptor, &name)) {
        *length = room;
        result = -ENOTCONN;
    }
    return answer(result);
}

/* Whether an option is ours to answer. Options of the protocols a Unix socket refuses: `result` is
 * what the kernel said. Those of every socket it takes, so that they are not tried on one. */
static bool is_our_option(int descriptor, int level, int result, struct native_name *ret_name) {
    if (!preload_has_master())
        return false;
    if (level == SOL_SOCKET)
        return preload_is_accept_socket(descriptor, ret_name);
    return (result == -EOPNOTSUPP || result == -ENOPROTOOPT) &&
           preload_read_name(descriptor, ret_name);
}

HOOK int getsockopt(int descriptor, int level, int option, void *value, socklen_t *length) {
    struct native_name name;
    int result = 0;

    if (level != SOL_SOCKET)
        result = system_getsockopt(descriptor, level, option, value, length);
    if (is_our_option(descriptor, level, result, &name))
        result = preload_get_option(descriptor, &name, (struct preload_option){level, option},
                                    value, length);
    else if (level == SOL_SOCKET)
        result = system_getsockopt(descriptor, level, option, value, length);
    return answer(result);
}

HOOK int setsockopt(int descriptor, int level, int option, const void *value, socklen_t length) {
    struct native_name name;
    int result = 0;

    if (level != SOL_SOCKET)
        result = system_setsockopt(descriptor, level, option, value, length);
    if (is_our_option(descriptor, level, result, &name))
        result = preload_set_option(descriptor, &name, (struct preload_option){level, option},
                                    value, length);
    else if (level == SOL_SOCKET)
        result = system_setsockopt(descriptor, level, option, value, length);
    return answer(result);
}

/* As inet_shutdown() of the kernel does with a listening socket: only receiving can be shut down,
 * and a socket that does not listen is not connected either. The master is told first, as it does
 * not see the call itself. */
static int shut_down_accept_socket(int descriptor, uint32_t listener, int how) {
    struct native_request request;
    struct preload_answer reply;

    if (!preload_is_listening(descriptor))
        return -ENOTCONN;
    if (how == SHUT_WR)
        return 0;
    preload_clear(&request, sizeof(request));
    request.type = NATIVE_CLOSE;
    request.listener = listener;
    if (preload_ask_master(&request, -1, &reply) == 0)
        preload_close_descriptors(&reply);
    preload_set_listening(descriptor, false);
    return system_shutdown(descriptor, how);
}

HOOK int shutdown(int descriptor, int how) {
    struct native_name name;

    if ((how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR) && preload_has_master() &&
        preload_is_accept_socket(descriptor, &name))
        return answer(shut_down_accept_socket(descriptor, name.listener, how));
    return answer(system_shutdown(descriptor, how));
}

static int connect_by_kernel(int descriptor, const void *address, socklen_t length) {
    int type = preload_allow_cancel();
    int result = system_connect(descriptor, address, length);

    preload_restore_cancel(type);
    return result;
}

/* A Unix socket has EINVAL for every address of another family. */
HOOK int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    struct native_name name;
    int result = connect_by_kernel(descriptor, address, length);

    if (result == 0 || result == -EINPROGRESS)
        preload_set_hint(descriptor, PRELOAD_FOREIGN);
    if (result != -EINVAL || !preload_has_master() || !preload_read_name(descriptor, &name))
        return answer(result);
    if (preload_is_listening(descriptor))
        return answer(-EISCONN);
    result = preload_retrieve(descriptor, name.listener);
    if (result == 0)
        result = connect_by_kernel(descriptor, address, length);
    return answer(result);
}

/* The master learns of it after it was done, when it can see whether somebody else in the worker
 * has the accept socket still. */
HOOK int close(int descriptor) {
    struct native_name name;
    bool ours = preload_hint(descriptor) >= PRELOAD_ACCEPT && preload_has_master() &&
                preload_read_name(descriptor, &name);
    int result;

    preload_set_hint(descriptor, PRELOAD_UNKNOWN);
    result = system_close(descriptor);
    if (ours && result == 0) {
        preload_tell_closed(name.listener);
        preload_close_kept();
    }
    return answer(result);
}
