#include "master/accept_delivery.h"

#include "base/clock.h"
#include "master/client.h"
#include "master/dispatcher.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 64

static void on_writable(uv_poll_t *poll, int status, int events) {
    struct accept_way *way = poll->data;

    (void)status;
    (void)events;
    dispatcher_room(way->member, clock_ms());
}

int accept_delivery_start(struct accept_way *way, uv_loop_t *loop, struct member *member,
                          const struct sockaddr *address, socklen_t length) {
    int result = accept_socket_create(&way->socket, member->id, member->window, address, length);

    if (result < 0)
        return result;
    way->member = member;
    way->sent = 0;
    way->descriptor_limit = INT_MAX;
    result = uv_poll_init(loop, &way->poll, way->socket.master);
    if (result < 0) {
        accept_socket_destroy(&way->socket);
        return result;
    }
    way->poll.data = way;
    member->way = way;
    member->delivery = &accept_delivery;
    member->window = way->socket.window;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct accept_way *way = handle->data;

    way->on_closed(way->owner);
}

void accept_delivery_close(struct accept_way *way, void (*on_closed)(void *owner)) {
    way->on_closed = on_closed;
    uv_close((uv_handle_t *)&way->poll, on_handle_closed);
    accept_socket_destroy(&way->socket);
}

static void trace(struct accept_way *way, enum accept_trace_kind kind, const struct client *client,
                  uint64_t sequence) {
    struct accept_trace crossing = {.kind = kind,
                                    .member = way->member,
                                    .client = client,
                                    .sequence = sequence,
                                    .record_size = way->socket.record_size};

    if (way->trace)
        way->trace(way->owner, &crossing);
}

static unsigned accept_send(struct member *member, struct client **clients, unsigned count) {
    struct accept_way *way = member->way;
    struct accept_socket_client records[BATCH];
    uint64_t sequence = way->socket.sequence;
    int taken;

    for (unsigned i = 0; i < count; i++)
        records[i] = (struct accept_socket_client){.descriptor = clients[i]->descriptor,
                                                   .address_length = clients[i]->address_length,
                                                   .address = &clients[i]->address.any};
    taken = accept_socket_send(&way->socket, records, count);
    if (taken < 0)
        return 0; /* the worker is gone: its exit brings them back */
    for (int i = 0; i < taken; i++) {
        trace(way, ACCEPT_TRACE_CLIENT, clients[i], sequence + 1 + (uint64_t)i);
        client_destroy(clients[i]);
    }
    way->sent += (uint32_t)taken;
    return (unsigned)taken;
}

static uint32_t accept_settle(struct member *member) {
    struct accept_way *way = member->way;
    uint32_t outstanding = accept_socket_outstanding(&way->socket);
    uint32_t received = outstanding < way->sent ? way->sent - outstanding : 0;

    way->sent -= received;
    return received;
}

static void accept_watch(struct member *member, bool on) {
    struct accept_way *way = member->way;

    if (on)
        uv_poll_start(&way->poll, UV_WRITABLE, on_writable);
    else
        uv_poll_stop(&way->poll);
}

static struct client *create_returned(const struct accept_socket_returned *returned) {
    struct client *client = client_create(returned->descriptor);

    if (!client) {
        close(returned->descriptor);
        return NULL;
    }
    client_set_address(client, (const struct sockaddr *)&returned->address,
                       returned->address_length);
    client->accepted_ms = clock_ms();
    return client;
}

/* What a dead worker has not received: its accept socket, which we keep until it is empty. */
struct accept_leftover {
    struct leftover leftover;
    struct accept_socket socket;
};

static int take_leftover(struct leftover *leftover, struct client **ret_client) {
    struct accept_leftover *rest = LIST_ENTRY(leftover, struct accept_leftover, leftover);
    struct accept_socket_returned returned;
    int result = accept_socket_take_back(&rest->socket, INT_MAX, &returned);

    if (result != 1)
        return result;
    *ret_client = create_returned(&returned);
    return *ret_client ? 1 : UV_ENOMEM;
}

static void destroy_leftover(struct leftover *leftover) {
    struct accept_leftover *rest = LIST_ENTRY(leftover, struct accept_leftover, leftover);

    accept_socket_destroy(&rest->socket);
    free(rest);
}

/* The dispatcher gets the socket with all that is in it. False when memory is out. */
static bool leave_behind(struct member *member) {
    struct accept_way *way = member->way;
    struct accept_leftover *rest = malloc(sizeof *rest);

    if (!rest)
        return false;
    *rest = (struct accept_leftover){
        .leftover = {.take = take_leftover, .destroy = destroy_leftover}, .socket = way->socket};
    list_init(&rest->leftover.node);
    way->socket.master = -1;
    way->socket.worker = -1;
    dispatcher_inherit(member->dispatcher, &rest->leftover);
    return true;
}

static void count_received(struct member *member) {
    uint32_t received = accept_settle(member);

    if (!member->probed)
        member->acknowledged_total += received;
    member->unacknowledged -= received < member->unacknowledged ? received : member->unacknowledged;
}

/* One by one, as far as descriptors go; true when nothing is left. */
static bool take_back_now(struct member *member) {
    struct accept_way *way = member->way;
    struct accept_socket_returned returned;
    int result;

    while ((result = accept_socket_take_back(&way->socket, way->descriptor_limit, &returned)) ==
           1) {
        struct client *client = create_returned(&returned);

        way->sent -= way->sent > 0;
        if (!client)
            continue;
        trace(way, ACCEPT_TRACE_TAKEN_BACK, client, returned.sequence);
        dispatcher_return(member, client);
    }
    return result == 0;
}

static bool accept_take_back(struct member *member, bool dead) {
    struct accept_way *way = member->way;

    if (way->socket.master < 0)
        return true; /* left behind already */
    count_received(member);
    if (dead && way->sent > 0 && !member->probed) {
        member->returned_total += way->sent;
        trace(way, ACCEPT_TRACE_LEFT, NULL, way->sent);
        way->sent = 0;
        uv_poll_stop(&way->poll);
        return leave_behind(member);
    }
    if (!take_back_now(member))
        return false;
    if (!member->probed) /* the worker has received these meanwhile */
        member->acknowledged_total += way->sent;
    way->sent = 0;
    return true;
}

static bool accept_probe(struct member *member) {
    struct accept_way *way = member->way;

    if (accept_socket_probe(&way->socket) < 0)
        return false;
    way->sent = 1;
    trace(way, ACCEPT_TRACE_PROBE, NULL, 0);
    return true;
}

const struct delivery accept_delivery = {
    .name = "accept socket",
    .slow_after_ms = 100,
    .send = accept_send,
    .settle = accept_settle,
    .watch = accept_watch,
    .take_back = accept_take_back,
    .probe = accept_probe,
};
