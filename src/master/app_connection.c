/* A connection of our own to one worker of an app, and to no other.
 *
 * A pair of TCP sockets on the loopback interface: one end is the caller's, the other goes the way
 * that the worker's clients go. It can fail when the worker has no such way, or has no room. */
#include "base/clock.h"
#include "master/address.h"
#include "master/app.h"
#include "master/client.h"
#include "master/dispatcher.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#define HANDSHAKE_MS 20 /* the kernel makes it while connect(2) is called, or hardly later */

static int last_error(void) {
    return uv_translate_sys_error(errno);
}

/* --- the pair --- */

static int open_bound(struct sockaddr_in *address) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof *address;
    int result;

    if (descriptor < 0)
        return last_error();
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(descriptor, (struct sockaddr *)address, sizeof *address) == 0 &&
        getsockname(descriptor, (struct sockaddr *)address, &length) == 0)
        return descriptor;
    result = last_error();
    close(descriptor);
    return result;
}

/* Whoever else has found the listener is not let in. */
static int accept_from(int listener, const struct sockaddr_in *wanted) {
    struct pollfd poll_set = {.fd = listener, .events = POLLIN};

    while (poll(&poll_set, 1, HANDSHAKE_MS) == 1) {
        struct sockaddr_in peer = {.sin_port = 0};
        socklen_t length = sizeof peer;
        int descriptor =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (descriptor < 0)
            return last_error();
        if (peer.sin_port == wanted->sin_port && peer.sin_addr.s_addr == wanted->sin_addr.s_addr)
            return descriptor;
        close(descriptor);
    }
    return UV_EAGAIN;
}

static int connect_to(int listener, const struct sockaddr_in *address,
                      struct sockaddr_in *ret_own) {
    int descriptor = open_bound(ret_own);
    int result = 0;

    if (descriptor < 0)
        return descriptor;
    if (listen(listener, 1) < 0 ||
        (connect(descriptor, (const struct sockaddr *)address, sizeof *address) < 0 &&
         errno != EINPROGRESS))
        result = last_error();
    if (result == 0)
        return descriptor;
    close(descriptor);
    return result;
}

/* 0 with both ends, `ret_own` being the address of the first. */
static int open_pair(int ends[2], struct sockaddr_in *ret_own) {
    struct sockaddr_in address;
    int listener = open_bound(&address);

    if (listener < 0)
        return listener;
    ends[0] = connect_to(listener, &address, ret_own);
    ends[1] = ends[0] < 0 ? ends[0] : accept_from(listener, ret_own);
    close(listener);
    if (ends[0] >= 0 && ends[1] < 0)
        close(ends[0]);
    return ends[1] < 0 ? ends[1] : 0;
}

/* --- the worker's end --- */

static struct child_member *find_member(const struct child *child, uint16_t port) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);
        const struct listener *listener = member->listener;

        if (listener->key.kind == LISTENER_TCP && member->listening && !member->leaving &&
            (port == 0 || port == address_port((const struct sockaddr *)&listener->bound)))
            return member;
    }
    return NULL;
}

static int hand_over(struct child_member *member, int descriptor,
                     const struct sockaddr_in *address) {
    struct client *client = client_create(descriptor);

    if (!client) {
        close(descriptor);
        return UV_ENOMEM;
    }
    client_set_address(client, (const struct sockaddr *)address, sizeof *address);
    if (member->listener->wants_cookies)
        client_note_cookie(client);
    if (dispatcher_hand_to(&member->member, client, clock_ms()))
        return 0;
    client_destroy(client);
    return UV_EAGAIN;
}

static int connect_child(const struct child *child, uint16_t port, int *ret_descriptor) {
    struct child_member *member;
    struct sockaddr_in own;
    int ends[2];
    int result;

    if (!child || child->state != CHILD_READY)
        return UV_ESRCH;
    member = find_member(child, port);
    if (!member || !member->member.delivery)
        return UV_ENOTSUP;
    if (member->member.stuck)
        return UV_EAGAIN;
    result = open_pair(ends, &own);
    if (result < 0)
        return result;
    result = hand_over(member, ends[1], &own);
    if (result == 0)
        *ret_descriptor = ends[0];
    else
        close(ends[0]);
    return result;
}

int app_connect_slot(struct app *app, uint32_t number, uint16_t port, int *ret_descriptor) {
    const struct slot *slot = app_slot(app, number);

    return slot ? connect_child(slot->current, port, ret_descriptor) : UV_ENOENT;
}

int app_connect_examined(struct app *app, uint32_t number, uint16_t port, int *ret_descriptor) {
    const struct slot *slot = app_slot(app, number);
    const struct child *child = slot && slot->step == RENEWAL_EXAMINED ? slot->next : NULL;

    return slot ? connect_child(child, port, ret_descriptor) : UV_ENOENT;
}
