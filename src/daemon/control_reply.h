/* Answers of the control API: at once, or later with progress on the way.
 *
 * An answer that is given later is sent by the loop: none of these calls ends a connection or calls
 * back, so they may be used from anywhere. */
#ifndef BATON_DAEMON_CONTROL_REPLY_H
#define BATON_DAEMON_CONTROL_REPLY_H

#include "base/buffer.h"
#include "daemon/control.h"
#include "http/response.h"

#include <jansson.h>

#define CONTROL_MESSAGE_MAX 1024 /* bytes of an error's sentence and a NUL; longer ones are cut */

/* Answers with JSON. Steals `body`; NULL, which is what jansson gives when memory is out, becomes
 * 503. */
void control_reply_json(struct http_connection *connection, int status, json_t *body);

/* The same with a text of JSON that is the caller's; a newline is added. NULL becomes 503. */
void control_reply_text(struct http_connection *connection, int status, struct buffer *text);

/* Answers {"error": {"code", "message"}}. Bytes that are not printable are escaped. */
void control_reply_error(struct http_connection *connection, int status, const char *code,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What every answer says to browsers and to whatever is between. */
#define CONTROL_HEADERS 2
extern const struct http_header control_headers[CONTROL_HEADERS];

/* 401: the token is missing or wrong. */
void control_reply_unauthorized(struct http_connection *connection);

/* 405 with the methods that there are: "GET, HEAD". */
void control_reply_method(struct http_connection *connection, const char *allowed);

/* {"error": {"code", "message"}}, a new reference, for control_answer_finish(). */
json_t *control_error(const char *code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An answer that comes later. Belongs to itself: it is freed by finish, and after `gone`. All of
 * the functions below take NULL for an answer that is no more, so `gone` may just clear the
 * pointer. */
struct control_answer;

/* `gone` (may be NULL) is called when the client leaves before finish. NULL when memory is out; the
 * client has been answered 503 then. */
struct control_answer *control_answer_create(struct control_request *request,
                                             void (*gone)(void *owner), void *owner);

/* An event "progress", for a client that wants events and has room; nothing otherwise. Steals. */
void control_answer_progress(struct control_answer *answer, json_t *data);

/* The answer: status and body, or the event "result" with both. Steals. */
void control_answer_finish(struct control_answer *answer, int status, json_t *body);

#endif
