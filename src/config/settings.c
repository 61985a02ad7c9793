#include "config/settings.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char *const intercept_names[] = {
    [SETTINGS_INTERCEPT_AUTO] = "auto",           [SETTINGS_INTERCEPT_NODE] = "node",
    [SETTINGS_INTERCEPT_NODE_FAST] = "node-fast", [SETTINGS_INTERCEPT_PRELOAD] = "preload",
    [SETTINGS_INTERCEPT_SECCOMP] = "seccomp",     [SETTINGS_INTERCEPT_LISTEN_FDS] = "listen-fds",
    [SETTINGS_INTERCEPT_NATIVE] = "native",       [SETTINGS_INTERCEPT_NONE] = "none",
};

int settings_intercept_by_name(const char *name, enum settings_intercept *ret_intercept) {
    for (size_t i = 0; i < sizeof intercept_names / sizeof intercept_names[0]; i++) {
        if (strcmp(intercept_names[i], name) != 0)
            continue;
        *ret_intercept = (enum settings_intercept)i;
        return 0;
    }
    return UV_EINVAL;
}

const char *settings_intercept_name(enum settings_intercept intercept) {
    return intercept_names[intercept];
}

int text_list_add(struct text_list *list, const char *text) {
    char **items = realloc(list->items, (list->count + 2) * sizeof *items);

    if (!items)
        return UV_ENOMEM;
    list->items = items;
    items[list->count] = strdup(text);
    items[list->count + 1] = NULL;
    if (!items[list->count])
        return UV_ENOMEM;
    list->count++;
    return 0;
}

static char **find_variable(const struct text_list *list, const char *name) {
    size_t length = strlen(name);

    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->items[i], name, length) == 0 && list->items[i][length] == '=')
            return &list->items[i];
    return NULL;
}

int text_list_set_variable(struct text_list *list, const char *name, const char *value) {
    char **place = find_variable(list, name);
    char *text;
    int result = 0;

    if (asprintf(&text, "%s=%s", name, value) < 0)
        return UV_ENOMEM;
    if (!place) {
        result = text_list_add(list, text);
        free(text);
        return result;
    }
    free(*place);
    *place = text;
    return 0;
}

const char *text_list_variable(const struct text_list *list, const char *name) {
    char **place = find_variable(list, name);

    return place ? *place + strlen(name) + 1 : NULL;
}

void text_list_clear(struct text_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){.items = NULL};
}

int settings_set_text(char **field, const char *text) {
    char *copy = strdup(text);

    if (!copy)
        return UV_ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

void settings_init(struct settings *settings) {
    *settings = (struct settings){
        .min_uptime_ms = 1000,
        .max_restarts = 16,
        .backoff_ms = 50,
        .autorestart = true,
        .autostart = true,
        .treekill = true,
        .health = {.interval_ms = 10000, .timeout_ms = 5000, .failures = 3},
        .max_log_size = 10 * 1024 * 1024,
        .log_keep = 10,
        .listen_timeout_ms = 3000,
        .drain_timeout_ms = 8000,
        .kill_signal = SIGINT,
        .kill_timeout_ms = 1600,
        .kill_stuck_after_ms = SETTINGS_BY_KIND,
    };
}

void settings_clear(struct settings *settings) {
    char *const texts[] = {
        settings->script,
        settings->name,
        settings->interpreter,
        settings->interpreter_name,
        settings->cwd,
        settings->namespace,
        settings->listen,
        settings->policy,
        settings->instance_var,
        settings->increment_var,
        settings->cron_restart,
        settings->health.path,
        settings->uid,
        settings->gid,
        settings->out_file,
        settings->error_file,
        settings->log_file,
        settings->pid_file,
        settings->log_date_format,
    };
    struct text_list *const lists[] = {
        &settings->args,        &settings->interpreter_args, &settings->environment,
        &settings->env,         &settings->filter_env,       &settings->depends_on,
        &settings->watch_paths, &settings->ignore_watch,
    };
    unsigned references = settings->references;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        text_list_clear(lists[i]);
    settings_init(settings);
    settings->references = references;
}

struct settings *settings_create(void) {
    struct settings *settings = malloc(sizeof *settings);

    if (!settings)
        return NULL;
    settings_init(settings);
    settings->references = 1;
    return settings;
}

struct settings *settings_ref(struct settings *settings) {
    settings->references++;
    return settings;
}

void settings_unref(struct settings *settings) {
    if (!settings || --settings->references > 0)
        return;
    settings_clear(settings);
    free(settings);
}

char **settings_command(const struct settings *settings) {
    bool interpreted = settings->interpreter && strcmp(settings->interpreter, "none") != 0;
    size_t most = settings->interpreter_args.count + settings->args.count + 3;
    char **command = calloc(most, sizeof *command);
    size_t count = 0;

    if (!command)
        return NULL;
    if (interpreted) {
        command[count++] = settings->interpreter;
        for (size_t i = 0; i < settings->interpreter_args.count; i++)
            command[count++] = settings->interpreter_args.items[i];
    }
    command[count++] = settings->script;
    for (size_t i = 0; i < settings->args.count; i++)
        command[count++] = settings->args.items[i];
    return command;
}
