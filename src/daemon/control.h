/* The server of the control API (docs/api.md): HTTP on the Unix socket `control.sock` in the
 * daemon's directory and, if asked for, on TCP (daemon/control_tcp.h).
 *
 * The happy path: a client connects, its user is checked, its requests are read by src/http, and
 * each is checked (host, type of the body, JSON) and given to the handler of its route, which
 * answers now or later (daemon/control_reply.h) or opens a stream (daemon/event_stream.h).
 *
 * Who is let in (RELIABILITY: security): the directory is 0700 and the socket 0600; the peer must
 * be our user or root (403); Host must be "localhost" or empty, and may be missing with HTTP/1.0
 * only (421). The query must be properly encoded (400). A body is application/json (415), valid
 * (400) and at most 8 MiB (413); all bodies and all that waits to be sent are together at most 64
 * MiB (503). Of more than 1024 clients one leaves (daemon/control_door.h). Whoever is late is let
 * go, see http_server_default_options. */
#ifndef BATON_DAEMON_CONTROL_H
#define BATON_DAEMON_CONTROL_H

#include "base/list.h"
#include "daemon/control_door.h"
#include "daemon/control_tcp.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#define CONTROL_SOCKET_NAME     "control.sock"
#define CONTROL_CONNECTIONS_MAX 1024
#define CONTROL_BODY_MAX        ((size_t)8 * 1024 * 1024)
#define CONTROL_MEMORY_MAX      ((size_t)64 * 1024 * 1024)

/* Whoever comes there may be anybody, and takes nothing from those who come through the socket. */
#define CONTROL_TCP_CONNECTIONS_MAX 64
#define CONTROL_TCP_MEMORY_MAX      ((size_t)32 * 1024 * 1024)

/* One request, for as long as its handler runs. Everything is borrowed. */
struct control_request {
    const char *method;  /* "HEAD" comes to the route of "GET"; its answer's body is left out */
    const char *path;    /* decoded */
    const char *segment; /* what stands at the route's "*"; NULL without one */
    const char *query;   /* still encoded; NULL: none. See control_query() */
    json_t *body;        /* NULL when there is none */
    struct http_connection *connection;
    bool wants_events; /* it accepts text/event-stream */
    bool is_tcp;       /* environments are kept from it */
    bool is_stranger;  /* it came without the token; log lines are kept from it, too */
};

/* One line of the routing table. */
struct control_route {
    const char *method; /* "GET" */
    const char *path;   /* "/v1/apps"; a last segment of "*" stands for any one that is not empty */
    void (*handle)(void *owner, struct control_request *request);
};

struct control {
    uv_loop_t *loop;
    const struct control_route *routes;
    void *owner;
    struct control_door local;
    struct control_door tcp; /* if has_tcp */
    bool has_tcp;
    struct control_tcp_address tcp_address;
    char token[CONTROL_TCP_TOKEN_SIZE];
    int listener; /* until `local` has it */
    char *path;   /* of the socket; NULL: somebody else's */
    dev_t device; /* of the socket's file, so that no other's is unlinked */
    ino_t inode;
    struct list streams; /* struct event_stream.node: they end with us */
    unsigned doors;      /* to be closed yet */
    void (*on_closed)(void *owner);
};

/* Creates the directory (not its parents) if it is missing, replaces the socket of a daemon that is
 * dead (the caller holds the lock), and listens. `routes` ends with a NULL path and lives as long
 * as the control. UV_EPERM: the directory is another user's; UV_ENOTDIR; UV_EEXIST: a file that is
 * no socket is in the way; any other UV_E*. A directory that others could enter is made 0700. If
 * it fails nothing is left open. */
int control_start(struct control *control, uv_loop_t *loop, const char *directory,
                  const struct control_route *routes, void *owner);

/* The same on a socket that listens at that path already and is somebody else's, who keeps it: it
 * is taken over, and its file is never unlinked. Closed when this fails. */
int control_start_on(struct control *control, uv_loop_t *loop, int listener,
                     const struct control_route *routes, void *owner);

/* Serves the same on TCP, too, through a listener that is the control's from now on. */
int control_open_tcp(struct control *control, int listener,
                     const struct control_tcp_address *address,
                     const char token[CONTROL_TCP_TOKEN_SIZE]);

/* No further clients, and the socket is unlinked, unless it is somebody else's. Streams of events
 * end now; requests that are being answered have two seconds to be, then their answers' `gone` is
 * called. on_closed, from the loop, is the last that happens; the memory may be reused then. */
void control_close(struct control *control, void (*on_closed)(void *owner));

/* The value of the `index`-th parameter `name` of the query, decoded into `value`; returns `value`,
 * or NULL when there is none. A "+" is a blank; what is too long is cut. */
const char *control_query(const struct control_request *request, const char *name, size_t index,
                          char *value, size_t size);

#endif
