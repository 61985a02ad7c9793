#include "daemon/control_reply.h"

#include "base/buffer.h"
#include "base/text.h"
#include "daemon/event_stream.h"
#include "http/connection.h"
#include "http/stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control_answer {
    struct http_connection *connection;
    struct http_stream *stream; /* NULL: the client wants one answer and no events */
    void (*gone)(void *owner);
    void *owner;
};

static int append(const char *bytes, size_t length, void *out) {
    return buffer_append(out, bytes, length);
}

static int format(struct buffer *out, const json_t *body) {
    if (!body || json_dump_callback(body, append, out, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
        return UV_ENOMEM;
    return 0;
}

const struct http_header control_headers[CONTROL_HEADERS] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy", "default-src 'self'"},
};

/* `text` (NULL: memory is out) gets a newline; `extra` is one header more, or NULL. */
static void respond(struct http_connection *connection, int status, struct buffer *text,
                    const struct http_header *extra) {
    static const char no_memory[] =
        "{\"error\":{\"code\":\"overloaded\",\"message\":\"the daemon is out of memory\"}}\n";
    struct http_header headers[CONTROL_HEADERS + 1];
    struct http_response response = {
        .status = 503,
        .content_type = "application/json",
        .headers = headers,
        .header_count = CONTROL_HEADERS + (extra != NULL),
        .body = no_memory,
        .length = sizeof no_memory - 1,
    };

    memcpy(headers, control_headers, sizeof control_headers);
    if (extra)
        headers[CONTROL_HEADERS] = *extra;
    if (text && buffer_append(text, "\n", 1) == 0) {
        response.status = status;
        response.body = buffer_data(text);
        response.length = buffer_length(text);
    }
    http_connection_respond(connection, &response);
}

void control_reply_text(struct http_connection *connection, int status, struct buffer *text) {
    respond(connection, status, text, NULL);
}

/* Steals `body`. */
static void reply(struct http_connection *connection, int status, json_t *body,
                  const struct http_header *extra) {
    struct buffer text;

    buffer_init(&text);
    respond(connection, status, format(&text, body) == 0 ? &text : NULL, extra);
    json_decref(body);
    buffer_clear(&text);
}

void control_reply_json(struct http_connection *connection, int status, json_t *body) {
    reply(connection, status, body, NULL);
}

static json_t *error_of(const char *code, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static json_t *error_of(const char *code, const char *format, va_list arguments) {
    char message[CONTROL_MESSAGE_MAX];
    char escaped[CONTROL_MESSAGE_MAX];

    vsnprintf(message, sizeof message, format, arguments);
    text_escape_utf8(escaped, sizeof escaped, message, strlen(message));
    return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", escaped);
}

json_t *control_error(const char *code, const char *format, ...) {
    va_list arguments;
    json_t *error;

    va_start(arguments, format);
    error = error_of(code, format, arguments);
    va_end(arguments);
    return error;
}

void control_reply_error(struct http_connection *connection, int status, const char *code,
                         const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    reply(connection, status, error_of(code, format, arguments), NULL);
    va_end(arguments);
}

void control_reply_method(struct http_connection *connection, const char *allowed) {
    struct http_header allow = {"Allow", allowed};

    reply(connection, 405,
          control_error("method_not_allowed", "only %s can be asked here", allowed), &allow);
}

void control_reply_unauthorized(struct http_connection *connection) {
    static const struct http_header challenge = {"WWW-Authenticate", "Bearer"};

    reply(connection, 401,
          control_error("unauthorized", "on TCP this needs the token: Authorization: Bearer"),
          &challenge);
}

/* --- Later --- */

static void on_gone(void *owner) {
    struct control_answer *answer = owner;

    if (answer->gone)
        answer->gone(answer->owner);
    free(answer);
}

static const struct http_stream_events events = {.gone = on_gone};

struct control_answer *control_answer_create(struct control_request *request,
                                             void (*gone)(void *owner), void *owner) {
    struct control_answer *answer = malloc(sizeof *answer);

    if (!answer) {
        control_reply_json(request->connection, 503, NULL);
        return NULL;
    }
    *answer = (struct control_answer){
        .connection = request->connection,
        .gone = gone,
        .owner = owner,
    };
    if (request->wants_events)
        answer->stream =
            http_connection_stream(request->connection, &event_stream_head, &events, answer);
    else
        http_connection_on_gone(request->connection, on_gone, answer);
    return answer;
}

void control_answer_progress(struct control_answer *answer, json_t *data) {
    struct buffer text;

    buffer_init(&text);
    if (answer && answer->stream && event_stream_format(&text, "progress", data) == 0)
        (void)http_stream_write(answer->stream, buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
    json_decref(data);
}

/* Without memory for it the stream ends without a result, and the client knows by that. */
static void finish_stream(struct http_stream *stream, int status, json_t *body) {
    json_t *result = json_pack("{s:i, s:O?}", "status", body ? status : 503, "body", body);
    struct buffer text;

    buffer_init(&text);
    if (result)
        (void)event_stream_format(&text, "result", result);
    http_stream_end(stream, buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
    json_decref(result);
    json_decref(body);
}

void control_answer_finish(struct control_answer *answer, int status, json_t *body) {
    if (!answer)
        json_decref(body);
    else if (answer->stream)
        finish_stream(answer->stream, status, body);
    else
        control_reply_json(answer->connection, status, body);
    free(answer);
}
