#include "master/app.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/dispatcher.h"
#include "master/process_stats.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#define STOP_TICK_MS  10
#define WAIT_LIMIT_MS 60000 /* a client that no worker takes for so long is let go */

static const struct child_events child_events;
static const struct listener_events listener_events;

static void start_slot(struct slot *slot);
static void continue_reload(struct app *app, const struct slot *slot);
static void finish_if_empty(struct app *app);

static struct slot *slot_of(struct app *app, const struct child *child) {
    return &app->slots[child->slot];
}

/* --- listeners --- */

static struct listener *find_listener(struct app *app, const struct listener_key *key) {
    LIST_EACH(node, following, &app->listeners) {
        struct listener *listener = LIST_ENTRY(node, struct listener, in_app);

        if (!listener->finished && listener_key_equal(&listener->key, key))
            return listener;
    }
    return NULL;
}

static struct dispatcher_limits dispatcher_limits(const struct settings *settings) {
    return (struct dispatcher_limits){.slow_after_ms = settings->slow_after_ms,
                                      .kill_stuck_after_ms = settings->kill_stuck_after_ms,
                                      .wait_ms = WAIT_LIMIT_MS};
}

static int open_listener(struct app *app, const struct child_listen_request *request,
                         struct listener **ret_listener) {
    struct listener_options options = {.key = request->key,
                                       .backlog = request->backlog > 0 ? request->backlog : 511,
                                       .limits = dispatcher_limits(app->settings),
                                       .descriptor_limit = app->options.descriptor_limit};
    struct listener *listener = malloc(sizeof *listener);
    int result =
        listener ? policy_create(&options.policy, app->settings->policy, app->seed++) : UV_ENOMEM;

    if (result < 0) {
        free(listener);
        return result;
    }
    options.wants_cookies = options.policy->type->needs_open && app->options.watch &&
                            request->key->kind == LISTENER_TCP;
    options.shared = options.policy->type->shared || request->key->kind == LISTENER_UDP;
    result = listener_start(listener, app->options.loop, &options, &listener_events, app);
    if (result < 0) {
        policy_destroy(options.policy);
        free(listener);
        return result;
    }
    if (request->data && strcmp(request->data, "null") != 0)
        listener->data = strdup(request->data);
    list_push_back(&app->listeners, &listener->in_app);
    app->handles++;
    *ret_listener = listener;
    return 0;
}

static void on_listener_closed(void *owner, struct listener *listener) {
    struct app *app = owner;

    free(listener);
    app->handles--;
    finish_if_empty(app);
}

static void close_listener(struct listener *listener) {
    list_remove(&listener->in_app);
    listener_close(listener, on_listener_closed);
}

static void complain_of_bind(struct app *app, const struct listener_key *key, int error) {
    char text[ADDRESS_TEXT_MAX];

    address_describe(&key->address.any, key->length, text);
    if (error == UV_EADDRINUSE)
        log_error("%s: %s is in use by another program", app->settings->name, text);
    else
        log_error("%s: cannot listen on %s: %s", app->settings->name, text, uv_strerror(error));
}

static int on_listen(void *owner, struct child *child, const struct child_listen_request *request,
                     struct listener **ret_listener) {
    struct app *app = owner;
    int result;

    *ret_listener = find_listener(app, request->key);
    if (!*ret_listener) {
        result = app->stopping ? UV_ECANCELED : open_listener(app, request, ret_listener);
        if (result < 0) {
            if (!child->bind_failed)
                complain_of_bind(app, request->key, result);
            return result;
        }
        app->events->serving(app->owner, app, *ret_listener);
    }
    app->listened = true;
    return 0;
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
    struct listener *listener = member->listener;

    (void)child;
    if (app->options.watch)
        connection_watch_forget(app->options.watch, &member->member);
    if (listener->members > 0)
        return;
    if (app->stopping || (asked && !is_awaited(app)))
        close_listener(listener);
}

static void on_opened(void *owner, struct client *client, struct member *member) {
    struct app *app = owner;

    if (client->cookie)
        connection_watch_add(app->options.watch, client->cookie, member);
}

static void on_taken_back(void *owner, struct client *client, struct member *member) {
    struct app *app = owner;

    if (!app->options.watch || member->open < 0)
        return;
    if (!client->cookie)
        client_note_cookie(client);
    connection_watch_remove(app->options.watch, client->cookie);
}

static void on_stuck(void *owner, struct member *member, uint64_t held_ms) {
    struct child *child = member->child;

    (void)owner;
    child->stuck_total++;
    if (child->stuck_said_ms && clock_ms() - child->stuck_said_ms < 10000)
        return;
    child->stuck_said_ms = clock_ms();
    log_warning(
        "worker %u (pid %d) has not taken a client for %llu ms: it gets no more until it does",
        child->slot, (int)child->pid, (unsigned long long)held_ms);
}

static void on_expired(void *owner, struct member *member, uint64_t held_ms) {
    struct child *child = member->child;

    (void)owner;
    (void)held_ms;
    child_kill(child, "it had taken no client for longer than --kill-stuck-after");
}

static void on_failed(void *owner, struct listener *listener, int error) {
    char text[ADDRESS_TEXT_MAX];

    (void)owner;
    listener_describe(listener, text);
    log_error("%s accepts no more clients: %s", text, uv_strerror(error));
}

static const struct listener_events listener_events = {.opened = on_opened,
                                                       .taken_back = on_taken_back,
                                                       .stuck = on_stuck,
                                                       .expired = on_expired,
                                                       .failed = on_failed};

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
                                    .serving = serving};
    int result = child_start(ret_child, &options, &child_events, app);

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

