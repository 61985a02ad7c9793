/* Reads one HTTP response: fed with bytes as they come, announces its status and the pieces of its
 * body. Interim responses (1xx) are passed over. Pure: no socket.
 *
 * create/destroy: heap. */
#ifndef BATON_HTTP_RESPONSE_READER_H
#define BATON_HTTP_RESPONSE_READER_H

#include "http/client.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_RESPONSE_HEAD_MAX 65536 /* bytes of a header block, interim ones included */
#define HTTP_INTERIM_MAX       16    /* interim responses before the real one */

/* `head_only` for the answer to HEAD. `events` lives as long as the reader. NULL when memory is
 * out. */
struct http_response_reader *http_response_reader_create(const struct http_client_events *events,
                                                         void *owner, bool head_only);
void http_response_reader_destroy(struct http_response_reader *reader); /* NULL is fine */

/* 1: more must come; 0: complete, and whatever follows is not part of it; UV_EPROTO: no HTTP, or
 * beyond a limit; or what a callback has returned. After 0 or a failure only destroy. */
int http_response_reader_feed(struct http_response_reader *reader, const char *bytes,
                              size_t length);

/* The connection has ended: 0 when that completes the response, else UV_ECONNRESET. */
int http_response_reader_end(struct http_response_reader *reader);

/* Once complete: whether another request may follow on the connection. */
bool http_response_reader_keep_alive(const struct http_response_reader *reader);

#endif
