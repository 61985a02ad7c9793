#include "master/seccomp_internal.h"

#include "ipc/accept_peek.h"
#include "master/seccomp_address.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int accept_flags(const struct seccomp_call *call) {
    return call->number == SYS_accept4 ? (int)call->arguments[3] : 0;
}

static int install_client(const struct seccomp_call *call,
                          const struct accept_socket_returned *client) {
    int non_blocking = (accept_flags(call) & SOCK_NONBLOCK) != 0;
    bool wants_address = call->arguments[1] != 0;
    struct seccomp_address_place place;
    int result = 0;

    if (ioctl(client->descriptor, FIONBIO, &non_blocking) < 0)
        return uv_translate_sys_error(errno);
    if (wants_address)
        result = seccomp_address_find(call, &place);
    if (result == 0 && wants_address)
        result = seccomp_address_write(call, &place, &client->address, client->address_length);
    if (result < 0)
        return result;
    result = seccomp_call_answer_descriptor(call, client->descriptor,
                                            accept_flags(call) & SOCK_CLOEXEC ? O_CLOEXEC : 0);
    if (result < 0 && wants_address)
        seccomp_address_restore_length(call, &place);
    return result;
}

/* Hands the oldest client to the caller: 1 when its call is answered or over, 0 or UV_EPIPE when no
 * client is there. */
static int hand_over(const struct seccomp_listener *listener, const struct seccomp_call *call) {
    struct accept_socket_returned client;
    int result = accept_peek(listener->socket, &client);

    if (result == 0 || result == UV_EPIPE)
        return result;
    if (result == 1) {
        result = install_client(call, &client);
        if (result == 0)
            accept_drop(listener->socket);
        close(client.descriptor);
    } else if (result == UV_EMFILE) {
        result = UV_ENFILE; /* it is our table that is full, not the caller's */
    }
    if (result < 0 && result != UV_ENOENT)
        seccomp_call_answer(call, result);
    return 1;
}

void seccomp_accept(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                    const struct seccomp_call *call) {
    if (!listener->listening || (accept_flags(call) & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)))
        seccomp_call_answer(call, UV_EINVAL);
    else if (hand_over(listener, call) == 1)
        return;
    else if (fcntl(listener->socket, F_GETFL) & O_NONBLOCK)
        seccomp_call_answer(call, UV_EAGAIN);
    else
        seccomp_waiting_add(supervisor, listener, call);
}

void seccomp_accept_clients(struct seccomp_supervisor *supervisor,
                            struct seccomp_listener *listener) {
    seccomp_waiting_serve(supervisor, listener, hand_over);
}
