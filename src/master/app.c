#include "master/app.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/program.h"
#include "master/bypass.h"
#include "master/dispatcher.h"
#include "master/node_worker.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define STOP_TICK_MS 10

static const struct child_events child_events;

static void start_slot(struct slot *slot);
static void continue_reload(struct app *app, const struct slot *slot);
static void finish_if_empty(struct app *app);

static struct slot *slot_of(struct app *app, const struct child *child) {
    return &app->slots[child->slot];
}

/* --- listeners --- */

static void complain_of_bind(struct app *app, const struct listener_key *key, int error) {
    char text[ADDRESS_TEXT_MAX];

    address_describe(&key->address.any, key->length, text);
    if (error == UV_EADDRINUSE)
        log_error("%s: %s is in use by another program", app->settings->name, text);
    else
        log_error("%s: cannot listen on %s: %s", app->settings->name, text, uv_strerror(error));
}

/* The other workers meet the same, and one sentence is enough. */
static void on_bind_failed(struct app *app, const struct listener_key *key, int error) {
    if (app->bind_error == error && listener_key_equal(&app->bind_key, key))
        return;
    app->bind_error = error;
    app->bind_key = *key;
    complain_of_bind(app, key, error);
}

static int open_listener(struct app *app, const struct child_listen_request *request,
                         struct listener **ret_listener) {
    int result =
        app->stopping ? UV_ECANCELED : listener_set_open(&app->listeners, request, ret_listener);

    if (result == 0) {
        app->bind_error = 0;
        app->events->serving(app->owner, app, *ret_listener);
    } else if (result != UV_ECANCELED) {
        on_bind_failed(app, request->key, result);
    }
    return result;
}

/* The socket that all workers inherit (sd_listen_fds(3)): blocking, and listening already. */
static int open_inherited(struct app *app) {
    struct listener_key key = {.kind = LISTENER_TCP};
    struct child_listen_request request = {.key = &key};
    struct sockaddr_storage address;
    int result = address_parse(app->settings->listen, &address, &key.length);

    if (result < 0) {
        log_error("--listen takes [HOST:]PORT or the path of a Unix socket, not '%.128s'",
                  app->settings->listen);
        return result;
    }
    memcpy(&key.address, &address, key.length);
    key.any_host = strchr(app->settings->listen, ':') == NULL;
    if (address.ss_family == AF_UNIX)
        key.kind = LISTENER_UNIX;
    result = open_listener(app, &request, &app->inherited);
    if (result < 0)
        return result;
    app->listened = true;
    return listener_share(app->inherited, 0);
}

static int on_listen(void *owner, struct child *child, const struct child_listen_request *request,
                     struct listener **ret_listener) {
    struct app *app = owner;
    int result = 0;

    (void)child;
    *ret_listener = listener_set_find(&app->listeners, request->key);
    if (!*ret_listener)
        result = open_listener(app, request, ret_listener);
    if (result == 0)
        app->listened = true;
    return result;
}

/* While a slot has no worker, its next one may want the listener that nobody else wants. */
static bool is_awaited(const struct app *app) {
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (!app->slots[i].over && (!app->slots[i].current || app->slots[i].next ||
                                    app->slots[i].current->state < CHILD_READY))
            return true;
    return false;
}

static void on_unlisten(void *owner, struct child *child, struct child_member *member, bool asked) {
    struct app *app = owner;

    (void)child;
    listener_set_forget(&app->listeners, &member->member);
    if (app->stopping || (asked && !is_awaited(app)))
        listener_set_close_unwanted(&app->listeners);
}

/* --- workers --- */

static int start_child(struct slot *slot, bool serving, struct child **ret_child) {
    struct app *app = slot->app;
    struct child_options options = {.settings = app->settings,
                                    .loop = app->options.loop,
                                    .slot = slot->number,
                                    .serial = ++app->serials,
                                    .socket_name = app->options.socket_name,
                                    .descriptors = app->options.worker_descriptors,
                                    .output = app->options.output,
                                    .input = app->options.input,
                                    .identity = &app->options.identity,
                                    .serving = serving};
    int result;

    options.preload = app->options.preload;
    options.inherits = app->inherited;
    if (program_has_channel(app->settings))
        options.language = &node_worker;
    result = child_start(ret_child, &options, &child_events, app);

    if (result < 0)
        return result;
    list_push_back(&app->children, &(*ret_child)->in_app);
    app->child_count++;
    if ((*ret_child)->state == CHILD_READY)
        child_events.ready(app, *ret_child);
    return 0;
}

