#include "daemon/control.h"

#include "daemon/control_check.h"
#include "daemon/control_reply.h"
#include "daemon/control_socket.h"
#include "daemon/event_stream.h"
#include "daemon/json_read.h"
#include "http/connection.h"
#include "http/request.h"
#include "http/response.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPT_BATCH 64   /* clients in one go, before those who are being served get a turn */
#define SHORTAGE_MS  100  /* how long to leave clients in line when no descriptor is free */
#define GRACE_MS     2000 /* for answers that are not given yet at the end */
#define LARGE_BLOCK  (128 * 1024)
#define ALLOWED_MAX  128

/* --- Requests --- */

static uint64_t body_limit(void *owner, const struct http_request *request) {
    (void)owner;
    (void)request;
    return CONTROL_BODY_MAX;
}

#define REFUSAL(number, code, message)                                                             \
    { (number), "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}\n" }

/* What src/http refuses before it comes to us. */
static struct http_response refusal(void *owner, int status) {
    static const struct {
        int status;
        const char *text;
    } refusals[] = {
        REFUSAL(408, "timeout", "the request did not come in time"),
        REFUSAL(413, "too_large", "a body may have at most 8 MiB"),
        REFUSAL(414, "too_large", "the path and its query are too long"),
        REFUSAL(431, "too_large", "the headers are too long"),
        REFUSAL(501, "method_not_allowed", "there is no such method"),
        REFUSAL(503, "overloaded", "too much is asked at once, try again later"),
        REFUSAL(400, "bad_request", "this is no proper HTTP"),
    };
    size_t last = sizeof refusals / sizeof refusals[0] - 1;
    size_t i = 0;

    (void)owner;
    while (i < last && refusals[i].status != status)
        i++;
    return (struct http_response){
        .status = status,
        .content_type = "application/json",
        .body = refusals[i].text,
        .length = strlen(refusals[i].text),
    };
}

static bool is_method(const struct control_route *route, const char *method) {
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    return strcmp(route->method, method) == 0;
}

/* Adds a method to the list for Allow, which is long enough for all methods that there are. */
static void add_allowed(char *allowed, const char *method) {
    size_t length = strlen(allowed);

    snprintf(allowed + length, ALLOWED_MAX - length, "%s%s", length > 0 ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        add_allowed(allowed, "HEAD");
}

/* The route of a request, or NULL after answering that there is none. */
static const struct control_route *find_route(const struct control *control,
                                              struct control_request *request) {
    char allowed[ALLOWED_MAX] = "";

    for (const struct control_route *route = control->routes; route->path; route++) {
        if (!control_check_path(request->path, route->path, &request->segment))
            continue;
        if (is_method(route, request->method))
            return route;
        add_allowed(allowed, route->method);
    }
    if (allowed[0] == '\0')
        control_reply_error(request->connection, 404, "not_found", "there is no '%s'",
                            request->path);
    else
        control_reply_method(request->connection, allowed);
    return NULL;
}

/* False after answering what is wrong with the body. */
static bool read_body(struct control_request *request, const struct http_request *http) {
    size_t length;
    const char *text = http_request_body(http, &length);
    json_error_t error;

    if (length == 0)
        return true;
    if (!control_check_type(http)) {
        control_reply_error(request->connection, 415, "unsupported_media_type",
                            "a body must be application/json");
        return false;
    }
    if (!control_check_values(text, length)) {
        control_reply_error(request->connection, 413, "too_large",
                            "a body may hold at most %d values", CONTROL_VALUES_MAX);
        return false;
    }
    request->body = json_read(text, length, JSON_REJECT_DUPLICATES, &error);
    if (request->body)
        return true;
    if (json_error_code(&error) == json_error_out_of_memory) {
        control_reply_error(request->connection, 503, "overloaded", "memory is out");
        return false;
    }
    control_reply_error(request->connection, 400, "bad_request",
                        "the JSON cannot be read: line %d: %s", error.line, error.text);
    return false;
}

/* So that a parameter that cannot be read is not taken for one that is missing. */
static bool check_query(struct control_request *request) {
    if (control_check_encoding(request->query))
        return true;
    control_reply_error(request->connection, 400, "bad_request",
                        "the query is not properly percent-encoded");
    return false;
}

static void on_request(void *owner, struct http_connection *connection,
                       const struct http_request *http) {
    struct control *control = owner;
    const struct control_route *route;
    struct control_request request = {
        .method = http_request_method(http),
        .path = http_request_path(http),
        .query = http_request_query(http),
        .connection = connection,
        .wants_events = control_check_events(http),
    };

    if (!control_check_host(http)) {
        control_reply_error(connection, 421, "misdirected", "the host must be localhost");
        return;
    }
    if (control->on_closed) {
        control_reply_error(connection, 503, "shutting_down", "the daemon ends");
        return;
    }
    route = find_route(control, &request);
    if (!route || !check_query(&request) || !read_body(&request, http))
        return;
    route->handle(control->owner, &request);
    json_decref(request.body);
}

static const struct http_handler handler = {
    .on_request = on_request, .body_limit = body_limit, .refusal = refusal};

const char *control_query(const struct control_request *request, const char *name, size_t index,
                          char *value, size_t size) {
    return control_check_query(request->query, name, index, value, size) ? value : NULL;
}

/* --- Clients --- */

/* An answer for a client that is not let in, as far as the socket takes it; nothing is read. */
static void turn_away(int client, int status, const char *body) {
    char text[512];
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                          status, http_reason(status), strlen(body), body);

    (void)send(client, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(client);
}

static void admit(struct control *control, int client) {
    struct http_server *http = &control->http;

    if (!control_socket_is_ours(client))
        turn_away(client, 403,
                  "{\"error\":{\"code\":\"forbidden\",\"message\":"
                  "\"this daemon is another user's\"}}\n");
    else if (http->connections >= CONTROL_CONNECTIONS_MAX && !http_server_evict(http))
        turn_away(client, 503,
                  "{\"error\":{\"code\":\"overloaded\",\"message\":\"too many clients\"}}\n");
    else
        http_server_open(http, client);
}

static void on_listening(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer) {
    struct control *control = timer->data;

    (void)uv_poll_start(&control->listening, UV_READABLE, on_listening);
}

/* Accepts a batch of clients. Whatever accepting fails with but a client that has left already, it
 * may work again later: clients wait in line meanwhile. */
static void on_listening(uv_poll_t *poll, int status, int events) {
    struct control *control = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && !control->on_closed; i++) {
        int client = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client >= 0) {
            admit(control, client);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        uv_poll_stop(poll);
        uv_timer_start(&control->pause, on_pause_over, SHORTAGE_MS, 0);
        return;
    }
}

