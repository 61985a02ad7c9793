#include "daemon/process_json.h"

#include "config/program.h"
#include "daemon/home.h"

#include <stdio.h>
#include <string.h>

/* Steals; an object that has no memory for a field goes without it. */
static void set(json_t *object, const char *name, json_t *value) {
    json_object_set_new(object, name, value ? value : json_null());
}

static json_t *texts(const struct text_list *list) {
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

static void add_variables(json_t *object, const struct text_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i];
        const char *equals = strchr(text, '=');
        char name[256];

        if (!equals || (size_t)(equals - text) >= sizeof name)
            continue;
        memcpy(name, text, (size_t)(equals - text));
        name[equals - text] = '\0';
        json_object_set_new(object, name, json_string(equals + 1));
    }
}

static json_t *environment_of(const struct settings *settings) {
    json_t *object = json_object();

    add_variables(object, &settings->environment);
    add_variables(object, &settings->env);
    return object;
}

static void set_path(json_t *object, const char *name, const struct record *record, uint32_t slot,
                     enum app_log_kind kind) {
    char path[PATH_MAX];

    record_log_path(record, slot, kind, path);
    set(object, name, path[0] ? json_string(path) : NULL);
}

static void add_settings(json_t *object, const struct settings *settings) {
    bool fork = settings->intercept == SETTINGS_INTERCEPT_NONE;

    set(object, "name", json_string(settings->name));
    set(object, "namespace", json_string(settings->namespace));
    set(object, "exec_mode", json_string(fork ? "fork_mode" : "cluster_mode"));
    set(object, "instances", json_integer(settings->instances));
    set(object, "pm_exec_path", json_string(settings->script));
    set(object, "pm_cwd", settings->cwd ? json_string(settings->cwd) : NULL);
    set(object, "args", texts(&settings->args));
    set(object, "node_args", texts(&settings->interpreter_args));
    set(object, "exec_interpreter", json_string(settings->interpreter_name));
    set(object, "watch",
        settings->watch_paths.count > 0 ? texts(&settings->watch_paths)
                                        : json_boolean(settings->watch));
    set(object, "autorestart", json_boolean(settings->autorestart));
    set(object, "merge_logs", json_boolean(settings->merge_logs));
    set(object, "treekill", json_boolean(settings->treekill));
    set(object, "vizion", json_true());
    set(object, "pmx", json_true());
    set(object, "automation", json_true());
}

static json_t *health_of(const struct settings_health *health) {
    return json_pack("{s:s, s:o, s:I, s:I, s:I}", "path", health->path, "port",
                     health->port ? json_integer(health->port) : json_null(), "interval_ms",
                     (json_int_t)health->interval_ms, "timeout_ms", (json_int_t)health->timeout_ms,
                     "failures", (json_int_t)health->failures);
}

/* What only some apps have. */
static void add_rules(json_t *object, const struct settings *settings) {
    if (settings->cron_restart)
        set(object, "cron_restart", json_string(settings->cron_restart));
    if (settings->max_memory > 0)
        set(object, "max_memory_restart", json_integer((json_int_t)settings->max_memory));
    if (settings->health.path)
        set(object, "health", health_of(&settings->health));
}

static const char *health_state(const struct health_check *check) {
    if (check->health.unhealthy)
        return "unhealthy";
    if (check->count == 0)
        return "unknown";
    return check->health.failed > 0 ? "failing" : "healthy";
}

/* What the checks of its worker, and of the one before, have said. */
static json_t *draw_health(const struct record_process *process) {
    const struct health_check *check = process->check;
    json_t *object = json_object();

    set(object, "state", json_string(check ? health_state(check) : "unknown"));
    set(object, "checks", json_integer(check ? (json_int_t)check->count : 0));
    set(object, "failed", json_integer(check ? check->health.failed : 0));
    set(object, "last", check && check->count > 0 ? json_string(check->last.reason) : NULL);
    set(object, "replaced", process->unhealthy[0] ? json_string(process->unhealthy) : NULL);
    return object;
}

