#include "master/environment.h"

#include "ipc/native_protocol.h"
#include "master/spawn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* What a parent of ours may have left that would make a worker talk to it instead of us, and what
 * we set ourselves. */
static const char *const replaced[] = {"NODE_CHANNEL_FD",     "NODE_CHANNEL_SERIALIZATION_MODE",
                                       "NODE_UNIQUE_ID",      NATIVE_SOCKET_VARIABLE,
                                       NATIVE_TOKEN_VARIABLE, NATIVE_SLOT_VARIABLE,
                                       "NODE_APP_INSTANCE",   "LISTEN_FDS",
                                       "LISTEN_PID",          "LISTEN_FDNAMES"};

static bool names(const char *variable, const char *name) {
    size_t length = strlen(name);

    return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

static bool is_wanted(const struct environment_options *options, const char *variable) {
    const struct settings *settings = options->settings;

    if (options->preload && names(variable, "LD_PRELOAD"))
        return false;
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (names(variable, replaced[i]))
            return false;
    for (size_t i = 0; i < settings->filter_env.count; i++)
        if (strncmp(variable, settings->filter_env.items[i],
                    strlen(settings->filter_env.items[i])) == 0)
            return false;
    return true;
}

static int add(struct text_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int add(struct text_list *list, const char *format, ...) {
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text_list_add(list, text);
}

static int add_own(struct text_list *list, const struct environment_options *options) {
    int result = add(list, "%s=%s", NATIVE_SOCKET_VARIABLE, options->socket_name);

    if (result == 0)
        result = add(list, "%s=%s", NATIVE_TOKEN_VARIABLE, options->token);
    if (result == 0)
        result = add(list, "%s=%u", NATIVE_SLOT_VARIABLE, options->slot);
    if (result == 0)
        result = add(list, "NODE_APP_INSTANCE=%u", options->slot);
    if (result == 0 && options->inherits_listener)
        result = add(list, "LISTEN_FDS=1");
    if (result == 0 && options->inherits_listener)
        result = add(list, ENVIRONMENT_LISTEN_PID "%*s", ENVIRONMENT_PID_ROOM, "");
    if (result < 0 || !options->node_channel)
        return result;
    result = add(list, "NODE_CHANNEL_FD=%d", SPAWN_CHANNEL_DESCRIPTOR);
    if (result == 0)
        result = add(list, "NODE_CHANNEL_SERIALIZATION_MODE=json");
    if (result == 0)
        result = add(list, "NODE_UNIQUE_ID=%llu", (unsigned long long)options->serial);
    return result;
}

/* A path is longer than what add() has room for. */
static int add_preload(struct text_list *list, const char *library) {
    const char *others = getenv("LD_PRELOAD");
    bool has_others = others && others[0];
    char *variable;
    int result;

    if (asprintf(&variable, "LD_PRELOAD=%s%s%s", has_others ? others : "", has_others ? ":" : "",
                 library) < 0)
        return UV_ENOMEM;
    result = text_list_add(list, variable);
    free(variable);
    return result;
}

int environment_create(struct text_list *ret_list, const struct environment_options *options) {
    struct text_list list = {.items = NULL};
    int result = 0;

    for (char **variable = environ; *variable && result == 0; variable++)
        if (is_wanted(options, *variable))
            result = text_list_add(&list, *variable);
    if (result == 0)
        result = add_own(&list, options);
    if (result == 0 && options->preload)
        result = add_preload(&list, options->preload);
    if (result < 0) {
        text_list_clear(&list);
        return result;
    }
    *ret_list = list;
    return 0;
}