/* --- The start --- */

static int listen_at(struct control *control, const char *directory) {
    struct stat status;

    if (asprintf(&control->path, "%s/%s", directory, CONTROL_SOCKET_NAME) < 0) {
        control->path = NULL;
        return -ENOMEM;
    }
    control->listener = control_socket_listen(control->path);
    if (control->listener < 0)
        return control->listener;
    if (lstat(control->path, &status) < 0)
        return -errno;
    control->device = status.st_dev;
    control->inode = status.st_ino;
    return 0;
}

/* Unlinks the socket unless another file has its name by now. */
static void unlink_socket(const struct control *control) {
    struct stat status;

    if (lstat(control->path, &status) == 0 && status.st_dev == control->device &&
        status.st_ino == control->inode)
        (void)unlink(control->path);
}

static void release(struct control *control) {
    if (control->path)
        unlink_socket(control);
    if (control->listener >= 0)
        close(control->listener);
    control->listener = -1;
    free(control->path);
    control->path = NULL;
}

/* The allocator would learn from the first large body that is freed to keep the next ones in its
 * heap, where they leave holes: memory was three times what the bodies together had. Bodies, and
 * what else is large, shall come from the system and go back to it. For the whole process. */
static void keep_large_blocks_apart(void) {
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

static int start_handles(struct control *control) {
    struct http_server_options options = http_server_default_options;
    int status = uv_poll_init(control->loop, &control->listening, control->listener);

    if (status < 0)
        return status;
    control->listening.data = control;
    uv_timer_init(control->loop, &control->pause);
    control->pause.data = control;
    options.memory_max = CONTROL_MEMORY_MAX;
    http_server_init(&control->http, control->loop, &handler, control, &options);
    return 0;
}

static int start_listening(struct control *control, int status) {
    if (status == 0)
        status = start_handles(control);
    if (status < 0) {
        release(control);
        return status;
    }
    return uv_poll_start(&control->listening, UV_READABLE, on_listening);
}

int control_start(struct control *control, uv_loop_t *loop, const char *directory,
                  const struct control_route *routes, void *owner) {
    int status = control_socket_prepare(directory);

    keep_large_blocks_apart();
    *control = (struct control){.loop = loop, .routes = routes, .owner = owner, .listener = -1};
    list_init(&control->streams);
    if (status == 0)
        status = listen_at(control, directory);
    return start_listening(control, status);
}

int control_start_on(struct control *control, uv_loop_t *loop, int listener,
                     const struct control_route *routes, void *owner) {
    int flags = fcntl(listener, F_GETFL);

    keep_large_blocks_apart();
    *control =
        (struct control){.loop = loop, .routes = routes, .owner = owner, .listener = listener};
    list_init(&control->streams);
    return start_listening(control, fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0);
}

/* --- The end --- */

static void on_handle_closed(struct control *control) {
    if (--control->handles > 0)
        return;
    control->on_closed(control->owner);
}

static void on_own_closed(uv_handle_t *handle) {
    on_handle_closed(handle->data);
}

static void on_http_closed(uv_handle_t *ticker) {
    struct http_server *http = ticker->data;

    on_handle_closed(http->owner);
}

static void on_drained(void *owner) {
    struct control *control = owner;

    http_server_close(&control->http, on_http_closed);
    uv_close((uv_handle_t *)&control->pause, on_own_closed);
}

static void on_grace_over(uv_timer_t *timer) {
    struct control *control = timer->data;

    http_server_abort(&control->http);
}

void control_close(struct control *control, void (*on_closed)(void *owner)) {
    control->on_closed = on_closed;
    control->handles = 3;
    uv_close((uv_handle_t *)&control->listening, on_own_closed);
    release(control);
    while (event_stream_end_first(&control->streams))
        ;
    uv_timer_start(&control->pause, on_grace_over, GRACE_MS, 0);
    http_server_drain(&control->http, on_drained);
}
