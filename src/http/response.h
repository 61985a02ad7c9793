/* What is answered to a request, and how its header block looks on the wire. Pure. */
#ifndef BATON_HTTP_RESPONSE_H
#define BATON_HTTP_RESPONSE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_header {
    const char *name;
    const char *value; /* NULL: the header is left out. Holds no CR or LF */
};

/* A complete answer. Everything it points to is the caller's and is copied or used before the call
 * that takes it returns, except the file. */
struct http_response {
    int status;
    const char *content_type;          /* NULL: none */
    const struct http_header *headers; /* further ones */
    size_t header_count;
    const void *body; /* used when `from_file` is false; may be NULL when `length` is 0 */
    uint64_t length;  /* of the body in bytes, also where only the headers will be sent */
    bool from_file;   /* the body is in `file` from `offset` on; `file` is handed over */
    int file;
    int64_t offset;
};

/* What the connection adds. */
struct http_response_frame {
    const char *date;  /* as http_date_format() writes it */
    int minor_version; /* of the request */
    bool keep_alive;   /* the connection stays open afterwards */
    bool open_ended;   /* of unknown length: chunked, or for 1.0 up to the connection's end */
};

/* "Not Found" for 404; "Unknown" for a number without a name. */
const char *http_reason(int status);

/* Appends status line, headers and the empty line: Date, Content-Type, Content-Length (unless the
 * status has no body; Transfer-Encoding where the length is open), X-Content-Type-Options, the
 * further headers, Connection. 0 or -ENOMEM with the buffer unchanged. */
int http_response_head(struct buffer *out, const struct http_response *response,
                       const struct http_response_frame *frame);

/* Whether an answer of this status may have a body at all. */
bool http_status_has_body(int status);

#endif
