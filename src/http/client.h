/* A small blocking HTTP client over a Unix socket, for command line programs.
 *
 * The happy path: open, request, close; the answer is announced as it comes, also one that never
 * ends. The connection is kept for the next request where the server allows it, and renewed where
 * it has ended meanwhile. One request at a time; a new one gives up what is left of the one before.
 *
 * Signals: nothing is retried after one; UV_EINTR is returned and http_client_receive() goes on. So
 * that none comes just before the wait and is missed, block them and set `wait_signals`. */
#ifndef BATON_HTTP_CLIENT_H
#define BATON_HTTP_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct http_response_reader;

struct http_client_request {
    const char *method; /* "GET" */
    const char *target; /* "/v1/logs?lines=15", encoded already */
    const char *accept; /* media type; NULL: anything */
    const char *body;   /* JSON; NULL: none */
    size_t length;      /* of the body */
    int timeout_ms;     /* without a byte from the server; 0: none */
};

/* What is announced of an answer. Each may be NULL. A negative answer of either ends the request
 * and is what the call returns. */
struct http_client_events {
    int (*on_head)(void *owner, int status);
    int (*on_body)(void *owner, const char *bytes, size_t length);
};

struct http_client {
    int socket;                          /* -1: not connected */
    bool used;                           /* a request was sent on this connection */
    char *path;                          /* of the Unix socket */
    struct http_response_reader *reader; /* of the answer that is coming; NULL between requests */
    int timeout_ms;                      /* of the request that is on its way */
    const sigset_t *wait_signals;        /* the mask while waiting; NULL: unchanged. Borrowed */
};

/* Connects to the Unix socket at `path`, of any length. UV_ENOENT or UV_ECONNREFUSED: nobody
 * listens there. UV_ETIMEDOUT: somebody does, and takes no client for ten seconds. If it fails
 * there is nothing to close. */
int http_client_open(struct http_client *client, const char *path);
void http_client_close(struct http_client *client);

/* Sends the request and announces the answer, to its end. 0, or UV_E*: UV_EPROTO for what is no
 * HTTP, UV_ECONNRESET when the connection ends within the answer, UV_ETIMEDOUT, UV_EINTR (see
 * above), what a callback has returned. After anything but UV_EINTR the connection is closed, and
 * the next request opens another. */
int http_client_request(struct http_client *client, const struct http_client_request *request,
                        const struct http_client_events *events, void *owner);

/* The same in two steps, for whoever waits for more than the answer: send, then receive whenever
 * `socket` is readable. Receive waits for something to come, and announces it: 1 when the answer
 * goes on, 0 when it is complete, UV_ENOTCONN when no request is on its way, or as above. `events`
 * must live until then. A send that fails, also with UV_EINTR, has given up. */
int http_client_send(struct http_client *client, const struct http_client_request *request,
                     const struct http_client_events *events, void *owner);
int http_client_receive(struct http_client *client);

#endif
