#include "worker/serve_experiments.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"
#include "baton/worker.h"
#include "http/connection.h"
#include "http/request.h"
#include "http/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define ECHO_BODY_MAX  1048576
#define OTHER_BODY_MAX 65536 /* nobody reads it; what is longer is not worth waiting for */
#define SLEEP_MAX_MS   60000
#define BURN_MAX_MS    10000
#define TEXT_TYPE      "text/plain; charset=utf-8"

static void respond_text(struct http_connection *connection, const char *content_type,
                         const char *text, size_t length) {
    static const struct http_header no_store = {"Cache-Control", "no-store"};
    struct http_response response = {
        .status = 200,
        .content_type = content_type,
        .headers = &no_store,
        .header_count = 1,
        .body = text,
        .length = length,
    };

    http_connection_respond(connection, &response);
}

static void hello(struct http_connection *connection, const struct http_request *request,
                  const char *argument) {
    static const char text[] = "Hello, world\n";

    (void)request;
    (void)argument;
    respond_text(connection, TEXT_TYPE, text, sizeof text - 1);
}

static int print_request(struct buffer *text, const struct http_request *request) {
    size_t body_length;
    const char *body = http_request_body(request, &body_length);
    int status = buffer_print(text, "%s %s HTTP/1.%d\n", http_request_method(request),
                              http_request_target(request), http_request_minor_version(request));

    for (size_t i = 0; status == 0 && i < http_request_header_count(request); i++) {
        const char *value;
        const char *name = http_request_header_at(request, i, &value);

        status = buffer_print(text, "%s: %s\n", name, value);
    }
    if (status == 0)
        status = buffer_append(text, "\n", 1);
    return status < 0 ? status : buffer_append(text, body, body_length);
}

static void echo(struct http_connection *connection, const struct http_request *request,
                 const char *argument) {
    struct buffer text;

    (void)argument;
    buffer_init(&text);
    if (print_request(&text, request) < 0)
        http_connection_fail(connection, 503);
    else
        respond_text(connection, TEXT_TYPE, buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
}

static void whoami(struct http_connection *connection, const struct http_request *request,
                   const char *argument) {
    char text[96];
    int length = snprintf(text, sizeof text, "{\"slot\":%d,\"pid\":%d,\"count\":%llu}\n",
                          baton_slot(), (int)getpid(),
                          (unsigned long long)http_connection_server(connection)->answered + 1);

    (void)request;
    (void)argument;
    respond_text(connection, "application/json", text, (size_t)length);
}

static void burn(struct http_connection *connection, const struct http_request *request,
                 const char *argument) {
    char text[64];
    int64_t milliseconds;
    uint64_t start = clock_ms();
    int length;

    (void)request;
    if (text_to_number(argument, 0, BURN_MAX_MS, &milliseconds) < 0) {
        http_connection_fail(connection, 400);
        return;
    }
    while (clock_ms() - start < (uint64_t)milliseconds)
        continue;
    length = snprintf(text, sizeof text, "burned %d ms\n", (int)milliseconds);
    respond_text(connection, TEXT_TYPE, text, (size_t)length);
}

/* A request that is answered when its timer ends. Lives until the timer is closed. */
struct sleeper {
    uv_timer_t timer;
    struct http_connection *connection;
    int milliseconds;
};

static void on_sleeper_closed(uv_handle_t *timer) {
    free(timer->data);
}

static void on_client_gone(void *context) {
    struct sleeper *sleeper = context;

    uv_close((uv_handle_t *)&sleeper->timer, on_sleeper_closed);
}

static void on_slept(uv_timer_t *timer) {
    struct sleeper *sleeper = timer->data;
    char text[64];
    int length = snprintf(text, sizeof text, "slept %d ms\n", sleeper->milliseconds);

    respond_text(sleeper->connection, TEXT_TYPE, text, (size_t)length);
    uv_close((uv_handle_t *)timer, on_sleeper_closed);
}

static void begin_sleep(struct http_connection *connection, const struct http_request *request,
                        const char *argument) {
    struct sleeper *sleeper;
    int64_t milliseconds;

    (void)request;
    if (text_to_number(argument, 0, SLEEP_MAX_MS, &milliseconds) < 0) {
        http_connection_fail(connection, 400);
        return;
    }
    sleeper = malloc(sizeof *sleeper);
    if (!sleeper) {
        http_connection_fail(connection, 503);
        return;
    }
    sleeper->connection = connection;
    sleeper->milliseconds = (int)milliseconds;
    uv_timer_init(http_connection_server(connection)->loop, &sleeper->timer);
    sleeper->timer.data = sleeper;
    uv_timer_start(&sleeper->timer, on_slept, (uint64_t)milliseconds, 0);
    http_connection_on_gone(connection, on_client_gone, sleeper);
}

struct experiment {
    const char *path; /* one that ends with a slash takes an argument */
    bool any_method;
    uint64_t body_max;
    void (*respond)(struct http_connection *connection, const struct http_request *request,
                    const char *argument);
};

static const struct experiment experiments[] = {
    {"/hello", false, OTHER_BODY_MAX, hello},        {"/echo", true, ECHO_BODY_MAX, echo},
    {"/sleep/", false, OTHER_BODY_MAX, begin_sleep}, {"/burn/", false, OTHER_BODY_MAX, burn},
    {"/whoami", false, OTHER_BODY_MAX, whoami},
};

/* The experiment that `path` names; *ret_argument is what follows its name. */
static const struct experiment *find(const char *path, const char **ret_argument) {
    for (size_t i = 0; i < sizeof experiments / sizeof experiments[0]; i++) {
        size_t length = strlen(experiments[i].path);
        bool takes_argument = experiments[i].path[length - 1] == '/';

        if (strncmp(path, experiments[i].path, length) != 0)
            continue;
        if (!takes_argument && path[length] != '\0')
            continue;
        *ret_argument = path + length;
        return &experiments[i];
    }
    return NULL;
}

bool serve_experiments_respond(struct http_connection *connection,
                               const struct http_request *request) {
    static const struct http_header allow = {"Allow", "GET, HEAD"};
    const char *argument;
    const struct experiment *experiment = find(http_request_path(request), &argument);

    if (!experiment)
        return false;
    if (experiment->any_method || http_request_is(request, "GET") ||
        http_request_is(request, "HEAD")) {
        experiment->respond(connection, request, argument);
        return true;
    }
    http_connection_respond(
        connection, &(struct http_response){.status = 405, .headers = &allow, .header_count = 1});
    return true;
}

uint64_t serve_experiments_body_limit(const struct http_request *request) {
    const char *argument;
    const struct experiment *experiment = find(http_request_path(request), &argument);

    return experiment ? experiment->body_max : OTHER_BODY_MAX;
}
