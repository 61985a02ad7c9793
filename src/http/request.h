/* One HTTP request: fed with bytes as they come, then read by whoever answers it.
 *
 * Every byte passes the strict check (http/strict.h) before http-parser sees it, and the two must
 * agree on where the header block and the request end; what they do not agree on is refused.
 *
 * create/destroy: heap. What the accessors return belongs to the request and holds until its
 * reset or destroy. Header names and values hold no NUL, CR or LF. Pure: no socket, no loop. */
#ifndef BATON_HTTP_REQUEST_H
#define BATON_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_request;

enum http_request_state {
    HTTP_REQUEST_MORE,     /* more bytes must come */
    HTTP_REQUEST_HEAD,     /* the header block is complete; reported once, even without a body */
    HTTP_REQUEST_COMPLETE, /* everything is here; the bytes that follow are another request's */
    HTTP_REQUEST_BAD,      /* answer with http_request_status() and close */
};

/* An empty request, or NULL when memory is out. Its body is limited to 0 bytes. */
struct http_request *http_request_create(void);
void http_request_destroy(struct http_request *request); /* NULL is fine */

/* Makes it empty again for the next request of the same connection. */
void http_request_reset(struct http_request *request);

/* Reads up to `length` bytes and says where the request is now. *ret_used is how many bytes it
 * took; after HEAD it must be called again, with the rest, even if that is nothing. Once COMPLETE
 * or BAD it takes no more. */
enum http_request_state http_request_feed(struct http_request *request, const char *bytes,
                                          size_t length, size_t *ret_used);

/* Whether anything but empty lines was fed since create or reset. */
bool http_request_started(const struct http_request *request);

/* To be called at HEAD: how many bytes of body this request may have. False when it has announced
 * more already; it is BAD then (413). A chunked body that passes the limit becomes BAD later. */
bool http_request_limit_body(struct http_request *request, uint64_t limit);

/* Why it is BAD: 400, 413, 414, 431, 501 (unknown method), 503 (memory is out). */
int http_request_status(const struct http_request *request);

/* Everything below holds from HEAD on. */

const char *http_request_method(const struct http_request *request); /* "GET" */
bool http_request_is(const struct http_request *request, const char *method);
const char *http_request_target(const struct http_request *request); /* as it came */
const char *http_request_path(const struct http_request *request);   /* decoded; "/a b" or "*" */
const char *http_request_query(const struct http_request *request);  /* as it came, or NULL */
int http_request_minor_version(const struct http_request *request);  /* 0 or 1 */

/* Whether the client lets the connection stay open after this request. */
bool http_request_keep_alive(const struct http_request *request);

/* Whether the client waits for "100 Continue" before it sends the body. */
bool http_request_expects_continue(const struct http_request *request);

/* The value of the first header of this name (any case), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* All headers in their order; `index` below http_request_header_count(). */
size_t http_request_header_count(const struct http_request *request);
const char *http_request_header_at(const struct http_request *request, size_t index,
                                   const char **ret_value);

/* The body, whole once the request is COMPLETE. */
const char *http_request_body(const struct http_request *request, size_t *ret_length);

#endif
