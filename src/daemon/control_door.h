/* A listening socket of the control API and the HTTP connections that come through it.
 *
 * The happy path: a client connects, is let in if there is room, and is src/http's from then on.
 * What fails: without a free descriptor clients wait in line; of too many the one that has kept its
 * request waiting longest leaves, and only when all of them wait for us is a new one refused (503).
 *
 * start/close(cb). */
#ifndef BATON_DAEMON_CONTROL_DOOR_H
#define BATON_DAEMON_CONTROL_DOOR_H

#include "http/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct control_door_options {
    uv_loop_t *loop;
    int listener;                       /* non-blocking; the door's, also when it cannot start */
    const struct http_handler *handler; /* its owner is the door */
    bool (*admits)(int client);         /* who else is answered 403; NULL: everybody is let in */
    size_t connections_max;
    size_t memory_max; /* bytes, see http_server_options */
    void *owner;
};

struct control_door {
    struct control_door_options options;
    struct http_server http;
    uv_poll_t listening;
    uv_timer_t pause; /* until accepting is tried again; after close: until we abort */
    unsigned handles; /* that are being closed */
    void (*on_closed)(void *owner); /* set: it closes */
};

int control_door_start(struct control_door *door, const struct control_door_options *options);

/* No further clients; requests that are being answered have two seconds to be. on_closed, from the
 * loop, is the last that happens; the memory may be reused then. */
void control_door_close(struct control_door *door, void (*on_closed)(void *owner));

#endif
