#include "http/request.h"

#include "base/buffer.h"
#include "http/strict.h"
#include "http/target.h"

#include <assert.h>
#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SMALL 65536 /* a body that gets larger is given its announced length at once */

/* What the last bytes kept in `text` belong to. http-parser delivers a name or value in pieces. */
enum piece { PIECE_NONE, PIECE_TARGET, PIECE_NAME, PIECE_VALUE };

/* Places in `text`. */
struct header {
    uint32_t name;
    uint32_t value;
};

struct http_request {
    struct http_strict strict;
    http_parser parser;
    enum http_request_state state;
    enum piece piece;
    int status;              /* why BAD */
    bool head_complete;      /* as http-parser sees it */
    bool message_complete;   /* as http-parser sees it */
    bool keep_alive;         /* taken at the end of the header block: a trailer cannot change it */
    uint64_t body_limit;     /* bytes */
    uint64_t content_length; /* announced, 0 for a chunked body */
    struct buffer text;      /* target, names and values, each ended by NUL; nothing is consumed */
    struct buffer body;
    uint32_t path; /* place of the decoded path in `text` */
    const char *query;
    size_t header_count;
    struct header headers[HTTP_HEADERS_MAX];
};

static struct http_request *of(const http_parser *parser) {
    return parser->data;
}

static const char *at(const struct http_request *request, uint32_t place) {
    return buffer_data(&request->text) + place;
}

/* Ends the piece that was being collected. Blanks after a value are not part of it (RFC 9110, 5.5);
 * http-parser drops only those before it. */
static int end_piece(struct http_request *request) {
    struct buffer *text = &request->text;

    if (request->piece == PIECE_VALUE) {
        uint32_t start = request->headers[request->header_count - 1].value;

        while (text->end > start &&
               (text->bytes[text->end - 1] == ' ' || text->bytes[text->end - 1] == '\t'))
            text->end--;
    }
    if (request->piece == PIECE_NONE)
        return 0;
    return buffer_append(text, "", 1);
}

static int keep(struct http_request *request, const char *bytes, size_t length) {
    if (buffer_append(&request->text, bytes, length) == 0)
        return 0;
    request->status = 503;
    return -1;
}

/* Ends the piece before and begins another: *ret_place is where. */
static int begin_piece(struct http_request *request, enum piece piece, uint32_t *ret_place) {
    if (end_piece(request) < 0) {
        request->status = 503;
        return -1;
    }
    request->piece = piece;
    *ret_place = (uint32_t)buffer_length(&request->text);
    return 0;
}

static int on_url(http_parser *parser, const char *bytes, size_t length) {
    struct http_request *request = of(parser);

    request->piece = PIECE_TARGET;
    return keep(request, bytes, length);
}

static int on_header_field(http_parser *parser, const char *bytes, size_t length) {
    struct http_request *request = of(parser);

    if (request->head_complete) /* a trailer: nobody reads it */
        return 0;
    if (request->piece != PIECE_NAME) {
        uint32_t place;

        if (request->header_count == HTTP_HEADERS_MAX ||
            begin_piece(request, PIECE_NAME, &place) < 0)
            return -1;
        request->headers[request->header_count++] = (struct header){.name = place};
    }
    return keep(request, bytes, length);
}

static int on_header_value(http_parser *parser, const char *bytes, size_t length) {
    struct http_request *request = of(parser);

    if (request->head_complete)
        return 0;
    if (request->piece != PIECE_VALUE &&
        begin_piece(request, PIECE_VALUE, &request->headers[request->header_count - 1].value) < 0)
        return -1;
    return keep(request, bytes, length);
}

/* Decodes the path behind everything else in `text`. */
static int find_path(struct http_request *request) {
    struct http_target target;
    size_t place = buffer_length(&request->text);
    char *room;

    if (http_target_split(at(request, 0), &target) < 0) {
        request->status = 400;
        return -1;
    }
    /* A path is never longer than its target; the reservation may move the text. */
    room = buffer_reserve(&request->text, strlen(at(request, 0)) + 2);
    if (!room) {
        request->status = 503;
        return -1;
    }
    http_target_split(at(request, 0), &target);
    if (http_target_decode(&target, room) < 0) {
        request->status = 400;
        return -1;
    }
    buffer_commit(&request->text, strlen(room) + 1);
    request->path = (uint32_t)place;
    request->query = target.query;
    return 0;
}

static int on_headers_complete(http_parser *parser) {
    struct http_request *request = of(parser);

    if (end_piece(request) < 0) {
        request->status = 503;
        return -1;
    }
    request->piece = PIECE_NONE;
    request->head_complete = true;
    request->keep_alive = http_should_keep_alive(parser) != 0;
    if (!request->strict.chunked && request->strict.has_length)
        request->content_length = parser->content_length;
    parser->upgrade = 0; /* nobody here changes protocols; RFC 9110, 7.8 lets a server ignore it */
    return find_path(request);
}

/* Growing step by step would copy a large body several times, and leave holes of its size in
 * memory. Whoever announces much and sends little costs nothing but addresses. */
static bool reserve_body(struct http_request *request) {
    size_t length = buffer_length(&request->body);

    if (length < BODY_SMALL || length >= request->content_length)
        return true;
    return buffer_reserve(&request->body, (size_t)request->content_length - length) != NULL;
}

