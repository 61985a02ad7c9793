/* An answer that stays open: written piece by piece, until either side ends it.
 *
 * The happy path: the handler opens the stream instead of answering, writes whenever it has
 * something, and ends it; the next request of the same connection is taken after that. What is
 * written is sent by the loop, all pieces of one turn together, so that no call here ever ends the
 * connection or calls back.
 *
 * It can end early because the client leaves, because memory is out or because of
 * http_server_abort(): then `gone` is called. A client that does not read costs the bytes that
 * wait for it, at most HTTP_STREAM_WAITING_MAX, and no time limit applies to it.
 *
 * Chunked for HTTP/1.1; up to the end of the connection for HTTP/1.0. For HEAD the headers are
 * sent, then the connection ends, and the stream with it. */
#ifndef BATON_HTTP_STREAM_H
#define BATON_HTTP_STREAM_H

#include "http/connection.h"
#include "http/response.h"

#include <stddef.h>

#define HTTP_STREAM_WAITING_MAX ((size_t)1024 * 1024)

struct http_stream;

struct http_stream_events {
    /* The connection has ended before http_stream_end(): the stream is no more. May be NULL. */
    void (*gone)(void *owner);

    /* A write was refused because of what waits for this client, or room was asked for, and at
     * least half of the room is free. From the loop. May be NULL. */
    void (*on_room)(void *owner);
};

/* Answers the request that the handler was given with a stream; `head` has no body, and its length
 * does not matter. `events` must live as long as the stream. */
struct http_stream *http_connection_stream(struct http_connection *connection,
                                           const struct http_response *head,
                                           const struct http_stream_events *events, void *owner);

/* All of it or nothing: 0; UV_ENOBUFS when too much waits already, for this client or for all
 * together (half of http_server_options.memory_max); UV_ENOMEM. */
int http_stream_write(struct http_stream *stream, const void *bytes, size_t length);

/* For whoever would rather wait than lose something: on_room comes, once. */
void http_stream_ask_room(struct http_stream *stream);

/* The last bytes, which are taken however much waits, and the end; the stream is no more. */
void http_stream_end(struct http_stream *stream, const void *bytes, size_t length);

/* How many bytes wait for the client to take them. */
size_t http_stream_waiting(const struct http_stream *stream);

#endif