static void give_up(struct slot *slot, const char *why) {
    slot->over = true;
    slot->gave_up = true;
    log_error("worker %u of %s is not started again: %s", slot->number, slot->app->settings->name,
              why);
}

static void on_restart_due(uv_timer_t *timer) {
    start_slot(timer->data);
}

static void schedule(struct slot *slot, uint64_t delay_ms) {
    if (delay_ms == 0)
        start_slot(slot);
    else
        uv_timer_start(&slot->timer, on_restart_due, delay_ms, 0);
}

/* A program that cannot be executed now will hardly be a little later, unless it has been before.
 */
static void on_start_failed(struct slot *slot, int error) {
    struct app *app = slot->app;
    struct restart_decision decision;

    if (!app->served) {
        log_error("%s cannot be started: %s%s", app->settings->name, uv_strerror(error),
                  error == UV_ENOENT ? " (is the interpreter missing that its first line names?)"
                                     : "");
        app_stop(app, APP_FAILED_START);
        return;
    }
    log_error("worker %u of %s could not be started: %s", slot->number, app->settings->name,
              uv_strerror(error));
    decision = restart_decide(&slot->history, app->settings, 0, 127 << 8);
    if (decision.verdict == RESTART_AFTER)
        uv_timer_start(&slot->timer, on_restart_due, decision.delay_ms ? decision.delay_ms : 100,
                       0);
    else
        give_up(slot, "its program cannot be executed");
}

static void start_slot(struct slot *slot) {
    int result;

    if (slot->current || slot->over || slot->app->stopping)
        return;
    result = start_child(slot, true, &slot->current);
    if (result < 0) {
        slot->current = NULL;
        on_start_failed(slot, result);
    }
}

static void check_all_ready(struct app *app) {
    if (!is_awaited(app))
        listener_set_close_unwanted(&app->listeners); /* that only workers of old had asked for */
    if (app->announced_ready)
        return;
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (!app->slots[i].current || app->slots[i].current->state != CHILD_READY)
            return;
    app->announced_ready = true;
    app->events->ready(app->owner, app);
}

/* The successor takes the seats of the old worker, which then drains. */
static void replace(struct slot *slot) {
    struct child *old = slot->current;

    slot->current = slot->next;
    slot->next = NULL;
    child_serve(slot->current, clock_ms());
    if (old)
        child_drain(old, clock_ms());
}

static void on_ready(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);

    app->served = true;
    if (slot->next == child) {
        replace(slot);
        continue_reload(app, slot);
    }
    check_all_ready(app);
}

static void on_retiring(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);

    if (slot->current != child || slot->next)
        return;
    slot->current = NULL;
    if (app->settings->autorestart) {
        slot->history.restarts++;
        start_slot(slot);
    }
}

static void end_reload(struct app *app, bool complete) {
    app->reloading = -1;
    if (complete) {
        app->reloads++;
        log_info("%s reloaded: all %u workers replaced", app->settings->name, app->slot_count);
    }
    if (app->reload_again && complete && !app->stopping) {
        app->reload_again = false;
        app_reload(app);
    }
    app->reload_again = false;
}

static void abort_reload(struct app *app, const char *why) {
    log_error("reload of %s abandoned at worker %d: %s; the workers that are there go on serving",
              app->settings->name, app->reloading, why);
    end_reload(app, false);
}

/* A successor did not get ready; outside a reload it was to replace a worker that had grown too
 * large. */
static void successor_failed(struct slot *slot, const char *why) {
    slot->next = NULL;
    if (slot->app->reloading == (int32_t)slot->number)
        abort_reload(slot->app, why);
    else
        log_error("worker %u could not be replaced: %s", slot->number, why);
}

