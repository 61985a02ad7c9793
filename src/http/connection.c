#include "http/connection.h"

#include "http/connection_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_MAX  65536 /* bytes that a small request holds */
#define OUTPUT_MAX 65536 /* answers to pipelined requests are sent together, up to this */

static void on_poll(uv_poll_t *poll, int status, int events);

static void enter(struct http_connection *connection, enum http_phase phase) {
    list_remove(&connection->node);
    list_push_back(&connection->server->phases[phase], &connection->node);
    connection->phase = phase;
    connection->since = uv_now(connection->server->loop);
    if (phase != HTTP_PHASE_HANDLING)
        http_server_watch_time(connection->server);
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle->data);
}

static bool is_streaming(const struct http_connection *connection) {
    return connection->stream.events != NULL;
}

static void tell_gone(struct http_connection *connection) {
    const struct http_stream_events *events = connection->stream.events;

    connection->stream.events = NULL;
    if (events && events->gone)
        events->gone(connection->stream.owner);
    if (connection->gone)
        connection->gone(connection->gone_context);
}

void http_connection_close(struct http_connection *connection) {
    struct http_server *server = connection->server;

    list_remove(&connection->node);
    server->memory -= connection->memory;
    tell_gone(connection);
    if (connection->polled)
        uv_close((uv_handle_t *)&connection->poll, on_poll_closed);
    close(connection->socket);
    http_request_destroy(connection->request);
    buffer_clear(&connection->input);
    http_transmission_clear(&connection->output);
    if (!connection->polled)
        free(connection);
    http_server_connection_closed(server);
}

/* Brings the server's count of held bytes up to date. */
static void account(struct http_connection *connection) {
    struct http_server *server = connection->server;
    size_t held = buffer_length(&connection->input) + buffer_length(&connection->output.bytes);
    size_t body = 0;

    if (connection->request)
        (void)http_request_body(connection->request, &body);
    server->memory += held + body - connection->memory;
    connection->memory = held + body;
    if (server->memory > server->memory_peak)
        server->memory_peak = server->memory;
}

/* Waits for `events`, none of them for 0. Closes the connection when that is not possible. */
static void watch(struct http_connection *connection, int events) {
    int status = 0;

    account(connection);
    if (connection->watched == events)
        return;
    connection->watched = events;
    if (!connection->polled) {
        status = uv_poll_init(connection->server->loop, &connection->poll, connection->socket);
        connection->polled = status == 0;
        connection->poll.data = connection;
    }
    if (status == 0)
        status = events ? uv_poll_start(&connection->poll, events, on_poll)
                        : uv_poll_stop(&connection->poll);
    if (status < 0)
        http_connection_close(connection);
}

/* --- Answers --- */

/* Nagle's algorithm would hold back the end of an answer until the one before is acknowledged; a
 * connection that serves one request does not need the call. Not every socket is TCP. */
