#include "master/app.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/program.h"
#include "master/app_internal.h"
#include "master/bypass.h"
#include "master/dispatcher.h"
#include "master/node_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define LOOK_PAUSE_MS 100  /* between two looks for workers that go past us */
#define LOOKED_AT_MS  5000 /* of a worker's life */

static const struct child_events child_events;

static struct slot *slot_of(struct app *app, const struct child *child) {
    return &app->slots[child->slot];
}

/* --- workers --- */

int app_start_child(struct slot *slot, bool serving, struct child **ret_child) {
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
    app_start_slot(timer->data);
}

static void schedule(struct slot *slot, uint64_t delay_ms) {
    if (delay_ms == 0)
        app_start_slot(slot);
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

void app_start_slot(struct slot *slot) {
    int result;

    if (slot->current || slot->over || slot->app->stopping)
        return;
    result = app_start_child(slot, true, &slot->current);
    if (result < 0) {
        slot->current = NULL;
        on_start_failed(slot, result);
    }
}

static void check_all_ready(struct app *app) {
    if (!app_is_awaited(app))
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
        app_continue_reload(app, slot);
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
        app_start_slot(slot);
    }
}

/* It serves, but not through us: with `exclusive: true`, say, or without the preload library. */
static void count_bypass(struct app *app, struct child *child, const struct bypass_found *found) {
    bool unseen = found->kind == BYPASS_UNSEEN;

    if (!unseen)
        log_warning("worker %u of %s: %s", child->slot, app->settings->name, found->text);
    else if (!app->bypass_said)
        log_error("worker %u of %s: %s", child->slot, app->settings->name, found->text);
    app->bypass_said = app->bypass_said || unseen;
    child->listened = true;
    child_said_ready(child);
}

static bool listens_by_itself(struct app *app, struct child *child) {
    struct bypass_found found = {.kind = BYPASS_NONE};

    if (app->options.preload)
        bypass_find(&child->pid, 1, app->options.preload, &found);
    if (found.kind == BYPASS_NONE)
        bypass_find(&child->pid, 1, NULL, &found);
    if (found.kind == BYPASS_NONE)
        return false;
    count_bypass(app, child, &found);
    return child->state == CHILD_READY;
}

static struct child *find_session(struct app *app, pid_t session) {
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->pid == session)
            return child;
    }
    return NULL;
}

/* Among the workers that have not been there for long: later they hardly begin to listen. */
static void find_bypass(struct app *app, uint64_t now_ms) {
    pid_t *sessions = malloc(app->child_count * sizeof *sessions);
    struct bypass_found found = {.kind = BYPASS_NONE};
    struct child *child;
    size_t count = 0;

    LIST_EACH(node, following, &app->children) {
        const struct child *one = LIST_ENTRY(node, struct child, in_app);

        if (sessions && now_ms - one->started_ms < LOOKED_AT_MS)
            sessions[count++] = one->pid;
    }
    if (count > 0)
        bypass_find(sessions, count, app->options.preload, &found);
    free(sessions);
    child = found.kind == BYPASS_NONE ? NULL : find_session(app, found.session);
    if (child)
        count_bypass(app, child, &found);
}

/* Soon, and not only when a worker is late, for the others find its address in use. */
static void look_for_bypass(struct app *app) {
    uint64_t now_ms = clock_ms();

    if (!app->options.preload || app->bypass_said || now_ms - app->looked_ms < LOOK_PAUSE_MS)
        return;
    app->looked_ms = now_ms;
    find_bypass(app, now_ms);
}

/* Nothing of the app has ever served: then it is the program or its flags that are wrong. */
static void fail_start(struct app *app, const struct child *child) {
    unsigned long long timeout = app->settings->listen_timeout_ms;

    if (app->settings->wait_ready)
        log_error("worker %u of %s did not say that it is ready within %llu ms (--listen-timeout)",
                  child->slot, app->settings->name, timeout);
    else
        log_error("%s did not start to listen within %llu ms; give it longer with "
                  "--listen-timeout, or run it with -x if it %s",
                  app->settings->name, timeout,
                  program_has_channel(app->settings)
                      ? "serves nobody"
                      : "serves nobody or listens on nothing that is shared: Unix and UDP sockets "
                        "are each worker's own");
    app_stop(app, APP_FAILED_START);
}

static void on_slow(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);
    bool waits = app->settings->wait_ready;

    if (slot->next == child) {
        app_successor_failed(
            slot, waits ? "the new one did not say that it is ready within --listen-timeout"
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
    if (child->heir) {
        log_error("%s puts itself in the background (as process %d, which was told to end): it has "
                  "to run in the foreground, as nginx does with -g 'daemon off;'",
                  app->settings->name, (int)child->heir);
        app_stop(app, APP_FAILED_START);
        return;
    }
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
    app_continue_reload(slot->app, slot);
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
        app_successor_failed(slot, "the new one ended before it was ready");
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
    app_finish_if_empty(app);
}

static void on_trace(void *owner, const struct trace_message *message) {
    struct app *app = owner;

    app->events->trace(app->owner, message);
}

static const struct child_events child_events = {.listen = app_listen,
                                                 .unlisten = app_unlisten,
                                                 .ready = on_ready,
                                                 .retiring = on_retiring,
                                                 .slow = on_slow,
                                                 .ended = on_ended,
                                                 .trace = on_trace};

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
    if (app_start_child(slot, false, &slot->next) < 0)
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
                      app_on_listener_closed, app);
    uv_timer_init(options->loop, &app->stop_timer);
    app->stop_timer.data = app;
    uv_timer_init(options->loop, &app->unwanted_timer);
    app->unwanted_timer.data = app;
    app->handles = app->slot_count + 2;
    for (uint32_t i = 0; i < app->slot_count; i++) {
        app->slots[i] = (struct slot){.app = app, .number = i};
        uv_timer_init(options->loop, &app->slots[i].timer);
        app->slots[i].timer.data = &app->slots[i];
    }
    *ret_app = app;
    app->starting = true;
    if (app->settings->listen && app_open_inherited(app) < 0)
        app_stop(app, APP_FAILED_START);
    for (uint32_t i = 0; i < app->slot_count; i++)
        app_start_slot(&app->slots[i]);
    app->starting = false;
    app_finish_if_empty(app);
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