/* It serves, but not through us: with `exclusive: true`, say, or without the preload library. */
static bool listens_by_itself(struct app *app, struct child *child) {
    char text[BYPASS_TEXT_MAX];
    enum bypass bypass = bypass_find(child->pid, app->options.preload, text);

    if (bypass == BYPASS_NONE)
        return false;
    if (bypass == BYPASS_UNSHARED)
        log_warning("worker %u of %s: %s", child->slot, app->settings->name, text);
    else if (!app->bypass_said)
        log_error("worker %u of %s: %s", child->slot, app->settings->name, text);
    app->bypass_said = app->bypass_said || bypass == BYPASS_UNSEEN;
    child->listened = true;
    child_said_ready(child);
    return child->state == CHILD_READY;
}

/* Soon, and not only when it is late, for the other workers find its address in use. */
static void look_for_bypass(struct app *app) {
    if (!app->options.preload || app->bypass_said)
        return;
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->state < CHILD_READY && !child->listened && list_empty(&child->members))
            listens_by_itself(app, child);
    }
}

/* Nothing of the app has ever served: then it is the program or its flags that are wrong. */
static void fail_start(struct app *app, const struct child *child) {
    unsigned long long timeout = app->settings->listen_timeout_ms;

    if (app->settings->wait_ready)
        log_error("worker %u of %s did not say that it is ready within %llu ms (--listen-timeout)",
                  child->slot, app->settings->name, timeout);
    else
        log_error("%s did not start to listen within %llu ms; give it longer with "
                  "--listen-timeout, or run it with -x "
                  "if it serves nobody",
                  app->settings->name, timeout);
    app_stop(app, APP_FAILED_START);
}

static void on_slow(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);
    bool waits = app->settings->wait_ready;

    if (slot->next == child) {
        successor_failed(slot,
                         waits ? "the new one did not say that it is ready within --listen-timeout"
                               : "the new one did not listen within --listen-timeout");
        child_kill(child, "it was not ready in time");
    } else if (listens_by_itself(app, child)) {
        return;
    } else if (!app->served && !(app->listened && !waits)) {
        fail_start(app, child);
    } else if (waits) {
        child_kill(child, "it did not say that it is ready within --listen-timeout");
    } else {
        log_warning("worker %u (pid %d) does not listen yet after %llu ms", child->slot,
                    (int)child->pid, (unsigned long long)app->settings->listen_timeout_ms);
    }
}

/* A start that failed for a reason that the same start again will meet again. */
static bool failed_for_good(const struct app *app, const struct child *child) {
    return (child->bind_failed && !app->listened) || (app->bypass_said && !child->was_ready);
}

static bool ended_well(const struct settings *settings, int status) {
    if (!WIFEXITED(status))
        return false;
    for (size_t i = 0; i < settings->stop_code_count; i++)
        if (WEXITSTATUS(status) == settings->stop_codes[i])
            return true;
    return WEXITSTATUS(status) == 0;
}

static void restart_after(struct slot *slot, const struct child *child) {
    struct app *app = slot->app;
    uint64_t lived = child->was_ready ? clock_ms() - child->started_ms : 0;
    struct restart_decision decision =
        restart_decide(&slot->history, app->settings, lived, child->status);
    char what[CHILD_END_MAX];

    child_describe_end(child, what);
    if (!child->was_ready)
        look_for_bypass(app);
    if (failed_for_good(app, child)) {
        app_stop(app, APP_FAILED_START);
        return;
    }
    switch (decision.verdict) {
    case RESTART_DONE:
        slot->over = true;
        slot->gave_up = !ended_well(app->settings, child->status);
        log_info("worker %u (pid %d) %s; it is not started again", slot->number, (int)child->pid,
                 what);
        break;
    case RESTART_GIVE_UP:
        log_error("worker %u (pid %d) %s", slot->number, (int)child->pid, what);
        snprintf(what, sizeof what,
                 "it ended %u times in a row within %llu ms of its start or before it was ready",
                 slot->history.young_deaths, (unsigned long long)app->settings->min_uptime_ms);
        give_up(slot, what);
        break;
    case RESTART_AFTER:
        if (decision.delay_ms == 0)
            log_warning("worker %u (pid %d) %s; starting another", slot->number, (int)child->pid,
                        what);
        else
            log_warning("worker %u (pid %d) %s; starting another in %llu ms", slot->number,
                        (int)child->pid, what, (unsigned long long)decision.delay_ms);
        schedule(slot, decision.delay_ms);
        break;
    }
}

/* The old worker died while its successor was being prepared: whoever is there now serves. */
static void promote(struct slot *slot) {
    slot->current = slot->next;
    slot->next = NULL;
    child_serve(slot->current, clock_ms());
    continue_reload(slot->app, slot);
}

