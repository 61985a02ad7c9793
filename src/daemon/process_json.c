#include "daemon/process_json.h"

#include "base/json_read.h"
#include "config/program.h"
#include "daemon/home.h"

#include <stdio.h>
#include <string.h>

/* What is written of one process. */
struct drawn {
    const struct record *record;
    const struct settings *settings;
    uint32_t slot;
    uint32_t pm_id;
    struct app_slot_status status;
    enum process_detail detail;
};

static void add_texts(struct json_text *text, const char *name, const struct text_list *list) {
    json_text_open(text, name, '[');
    for (size_t i = 0; i < list->count; i++)
        json_text_string(text, NULL, list->items[i]);
    json_text_close(text, ']');
}

/* Without those that are in `others`, too, which is NULL or goes before. */
static void add_variables(struct json_text *text, const struct text_list *list,
                          const struct text_list *others) {
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        size_t length = equals ? (size_t)(equals - list->items[i]) : 0;
        char name[256];

        if (!equals || length >= sizeof name)
            continue;
        memcpy(name, list->items[i], length);
        name[length] = '\0';
        if (!others || !text_list_variable(others, name))
            json_text_string(text, name, equals + 1);
    }
}

static void add_environment(struct json_text *text, const struct settings *settings) {
    json_text_open(text, "env", '{');
    add_variables(text, &settings->environment, &settings->env);
    add_variables(text, &settings->env, NULL);
    json_text_close(text, '}');
}

static void add_path(struct json_text *text, const char *name, const struct drawn *drawn,
                     enum log_path_kind kind) {
    char path[PATH_MAX];

    record_log_path(drawn->record, drawn->slot, kind, path);
    json_text_string(text, name, path[0] ? path : NULL);
}

static void add_pid_path(struct json_text *text, const struct drawn *drawn) {
    const char *given = drawn->settings->pid_file;
    char path[HOME_FILE_MAX];

    if (given || home_pid_path(drawn->record->options.home, drawn->settings->name, drawn->pm_id,
                               path, sizeof path) == 0)
        json_text_string(text, "pm_pid_path", given ? given : path);
}

static void add_paths(struct json_text *text, const struct drawn *drawn) {
    add_path(text, "pm_out_log_path", drawn, LOG_PATH_OUT);
    add_path(text, "pm_err_log_path", drawn, LOG_PATH_ERROR);
    add_path(text, "pm_log_path", drawn, LOG_PATH_COMBINED);
    add_pid_path(text, drawn);
}

static void add_settings(struct json_text *text, const struct settings *settings) {
    json_text_string(text, "name", settings->name);
    json_text_integer(text, "instances", settings->instances);
    json_text_string(text, "pm_exec_path", settings->script);
    json_text_string(text, "pm_cwd", settings->cwd);
    add_texts(text, "args", &settings->args);
    add_texts(text, "node_args", &settings->interpreter_args);
    json_text_string(text, "exec_interpreter", settings->interpreter_name);
    json_text_boolean(text, "autorestart", settings->autorestart);
    json_text_boolean(text, "merge_logs", settings->merge_logs);
    json_text_boolean(text, "treekill", settings->treekill);
    json_text_boolean(text, "vizion", true);
    json_text_boolean(text, "pmx", true);
    json_text_boolean(text, "automation", true);
}

/* What only some apps have. */
static void add_rules(struct json_text *text, const struct settings *settings) {
    const struct settings_health *health = &settings->health;

    if (settings->cron_restart)
        json_text_string(text, "cron_restart", settings->cron_restart);
    if (settings->max_memory > 0)
        json_text_integer(text, "max_memory_restart", (int64_t)settings->max_memory);
    if (!health->path)
        return;
    json_text_open(text, "health", '{');
    json_text_string(text, "path", health->path);
    if (health->port)
        json_text_integer(text, "port", health->port);
    else
        json_text_null(text, "port");
    json_text_integer(text, "interval_ms", (int64_t)health->interval_ms);
    json_text_integer(text, "timeout_ms", (int64_t)health->timeout_ms);
    json_text_integer(text, "failures", (int64_t)health->failures);
    json_text_close(text, '}');
}

static void add_more(struct json_text *text, const struct drawn *drawn) {
    add_settings(text, drawn->settings);
    add_rules(text, drawn->settings);
    if (drawn->detail == PROCESS_WHOLE)
        add_environment(text, drawn->settings);
    json_text_string(text, "unique_id", drawn->record->processes[drawn->slot].unique_id);
    json_text_integer(text, "pm_id", drawn->pm_id);
    json_text_integer(text, drawn->settings->instance_var, drawn->slot);
    if (drawn->record->node_version)
        json_text_string(text, "node_version", drawn->record->node_version);
    json_text_integer(text, "unstable_restarts", drawn->status.unstable_restarts);
    json_text_integer(text, "created_at", drawn->status.created_ms);
    json_text_integer(text, "exit_code", drawn->status.exit_code);
    add_paths(text, drawn);
}