static json_t *draw_environment(const struct record *record, uint32_t slot,
                                const struct app_slot_status *status, bool environment) {
    json_t *object = json_object();
    char path[HOME_FILE_MAX];

    add_settings(object, record->settings);
    add_rules(object, record->settings);
    if (environment)
        set(object, "env", environment_of(record->settings));
    set(object, "unique_id", json_string(record->processes[slot].unique_id));
    set(object, "status", json_string(app_status_name(status->status)));
    set(object, "pm_id", json_integer(record->processes[slot].pm_id));
    set(object, record->settings->instance_var, json_integer(slot));
    set(object, "restart_time", json_integer(status->restart_time));
    set(object, "unstable_restarts", json_integer(status->unstable_restarts));
    set(object, "created_at", json_integer(status->created_ms));
    set(object, "pm_uptime", json_integer(status->up_ms));
    set(object, "exit_code", json_integer(status->exit_code));
    set(object, "version", json_string(record->version ? record->version : "N/A"));
    set(object, "username", json_string(record->user));
    set_path(object, "pm_out_log_path", record, slot, APP_LOG_OUT);
    set_path(object, "pm_err_log_path", record, slot, APP_LOG_ERROR);
    set_path(object, "pm_log_path", record, slot, APP_LOG_COMBINED);
    if (record->settings->pid_file)
        set(object, "pm_pid_path", json_string(record->settings->pid_file));
    else if (home_pid_path(record->options.home, record->settings->name,
                           record->processes[slot].pm_id, path, sizeof path) == 0)
        set(object, "pm_pid_path", json_string(path));
    return object;
}

static json_t *draw_listeners(const struct app *app) {
    json_t *array = json_array();

    LIST_EACH(node, following, &app->listeners.listeners) {
        const struct listener *listener = LIST_ENTRY(node, struct listener, in_set);
        char address[ADDRESS_TEXT_MAX];

        listener_describe(listener, address);
        json_array_append_new(array, json_pack("{s:s, s:I, s:I}", "address", address, "accepted",
                                               (json_int_t)listener->accepted_total, "waiting",
                                               (json_int_t)listener->dispatcher.waiting_count));
    }
    return array;
}

static const char *kind_of(const struct settings *settings) {
    switch (settings->intercept) {
    case SETTINGS_INTERCEPT_NODE:
        return "node";
    case SETTINGS_INTERCEPT_NODE_FAST:
        return "node-fast";
    case SETTINGS_INTERCEPT_PRELOAD:
        return "preload";
    case SETTINGS_INTERCEPT_SECCOMP:
        return "seccomp";
    case SETTINGS_INTERCEPT_LISTEN_FDS:
        return "listen-fds";
    case SETTINGS_INTERCEPT_NATIVE:
        return "native";
    case SETTINGS_INTERCEPT_AUTO:
    case SETTINGS_INTERCEPT_NONE:
        break;
    }
    return "none";
}

static json_t *draw_own(const struct record *record, uint32_t slot,
                        const struct app_slot_status *status) {
    const struct child_counts *counts = &status->counts;
    json_t *object = json_pack(
        "{s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "app", record->settings->name,
        "slot", (json_int_t)slot, "kind", kind_of(record->settings), "policy",
        record->settings->policy, "window", (json_int_t)record->settings->window, "handed",
        (json_int_t)counts->handed, "acknowledged", (json_int_t)counts->acknowledged, "refused",
        (json_int_t)counts->refused, "returned", (json_int_t)counts->returned, "waiting",
        (json_int_t)counts->waiting, "stuck", (json_int_t)status->stuck);

    set(object, "open", counts->open >= 0 ? json_integer(counts->open) : NULL);
    set(object, "reason", status->reason[0] ? json_string(status->reason) : NULL);
    set(object, "exit_signal", status->ended ? json_integer(status->exit_signal) : NULL);
    set(object, "max_log_size", json_integer((json_int_t)record->settings->max_log_size));
    set(object, "log_keep", json_integer(record->settings->log_keep));
    set(object, "listeners", draw_listeners(record->app));
    if (record->settings->health.path)
        set(object, "health", draw_health(&record->processes[slot]));
    return object;
}

json_t *process_json(const struct record *record, uint32_t slot, bool environment) {
    struct app_slot_status status;
    uint32_t pm_id;

    if (!record_pm_id(record, slot, &pm_id) || app_slot_status(record->app, slot, &status) < 0)
        return NULL;
    return json_pack("{s:i, s:s, s:I, s:{s:I, s:f}, s:o, s:o}", "pid", (int)status.pid, "name",
                     record->settings->name, "pm_id", (json_int_t)pm_id, "monit", "memory",
                     (json_int_t)status.memory, "cpu", status.cpu_percent, "pm2_env",
                     draw_environment(record, slot, &status, environment), "baton",
                     draw_own(record, slot, &status));
}

json_t *process_json_output(const struct record *record, uint32_t slot, pid_t pid) {
    json_t *lines = json_array();
    struct buffer text;

    buffer_init(&text);
    if (app_log_last_lines(&record->log, slot, pid, &text) == 0) {
        const char *rest = buffer_data(&text);
        size_t length = buffer_length(&text);
        const char *newline;

        while (length > 0 && (newline = memchr(rest, '\n', length))) {
            json_array_append_new(lines, json_stringn(rest, (size_t)(newline - rest)));
            length -= (size_t)(newline - rest) + 1;
            rest = newline + 1;
        }
    }
    buffer_clear(&text);
    return lines;
}