static int on_body(http_parser *parser, const char *bytes, size_t length) {
    struct http_request *request = of(parser);

    if (length > request->body_limit - buffer_length(&request->body)) {
        request->status = 413;
        return -1;
    }
    if (reserve_body(request) && buffer_append(&request->body, bytes, length) == 0)
        return 0;
    request->status = 503;
    return -1;
}

static int on_message_complete(http_parser *parser) {
    of(parser)->message_complete = true;
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

struct http_request *http_request_create(void) {
    struct http_request *request = malloc(sizeof *request);

    if (!request)
        return NULL;
    buffer_init(&request->text);
    buffer_init(&request->body);
    http_request_reset(request);
    return request;
}

void http_request_destroy(struct http_request *request) {
    if (!request)
        return;
    buffer_clear(&request->text);
    buffer_clear(&request->body);
    free(request);
}

void http_request_reset(struct http_request *request) {
    buffer_consume(&request->text, buffer_length(&request->text));
    buffer_consume(&request->body, buffer_length(&request->body));
    http_strict_init(&request->strict);
    http_parser_init(&request->parser, HTTP_REQUEST);
    request->parser.data = request;
    request->state = HTTP_REQUEST_MORE;
    request->piece = PIECE_NONE;
    request->status = 0;
    request->head_complete = false;
    request->message_complete = false;
    request->keep_alive = false;
    request->body_limit = 0;
    request->content_length = 0;
    request->path = 0;
    request->query = NULL;
    request->header_count = 0;
}

static enum http_request_state refuse(struct http_request *request, int status) {
    request->status = status;
    request->state = HTTP_REQUEST_BAD;
    return request->state;
}

/* Gives http-parser what the strict check has passed. False when it does not like it. */
static bool parse(struct http_request *request, const char *bytes, size_t length) {
    size_t parsed;

    if (length == 0)
        return true;
    parsed = http_parser_execute(&request->parser, &settings, bytes, length);
    if (parsed == length && HTTP_PARSER_ERRNO(&request->parser) == HPE_OK)
        return true;
    if (request->status == 0)
        request->status = HTTP_PARSER_ERRNO(&request->parser) == HPE_INVALID_METHOD ? 501 : 400;
    return false;
}

enum http_request_state http_request_feed(struct http_request *request, const char *bytes,
                                          size_t length, size_t *ret_used) {
    enum http_strict_event event;

    *ret_used = 0;
    if (request->state == HTTP_REQUEST_BAD || request->state == HTTP_REQUEST_COMPLETE)
        return request->state;
    event = http_strict_scan(&request->strict, bytes, length, ret_used);
    if (event == HTTP_STRICT_BAD)
        return refuse(request, request->strict.status);
    if (!parse(request, bytes, *ret_used))
        return refuse(request, request->status);
    if (event == HTTP_STRICT_HEAD) {
        request->state = HTTP_REQUEST_HEAD;
        return request->head_complete ? HTTP_REQUEST_HEAD : refuse(request, 400);
    }
    if (request->message_complete != (event == HTTP_STRICT_END))
        return refuse(request, 400);
    request->state = event == HTTP_STRICT_END ? HTTP_REQUEST_COMPLETE : HTTP_REQUEST_MORE;
    return request->state;
}

bool http_request_started(const struct http_request *request) {
    return request->strict.name_length > 0 || request->strict.target_length > 0;
}

bool http_request_limit_body(struct http_request *request, uint64_t limit) {
    request->body_limit = limit;
    if (request->content_length <= limit)
        return true;
    refuse(request, 413);
    return false;
}

int http_request_status(const struct http_request *request) {
    return request->status;
}

const char *http_request_method(const struct http_request *request) {
    return http_method_str((enum http_method)request->parser.method);
}

bool http_request_is(const struct http_request *request, const char *method) {
    return strcmp(http_request_method(request), method) == 0;
}

const char *http_request_target(const struct http_request *request) {
    return at(request, 0);
}

const char *http_request_path(const struct http_request *request) {
    return at(request, request->path);
}

const char *http_request_query(const struct http_request *request) {
    return request->query;
}

int http_request_minor_version(const struct http_request *request) {
    return request->strict.minor;
}

bool http_request_keep_alive(const struct http_request *request) {
    return request->keep_alive;
}

bool http_request_expects_continue(const struct http_request *request) {
    const char *expect = http_request_header(request, "Expect");

    return expect && request->strict.minor == 1 && strcasecmp(expect, "100-continue") == 0;
}

const char *http_request_header(const struct http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(at(request, request->headers[i].name), name) == 0)
            return at(request, request->headers[i].value);
    return NULL;
}

size_t http_request_header_count(const struct http_request *request) {
    return request->header_count;
}

const char *http_request_header_at(const struct http_request *request, size_t index,
                                   const char **ret_value) {
    assert(index < request->header_count);
    *ret_value = at(request, request->headers[index].value);
    return at(request, request->headers[index].name);
}

const char *http_request_body(const struct http_request *request, size_t *ret_length) {
    *ret_length = buffer_length(&request->body);
    return *ret_length > 0 ? buffer_data(&request->body) : "";
}
