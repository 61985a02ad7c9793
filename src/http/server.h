/* What all HTTP connections of one loop have in common: the handler, the limits, the timeouts, the
 * counters and the end. It does not listen: it is given connected sockets.
 *
 * Every connection is in exactly one phase, and each phase is a list ordered by the time of
 * entering it, so that one slow timer finds all that are late by looking at the lists' heads. A
 * connection therefore has no timer of its own. Timeouts are kept to about a quarter second.
 *
 * The process must ignore SIGPIPE. */
#ifndef BATON_HTTP_SERVER_H
#define BATON_HTTP_SERVER_H

#include "base/list.h"
#include "http/date.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_connection;
struct http_request;
struct http_response;

struct http_handler {
    /* A request is complete. Answer it with http_connection_respond() now or later; the request
     * may be read until then. It must not call http_server_open() or http_server_abort(). */
    void (*on_request)(void *owner, struct http_connection *connection,
                       const struct http_request *request);

    /* How many bytes of body this request may have, asked when its headers are there. */
    uint64_t (*body_limit)(void *owner, const struct http_request *request);

    /* What is answered to a request that is refused before on_request; its status is `status`, its
     * body no file. NULL: a line of plain text. */
    struct http_response (*refusal)(void *owner, int status);
};

struct http_server_options {
    uint64_t header_timeout_ms; /* from a request's first byte to the end of its headers */
    uint64_t body_timeout_ms;   /* without a byte of the body */
    uint64_t write_timeout_ms;  /* without the client taking a byte of the answer */
    uint64_t idle_timeout_ms;   /* between two requests, and before the first */
    uint64_t linger_ms;         /* how long to read on after the last answer, see connection.c */
    uint64_t drain_grace_ms;    /* instead of the idle timeout while draining */
    size_t memory_max; /* bytes of input and output that all connections hold; 0: no limit. Beyond
                          it, clients that have stopped in the middle are let go, then requests are
                          refused with 503. Streams get half of it at most */
};

/* 10 s, 30 s, 30 s, 60 s, 2 s, 1 s, no limit. */
extern const struct http_server_options http_server_default_options;

/* What a connection is waiting for. */
enum http_phase {
    HTTP_PHASE_FRESH,     /* its first byte */
    HTTP_PHASE_HEAD,      /* the rest of the headers */
    HTTP_PHASE_BODY,      /* the rest of the body */
    HTTP_PHASE_HANDLING,  /* the handler's answer, or the end of its stream; without limit */
    HTTP_PHASE_WRITING,   /* the client to take the answer */
    HTTP_PHASE_IDLE,      /* another request */
    HTTP_PHASE_LINGERING, /* the client to close */
    HTTP_PHASES
};

struct http_server {
    uv_loop_t *loop;
    const struct http_handler *handler;
    void *owner;
    struct http_server_options options;
    struct list phases[HTTP_PHASES]; /* struct http_connection.node */
    size_t connections;              /* open now */
    size_t memory;                   /* bytes of input and output held now */
    size_t memory_peak;              /* the most since memory was last given back */
    uint64_t answered;               /* responses given, refusals included */
    bool draining;
    void (*on_drained)(void *owner);
    uv_timer_t ticker; /* runs while there are connections with a time limit */
    bool ticking;
    char *scratch; /* where bytes are read to before they are parsed, for one call only; NULL before
                      the first */
    int64_t date_second;
    char date[HTTP_DATE_SIZE]; /* as of date_second */
};

#define HTTP_SCRATCH_SIZE ((size_t)64 * 1024)

/* `handler` must live as long as the server; `options` is copied. */
void http_server_init(struct http_server *server, uv_loop_t *loop,
                      const struct http_handler *handler, void *owner,
                      const struct http_server_options *options);

/* Serves a connected, non-blocking stream socket, which becomes the server's in any case; whatever
 * has already arrived is answered before this returns. Not to be called from a handler. */
void http_server_open(struct http_server *server, int socket);

/* From now on every answer closes its connection, and connections that wait for a request get only
 * the drain grace. on_drained is called once no connection is left, perhaps at once. The caller
 * opens no further ones, except such as were accepted before. */
void http_server_drain(struct http_server *server, void (*on_drained)(void *owner));

/* Closes the connection that has kept its own request waiting longest, to make room for another.
 * False when all of them wait for us. */
bool http_server_evict(struct http_server *server);

/* Closes every connection at once, whatever it is doing. */
void http_server_abort(struct http_server *server);

/* Releases everything when no connection is left; the memory may be reused once on_closed (may be
 * NULL) was called with the ticker as its handle. */
void http_server_close(struct http_server *server, uv_close_cb on_closed);

/* The Date header's value for now. */
const char *http_server_date(struct http_server *server);

#endif
