#include "http/stream.h"

#include "http/connection_internal.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_SIZE_MAX 20 /* the hexadecimal size of a chunk, CRLF and a NUL */

static struct buffer *output_of(const struct http_stream *stream) {
    return &stream->connection->output.bytes;
}

struct http_stream *http_connection_stream(struct http_connection *connection,
                                           const struct http_response *head,
                                           const struct http_stream_events *events, void *owner) {
    struct http_stream *stream = &connection->stream;

    http_connection_begin_stream(connection, head);
    stream->events = events;
    stream->owner = owner;
    http_connection_wake(connection);
    return stream;
}

/* Adds one piece, all of it or nothing. */
static int add_piece(struct http_stream *stream, const void *bytes, size_t length) {
    struct buffer *output = output_of(stream);
    char size[CHUNK_SIZE_MAX];
    int size_length = 0;

    if (stream->head_only || length == 0)
        return 0;
    if (stream->chunked)
        size_length = snprintf(size, sizeof size, "%zx\r\n", length);
    if (!buffer_reserve(output, (size_t)size_length + length + 2))
        return UV_ENOMEM;
    (void)buffer_append(output, size, (size_t)size_length);
    (void)buffer_append(output, bytes, length);
    if (stream->chunked)
        (void)buffer_append(output, "\r\n", 2);
    return 0;
}

/* Whoever follows without reading may do so for ever: the other half is for those who ask. */
static bool is_memory_short(const struct http_stream *stream, size_t length) {
    const struct http_server *server = stream->connection->server;
    size_t memory_max = server->options.memory_max / 2;

    return memory_max > 0 && server->memory + length > memory_max;
}

int http_stream_write(struct http_stream *stream, const void *bytes, size_t length) {
    int status = UV_ENOBUFS;

    if (http_stream_waiting(stream) + length > HTTP_STREAM_WAITING_MAX)
        stream->refused = true;
    else if (!is_memory_short(stream, length))
        status = add_piece(stream, bytes, length);
    http_connection_wake(stream->connection);
    return status;
}

void http_stream_ask_room(struct http_stream *stream) {
    stream->refused = true;
    http_connection_wake(stream->connection);
}

void http_stream_end(struct http_stream *stream, const void *bytes, size_t length) {
    struct http_connection *connection = stream->connection;
    int status = add_piece(stream, bytes, length);

    if (status == 0 && stream->chunked && !stream->head_only)
        status = buffer_append(output_of(stream), "0\r\n\r\n", 5);
    if (status < 0)
        connection->failed = true; /* the client sees the connection end within the answer */
    stream->events = NULL;
    connection->closing = connection->closing || connection->server->draining;
    connection->answered = true;
    http_connection_answered(connection);
}

size_t http_stream_waiting(const struct http_stream *stream) {
    return buffer_length(output_of(stream));
}
