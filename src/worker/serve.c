#include "worker/serve.h"

#include "base/log.h"
#include "baton/worker.h"
#include "http/server.h"
#include "worker/serve_experiments.h"
#include "worker/serve_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define ACCEPT_BATCH   64   /* clients in one go, before those who are being served get a turn */
#define SHORTAGE_MS    100  /* how long to leave clients in line when no descriptor is free */
#define STOP_BATCH_MAX 1024 /* more than a listener has in line */

struct serve {
    uv_loop_t loop;
    int listener;
    uv_poll_t listening;
    uv_timer_t shortage;
    uv_signal_t signals[2];
    struct http_server http;
    struct serve_files files;
    bool stopping;
    int exit_code;
};

static void on_request(void *owner, struct http_connection *connection,
                       const struct http_request *request) {
    struct serve *serve = owner;

    if (!serve_experiments_respond(connection, request))
        serve_files_respond(&serve->files, connection, request);
}

static uint64_t body_limit(void *owner, const struct http_request *request) {
    (void)owner;
    return serve_experiments_body_limit(request);
}

static const struct http_handler handler = {.on_request = on_request, .body_limit = body_limit};

/* --- The end --- */

static void on_drained(void *owner) {
    struct serve *serve = owner;

    http_server_close(&serve->http, NULL);
    uv_close((uv_handle_t *)&serve->shortage, NULL);
    for (size_t i = 0; i < sizeof serve->signals / sizeof serve->signals[0]; i++)
        uv_close((uv_handle_t *)&serve->signals[i], NULL);
}

/* Accepts up to `limit` clients. What baton_accept() said last, 0 when the limit was reached. */
static int accept_clients(struct serve *serve, int limit) {
    for (int i = 0; i < limit; i++) {
        int client = baton_accept(serve->listener, NULL, NULL);

        if (client >= 0)
            http_server_open(&serve->http, client);
        else if (client != -EINTR && client != -ECONNABORTED)
            return client;
    }
    return 0;
}

/* No further clients; those that are here are served to the end. Without a master nobody else would
 * take the ones in line, so they are taken first. */
static void stop(struct serve *serve) {
    if (serve->stopping)
        return;
    serve->stopping = true;
    if (!baton_has_master())
        (void)accept_clients(serve, STOP_BATCH_MAX);
    uv_close((uv_handle_t *)&serve->listening, NULL);
    uv_timer_stop(&serve->shortage);
    (void)baton_close(serve->listener);
    http_server_drain(&serve->http, on_drained);
}

static void on_signal(uv_signal_t *handle, int number) {
    struct serve *serve = handle->data;

    if (!serve->stopping) {
        stop(serve);
        return;
    }
    serve->exit_code = 128 + number;
    http_server_abort(&serve->http);
}

/* --- Clients --- */

static void on_listening(uv_poll_t *poll, int status, int events);

static void on_shortage_over(uv_timer_t *timer) {
    struct serve *serve = timer->data;

    (void)uv_poll_start(&serve->listening, UV_READABLE, on_listening);
}

/* Whether accepting can go on after a pause. */
static bool is_passing(int result) {
    return result == 0 || result == -EAGAIN || result == -EMFILE || result == -ENFILE ||
           result == -ENOBUFS || result == -ENOMEM;
}

static void on_listening(uv_poll_t *poll, int status, int events) {
    struct serve *serve = poll->data;
    int result = accept_clients(serve, ACCEPT_BATCH);

    (void)events;
    if (status == 0 && (result == 0 || result == -EAGAIN))
        return;
    if (is_passing(result)) {
        uv_poll_stop(poll);
        uv_timer_start(&serve->shortage, on_shortage_over, SHORTAGE_MS, 0);
        return;
    }
    if (result != -ESHUTDOWN) {
        log_error("serve: cannot accept clients: %s", strerror(-result));
        serve->exit_code = 1;
    }
    stop(serve);
}

/* --- The start --- */

static int port_of(const struct sockaddr_storage *address) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->ss_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    memcpy(&v4, address, sizeof v4);
    return ntohs(v4.sin_port);
}

/* For whoever has started it by hand; under a master the master tells. */
static void announce(const struct serve *serve, const struct serve_options *options) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const char *host = options->host ? options->host : "localhost";
    bool brackets = strchr(host, ':') != NULL;

    if (baton_has_master())
        return;
    if (options->unix_path) {
        fprintf(stderr, "listening on %s\n", options->unix_path);
        return;
    }
    if (baton_address(serve->listener, (struct sockaddr *)&address, &length) < 0)
        return;
    fprintf(stderr, "listening on http://%s%s%s:%d%s\n", brackets ? "[" : "", host,
            brackets ? "]" : "", port_of(&address),
            options->host ? "" : " and all other addresses");
}

/* A master has said it already. */
static void complain(const struct serve_options *options, int error) {
    if (baton_has_master())
        return;
    if (options->unix_path)
        log_error("cannot listen on %s: %s", options->unix_path, strerror(-error));
    else
        log_error("cannot listen on port %d: %s", options->port, strerror(-error));
}

/* A listener, non-blocking, or a negative errno after saying why. */
static int listen_as(const struct serve_options *options) {
    int listener;

    if (options->unix_path)
        listener = baton_listen_unix(options->unix_path, 0);
    else
        listener = baton_listen_tcp(options->host, options->port, 0);
    if (listener < 0)
        complain(options, listener);
    else
        (void)fcntl(listener, F_SETFL, O_NONBLOCK);
    return listener;
}

static void start_signals(struct serve *serve) {
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uv_signal_init(&serve->loop, &serve->signals[i]);
        serve->signals[i].data = serve;
        uv_signal_start(&serve->signals[i], on_signal, numbers[i]);
    }
}

static int start_handles(struct serve *serve) {
    int status = uv_poll_init(&serve->loop, &serve->listening, serve->listener);

    if (status < 0)
        return status;
    http_server_init(&serve->http, &serve->loop, &handler, serve, &http_server_default_options);
    serve->listening.data = serve;
    uv_timer_init(&serve->loop, &serve->shortage);
    serve->shortage.data = serve;
    start_signals(serve);
    (void)uv_poll_start(&serve->listening, UV_READABLE, on_listening);
    return 0;
}

static int run_loop(struct serve *serve, const struct serve_options *options) {
    int status = uv_loop_init(&serve->loop);

    if (status < 0) {
        log_error("serve: %s", uv_strerror(status));
        return 1;
    }
    status = start_handles(serve);
    if (status < 0) {
        log_error("serve: %s", uv_strerror(status));
        serve->exit_code = 1;
    } else {
        announce(serve, options);
        (void)baton_ready();
    }
    uv_run(&serve->loop, UV_RUN_DEFAULT);
    uv_loop_close(&serve->loop);
    return serve->exit_code;
}

int serve_main(const struct serve_options *options) {
    struct serve serve = {.listener = -1};
    int status = serve_files_init(&serve.files, options->directory);
    int exit_code = 1;

    if (status < 0) {
        log_error("cannot serve %s: %s", options->directory, strerror(-status));
        return 1;
    }
    serve.files.single_page = options->single_page;
    (void)signal(SIGPIPE, SIG_IGN);
    serve.listener = listen_as(options);
    if (serve.listener >= 0)
        exit_code = run_loop(&serve, options);
    serve_files_clear(&serve.files);
    return exit_code;
}
