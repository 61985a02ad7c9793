/* A slot of an app and its workers: started, ready, ended, started again, given up. */
#include "master/app.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/program.h"
#include "master/app_internal.h"
#include "master/node_alone.h"
#include "master/node_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define EXEC_PAUSE_MS 100 /* before a program that could not be executed is tried again */

static const struct child_events child_events;

static struct slot *slot_of(struct app *app, const struct child *child) {
    return app->slots[child->slot];
}

int app_send(struct app *app, uint32_t number, const char *bytes, size_t length) {
    struct slot *slot = app_slot(app, number);

    if (!slot)
        return UV_ENOENT;
    return slot->current ? child_send(slot->current, bytes, length) : UV_ESRCH;
}

/* --- starting --- */

static int make_variables(struct slot *slot, struct text_list *variables) {
    struct app *app = slot->app;

    *variables = (struct text_list){.items = NULL};
    if (!app->events->environment)
        return 0;
    return app->events->environment(app->owner, app, slot->number, variables);
}

static void add_child(struct slot *slot, struct child *child) {
    list_push_back(&slot->app->children, &child->in_app);
    slot->app->child_count++;
    slot->children++;
}

static const struct child_language *language_of(const struct app *app) {
    const struct settings *settings = app->settings;

    if (program_has_channel(settings))
        return &node_worker;
    if (app->host->options.open_channels && settings->intercept == SETTINGS_INTERCEPT_NONE &&
        program_is_node(settings))
        return &node_alone;
    return NULL;
}

int app_start_child(struct slot *slot, bool serving, struct child **ret_child) {
    struct app *app = slot->app;
    struct text_list variables;
    struct child_options options = {.host = app->host,
                                    .settings = app->settings,
                                    .slot = slot->number,
                                    .serial = ++app->serials,
                                    .output = app->sink,
                                    .variables = &variables,
                                    .preload = app->preload,
                                    .inherits = app->inherited,
                                    .identity = &app->identity,
                                    .serving = serving};
    int result = make_variables(slot, &variables);

    options.language = language_of(app);
    if (result >= 0)
        result = child_start(ret_child, &options, &child_events, app);
    text_list_clear(&variables);
    if (result < 0)
        return result;
    add_child(slot, *ret_child);
    if ((*ret_child)->state == CHILD_READY)
        child_events.ready(app, *ret_child);
    return 0;
}

static void set_reason(struct slot *slot, const char *reason) {
    snprintf(slot->reason, sizeof slot->reason, "%s", reason);
}

static void give_up(struct slot *slot, const char *why) {
    slot->wish = SLOT_FAILED;
    slot->failed = true;
    set_reason(slot, why);
    log_error("worker %u of %s is not started again: %s", slot->number, slot->app->settings->name,
              why);
}

void app_fail_slot(struct slot *slot, const char *reason) {
    struct app *app = slot->app;

    slot->wish = SLOT_FAILED;
    slot->failed = true;
    set_reason(slot, reason);
    uv_timer_stop(&slot->timer);
    if (slot->next)
        child_kill(slot->next, NULL);
    if (slot->current)
        child_kill(slot->current, NULL);
    slot->current = NULL;
    slot->next = NULL;
    if (app->events->start_failed)
        app->events->start_failed(app->owner, app, slot->number, slot->reason);
    app_note(slot);
    app_renewal_failed(slot, UV_ECANCELED, slot->reason);
    app_check_end(app);
}

static void on_restart_due(uv_timer_t *timer) {
    app_fill_slot(timer->data);
}

static void schedule(struct slot *slot, uint64_t delay_ms) {
    if (delay_ms == 0)
        app_fill_slot(slot);
    else
        uv_timer_start(&slot->timer, on_restart_due, delay_ms, 0);
}

static void fail_to_execute(struct slot *slot, int error) {
    char reason[APP_REASON_MAX];

    snprintf(reason, sizeof reason, "%.256s cannot be started: %s%s", slot->app->settings->name,
             uv_strerror(error),
             error == UV_ENOENT ? " (is the interpreter missing that its first line names?)" : "");
    log_error("%s", reason);
    app_fail_slot(slot, reason);
}

