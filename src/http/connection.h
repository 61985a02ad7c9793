/* One client's connection: requests in, responses out, in their order.
 *
 * The happy path: http_server_open() tries to read at once, since a client has usually sent its
 * request by the time it is accepted; the request is parsed out of the server's scratch memory, the
 * handler answers, the answer is sent with one call. Only a connection that has to wait for
 * something is registered with the loop. The next request is taken when the one before is answered.
 *
 * It can end because the client closes, is late (see server.h) or sends what is refused, because
 * either side asked for "Connection: close", because memory is out, or by http_server_abort().
 *
 * A connection belongs to its server and frees itself; a handler that answers later learns of the
 * end through http_connection_on_gone(). */
#ifndef BATON_HTTP_CONNECTION_H
#define BATON_HTTP_CONNECTION_H

#include "http/response.h"

struct http_connection;
struct http_server;

/* Answers the request that the handler was given; exactly once for each. For HEAD the body is left
 * out, and its file closed. From within the handler it is sent when the handler returns, later by
 * the loop: the call itself never ends the connection. Not to be called twice for one request. */
void http_connection_respond(struct http_connection *connection,
                             const struct http_response *response);

/* Answers with a line of plain text, "404 Not Found", that holds nothing of the request. */
void http_connection_fail(struct http_connection *connection, int status);

/* For a handler that answers later: `gone` is called if the connection ends before it has answered;
 * then there is nothing to answer any more. Forgotten with the answer. */
void http_connection_on_gone(struct http_connection *connection, void (*gone)(void *context),
                             void *context);

struct http_server *http_connection_server(const struct http_connection *connection);

#endif
