#include "daemon/control.h"

#include "base/json_read.h"
#include "daemon/control_check.h"
#include "daemon/control_reply.h"
#include "daemon/control_socket.h"
#include "daemon/event_stream.h"
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

#define LARGE_BLOCK (128 * 1024)
#define ALLOWED_MAX 128

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
        .headers = control_headers,
        .header_count = CONTROL_HEADERS,
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

/* What a request through the Unix socket must be. */
static bool check_local(const struct http_request *http, struct control_request *request) {
    if (control_check_host(http))
        return true;
    control_reply_error(request->connection, 421, "misdirected", "the host must be localhost");
    return false;
}

/* The same on TCP. */
static bool check_tcp(const struct control *control, const struct http_request *http,
                      struct control_request *request) {
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;

    request->is_stranger = !control_tcp_check_token(http, control->token);
    request->is_tcp = true;
    if (!control_tcp_check_host(http, control->tcp_address.port))
        control_reply_error(request->connection, 421, "misdirected", "the host must be %s",
                            control->tcp_address.text);
    else if (!control_tcp_check_origin(http))
        control_reply_error(request->connection, 403, "forbidden",
                            "pages of other sites may ask nothing");
    else if (request->is_stranger && !reads)
        control_reply_unauthorized(request->connection);
    else
        return true;
    return false;
}

static void on_request(void *owner, struct http_connection *connection,
                       const struct http_request *http) {
    const struct control_door *door = owner;
    const struct control *control = door->options.owner;
    const struct control_route *route;
    struct control_request request = {
        .method = http_request_method(http),
        .path = http_request_path(http),
        .query = http_request_query(http),
        .connection = connection,
        .wants_events = control_check_events(http),
    };

    if (door == &control->local ? !check_local(http, &request)
                                : !check_tcp(control, http, &request))
        return;
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

/* Through the Unix socket. */
static int open_local(struct control *control, int status) {
    struct control_door_options options = {.loop = control->loop,
                                           .listener = control->listener,
                                           .handler = &handler,
                                           .admits = control_socket_is_ours,
                                           .connections_max = CONTROL_CONNECTIONS_MAX,
                                           .memory_max = CONTROL_MEMORY_MAX,
                                           .owner = control};

    if (status == 0) {
        control->listener = -1; /* the door's */
        status = control_door_start(&control->local, &options);
    }
    if (status < 0)
        release(control);
    return status;
}

int control_start(struct control *control, uv_loop_t *loop, const char *directory,
                  const struct control_route *routes, void *owner) {
    int status = control_socket_prepare(directory);

    keep_large_blocks_apart();
    *control = (struct control){.loop = loop, .routes = routes, .owner = owner, .listener = -1};
    list_init(&control->streams);
    if (status == 0)
        status = listen_at(control, directory);
    return open_local(control, status);
}

int control_start_on(struct control *control, uv_loop_t *loop, int listener,
                     const struct control_route *routes, void *owner) {
    int flags = fcntl(listener, F_GETFL);

    keep_large_blocks_apart();
    *control =
        (struct control){.loop = loop, .routes = routes, .owner = owner, .listener = listener};
    list_init(&control->streams);
    return open_local(control, fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0);
}

int control_open_tcp(struct control *control, int listener,
                     const struct control_tcp_address *address,
                     const char token[CONTROL_TCP_TOKEN_SIZE]) {
    struct control_door_options options = {.loop = control->loop,
                                           .listener = listener,
                                           .handler = &handler,
                                           .connections_max = CONTROL_TCP_CONNECTIONS_MAX,
                                           .memory_max = CONTROL_TCP_MEMORY_MAX,
                                           .owner = control};
    int status = control_door_start(&control->tcp, &options);

    if (status < 0)
        return status;
    control->has_tcp = true;
    control->tcp_address = *address;
    memcpy(control->token, token, CONTROL_TCP_TOKEN_SIZE);
    return 0;
}

/* --- The end --- */

static void on_door_closed(void *owner) {
    struct control *control = owner;

    if (--control->doors == 0)
        control->on_closed(control->owner);
}

void control_close(struct control *control, void (*on_closed)(void *owner)) {
    control->on_closed = on_closed;
    control->doors = control->has_tcp ? 2 : 1;
    release(control);
    while (event_stream_end_first(&control->streams))
        ;
    control_door_close(&control->local, on_door_closed);
    if (control->has_tcp)
        control_door_close(&control->tcp, on_door_closed);
}