/* A program that cannot be executed now will hardly be a little later, unless it has been before.
 */
static void on_start_failed(struct slot *slot, int error) {
    struct app *app = slot->app;
    struct restart_death death = {.status = 127 << 8, .now_ms = clock_ms()};
    struct restart_decision decision;

    if (!app->served) {
        fail_to_execute(slot, error);
        return;
    }
    log_error("worker %u of %s could not be started: %s", slot->number, app->settings->name,
              uv_strerror(error));
    decision = restart_decide(&slot->history, app->settings, &death);
    if (decision.verdict == RESTART_AFTER)
        uv_timer_start(&slot->timer, on_restart_due,
                       decision.delay_ms ? decision.delay_ms : EXEC_PAUSE_MS, 0);
    else
        give_up(slot, "its program cannot be executed");
    app_renewal_failed(slot, error, uv_strerror(error));
}

/* All workers of the app inherit one socket: before the first of them is started. */
static int prepare_inherited(struct app *app) {
    return app->settings->listen && !app->inherited ? app_open_inherited(app) : 0;
}

void app_fill_slot(struct slot *slot) {
    int result;

    if (slot->current || slot->wish != SLOT_WANTED)
        return;
    if (prepare_inherited(slot->app) < 0) {
        app_fail_slot(slot, slot->app->bind_reason);
        return;
    }
    result = app_start_child(slot, true, &slot->current);
    if (result < 0) {
        slot->current = NULL;
        on_start_failed(slot, result);
    }
    app_note(slot);
}

/* Nothing of it runs: what was known of its workers need not be true of those to come. */
static void begin(struct app *app) {
    app->served = false;
    app->listened = false;
    app->announced_ready = false;
    app->bind_error = 0;
    app->bypass_said = false;
}

bool app_want_slot(struct slot *slot) {
    if (slot->wish == SLOT_WANTED || slot->app->closing)
        return false;
    if (!app_is_wanted(slot->app) && slot->app->child_count == 0)
        begin(slot->app);
    restart_forget(&slot->history);
    slot->wish = SLOT_WANTED;
    slot->failed = false;
    return true;
}

static void start_wanted(struct slot *slot) {
    if (slot->children == 0)
        app_fill_slot(slot);
    app_note(slot);
}

void app_start_slot(struct app *app, uint32_t number) {
    struct slot *slot = app_slot(app, number);

    if (slot && app_want_slot(slot))
        start_wanted(slot);
}

void app_start(struct app *app) {
    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        app_want_slot(slot);
    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        if (slot->wish == SLOT_WANTED)
            start_wanted(slot);
}

/* --- ready --- */

static void check_all_ready(struct app *app) {
    if (!app_is_awaited(app))
        listener_set_close_unwanted(&app->listeners); /* that only workers of old had asked for */
    if (app->announced_ready)
        return;
    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        if (slot->wish == SLOT_WANTED && (!slot->current || slot->current->state != CHILD_READY))
            return;
    app->announced_ready = true;
    if (app->events->ready)
        app->events->ready(app->owner, app);
}

static void on_ready(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);

    app->served = true;
    if (slot->next == child)
        app_successor_ready(slot);
    else if (slot->current == child)
        app_first_ready(slot);
    check_all_ready(app);
    app_note(slot);
    app_renew_next(app);
}

static void on_retiring(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);

    if (slot->current != child || slot->next || slot->wish != SLOT_WANTED ||
        !child->settings->autorestart)
        return;
    slot->current = NULL;
    slot->history.restarts++;
    app_fill_slot(slot);
    app_note(slot);
}

/* --- late --- */

/* Nothing of the app has ever served: then it is the program or its flags that are wrong. */
static void fail_start(struct app *app, struct child *child) {
    unsigned long long timeout = child->settings->listen_timeout_ms;
    const char *name = child->settings->name;
    char reason[APP_REASON_MAX];

    if (child->settings->wait_ready)
        snprintf(reason, sizeof reason,
                 "worker %u of %.256s did not say that it is ready within %llu ms "
                 "(--listen-timeout)",
                 child->slot, name, timeout);
    else
        snprintf(reason, sizeof reason,
                 "%.256s did not start to listen within %llu ms; give it longer with "
                 "--listen-timeout, or run it with -x if it %s",
                 name, timeout,
                 program_has_channel(child->settings)
                     ? "serves nobody"
                     : "serves nobody or listens on nothing that is shared: Unix and UDP sockets "
                       "are each worker's own");
    log_error("%s", reason);
    app_fail_slot(slot_of(app, child), reason);
}

