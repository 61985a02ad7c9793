#include "http/response.h"

#include <errno.h>
#include <string.h>

#define FIXED_SIZE 320 /* more than all headers of a known length take, and a NUL */

const char *http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {421, "Misdirected Request"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

bool http_status_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

/* Each of these writes at `end`, where there is room, and returns the new end. */

static char *put(char *end, const char *text) {
    return stpcpy(end, text);
}

static char *put_number(char *end, uint64_t number) {
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *end++ = digits[--count];
    return end;
}

static char *put_header(char *end, const char *name, const char *value) {
    end = put(end, name);
    end = put(end, ": ");
    end = put(end, value);
    return put(end, "\r\n");
}

static char *put_connection(char *end, const struct http_response_frame *frame) {
    if (!frame->keep_alive)
        return put_header(end, "Connection", "close");
    return frame->minor_version == 0 ? put_header(end, "Connection", "keep-alive") : end;
}

/* How the reader finds the body's end. */
static char *put_framing(char *end, const struct http_response *response,
                         const struct http_response_frame *frame) {
    if (!http_status_has_body(response->status))
        return end;
    if (frame->open_ended)
        return frame->minor_version == 0 ? end : put_header(end, "Transfer-Encoding", "chunked");
    end = put(end, "Content-Length: ");
    end = put_number(end, response->length);
    return put(end, "\r\n");
}

/* At least as much room as the header block takes. */
static size_t room_needed(const struct http_response *response) {
    size_t size = FIXED_SIZE;

    if (response->content_type)
        size += strlen(response->content_type);
    for (size_t i = 0; i < response->header_count; i++)
        if (response->headers[i].value)
            size += strlen(response->headers[i].name) + strlen(response->headers[i].value) + 4;
    return size;
}

int http_response_head(struct buffer *out, const struct http_response *response,
                       const struct http_response_frame *frame) {
    char *start = buffer_reserve(out, room_needed(response));
    char *end = start;

    if (!start)
        return -ENOMEM;
    end = put(end, "HTTP/1.1 ");
    end = put_number(end, (uint64_t)response->status);
    end = put(end, " ");
    end = put(end, http_reason(response->status));
    end = put(end, "\r\n");
    end = put_header(end, "Date", frame->date);
    if (response->content_type)
        end = put_header(end, "Content-Type", response->content_type);
    end = put_framing(end, response, frame);
    end = put_header(end, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < response->header_count; i++)
        if (response->headers[i].value)
            end = put_header(end, response->headers[i].name, response->headers[i].value);
    end = put_connection(end, frame);
    end = put(end, "\r\n");
    buffer_commit(out, (size_t)(end - start));
    return 0;
}