static void on_ended(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);

    list_remove(&child->in_app);
    app->child_count--;
    if (slot->next == child) {
        char what[CHILD_END_MAX];

        child_describe_end(child, what);
        log_error("the new worker %u %s", slot->number, what);
        successor_failed(slot, "the new one ended before it was ready");
    } else if (slot->current == child) {
        slot->current = NULL;
        if (!app->stopping && slot->next)
            promote(slot);
        else if (!app->stopping)
            restart_after(slot, child);
    } else if (child->reason) {
        log_warning("worker %u (pid %d) was killed because %s", child->slot, (int)child->pid,
                    child->reason);
    }
    finish_if_empty(app);
}

static void on_trace(void *owner, const struct trace_message *message) {
    struct app *app = owner;

    app->events->trace(app->owner, message);
}

static const struct child_events child_events = {.listen = on_listen,
                                                 .unlisten = on_unlisten,
                                                 .ready = on_ready,
                                                 .retiring = on_retiring,
                                                 .slow = on_slow,
                                                 .ended = on_ended,
                                                 .trace = on_trace};

/* --- reload --- */

/* Prepares the successor in the first slot from `number` on that has a worker; a slot without one
 * gets the new program anyway. */
static void reload_from(struct app *app, uint32_t number) {
    for (; number < app->slot_count; number++) {
        struct slot *slot = &app->slots[number];
        int result;

        app->reloading = (int32_t)number;
        if (!slot->current || slot->next)
            continue;
        result = start_child(slot, false, &slot->next);
        if (result < 0)
            abort_reload(app, uv_strerror(result));
        return;
    }
    end_reload(app, true);
}

static void continue_reload(struct app *app, const struct slot *slot) {
    if (!app->stopping && app->reloading == (int32_t)slot->number)
        reload_from(app, slot->number + 1);
}

void app_reload(struct app *app) {
    if (app->stopping)
        return;
    if (app->reloading >= 0) {
        app->reload_again = true;
        log_info("%s is being reloaded; another reload follows", app->settings->name);
        return;
    }
    log_info("reloading %s: %u workers, one after the other", app->settings->name, app->slot_count);
    for (uint32_t i = 0; i < app->slot_count; i++) {
        app->slots[i].history.young_deaths = 0;
        if (!app->slots[i].current)
            uv_timer_stop(&app->slots[i].timer);
    }
    reload_from(app, 0);
    for (uint32_t i = 0; i < app->slot_count; i++) {
        app->slots[i].over = false;
        start_slot(&app->slots[i]);
    }
}

/* --- memory --- */

static void check_memory(struct app *app, struct child *child) {
    struct slot *slot = slot_of(app, child);
    uint64_t limit = app->settings->max_memory;

    if (limit == 0 || child->memory <= limit || slot->current != child || slot->next ||
        app->stopping)
        return;
    log_warning(
        "worker %u (pid %d) uses %llu MB, more than --max-memory-restart allows; replacing it",
        slot->number, (int)child->pid, (unsigned long long)(child->memory >> 20));
    slot->history.restarts++;
    if (start_child(slot, false, &slot->next) < 0)
        slot->next = NULL;
}

void app_sample(struct app *app, uint64_t now_ms) {
    look_for_bypass(app);
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        child_sample(child, now_ms);
        check_memory(app, child);
    }
}

/* --- the end --- */

static void on_timer_closed(uv_handle_t *handle) {
    struct app *app = handle->data;

    app->handles--;
    finish_if_empty(app);
}

static void on_listener_closed(void *owner) {
    finish_if_empty(owner);
}

static void on_slot_timer_closed(uv_handle_t *handle) {
    struct slot *slot = handle->data;

    slot->app->handles--;
    finish_if_empty(slot->app);
}

/* All workers are gone: what is left are listeners and timers. */
static void close_rest(struct app *app) {
    app->closing = true;
    listener_set_close(&app->listeners);
    for (uint32_t i = 0; i < app->slot_count; i++)
        uv_close((uv_handle_t *)&app->slots[i].timer, on_slot_timer_closed);
    uv_close((uv_handle_t *)&app->stop_timer, on_timer_closed);
}