static void on_late_successor(struct slot *slot, struct child *child) {
    app_successor_failed(slot, UV_ETIMEDOUT,
                         child->settings->wait_ready
                             ? "the new one did not say that it is ready within --listen-timeout"
                             : "the new one did not listen within --listen-timeout");
    child_kill(child, "it was not ready in time");
}

/* It works without a port: true when that is allowed. */
static bool works_in_silence(struct app *app, struct child *child) {
    if (!app->host->options.silent_workers || child->settings->wait_ready || app->listened ||
        child->bind_failed)
        return false;
    log_info("worker %u of %s listens on nothing: it counts as online", child->slot,
             child->settings->name);
    child->listened = true;
    child_said_ready(child);
    return true;
}

static void on_slow(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);
    bool waits = child->settings->wait_ready;

    child->late = true;
    if (works_in_silence(app, child)) {
        return;
    } else if (slot->next == child) {
        on_late_successor(slot, child);
    } else if (app_listens_by_itself(app, child)) {
        return;
    } else if (slot->current != child) {
        return; /* it is being stopped */
    } else if (!app->served && !(app->listened && !waits)) {
        fail_start(app, child);
    } else if (waits) {
        app_renewal_failed(slot, UV_ETIMEDOUT,
                           "it did not say that it is ready within --listen-timeout");
        child_kill(child, "it did not say that it is ready within --listen-timeout");
    } else {
        log_warning("worker %u of %s (pid %d) does not listen yet after %llu ms", child->slot,
                    child->settings->name, (int)child->pid,
                    (unsigned long long)child->settings->listen_timeout_ms);
        app_renewal_failed(slot, UV_ETIMEDOUT, "it does not listen yet after --listen-timeout");
    }
    app_renew_next(app);
}

/* --- ended --- */

static bool ended_well(const struct settings *settings, int status) {
    if (!WIFEXITED(status))
        return false;
    for (size_t i = 0; i < settings->stop_code_count; i++)
        if (WEXITSTATUS(status) == settings->stop_codes[i])
            return true;
    return WEXITSTATUS(status) == 0;
}

static void give_up_dying(struct slot *slot, const struct child *child) {
    unsigned long long min_uptime = child->settings->min_uptime_ms;
    uint32_t young = slot->history.young_deaths;
    char end[CHILD_END_MAX];
    char why[APP_REASON_MAX];

    child_describe_end(child, end);
    if (young > 0 && young >= child->settings->max_restarts)
        snprintf(why, sizeof why,
                 "it ended %u time%s in a row within %llu ms of its start or before it was ready; "
                 "the last one %s",
                 young, young == 1 ? "" : "s", min_uptime, end);
    else
        snprintf(why, sizeof why, "it ended %u times within %d s; the last one %s",
                 restart_count(&slot->history), RESTART_WINDOW_MS / 1000, end);
    give_up(slot, why);
}

static void start_after(struct slot *slot, const struct child *child, uint64_t delay_ms) {
    if (delay_ms == 0)
        log_warning("worker %u of %s (pid %d) %s; starting another", slot->number,
                    child->settings->name, (int)child->pid, slot->reason);
    else
        log_warning("worker %u of %s (pid %d) %s; starting another in %llu ms", slot->number,
                    child->settings->name, (int)child->pid, slot->reason,
                    (unsigned long long)delay_ms);
    schedule(slot, delay_ms);
}

