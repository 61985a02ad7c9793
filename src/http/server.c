#include "http/server.h"

#include "http/connection_internal.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS    250
#define STALLED_MS 1000                  /* without progress, when memory is short */
#define TRIM_FROM  ((size_t)1024 * 1024) /* a peak that is worth giving back */

const struct http_server_options http_server_default_options = {
    .header_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .write_timeout_ms = 30000,
    .idle_timeout_ms = 60000,
    .linger_ms = 2000,
    .drain_grace_ms = 1000,
};

void http_server_init(struct http_server *server, uv_loop_t *loop,
                      const struct http_handler *handler, void *owner,
                      const struct http_server_options *options) {
    *server = (struct http_server){
        .loop = loop,
        .handler = handler,
        .owner = owner,
        .options = *options,
        .date_second = -1,
    };
    for (int phase = 0; phase < HTTP_PHASES; phase++)
        list_init(&server->phases[phase]);
    uv_timer_init(loop, &server->ticker);
    server->ticker.data = server;
}

/* How long a connection may stay in a phase. */
static uint64_t phase_limit(const struct http_server *server, enum http_phase phase) {
    const struct http_server_options *options = &server->options;

    switch (phase) {
    case HTTP_PHASE_FRESH:
    case HTTP_PHASE_IDLE:
        return server->draining ? options->drain_grace_ms : options->idle_timeout_ms;
    case HTTP_PHASE_HEAD:
        return options->header_timeout_ms;
    case HTTP_PHASE_BODY:
        return options->body_timeout_ms;
    case HTTP_PHASE_WRITING:
        return options->write_timeout_ms;
    case HTTP_PHASE_LINGERING:
        return options->linger_ms;
    case HTTP_PHASE_HANDLING:
    case HTTP_PHASES:
        break;
    }
    return UINT64_MAX;
}

static struct http_connection *first_of(struct http_server *server, int phase) {
    return list_empty(&server->phases[phase])
               ? NULL
               : LIST_ENTRY(server->phases[phase].next, struct http_connection, node);
}

static void expire_late_ones(struct http_server *server) {
    uint64_t now = uv_now(server->loop);

    for (int phase = 0; phase < HTTP_PHASES; phase++) {
        uint64_t limit = phase_limit(server, (enum http_phase)phase);
        struct http_connection *connection;

        while ((connection = first_of(server, phase)) && now - connection->since >= limit)
            http_connection_expire(connection);
    }
}

/* The allocator keeps what was freed among what is in use; after a rush that would stay for ever.
 */
static void give_back_memory(struct http_server *server) {
    if (server->memory_peak < TRIM_FROM || server->memory > server->memory_peak / 8)
        return;
    server->memory_peak = server->memory;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

static bool is_anybody_limited(const struct http_server *server) {
    for (int phase = 0; phase < HTTP_PHASES; phase++)
        if (phase != HTTP_PHASE_HANDLING && !list_empty(&server->phases[phase]))
            return true;
    return false;
}

static void on_tick(uv_timer_t *ticker) {
    struct http_server *server = ticker->data;

    expire_late_ones(server);
    give_back_memory(server);
    if (is_anybody_limited(server) || server->memory_peak >= TRIM_FROM || !server->ticking)
        return;
    server->ticking = false;
    uv_timer_stop(ticker);
}

void http_server_watch_time(struct http_server *server) {
    if (server->ticking)
        return;
    server->ticking = true;
    uv_timer_start(&server->ticker, on_tick, TICK_MS, TICK_MS);
}

void http_server_open(struct http_server *server, int socket) {
    http_connection_open(server, socket);
}

void http_server_drain(struct http_server *server, void (*on_drained)(void *owner)) {
    assert(!server->draining);
    server->draining = true;
    /* A connection more, so that the last real one does not call on_drained from within here. */
    server->connections++;
    server->on_drained = on_drained;
    expire_late_ones(server);
    http_server_connection_closed(server);
}

bool http_server_make_room(struct http_server *server) {
    static const int phases[] = {HTTP_PHASE_WRITING, HTTP_PHASE_BODY};

    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        struct http_connection *connection = first_of(server, phases[i]);

        if (!connection || connection->running ||
            uv_now(server->loop) - connection->since < STALLED_MS)
            continue;
        http_connection_close(connection);
        return true;
    }
    return false;
}

bool http_server_evict(struct http_server *server) {
    static const int phases[] = {
        HTTP_PHASE_LINGERING, HTTP_PHASE_IDLE, HTTP_PHASE_FRESH, HTTP_PHASE_HEAD, HTTP_PHASE_BODY,
    };

    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        struct http_connection *connection = first_of(server, phases[i]);

        if (!connection)
            continue;
        http_connection_close(connection);
        return true;
    }
    return false;
}

void http_server_abort(struct http_server *server) {
    for (int phase = 0; phase < HTTP_PHASES; phase++) {
        struct http_connection *connection;

        while ((connection = first_of(server, phase)))
            http_connection_close(connection);
    }
}

void http_server_connection_closed(struct http_server *server) {
    server->connections--;
    if (server->connections == 0 && server->draining)
        server->on_drained(server->owner);
}

void http_server_close(struct http_server *server, uv_close_cb on_closed) {
    assert(server->connections == 0);
    server->ticking = false;
    free(server->scratch);
    server->scratch = NULL;
    uv_close((uv_handle_t *)&server->ticker, on_closed);
}

const char *http_server_date(struct http_server *server) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != server->date_second) {
        server->date_second = now.tv_sec;
        http_date_format(server->date, now.tv_sec);
    }
    return server->date;
}
