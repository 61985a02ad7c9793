/* The life of an app, what it announces, and what is seen of it. */
#include "master/app.h"

#include "base/clock.h"
#include "master/app_internal.h"
#include "master/seccomp_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* --- what is seen --- */

static enum app_status status_of(const struct slot *slot) {
    struct app_status_input input = {.wish = slot->wish,
                                     .has_current = slot->current != NULL,
                                     .current = slot->current ? slot->current->state : CHILD_EXITED,
                                     .children = slot->children};

    return app_status_decide(&input);
}

void app_note(struct slot *slot) {
    enum app_status status = status_of(slot);
    pid_t pid = slot->current ? slot->current->pid : 0;

    if (slot->current)
        slot->up_ms = slot->current->started_wall_ms;
    if (slot->removed || (status == slot->said_status && pid == slot->said_pid))
        return;
    slot->said_status = status;
    slot->said_pid = pid;
    slot->app->events->slot_changed(slot->app->owner, slot->app, slot->number);
}

int app_slot_status(const struct app *app, uint32_t number, struct app_slot_status *ret_status) {
    const struct slot *slot = app_slot(app, number);

    if (!slot)
        return UV_ENOENT;
    *ret_status = (struct app_slot_status){
        .status = status_of(slot),
        .restart_time = slot->history.restarts + slot->renewals,
        .unstable_restarts = slot->history.young_deaths,
        .created_ms = slot->created_ms,
        .up_ms = slot->up_ms,
        .ended = slot->ended,
        .exit_code = slot->ended && WIFEXITED(slot->status) ? WEXITSTATUS(slot->status) : 0,
        .exit_signal = slot->ended && WIFSIGNALED(slot->status) ? WTERMSIG(slot->status) : 0,
        .failed = slot->failed,
        .reason = slot->reason,
        .counts = {.open = POLICY_OPEN_UNKNOWN}};
    if (!slot->current)
        return 0;
    ret_status->pid = slot->current->pid;
    ret_status->cpu_percent = slot->current->cpu_percent;
    ret_status->memory = slot->current->memory;
    ret_status->stuck = slot->current->stuck_total;
    child_count(slot->current, &ret_status->counts);
    return 0;
}

/* --- workers by what they are known by --- */

bool app_child_exited(struct app *app, pid_t pid, int status) {
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->pid != pid || child->state == CHILD_EXITED)
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

/* --- figures --- */

static void check_memory(struct app *app, struct child *child) {
    struct slot *slot = app_slot(app, child->slot);
    uint64_t limit = child->settings->max_memory;

    if (limit == 0 || child->memory <= limit || slot->current != child || slot->next ||
        slot->mark.how || slot->turn.how || slot->wish != SLOT_WANTED)
        return;
    app_renew_large(slot);
}

void app_sample(struct app *app, uint64_t now_ms, uint64_t max_age_ms) {
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->sampled_ms && now_ms - child->sampled_ms < max_age_ms)
            continue;
        child_sample(child, now_ms);
        check_memory(app, child);
    }
}

void app_tick(struct app *app, uint64_t now_ms) {
    app_look_for_bypass(app);
    /* A little less than the tick's period, which is not exact. */
    app_sample(app, now_ms, app->settings->max_memory ? HOST_SAMPLE_MS / 2 : HOST_SAMPLE_IDLE_MS);
}

/* --- life --- */

/* What a version of the settings needs here. */
struct needs {
    struct identity identity;
    const char *preload;
    struct connection_watch *watch;
};

static bool wants_library(const struct settings *settings) {
    return settings->intercept == SETTINGS_INTERCEPT_PRELOAD ||
           settings->intercept == SETTINGS_INTERCEPT_NODE_FAST;
}

static int find_needs(struct needs *needs, struct host *host, const struct settings *settings,
                      char error[SETTINGS_ERROR_MAX]) {
    int result = identity_resolve(settings, &needs->identity);

    needs->preload = NULL;
    needs->watch = NULL;
    if (result < 0) {
        snprintf(error, SETTINGS_ERROR_MAX,
                 "there is no such user or group as --uid and --gid say");
        return result;
    }
    if (wants_library(settings))
        result = host_library(host, &needs->preload, error);
    if (result < 0)
        return result;
    if (settings->intercept == SETTINGS_INTERCEPT_SECCOMP && !seccomp_supported()) {
        snprintf(error, SETTINGS_ERROR_MAX,
                 "%.128s needs --intercept seccomp, which is not to be had here: it takes Linux "
                 "5.14 or later, and a container may forbid it",
                 settings->name);
        return UV_ENOTSUP;
    }
    if (policy_find(settings->policy)->needs_open)
        needs->watch = host_watch(host, settings->policy);
    return 0;
}

static void take_needs(struct app *app, const struct needs *needs) {
    app->identity = needs->identity;
    app->preload = needs->preload;
    if (needs->watch)
        app->watch = needs->watch;
    listener_set_change(&app->listeners, app->settings, needs->watch);
}

static bool same_text(const char *one, const char *other) {
    return one && other ? strcmp(one, other) == 0 : one == other;
}

int app_set_settings(struct app *app, struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    struct settings *old = app->settings;
    struct needs needs;
    int result = find_needs(&needs, app->host, settings, error);

    if (result < 0)
        return result;
    if (!same_text(settings->listen, old->listen))
        app->inherited = NULL; /* it goes with the last worker that has it */
    app->settings = settings_ref(settings);
    take_needs(app, &needs);
    settings_unref(old);
    return 0;
}

static void start_timer(struct app *app, uv_timer_t *timer) {
    uv_timer_init(app->host->loop, timer);
    timer->data = app;
    app->handles++;
}

static int fill_table(struct app *app) {
    int result = app_resize(app, app->settings->instances);

    if (result < 0)
        app_close(app, NULL, NULL);
    return result;
}

int app_create(struct app **ret_app, const struct app_options *options,
               char error[SETTINGS_ERROR_MAX]) {
    struct app *app;
    struct needs needs;
    int result = find_needs(&needs, options->host, options->settings, error);

    if (result < 0)
        return result;
    snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
    app = calloc(1, sizeof *app);
    if (!app)
        return UV_ENOMEM;
    app->host = options->host;
    app->settings = settings_ref(options->settings);
    app->events = options->events;
    app->owner = options->owner;
    app->sink = options->sink;
    app->renewing = -1;
    list_init(&app->children);
    list_push_back(&app->host->apps, &app->in_host);
    listener_set_init(
        &app->listeners,
        &(struct listener_set_options){.loop = app->host->loop,
                                       .descriptor_limit = app->host->descriptor_limit,
                                       .source = app->host->options.listener_source},
        app_on_listener_closed, app);
    take_needs(app, &needs);
    start_timer(app, &app->ending_timer);
    start_timer(app, &app->unwanted_timer);
    result = fill_table(app);
    if (result == 0)
        *ret_app = app;
    return result;
}
