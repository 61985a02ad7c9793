/* The strict check that stands in front of http-parser: one HTTP/1 request, byte by byte.
 *
 * http-parser 2.9.4 accepts framing that other servers and proxies read differently, which is how
 * requests are smuggled (CVE-2023-30589 and its kin). This scanner accepts only what RFC 9112 calls
 * well formed, and less where the RFC leaves a choice. With 400 it refuses:
 *   - a blank before the colon of a header, a folded line, a line that begins with a blank;
 *   - a bare LF, a bare CR, NUL and every other control byte anywhere in the header block;
 *   - a version other than 1.0 and 1.1, and the one-line requests of HTTP/0.9;
 *   - a missing Host with 1.1, a second Host, a Host that is no host;
 *   - a Content-Length that is no plain number, a second Content-Length even if equal;
 *   - a Transfer-Encoding that is not exactly "chunked", with 1.0, or beside a Content-Length;
 *   - a blank after a chunk's size, a chunk extension with a bare LF or CR, chunk data that is not
 *     followed by CRLF, a trailer that names a framing header.
 * It knows nothing of buffers and sockets; the input may be cut anywhere. */
#ifndef BATON_HTTP_STRICT_H
#define BATON_HTTP_STRICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX    16384 /* request line and headers; a trailer likewise: else 431 */
#define HTTP_TARGET_MAX  8192  /* request target: else 414 */
#define HTTP_HEADERS_MAX 100   /* header lines, trailers included: else 431 */

enum http_strict_event {
    HTTP_STRICT_MORE, /* all bytes are well formed so far, and more must come */
    HTTP_STRICT_HEAD, /* the header block has just ended; reported once a request */
    HTTP_STRICT_END,  /* the request has ended; what follows was not looked at */
    HTTP_STRICT_BAD,  /* refused, see `status`; stays so */
};

/* A header whose value the scanner looks into. */
enum http_strict_header {
    HTTP_STRICT_OTHER,
    HTTP_STRICT_HOST,
    HTTP_STRICT_CONTENT_LENGTH,
    HTTP_STRICT_TRANSFER_ENCODING,
};

/* init: an embedded value that owns nothing. Only `status` is for others to read. */
struct http_strict {
    int status;                            /* why BAD: 400, 414 or 431 */
    uint8_t state;                         /* row of the state table in strict.c */
    uint8_t minor;                         /* of the version */
    uint8_t index;                         /* position within the version */
    uint8_t header;                        /* enum http_strict_header of the current line */
    bool gap;                              /* a blank followed the value's first byte */
    bool trailing;                         /* in the trailer */
    bool has_host;                         /* one Host was seen */
    bool has_length;                       /* one Content-Length was seen */
    bool chunked;                          /* one Transfer-Encoding was seen */
    char name[sizeof "transfer-encoding"]; /* lower case; longer names do not matter */
    uint32_t name_length;                  /* also the method's length before there is a name */
    uint32_t value_length;  /* of the value without blanks around it, or of a chunk line */
    uint32_t target_length; /* of the request target */
    uint32_t header_count;  /* header lines that have ended */
    uint32_t head_length;   /* bytes of the header block, or of the trailer */
    uint64_t remaining;     /* bytes to come of the body or chunk; Content-Length before */
};

void http_strict_init(struct http_strict *strict);

/* Looks at up to `length` bytes and stops early at the end of the header block, at the end of the
 * request, and where it refuses. *ret_used is how many bytes belong to this request and are fine.
 */
enum http_strict_event http_strict_scan(struct http_strict *strict, const char *bytes,
                                        size_t length, size_t *ret_used);

#endif
