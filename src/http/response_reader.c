#include "http/response_reader.h"

#include <http_parser.h>
#include <stdlib.h>
#include <uv.h>

struct http_response_reader {
    http_parser parser;
    const struct http_client_events *events;
    void *owner;
    size_t head_length; /* bytes of header blocks so far */
    unsigned interim;   /* responses passed over */
    int result;         /* of the callback that has ended it */
    bool head_only;
    bool in_body; /* the real response's headers are complete */
    bool complete;
    bool keep_alive;
};

static struct http_response_reader *of(const http_parser *parser) {
    return parser->data;
}

static bool is_interim(const http_parser *parser) {
    return parser->status_code < 200;
}

/* Keeps a failure; what http-parser is told is only that there is one. */
static int note(struct http_response_reader *reader, int result) {
    if (result >= 0)
        return 0;
    reader->result = result;
    return -1;
}

/* 1 says that no body follows. */
static int on_headers_complete(http_parser *parser) {
    struct http_response_reader *reader = of(parser);
    const struct http_client_events *events = reader->events;

    if (parser->http_major != 1 || parser->status_code < 100 || parser->upgrade)
        return note(reader, UV_EPROTO);
    if (is_interim(parser))
        return ++reader->interim > HTTP_INTERIM_MAX ? note(reader, UV_EPROTO) : 1;
    reader->in_body = true;
    if (events->on_head && note(reader, events->on_head(reader->owner, parser->status_code)) < 0)
        return -1;
    return reader->head_only ? 1 : 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t length) {
    struct http_response_reader *reader = of(parser);

    if (!reader->events->on_body)
        return 0;
    return note(reader, reader->events->on_body(reader->owner, bytes, length));
}

/* The parser stops behind the response, whatever follows. */
static int on_message_complete(http_parser *parser) {
    struct http_response_reader *reader = of(parser);

    if (!is_interim(parser)) {
        reader->complete = true;
        reader->keep_alive = http_should_keep_alive(parser) != 0;
    }
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void start_over(struct http_response_reader *reader) {
    http_parser_init(&reader->parser, HTTP_RESPONSE);
    reader->parser.data = reader;
}

struct http_response_reader *http_response_reader_create(const struct http_client_events *events,
                                                         void *owner, bool head_only) {
    struct http_response_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    reader->events = events;
    reader->owner = owner;
    reader->head_only = head_only;
    start_over(reader);
    return reader;
}

void http_response_reader_destroy(struct http_response_reader *reader) {
    free(reader);
}

/* One call of the parser, which takes no more of a header block than may be. Returns how many bytes
 * it took; fewer than `length` also where a response has ended. */
static size_t parse(struct http_response_reader *reader, const char *bytes, size_t length) {
    size_t room = HTTP_RESPONSE_HEAD_MAX - reader->head_length;
    size_t used;

    if (!reader->in_body && length > room)
        length = room;
    used = http_parser_execute(&reader->parser, &settings, bytes, length);
    if (!reader->in_body)
        reader->head_length += used;
    return used;
}

int http_response_reader_feed(struct http_response_reader *reader, const char *bytes,
                              size_t length) {
    while (length > 0 && !reader->complete) {
        size_t used = parse(reader, bytes, length);
        enum http_errno error = HTTP_PARSER_ERRNO(&reader->parser);

        if (reader->result < 0)
            return reader->result;
        if (error == HPE_PAUSED)
            start_over(reader);
        else if (error != HPE_OK || used == 0)
            return UV_EPROTO;
        bytes += used;
        length -= used;
    }
    return reader->complete ? 0 : 1;
}

int http_response_reader_end(struct http_response_reader *reader) {
    if (reader->in_body && !reader->complete)
        (void)http_parser_execute(&reader->parser, &settings, "", 0);
    return reader->complete ? 0 : UV_ECONNRESET;
}

bool http_response_reader_keep_alive(const struct http_response_reader *reader) {
    return reader->keep_alive;
}
