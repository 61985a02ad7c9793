#include "daemon/event_stream.h"

#include "daemon/control_reply.h"
#include "http/connection.h"
#include "http/stream.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Who has no token keeps half of the places on TCP free: a stream has no end, and is never the one
 * that leaves when another client comes. */
#define STRANGERS_MAX (CONTROL_TCP_CONNECTIONS_MAX / 2)

struct event_stream {
    struct list node; /* in control->streams */
    struct http_stream *http;
    uint64_t lost; /* events that the client was too slow for and does not know of */
    void (*gone)(void *owner);
    void (*on_room)(void *owner); /* NULL: nobody waits for room */
    void *owner;
    bool is_stranger; /* as struct control_request has it */
};

const struct http_response event_stream_head = {
    .status = 200,
    .content_type = "text/event-stream",
    .headers = control_headers,
    .header_count = CONTROL_HEADERS,
};

static int append(const char *bytes, size_t length, void *out) {
    return buffer_append(out, bytes, length);
}

int event_stream_format(struct buffer *out, const char *event, const json_t *data) {
    struct buffer text;
    int status = UV_ENOMEM;

    buffer_init(&text);
    if (buffer_print(&text, "event: %s\ndata: ", event) == 0 &&
        json_dump_callback(data, append, &text, JSON_COMPACT | JSON_ENCODE_ANY) == 0 &&
        buffer_append(&text, "\n\n", 2) == 0 &&
        buffer_append(out, buffer_data(&text), buffer_length(&text)) == 0)
        status = 0;
    buffer_clear(&text);
    return status;
}

/* Says what was lost, once there is room for more than that. False: it has to wait. */
static bool tell_lost(struct event_stream *stream) {
    char text[64];
    int length =
        snprintf(text, sizeof text, "event: lost\ndata: {\"lines\":%" PRIu64 "}\n\n", stream->lost);

    if (http_stream_waiting(stream->http) > HTTP_STREAM_WAITING_MAX / 2 ||
        http_stream_write(stream->http, text, (size_t)length) < 0)
        return false;
    stream->lost = 0;
    return true;
}

static void on_stream_room(void *owner) {
    struct event_stream *stream = owner;
    void (*waiting)(void *owner) = stream->on_room;

    if (stream->lost > 0)
        (void)tell_lost(stream);
    stream->on_room = NULL;
    if (waiting)
        waiting(stream->owner);
}

static void destroy(struct event_stream *stream) {
    list_remove(&stream->node);
    free(stream);
}

static void on_gone(void *owner) {
    struct event_stream *stream = owner;

    stream->gone(stream->owner);
    destroy(stream);
}

static const struct http_stream_events events = {.gone = on_gone, .on_room = on_stream_room};

static unsigned count_strangers(const struct control *control) {
    unsigned count = 0;

    LIST_EACH(node, following, &control->streams)
        count += LIST_ENTRY(node, struct event_stream, node)->is_stranger;
    return count;
}

struct event_stream *event_stream_open(struct control_request *request, void (*gone)(void *owner),
                                       void *owner) {
    const struct control_door *door = http_connection_server(request->connection)->owner;
    struct control *control = door->options.owner;
    struct event_stream *stream;

    if (request->is_stranger && count_strangers(control) >= STRANGERS_MAX) {
        control_reply_error(request->connection, 503, "overloaded",
                            "too many follow without the token");
        return NULL;
    }
    stream = malloc(sizeof *stream);
    if (!stream) {
        control_reply_json(request->connection, 503, NULL);
        return NULL;
    }
    *stream =
        (struct event_stream){.gone = gone, .owner = owner, .is_stranger = request->is_stranger};
    stream->http = http_connection_stream(request->connection, &event_stream_head, &events, stream);
    list_init(&stream->node);
    list_push_back(&control->streams, &stream->node);
    return stream;
}

void event_stream_send(struct event_stream *stream, const char *event, const json_t *data) {
    struct buffer text;

    buffer_init(&text);
    if (event_stream_format(&text, event, data) == 0)
        event_stream_send_text(stream, buffer_data(&text), buffer_length(&text));
    else
        stream->lost++;
    buffer_clear(&text);
}

void event_stream_send_text(struct event_stream *stream, const char *text, size_t length) {
    if (stream->lost > 0 && !tell_lost(stream))
        stream->lost++;
    else if (http_stream_write(stream->http, text, length) < 0)
        stream->lost++;
}

void event_stream_lose(struct event_stream *stream) {
    stream->lost++;
}

bool event_stream_has_room(struct event_stream *stream, void (*on_room)(void *owner)) {
    if (http_stream_waiting(stream->http) <= HTTP_STREAM_WAITING_MAX / 2)
        return true;
    stream->on_room = on_room;
    http_stream_ask_room(stream->http);
    return false;
}

void event_stream_close(struct event_stream *stream) {
    http_stream_end(stream->http, NULL, 0);
    destroy(stream);
}

bool event_stream_end_first(struct list *streams) {
    struct list *node = list_pop_front(streams);
    struct event_stream *stream;

    if (!node)
        return false;
    stream = LIST_ENTRY(node, struct event_stream, node);
    http_stream_end(stream->http, NULL, 0);
    on_gone(stream);
    return true;
}