static void start_slot(struct slot *slot) {
    int result;

    if (slot->current || slot->over || slot->app->stopping)
        return;
    result = start_child(slot, true, &slot->current);
    if (result < 0) {
        struct restart_decision decision =
            restart_decide(&slot->history, slot->app->settings, 0, 127 << 8);

        slot->current = NULL;
        log_error("worker %u of %s could not be started: %s", slot->number,
                  slot->app->settings->name, uv_strerror(result));
        if (decision.verdict == RESTART_AFTER)
            uv_timer_start(&slot->timer, on_restart_due,
                           decision.delay_ms ? decision.delay_ms : 100, 0);
        else
            give_up(slot, "its program cannot be executed");
    }
}

static void check_all_ready(struct app *app) {
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

static void on_slow(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);
    unsigned long long timeout = app->settings->listen_timeout_ms;
    bool waits = app->settings->wait_ready;

    if (slot->next == child) {
        successor_failed(slot,
                         waits ? "the new one did not say that it is ready within --listen-timeout"
                               : "the new one did not listen within --listen-timeout");
        child_kill(child, "it was not ready in time");
        return;
    }
    if (process_listens(child->pid)) {
        log_warning(
            "worker %u (pid %d) listens by itself, past the master: its clients are not balanced",
            child->slot, (int)child->pid);
        child->listened = true;
        child->said_ready = !waits || child->said_ready;
        child_said_ready(child);
        return;
    }
    if (app->listened && !waits) {
        log_warning("worker %u (pid %d) does not listen yet after %llu ms", child->slot,
                    (int)child->pid, timeout);
        return;
    }
    if (waits) {
        log_error("worker %u of %s did not say that it is ready within %llu ms (--listen-timeout)",
                  child->slot, app->settings->name, timeout);
    } else {
        log_error("%s did not start to listen within %llu ms; give it longer with "
                  "--listen-timeout, or run it with -x "
                  "if it serves nobody",
                  app->settings->name, timeout);
    }
    if (!app->listened || waits)
        app_stop(app, APP_FAILED_START);
}

static void describe_end(const struct child *child, char *text, size_t size) {
    uint64_t lived = clock_ms() - child->started_ms;
    int length;

    if (child->reason)
        length = snprintf(text, size, "was killed because %s,", child->reason);
    else if (WIFSIGNALED(child->status))
        length = snprintf(
            text, size, "was ended by SIG%s",
            sigabbrev_np(WTERMSIG(child->status)) ? sigabbrev_np(WTERMSIG(child->status)) : "?");
    else
        length = snprintf(text, size, "exited with code %d", WEXITSTATUS(child->status));
    if (length >= 0 && (size_t)length < size)
        snprintf(text + length, size - (size_t)length,
                 lived < 10000 ? " after %llu ms" : " after %llu s",
                 (unsigned long long)(lived < 10000 ? lived : lived / 1000));
}

/* A start that failed for a reason that the same start again will meet again. */
static bool failed_for_good(const struct app *app, const struct child *child) {
    return child->bind_failed && !app->listened;
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
    uint64_t lived = clock_ms() - child->started_ms;
    struct restart_decision decision =
        restart_decide(&slot->history, app->settings, lived, child->status);
    char what[160];

    describe_end(child, what, sizeof what);
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
        snprintf(what, sizeof what, "it ended %u times in a row within %llu ms of its start",
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
        char what[160];

        describe_end(child, what, sizeof what);
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

    if (app->events->trace)
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

static void on_slot_timer_closed(uv_handle_t *handle) {
    struct slot *slot = handle->data;

    slot->app->handles--;
    finish_if_empty(slot->app);
}

/* All workers are gone: what is left are listeners and timers. */
static void close_rest(struct app *app) {
    app->closing = true;
    LIST_EACH(node, following, &app->listeners)
    close_listener(LIST_ENTRY(node, struct listener, in_app));
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
            return app->listened ? APP_GIVEN_UP : APP_FAILED_START;
    return APP_DONE;
}

static void finish_if_empty(struct app *app) {
    if (app->child_count > 0 || app->starting)
        return;
    if (!app->stopping && all_over(app))
        app_stop(app, outcome_of_slots(app));
    else if (app->stopping && !app->closing)
        close_rest(app);
    else if (app->closing && app->handles == 0)
        app->events->finished(app->owner, app, app->outcome);
}

static bool clients_wait(const struct app *app) {
    LIST_EACH(node, following, &app->listeners)
    if (LIST_ENTRY(node, struct listener, in_app)->dispatcher.waiting_count > 0)
        return true;
    return false;
}

static void drain_all(struct app *app) {
    uv_timer_stop(&app->stop_timer);
    LIST_EACH(node, following, &app->children)
    child_drain(LIST_ENTRY(node, struct child, in_app), clock_ms());
    finish_if_empty(app);
}

/* Whoever had connected before the end is handed over first, for as long as open connections may
 * take. */
static void on_stop_timer(uv_timer_t *timer) {
    struct app *app = timer->data;

    if (!clients_wait(app) ||
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
    LIST_EACH(node, following, &app->listeners)
    listener_finish(LIST_ENTRY(node, struct listener, in_app));
    for (uint32_t i = 0; i < app->slot_count; i++)
        uv_timer_stop(&app->slots[i].timer);
    if (clients_wait(app) && app->child_count > 0)
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
    app->seed = clock_ns();
    list_init(&app->children);
    list_init(&app->listeners);
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
    for (uint32_t i = 0; i < app->slot_count; i++)
        start_slot(&app->slots[i]);
    app->starting = false;
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