static void add_pm2(struct json_text *text, const struct drawn *drawn) {
    const struct settings *settings = drawn->settings;
    bool fork = settings->intercept == SETTINGS_INTERCEPT_NONE;

    json_text_open(text, "pm2_env", '{');
    if (drawn->detail != PROCESS_BRIEF)
        add_more(text, drawn);
    json_text_string(text, "namespace", settings->namespace);
    json_text_string(text, "exec_mode", fork ? "fork_mode" : "cluster_mode");
    if (settings->watch_paths.count > 0)
        add_texts(text, "watch", &settings->watch_paths);
    else
        json_text_boolean(text, "watch", settings->watch);
    json_text_string(text, "status", app_status_name(drawn->status.status));
    json_text_integer(text, "restart_time", drawn->status.restart_time);
    json_text_integer(text, "pm_uptime", drawn->status.up_ms);
    json_text_string(text, "version", drawn->record->version ? drawn->record->version : "N/A");
    json_text_string(text, "username", drawn->record->user);
    json_text_close(text, '}');
}

static void add_listeners(struct json_text *text, const struct app *app) {
    json_text_open(text, "listeners", '[');
    LIST_EACH(node, following, &app->listeners.listeners) {
        const struct listener *listener = LIST_ENTRY(node, struct listener, in_set);
        char address[ADDRESS_TEXT_MAX];

        listener_describe(listener, address);
        json_text_open(text, NULL, '{');
        json_text_string(text, "address", address);
        json_text_integer(text, "accepted", (int64_t)listener->accepted_total);
        json_text_integer(text, "waiting", (int64_t)listener->dispatcher.waiting_count);
        json_text_close(text, '}');
    }
    json_text_close(text, ']');
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

static const char *health_state(const struct health_check *check) {
    if (check->health.unhealthy)
        return "unhealthy";
    if (check->count == 0)
        return "unknown";
    return check->health.failed > 0 ? "failing" : "healthy";
}

/* What the checks of its worker, and of the one before, have said. */
static void add_health(struct json_text *text, const struct record_process *process) {
    const struct health_check *check = process->check;

    json_text_open(text, "health", '{');
    json_text_string(text, "state", check ? health_state(check) : "unknown");
    json_text_integer(text, "checks", check ? (int64_t)check->count : 0);
    json_text_integer(text, "failed", check ? check->health.failed : 0);
    json_text_string(text, "last", check && check->count > 0 ? check->last.reason : NULL);
    json_text_string(text, "replaced", process->unhealthy[0] ? process->unhealthy : NULL);
    json_text_close(text, '}');
}

static void add_own_more(struct json_text *text, const struct drawn *drawn) {
    const struct child_counts *counts = &drawn->status.counts;

    json_text_string(text, "app", drawn->settings->name);
    json_text_string(text, "kind", kind_of(drawn->settings));
    json_text_string(text, "policy", drawn->settings->policy);
    json_text_integer(text, "window", drawn->settings->window);
    json_text_integer(text, "handed", (int64_t)counts->handed);
    json_text_integer(text, "acknowledged", (int64_t)counts->acknowledged);
    json_text_integer(text, "refused", (int64_t)counts->refused);
    json_text_integer(text, "returned", (int64_t)counts->returned);
    json_text_integer(text, "stuck", (int64_t)drawn->status.stuck);
    json_text_string(text, "reason", drawn->status.reason[0] ? drawn->status.reason : NULL);
    if (drawn->status.ended)
        json_text_integer(text, "exit_signal", drawn->status.exit_signal);
    else
        json_text_null(text, "exit_signal");
    json_text_integer(text, "max_log_size", (int64_t)drawn->settings->max_log_size);
    json_text_integer(text, "log_keep", drawn->settings->log_keep);
    add_listeners(text, drawn->record->app);
    if (drawn->settings->health.path)
        add_health(text, &drawn->record->processes[drawn->slot]);
}

static void add_own(struct json_text *text, const struct drawn *drawn) {
    const struct child_counts *counts = &drawn->status.counts;

    json_text_open(text, "baton", '{');
    if (drawn->detail != PROCESS_BRIEF)
        add_own_more(text, drawn);
    json_text_integer(text, "slot", drawn->slot);
    json_text_integer(text, "waiting", (int64_t)counts->waiting);
    if (counts->open >= 0)
        json_text_integer(text, "open", (int64_t)counts->open);
    else
        json_text_null(text, "open");
    json_text_close(text, '}');
}

static void add_process(struct json_text *text, const struct drawn *drawn) {
    json_text_open(text, NULL, '{');
    json_text_integer(text, "pid", drawn->status.pid);
    json_text_string(text, "name", drawn->settings->name);
    json_text_integer(text, "pm_id", drawn->pm_id);
    json_text_open(text, "monit", '{');
    json_text_integer(text, "memory", (int64_t)drawn->status.memory);
    json_text_hundredths(text, "cpu", drawn->status.cpu_percent);
    json_text_close(text, '}');
    add_pm2(text, drawn);
    add_own(text, drawn);
    json_text_close(text, '}');
}

void process_json_write(struct json_text *text, const struct record *record, uint32_t slot,
                        enum process_detail detail) {
    struct drawn drawn = {
        .record = record, .settings = record->settings, .slot = slot, .detail = detail};

    if (record_pm_id(record, slot, &drawn.pm_id) &&
        app_slot_status(record->app, slot, &drawn.status) == 0)
        add_process(text, &drawn);
}

json_t *process_json(const struct record *record, uint32_t slot) {
    struct buffer out;
    struct json_text text;
    json_t *process = NULL;

    buffer_init(&out);
    json_text_init(&text, &out);
    process_json_write(&text, record, slot, PROCESS_USUAL);
    if (json_text_result(&text) == 0 && buffer_length(&out) > 0)
        process = json_read(buffer_data(&out), buffer_length(&out), 0, NULL);
    buffer_clear(&out);
    return process;
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
