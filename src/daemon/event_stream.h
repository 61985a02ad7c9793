/* An answer of server-sent events that has no end of its own: GET /v1/events and its kin.
 *
 * At most HTTP_STREAM_WAITING_MAX bytes wait for a client. When it is slower than that, events are
 * dropped and counted; once half of the room is free an event "lost" tells how many, and the stream
 * goes on. None of these calls calls
 * back. */
#ifndef BATON_DAEMON_EVENT_STREAM_H
#define BATON_DAEMON_EVENT_STREAM_H

#include "base/buffer.h"
#include "daemon/control.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct http_response;

struct event_stream;

/* How an answer of events begins: 200, text/event-stream. */
extern const struct http_response event_stream_head;

/* Answers the request with a stream, from within its handler. `gone` is called when the client
 * leaves, and by control_close(); the stream is freed after it. NULL when memory is out; the client
 * has been answered 503 then. */
struct event_stream *event_stream_open(struct control_request *request, void (*gone)(void *owner),
                                       void *owner);

/* For events that can wait, unlike those that happen now: false when this client has a good deal to
 * take before there is room; `on_room` comes then, from the loop, when it has. */
bool event_stream_has_room(struct event_stream *stream, void (*on_room)(void *owner));

/* Sends one event, or counts it as lost. `data` is borrowed. */
void event_stream_send(struct event_stream *stream, const char *event, const json_t *data);

/* The same in two steps, for one event and many streams: appends its text to `out` (0 or UV_ENOMEM
 * with `out` unchanged), then sends that. */
int event_stream_format(struct buffer *out, const char *event, const json_t *data);
void event_stream_send_text(struct event_stream *stream, const char *text, size_t length);

/* Counts one that could not be kept for it. */
void event_stream_lose(struct event_stream *stream);

/* Ends and frees it; what was sent still goes out. `gone` is not called. */
void event_stream_close(struct event_stream *stream);

/* For control_close(): ends the first of a list of streams, and tells its owner that it is gone.
 * False when there is none. */
bool event_stream_end_first(struct list *streams);

#endif