static bool all_over(const struct app *app) {
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (!app->slots[i].over)
            return false;
    return true;
}

static enum app_outcome outcome_of_slots(const struct app *app) {
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (app->slots[i].gave_up)
            return app->served ? APP_GIVEN_UP : APP_FAILED_START;
    return APP_DONE;
}

static void finish_if_empty(struct app *app) {
    if (app->child_count > 0 || app->starting)
        return;
    if (!app->stopping && all_over(app))
        app_stop(app, outcome_of_slots(app));
    else if (app->stopping && !app->closing)
        close_rest(app);
    else if (app->closing && app->handles == 0 && app->listeners.open == 0)
        app->events->finished(app->owner, app, app->outcome);
}

static void drain_all(struct app *app) {
    uv_timer_stop(&app->stop_timer);
    if (app->outcome == APP_FAILED_START)
        app_kill(app); /* nobody was served, and a stop signal would only make them talk */
    LIST_EACH(node, following, &app->children)
    child_finish(LIST_ENTRY(node, struct child, in_app));
    finish_if_empty(app);
}

/* Whoever had connected before the end is handed over first, for as long as open connections may
 * take. */
static void on_stop_timer(uv_timer_t *timer) {
    struct app *app = timer->data;

    if (!listener_set_has_waiting(&app->listeners) ||
        clock_ms() - app->stopping_since_ms >= app->settings->drain_timeout_ms)
        drain_all(app);
}

void app_stop(struct app *app, enum app_outcome outcome) {
    if (app->stopping)
        return;
    app->stopping = true;
    app->outcome = outcome;
    app->reloading = -1;
    app->stopping_since_ms = clock_ms();
    listener_set_finish(&app->listeners);
    for (uint32_t i = 0; i < app->slot_count; i++)
        uv_timer_stop(&app->slots[i].timer);
    if (listener_set_has_waiting(&app->listeners) && app->child_count > 0)
        uv_timer_start(&app->stop_timer, on_stop_timer, STOP_TICK_MS, STOP_TICK_MS);
    else
        drain_all(app);
}

void app_kill(struct app *app) {
    LIST_EACH(node, following, &app->children)
    child_kill(LIST_ENTRY(node, struct child, in_app), NULL);
}

/* --- life --- */

int app_start(struct app **ret_app, const struct app_options *options,
              const struct app_events *events, void *owner) {
    struct app *app = calloc(1, sizeof *app);

    if (!app)
        return UV_ENOMEM;
    app->slots = calloc(options->settings->instances, sizeof *app->slots);
    if (!app->slots) {
        free(app);
        return UV_ENOMEM;
    }
    app->options = *options;
    app->settings = options->settings;
    app->events = events;
    app->owner = owner;
    app->slot_count = options->settings->instances;
    app->reloading = -1;
    list_init(&app->children);
    listener_set_init(&app->listeners,
                      &(struct listener_set_options){.settings = options->settings,
                                                     .loop = options->loop,
                                                     .descriptor_limit = options->descriptor_limit,
                                                     .watch = options->watch},
                      on_listener_closed, app);
    uv_timer_init(options->loop, &app->stop_timer);
    app->stop_timer.data = app;
    app->handles = app->slot_count + 1;
    for (uint32_t i = 0; i < app->slot_count; i++) {
        app->slots[i] = (struct slot){.app = app, .number = i};
        uv_timer_init(options->loop, &app->slots[i].timer);
        app->slots[i].timer.data = &app->slots[i];
    }
    *ret_app = app;
    app->starting = true;
    if (app->settings->listen && open_inherited(app) < 0)
        app_stop(app, APP_FAILED_START);
    for (uint32_t i = 0; i < app->slot_count; i++)
        start_slot(&app->slots[i]);
    app->starting = false;
    finish_if_empty(app);
    return 0;
}

void app_destroy(struct app *app) {
    if (!app)
        return;
    free(app->slots);
    free(app);
}

bool app_child_exited(struct app *app, pid_t pid, int status) {
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->pid != pid)
            continue;
        child_exited(child, status, clock_ms());
        return true;
    }
    return false;
}

struct child *app_find_token(struct app *app, const uint8_t token[NATIVE_TOKEN_SIZE]) {
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (memcmp(child->token, token, NATIVE_TOKEN_SIZE) == 0)
            return child;
    }
    return NULL;
}