static void decide_restart(struct slot *slot, const struct child *child) {
    struct restart_death death = {.lifetime_ms =
                                      child->was_ready ? clock_ms() - child->started_ms : 0,
                                  .status = child->status,
                                  .now_ms = clock_ms()};
    struct restart_decision decision = restart_decide(&slot->history, child->settings, &death);

    switch (decision.verdict) {
    case RESTART_DONE:
        slot->wish = SLOT_DONE;
        slot->failed = !ended_well(child->settings, child->status);
        log_info("worker %u of %s (pid %d) %s; it is not started again", slot->number,
                 child->settings->name, (int)child->pid, slot->reason);
        break;
    case RESTART_GIVE_UP:
        log_error("worker %u of %s (pid %d) %s", slot->number, child->settings->name,
                  (int)child->pid, slot->reason);
        give_up_dying(slot, child);
        break;
    case RESTART_AFTER:
        start_after(slot, child, decision.delay_ms);
        break;
    }
}

/* Why the same start again would meet the same: a sentence, or NULL. */
static const char *final_reason(struct app *app, const struct child *child,
                                char text[APP_REASON_MAX]) {
    if (child->heir) {
        snprintf(text, APP_REASON_MAX,
                 "%.256s puts itself in the background (as process %d, which was told to end): it "
                 "has to run in the foreground, as nginx does with -g 'daemon off;'",
                 child->settings->name, (int)child->heir);
        log_error("%s", text);
        return text;
    }
    if (child->bind_failed && !app->listened)
        return app->bind_reason;
    if (app->bypass_said && !child->was_ready)
        return app->bypass_reason;
    return NULL;
}

/* The slot's worker ended without being told to. */
static void lose_current(struct slot *slot, const struct child *child) {
    struct app *app = slot->app;
    char text[APP_REASON_MAX];
    char ended[APP_REASON_MAX];
    const char *reason;

    snprintf(ended, sizeof ended, "%s", slot->reason);
    if (!child->was_ready)
        app_look_for_bypass(app);
    reason = final_reason(app, child, text);
    if (reason) {
        app_fail_slot(slot, reason);
        return;
    }
    app_renewal_failed(slot, UV_ECANCELED, ended);
    if (slot->wish == SLOT_WANTED && !slot->current) /* as the announcement may have changed */
        decide_restart(slot, child);
}

static void note_end(struct slot *slot, const struct child *child) {
    slot->ended = true;
    slot->status = child->status;
    if (slot->wish != SLOT_FAILED)
        child_describe_end(child, slot->reason);
}

static void on_successor_ended(struct slot *slot, struct child *child) {
    char what[CHILD_END_MAX];
    char reason[APP_REASON_MAX];

    child_describe_end(child, what);
    snprintf(reason, sizeof reason, "the new one %s, before it %s", what,
             child->was_ready ? "had lived for --min-uptime" : "was ready");
    app_successor_failed(slot, UV_ECANCELED, reason);
}

/* Whoever was asked to start while the old worker was still there starts now. */
static void on_emptied(struct slot *slot) {
    if (app_renewal_emptied(slot))
        return;
    if (slot->wish == SLOT_WANTED && !slot->current && !uv_is_active((uv_handle_t *)&slot->timer))
        app_fill_slot(slot);
}

static void on_ended(void *owner, struct child *child) {
    struct app *app = owner;
    struct slot *slot = slot_of(app, child);

    list_remove(&child->in_app);
    app->child_count--;
    slot->children--;
    note_end(slot, child);
    if (slot->next == child) {
        on_successor_ended(slot, child);
    } else if (slot->current == child) {
        slot->current = NULL;
        if (slot->next)
            app_promote(slot);
        else if (slot->wish == SLOT_WANTED)
            lose_current(slot, child);
    } else if (child->reason) {
        log_warning("worker %u of %s (pid %d) was killed because %s", child->slot,
                    child->settings->name, (int)child->pid, child->reason);
    }
    if (slot->children == 0)
        on_emptied(slot);
    app_note(slot);
    app_renew_next(app);
    app_check_end(app);
}

static void on_trace(void *owner, const struct trace_message *message) {
    struct app *app = owner;

    if (app->events->trace)
        app->events->trace(app->owner, message);
}

static const struct child_events child_events = {.listen = app_listen,
                                                 .unlisten = app_unlisten,
                                                 .ready = on_ready,
                                                 .retiring = on_retiring,
                                                 .slow = on_slow,
                                                 .ended = on_ended,
                                                 .trace = on_trace};
