#include "daemon/health_check.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_MS    50  /* before the second attempt of a probe; doubles */
#define SOON_MS     100 /* between two, for a worker that is to prove itself */
#define RETRIES_MAX 8   /* how often it does */

static void on_timer(uv_timer_t *timer);

static void free_when_closed(struct health_check *check) {
    if (check->probing || !check->timer_closed)
        return;
    settings_unref(check->settings);
    free(check);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct health_check *check = handle->data;

    check->timer_closed = true;
    free_when_closed(check);
}

static void wait_for_next(struct health_check *check) {
    uint64_t now_ms = clock_ms();
    uint64_t next_ms = health_next(&check->health);

    uv_timer_start(&check->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

/* --- a probe's end --- */

static void conclude(struct health_check *check, const struct health_outcome *outcome) {
    enum health_change change = health_result(&check->health, outcome->healthy, clock_ms());

    check->last = *outcome;
    check->count++;
    check->deadline_ms = 0;
    wait_for_next(check);
    check->events->result(check->owner, check->slot, change);
}

/* The failure of ours is no failure of the worker's. */
static void skip(struct health_check *check) {
    check->deadline_ms = 0;
    health_skip(&check->health, clock_ms());
    wait_for_next(check);
}

static void try_later(struct health_check *check, const char *reason) {
    unsigned doublings = check->attempt < RETRIES_MAX ? check->attempt : RETRIES_MAX;
    uint64_t pause_ms = (uint64_t)RETRY_MS << doublings;
    struct health_outcome outcome = {.healthy = false};

    check->attempt++;
    if (clock_ms() + pause_ms < check->deadline_ms) {
        uv_timer_start(&check->timer, on_timer, pause_ms, 0);
        return;
    }
    snprintf(outcome.reason, sizeof outcome.reason, "%s", reason);
    conclude(check, &outcome);
}

static void on_done(void *owner, const struct health_outcome *outcome) {
    struct health_check *check = owner;
    struct health_outcome copy = *outcome;

    check->probing = false;
    if (check->stopped)
        free_when_closed(check);
    else if (copy.status == 0 && clock_ms() >= check->deadline_ms)
        conclude(check, &copy);
    else if (copy.status == 0)
        try_later(check, copy.reason);
    else if (check->events->returned(check->owner, check->slot) != check->returned)
        try_later(check, "it takes no connection"); /* another worker may have answered */
    else
        conclude(check, &copy);
}

/* --- a probe's attempt --- */

static void probe(struct health_check *check, int descriptor) {
    struct health_request request = {.path = check->settings->health.path,
                                     .timeout_ms = check->deadline_ms - clock_ms(),
                                     .descriptor = descriptor};

    if (health_probe_start(&check->probe, check->timer.loop, &request, on_done, check) < 0) {
        close(descriptor);
        skip(check);
        return;
    }
    check->probing = true;
}

static void attempt(struct health_check *check) {
    int descriptor;
    int result;

    check->returned = check->events->returned(check->owner, check->slot);
    result = check->events->connect(check->owner, check->slot, check->attempt, &descriptor);
    if (result == 0)
        probe(check, descriptor);
    else if (result == UV_EAGAIN)
        try_later(check, "it takes no connection");
    else if (result == UV_ENOTSUP)
        check->events->impossible(check->owner, check->slot);
    else
        skip(check);
}

static void on_timer(uv_timer_t *timer) {
    struct health_check *check = timer->data;
    uint64_t now_ms = clock_ms();

    if (check->deadline_ms == 0) {
        if (!health_due(&check->health, now_ms)) {
            wait_for_next(check);
            return;
        }
        check->deadline_ms = now_ms + check->settings->health.timeout_ms;
        check->attempt = 0;
    }
    if (now_ms < check->deadline_ms)
        attempt(check);
    else
        try_later(check, "it takes no connection");
}

/* --- life --- */

static void init_rule(struct health_check *check) {
    const struct settings_health *wanted = &check->settings->health;
    struct health_rule rule = {.interval_ms = wanted->interval_ms,
                               .timeout_ms = wanted->timeout_ms,
                               .failures = wanted->failures};

    health_init(&check->health, &rule, clock_ms());
}

struct health_check *health_check_start(const struct health_check_options *options) {
    struct health_check *check = calloc(1, sizeof *check);

    if (!check)
        return NULL;
    check->settings = settings_ref(options->settings);
    check->slot = options->slot;
    check->events = options->events;
    check->owner = options->owner;
    uv_timer_init(options->loop, &check->timer);
    check->timer.data = check;
    init_rule(check);
    if (options->at_once) {
        check->health.rule.interval_ms = SOON_MS;
        check->health.next = clock_ms();
    }
    wait_for_next(check);
    return check;
}

void health_check_stop(struct health_check *check) {
    if (!check || check->stopped)
        return;
    check->stopped = true;
    uv_close((uv_handle_t *)&check->timer, on_timer_closed);
    if (check->probing)
        health_probe_abort(&check->probe);
}

void health_check_again(struct health_check *check) {
    bool between = check->deadline_ms == 0;

    check->health.failed = 0;
    check->health.unhealthy = false;
    if (between)
        wait_for_next(check);
}