static void set_no_delay(struct http_connection *connection) {
    int on = 1;

    if (connection->no_delay)
        return;
    connection->no_delay = true;
    (void)setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int add_body(struct http_connection *connection, const struct http_response *response,
                    bool wanted) {
    struct http_transmission *output = &connection->output;

    if (wanted && response->from_file) {
        http_transmission_add_file(output, response->file, response->offset, response->length);
        return 0;
    }
    if (response->from_file)
        close(response->file);
    return wanted ? buffer_append(&output->bytes, response->body, response->length) : 0;
}

static void add_head(struct http_connection *connection, const struct http_response *response,
                     bool open_ended) {
    bool keep_alive = !connection->closing;
    struct http_response_frame frame = {
        .date = http_server_date(connection->server),
        .minor_version = http_request_minor_version(connection->request),
        .keep_alive = keep_alive,
        .open_ended = open_ended,
    };

    if (keep_alive || open_ended)
        set_no_delay(connection);
    if (http_response_head(&connection->output.bytes, response, &frame) < 0)
        connection->failed = true;
}

static void add_response(struct http_connection *connection, const struct http_response *response,
                         bool head_only) {
    add_head(connection, response, false);
    if (add_body(connection, response, !head_only && http_status_has_body(response->status)) < 0)
        connection->failed = true;
    connection->served = true;
    connection->answered = true;
    connection->server->answered++;
}

/* Which events matter while the handler works or its stream is open: room for what waits, and the
 * end of the client. Whoever has closed only its sending side would be reported again and again:
 * then a watch for urgent data, which comes with errors and hang-ups for free. */
static int handling_events(const struct http_connection *connection) {
    bool waiting = is_streaming(connection) &&
                   (buffer_length(&connection->output.bytes) > 0 || connection->stream.refused);

    return (waiting ? UV_WRITABLE : 0) | (connection->client_shut ? UV_PRIORITIZED : UV_DISCONNECT);
}

/* While run() is on the stack it sends; otherwise the loop does. The watch exists by then, as there
 * was something to wait for, so this never closes the connection. */
void http_connection_wake(struct http_connection *connection) {
    if (!connection->running)
        watch(connection, connection->handling ? handling_events(connection) : UV_WRITABLE);
}

void http_connection_answered(struct http_connection *connection) {
    connection->handling = false;
    connection->gone = NULL;
    if (!connection->running)
        enter(connection, HTTP_PHASE_WRITING);
    http_connection_wake(connection);
}

void http_connection_respond(struct http_connection *connection,
                             const struct http_response *response) {
    const struct http_request *request = connection->request;

    assert(connection->handling && !is_streaming(connection));
    connection->client_closes = !http_request_keep_alive(request);
    connection->closing = connection->client_closes || connection->server->draining;
    connection->linger = !connection->client_closes;
    add_response(connection, response, http_request_is(request, "HEAD"));
    http_connection_answered(connection);
}

void http_connection_begin_stream(struct http_connection *connection,
                                  const struct http_response *head) {
    const struct http_request *request = connection->request;
    bool head_only = http_request_is(request, "HEAD");
    bool chunked = http_request_minor_version(request) > 0;

    assert(connection->handling && !is_streaming(connection));
    connection->client_closes = !http_request_keep_alive(request);
    connection->closing =
        connection->client_closes || connection->server->draining || head_only || !chunked;
    connection->linger = !connection->client_closes;
    connection->stream = (struct http_stream){
        .connection = connection,
        .chunked = chunked,
        .head_only = head_only,
    };
    add_head(connection, head, true);
    connection->served = true;
    connection->server->answered++;
}

/* The short text of a failure; the buffer holds it while the response is in use. */
static struct http_response failure(int status, char *text, size_t size) {
    return (struct http_response){
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = text,
        .length = (uint64_t)snprintf(text, size, "%d %s\n", status, http_reason(status)),
    };
}

void http_connection_fail(struct http_connection *connection, int status) {
    char text[64];
    struct http_response response = failure(status, text, sizeof text);

    http_connection_respond(connection, &response);
}

void http_connection_on_gone(struct http_connection *connection, void (*gone)(void *context),
                             void *context) {
    connection->gone = gone;
    connection->gone_context = context;
}

struct http_server *http_connection_server(const struct http_connection *connection) {
    return connection->server;
}

/* Answers what is no proper request, and ends the connection. */
static void refuse(struct http_connection *connection, int status) {
    char text[64];
    const struct http_server *server = connection->server;
    struct http_response response = server->handler->refusal
                                        ? server->handler->refusal(server->owner, status)
                                        : failure(status, text, sizeof text);

    connection->closing = true;
    connection->client_closes = false;
    connection->linger = true;
    add_response(connection, &response, false);
}

/* --- Requests --- */

/* The headers are there: whether the body may come. */
static bool accept_head(struct http_connection *connection, bool more_arrived) {
    struct http_server *server = connection->server;
    struct http_request *request = connection->request;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    connection->in_body = true;
    if (!http_request_limit_body(request, server->handler->body_limit(server->owner, request)))
        return false;
    if (more_arrived || !http_request_expects_continue(request))
        return true;
    if (buffer_append(&connection->output.bytes, go_on, sizeof go_on - 1) < 0)
        connection->failed = true;
    return true;
}

static void dispatch(struct http_connection *connection) {
    struct http_server *server = connection->server;

    connection->handling = true;
    enter(connection, HTTP_PHASE_HANDLING); /* so that whatever comes next begins its time anew */
    server->handler->on_request(server->owner, connection, connection->request);
}

/* An empty request to feed: the last one's memory, or new. */
static bool prepare_request(struct http_connection *connection) {
    if (connection->request && connection->answered)
        http_request_reset(connection->request);
    if (connection->answered)
        connection->in_body = false;
    connection->answered = false;
    if (!connection->request)
        connection->request = http_request_create();
    return connection->request != NULL;
}

/* The last quarter is for small requests, so that those who send much do not lock out the others.
 */
static bool is_memory_short(struct http_connection *connection) {
    struct http_server *server = connection->server;
    size_t memory_max = server->options.memory_max;

    account(connection);
    if (connection->memory > SMALL_MAX)
        memory_max -= memory_max / 4;
    while (memory_max > 0 && server->memory > memory_max)
        if (!http_server_make_room(server))
            return true;
    return false;
}

/* Feeds one request and acts on where that leads. Returns how many bytes it took. */
static size_t take_request(struct http_connection *connection, const char *bytes, size_t length) {
    enum http_request_state state;
    size_t total = 0;

    if (!prepare_request(connection)) {
        connection->failed = true;
        return length;
    }
    do {
        size_t used;

        state = http_request_feed(connection->request, bytes + total, length - total, &used);
        total += used;
        if (state == HTTP_REQUEST_HEAD && !accept_head(connection, total < length))
            state = HTTP_REQUEST_BAD;
    } while (state == HTTP_REQUEST_HEAD);
    if (state == HTTP_REQUEST_BAD)
        refuse(connection, http_request_status(connection->request));
    else if (is_memory_short(connection))
        refuse(connection, 503);
    else if (state == HTTP_REQUEST_COMPLETE)
        dispatch(connection);
    return total;
}

/* Whether the next request may be taken before the output is sent. */
static bool may_take(const struct http_connection *connection) {
    return !connection->handling && !connection->closing && !connection->failed &&
           !http_transmission_has_file(&connection->output) &&
           buffer_length(&connection->output.bytes) < OUTPUT_MAX;
}

static size_t take_requests(struct http_connection *connection, const char *bytes, size_t length) {
    size_t used = 0;

    while (used < length && may_take(connection))
        used += take_request(connection, bytes + used, length - used);
    return used;
}

/* A client that has said "Connection: close" and sends another request all the same is either
 * broken or smuggling one. Empty lines are harmless. */
static bool is_beyond_close(const struct http_connection *connection, const char *bytes,
                            size_t length) {
    if (!connection->closing || !connection->client_closes)
        return false;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != '\r' && bytes[i] != '\n')
            return true;
    return false;
}

