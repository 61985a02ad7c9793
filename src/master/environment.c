#include "master/environment.h"

#include "base/text.h"
#include "ipc/native_protocol.h"
#include "master/spawn.h"

#include <inttypes.h>
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
                                       "LISTEN_FDS",          "LISTEN_PID",
                                       "LISTEN_FDNAMES"};

/* What a service manager has told one process, and is meant for no other: of whoever asked, or of
 * us. */
static const char *const not_inherited[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                            "SYSTEMD_EXEC_PID"};

static bool names(const char *variable, const char *name) {
    size_t length = strlen(name);

    return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

static bool is_replaced(const char *variable) {
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (names(variable, replaced[i]))
            return true;
    return false;
}

static bool is_inherited(const char *variable) {
    for (size_t i = 0; i < sizeof not_inherited / sizeof not_inherited[0]; i++)
        if (names(variable, not_inherited[i]))
            return false;
    return !is_replaced(variable);
}

static bool is_filtered(const struct settings *settings, const char *variable) {
    for (size_t i = 0; i < settings->filter_env.count; i++)
        if (strncmp(variable, settings->filter_env.items[i],
                    strlen(settings->filter_env.items[i])) == 0)
            return true;
    return false;
}

/* An empty environment is one, too; but nobody has none at all. */
static char **base_of(const struct settings *settings) {
    return settings->environment.count > 0 ? settings->environment.items : environ;
}

static int add_base(struct text_list *list, const struct settings *settings) {
    int result = 0;

    for (char **variable = base_of(settings); *variable && result == 0; variable++)
        if (is_inherited(*variable) && !is_filtered(settings, *variable))
            result = text_list_add(list, *variable);
    return result;
}

static int set_text(struct text_list *list, const char *variable) {
    const char *equals = strchr(variable, '=');
    char *name;
    int result;

    if (!equals || is_replaced(variable))
        return 0;
    name = strndup(variable, (size_t)(equals - variable));
    if (!name)
        return UV_ENOMEM;
    result = text_list_set_variable(list, name, equals + 1);
    free(name);
    return result;
}

static int set_all(struct text_list *list, const struct text_list *variables) {
    int result = 0;

    for (size_t i = 0; variables && i < variables->count && result == 0; i++)
        result = set_text(list, variables->items[i]);
    return result;
}

static int set_number(struct text_list *list, const char *name, int64_t number) {
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, number);
    return text_list_set_variable(list, name, text);
}

/* What is not a number stays as it is. */
static int increment(struct text_list *list, const char *name, uint32_t slot) {
    const char *text = text_list_variable(list, name);
    int64_t number;

    if (!text || text_to_number(text, 0, INT32_MAX, &number) < 0)
        return 0;
    return set_number(list, name, number + slot);
}

static int add_settings(struct text_list *list, const struct environment_options *options) {
    const struct settings *settings = options->settings;
    const char *instance =
        settings->instance_var ? settings->instance_var : SETTINGS_DEFAULT_INSTANCE_VAR;
    int result = set_all(list, &settings->env);

    if (result == 0 && settings->port)
        result = set_number(list, "PORT", settings->port);
    if (result == 0 && settings->increment_var)
        result = increment(list, settings->increment_var, options->slot);
    if (result == 0)
        result = set_all(list, options->variables);
    if (result == 0)
        result = set_number(list, instance, options->slot);
    return result;
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
    if (result == 0 && options->inherits_listener)
        result = add(list, "LISTEN_FDS=1");
    if (result == 0 && options->inherits_listener)
        result = add(list, ENVIRONMENT_LISTEN_PID "%*s", ENVIRONMENT_PID_ROOM, "");
    if (result < 0 || !options->node_channel)
        return result;
    result = add(list, "NODE_CHANNEL_FD=%d", SPAWN_CHANNEL_DESCRIPTOR);
    if (result == 0)
        result = add(list, "NODE_CHANNEL_SERIALIZATION_MODE=json");
    if (result == 0 && !options->node_alone)
        result = add(list, "NODE_UNIQUE_ID=%llu", (unsigned long long)options->serial);
    return result;
}

/* Those that are there already see the program first. */
static int add_preload(struct text_list *list, const char *library) {
    const char *others = text_list_variable(list, "LD_PRELOAD");
    bool has_others = others && others[0];
    char *value;
    int result;

    if (asprintf(&value, "%s%s%s", has_others ? others : "", has_others ? ":" : "", library) < 0)
        return UV_ENOMEM;
    result = text_list_set_variable(list, "LD_PRELOAD", value);
    free(value);
    return result;
}

int environment_create(struct text_list *ret_list, const struct environment_options *options) {
    struct text_list list = {.items = NULL};
    int result = add_base(&list, options->settings);

    if (result == 0)
        result = add_settings(&list, options);
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
