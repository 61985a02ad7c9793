#include "config/settings.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

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
        .listen_timeout_ms = 3000,
        .drain_timeout_ms = 8000,
        .kill_timeout_ms = 1600,
        .kill_stuck_after_ms = SETTINGS_BY_KIND,
    };
}

void settings_clear(struct settings *settings) {
    free(settings->script);
    free(settings->name);
    free(settings->interpreter);
    free(settings->cwd);
    free(settings->listen);
    free(settings->policy);
    free(settings->uid);
    free(settings->gid);
    text_list_clear(&settings->args);
    text_list_clear(&settings->interpreter_args);
    text_list_clear(&settings->filter_env);
    settings_init(settings);
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