/* --- Waiting --- */

/* Everything is sent: gives back the memory of the request and of its answer. */
static void forget_request(struct http_connection *connection) {
    http_request_destroy(connection->request);
    connection->request = NULL;
    connection->answered = false;
    connection->in_body = false;
    http_transmission_clear(&connection->output);
}

static void watch_for_input(struct http_connection *connection) {
    enum http_phase phase;

    if (connection->answered)
        forget_request(connection);
    if (!connection->request || !http_request_started(connection->request))
        phase = connection->served ? HTTP_PHASE_IDLE : HTTP_PHASE_FRESH;
    else
        phase = connection->in_body ? HTTP_PHASE_BODY : HTTP_PHASE_HEAD;
    /* Headers have a time limit as a whole, a body has one for each piece. */
    if (phase != connection->phase || phase == HTTP_PHASE_BODY)
        enter(connection, phase);
    watch(connection, UV_READABLE);
}

/* Everything is sent and the connection ends. A socket that is closed while its client is still
 * sending resets the connection, and the client may lose the answer: so tell it that no more comes
 * and read on for a while (RFC 9112, 9.6). */
static void finish(struct http_connection *connection) {
    if (!connection->linger || shutdown(connection->socket, SHUT_WR) < 0) {
        http_connection_close(connection);
        return;
    }
    forget_request(connection);
    enter(connection, HTTP_PHASE_LINGERING);
    watch(connection, UV_READABLE);
}

/* The handler works, or its stream is open. */
static void wait_for_handler(struct http_connection *connection) {
    struct http_stream *stream = &connection->stream;
    bool has_room = is_streaming(connection) && stream->refused &&
                    http_stream_waiting(stream) <= HTTP_STREAM_WAITING_MAX / 2;

    if (has_room)
        stream->refused = false;
    if (connection->phase != HTTP_PHASE_HANDLING)
        enter(connection, HTTP_PHASE_HANDLING);
    watch(connection, handling_events(connection));
    if (has_room && stream->events->on_room)
        stream->events->on_room(stream->owner);
}

/* Decides what to wait for, after run() has done what could be done. */
static void settle(struct http_connection *connection, int status, const char *rest,
                   size_t length) {
    bool head_sent = status == 0 && is_streaming(connection) && connection->stream.head_only;

    if (connection->failed || (status < 0 && status != -EAGAIN) || head_sent) {
        http_connection_close(connection);
        return;
    }
    if (status == 0 && connection->closing && !connection->handling) {
        finish(connection);
        return;
    }
    if (buffer_append(&connection->input, rest, length) < 0) {
        http_connection_close(connection);
        return;
    }
    if (status == -EAGAIN && !is_streaming(connection)) {
        enter(connection, HTTP_PHASE_WRITING);
        watch(connection, UV_WRITABLE);
        return;
    }
    if (connection->handling)
        wait_for_handler(connection);
    else
        watch_for_input(connection);
}

