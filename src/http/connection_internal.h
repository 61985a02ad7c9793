/* Between server.c, connection.c and stream.c only. */
#ifndef BATON_HTTP_CONNECTION_INTERNAL_H
#define BATON_HTTP_CONNECTION_INTERNAL_H

#include "base/buffer.h"
#include "base/list.h"
#include "http/connection.h"
#include "http/request.h"
#include "http/server.h"
#include "http/stream.h"
#include "http/transmission.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct http_stream {
    const struct http_stream_events *events; /* NULL: the connection has no stream open */
    void *owner;
    struct http_connection *connection;
    bool chunked;
    bool head_only; /* for HEAD: ends once the headers are sent */
    bool refused;   /* on_room is owed */
};

struct http_connection {
    struct http_server *server;
    struct list node;      /* in server->phases[phase] */
    enum http_phase phase; /* since `since` */
    uint64_t since;        /* uv_now() */
    int socket;
    int watched;                  /* UV_READABLE, …: what `poll` waits for */
    bool polled;                  /* `poll` is initialised */
    bool running;                 /* run() is on the stack and will send */
    bool handling;                /* the handler has the request and has not answered */
    bool answered;                /* `request` is over and to be forgotten */
    bool in_body;                 /* the headers of `request` are complete */
    bool served;                  /* at least one request was answered */
    bool closing;                 /* no request is taken any more */
    bool linger;                  /* the client may still be sending: read on before closing */
    bool client_closes;           /* the client asked for the close */
    bool no_delay;                /* TCP_NODELAY is set */
    bool client_shut;             /* the client has closed its sending side */
    bool failed;                  /* memory is out */
    size_t memory;                /* of input and output, as counted in server->memory */
    struct http_request *request; /* NULL between requests */
    struct buffer input;          /* what arrived behind a request that is not answered yet */
    struct http_transmission output;
    struct http_stream stream;
    void (*gone)(void *context);
    void *gone_context;
    uv_poll_t poll;
};

/* Takes the socket, which is closed on failure. */
void http_connection_open(struct http_server *server, int socket);

/* Its time in its phase is over. Afterwards it is gone, or has left the front of the phase's list,
 * or has made some progress. */
void http_connection_expire(struct http_connection *connection);

void http_connection_close(struct http_connection *connection);

/* For connection.c when memory is short: closes one connection that has made no progress for a
 * second. False when there is none. */
bool http_server_make_room(struct http_server *server);

/* For stream.c: begins the answer of a stream. */
void http_connection_begin_stream(struct http_connection *connection,
                                  const struct http_response *head);

/* For stream.c: something was added to the output; the loop shall send it. */
void http_connection_wake(struct http_connection *connection);

/* For stream.c: the handler has ended its answer; the loop shall send it and go on. */
void http_connection_answered(struct http_connection *connection);

/* By connection.c when a time limit begins. */
void http_server_watch_time(struct http_server *server);

/* By connection.c when a connection is gone. */
void http_server_connection_closed(struct http_server *server);

#endif
