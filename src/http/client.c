#include "http/client.h"

#include "base/buffer.h"
#include "http/response_reader.h"
#include "http/unix_address.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <uv.h>

#define CONNECT_SECONDS 10 /* while the listener's line is full */
#define READ_SIZE       16384

/* --- The connection --- */

/* A Unix socket connects at once, or waits in connect(2) for room in the listener's line. */
static int connect_to(int socket, const char *path) {
    struct timeval limit = {.tv_sec = CONNECT_SECONDS};
    struct sockaddr_un address;
    int directory;
    int status = unix_address_set(&address, path, &directory);

    if (status < 0)
        return status;
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(socket, (struct sockaddr *)&address, sizeof address) < 0)
        status = errno == EAGAIN ? UV_ETIMEDOUT : -errno;
    if (directory >= 0)
        close(directory);
    return status;
}

static int open_connection(struct http_client *client) {
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status;

    if (descriptor < 0)
        return -errno;
    status = connect_to(descriptor, client->path);
    if (status < 0) {
        close(descriptor);
        return status;
    }
    client->socket = descriptor;
    client->used = false;
    return 0;
}

static void close_connection(struct http_client *client) {
    http_response_reader_destroy(client->reader);
    client->reader = NULL;
    if (client->socket >= 0)
        close(client->socket);
    client->socket = -1;
}

int http_client_open(struct http_client *client, const char *path) {
    int status;

    *client = (struct http_client){.socket = -1, .path = strdup(path)};
    if (!client->path)
        return UV_ENOMEM;
    status = open_connection(client);
    if (status < 0)
        free(client->path);
    return status;
}

void http_client_close(struct http_client *client) {
    close_connection(client);
    free(client->path);
    client->path = NULL;
}

/* Between requests nothing comes but the end. A server that does not want us may answer before the
 * first. */
static bool has_ended(const struct http_client *client) {
    struct pollfd poll_server = {.fd = client->socket, .events = POLLIN};

    return client->socket < 0 || (client->used && poll(&poll_server, 1, 0) != 0);
}

/* Waits until the socket is ready for `events`. */
static int wait_for(const struct http_client *client, short events) {
    struct pollfd poll_server = {.fd = client->socket, .events = events};
    struct timespec limit = {
        .tv_sec = client->timeout_ms / 1000,
        .tv_nsec = client->timeout_ms % 1000 * 1000000L,
    };
    int count =
        ppoll(&poll_server, 1, client->timeout_ms > 0 ? &limit : NULL, client->wait_signals);

    if (count < 0)
        return -errno;
    return count == 0 ? UV_ETIMEDOUT : 0;
}

/* --- The request --- */

static int format_request(struct buffer *out, const struct http_client_request *request) {
    if (buffer_print(out, "%s %s HTTP/1.1\r\nHost: localhost\r\n", request->method,
                     request->target) < 0)
        return UV_ENOMEM;
    if (request->accept && buffer_print(out, "Accept: %s\r\n", request->accept) < 0)
        return UV_ENOMEM;
    if (request->body && buffer_print(out,
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: %zu\r\n",
                                      request->length) < 0)
        return UV_ENOMEM;
    if (buffer_append(out, "\r\n", 2) < 0)
        return UV_ENOMEM;
    return request->body && buffer_append(out, request->body, request->length) < 0 ? UV_ENOMEM : 0;
}

/* A server may answer before it has read everything, and close: then its answer is what counts. */
static int send_all(const struct http_client *client, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(client->socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        int status = 0;

        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0;
        if (sent < 0)
            status = errno == EAGAIN ? wait_for(client, POLLOUT) : -errno;
        if (status < 0)
            return status;
        bytes += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

int http_client_send(struct http_client *client, const struct http_client_request *request,
                     const struct http_client_events *events, void *owner) {
    struct buffer text;
    int status = 0;

    buffer_init(&text);
    client->timeout_ms = request->timeout_ms;
    if (client->reader || has_ended(client)) {
        close_connection(client);
        status = open_connection(client);
    }
    client->used = true;
    if (status == 0)
        status = format_request(&text, request);
    if (status == 0)
        status = send_all(client, buffer_data(&text), buffer_length(&text));
    if (status == 0) {
        client->reader =
            http_response_reader_create(events, owner, strcmp(request->method, "HEAD") == 0);
        status = client->reader ? 0 : UV_ENOMEM;
    }
    buffer_clear(&text);
    if (status < 0)
        close_connection(client);
    return status;
}

/* --- The answer --- */

static void finish(struct http_client *client) {
    bool keep = http_response_reader_keep_alive(client->reader);

    http_response_reader_destroy(client->reader);
    client->reader = NULL;
    if (!keep)
        close_connection(client);
}

static int receive(struct http_client *client) {
    char bytes[READ_SIZE];
    ssize_t length;
    int status = wait_for(client, POLLIN);

    if (status < 0)
        return status;
    length = recv(client->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length < 0)
        return errno == EAGAIN ? 1 : -errno;
    if (length == 0)
        return http_response_reader_end(client->reader);
    return http_response_reader_feed(client->reader, bytes, (size_t)length);
}

int http_client_receive(struct http_client *client) {
    int status = client->reader ? receive(client) : UV_ENOTCONN;

    if (status == 0)
        finish(client);
    else if (status < 0 && status != UV_EINTR)
        close_connection(client);
    return status;
}

int http_client_request(struct http_client *client, const struct http_client_request *request,
                        const struct http_client_events *events, void *owner) {
    int status = http_client_send(client, request, events, owner);

    if (status < 0)
        return status;
    do
        status = http_client_receive(client);
    while (status > 0);
    return status;
}