/* Takes requests and sends answers until something has to be waited for. The connection may be gone
 * afterwards. */
static void run(struct http_connection *connection, const char *bytes, size_t length) {
    int status;

    connection->running = true;
    for (;;) {
        size_t used = take_requests(connection, bytes, length);

        bytes += used;
        length -= used;
        status = http_transmission_send(&connection->output, connection->socket);
        if (status < 0 || length == 0 || connection->handling || connection->failed)
            break;
        if (is_beyond_close(connection, bytes, length))
            refuse(connection, 400);
        else if (connection->closing)
            break;
    }
    connection->running = false;
    settle(connection, status, bytes, length);
}

/* Goes on with what had arrived before it had to wait. */
static void resume(struct http_connection *connection) {
    struct buffer input = connection->input;

    buffer_init(&connection->input);
    run(connection, input.bytes ? buffer_data(&input) : "", buffer_length(&input));
    buffer_clear(&input);
}

/* --- Input --- */

/* The memory that is read to; NULL when there is none. A server without clients has not got it. */
static char *scratch_of(struct http_server *server) {
    if (!server->scratch)
        server->scratch = malloc(HTTP_SCRATCH_SIZE);
    return server->scratch;
}

static ssize_t receive(const struct http_connection *connection, char *scratch) {
    ssize_t length;

    do
        length = recv(connection->socket, scratch, HTTP_SCRATCH_SIZE, 0);
    while (length < 0 && errno == EINTR);
    return length;
}

/* Reads once. False when nothing is there; after true the connection may be gone. */
static bool read_once(struct http_connection *connection) {
    char *scratch = scratch_of(connection->server);
    ssize_t length = scratch ? receive(connection, scratch) : 0;

    if (length < 0 && errno == EAGAIN)
        return false;
    if (length <= 0)
        http_connection_close(connection);
    else if (connection->phase != HTTP_PHASE_LINGERING)
        run(connection, scratch, (size_t)length);
    return true;
}

/* While the handler works nothing is read, but the end of the client is noticed. Whoever has closed
 * only its sending side still wants the answer. */
static void check_client(struct http_connection *connection) {
    struct pollfd poll_client = {.fd = connection->socket};

    if (poll(&poll_client, 1, 0) > 0 && (poll_client.revents & (POLLERR | POLLHUP))) {
        http_connection_close(connection);
        return;
    }
    /* A second time it is urgent data, which nobody here reads: no more of it. */
    if (connection->client_shut) {
        watch(connection, handling_events(connection) & UV_WRITABLE);
        return;
    }
    connection->client_shut = true;
    watch(connection, handling_events(connection));
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct http_connection *connection = poll->data;

    if (status < 0)
        http_connection_close(connection);
    else if (events & UV_WRITABLE)
        resume(connection);
    else if (events & UV_READABLE)
        (void)read_once(connection);
    else if (events & (UV_DISCONNECT | UV_PRIORITIZED))
        check_client(connection);
}

void http_connection_open(struct http_server *server, int socket) {
    struct http_connection *connection = calloc(1, sizeof *connection);

    if (!connection) {
        close(socket);
        return;
    }
    connection->server = server;
    connection->socket = socket;
    list_init(&connection->node);
    buffer_init(&connection->input);
    http_transmission_init(&connection->output);
    server->connections++;
    enter(connection, HTTP_PHASE_FRESH);
    if (!read_once(connection))
        watch(connection, UV_READABLE);
}

/* Whether the client has taken enough of the answer for more to be sent. */
static bool has_taken(const struct http_connection *connection) {
    struct pollfd poll_client = {.fd = connection->socket, .events = POLLOUT};

    return poll(&poll_client, 1, 0) > 0 && (poll_client.revents & POLLOUT);
}

void http_connection_expire(struct http_connection *connection) {
    bool reading = connection->watched & UV_READABLE;

    /* The loop may have been held up: what has arrived or was taken meanwhile is in time. */
    if (reading && connection->phase != HTTP_PHASE_LINGERING && read_once(connection))
        return;
    if (connection->phase == HTTP_PHASE_WRITING && has_taken(connection)) {
        resume(connection);
        return;
    }
    if (connection->phase != HTTP_PHASE_HEAD && connection->phase != HTTP_PHASE_BODY) {
        http_connection_close(connection);
        return;
    }
    refuse(connection, 408);
    run(connection, "", 0);
}
