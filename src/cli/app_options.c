#include "cli/app_options.h"

#include "cli/flags.h"
#include "config/attribute.h"
#include "config/settings.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define NAME_MAX_LENGTH 64

/* Whether the attribute takes this value, as the daemon would find out later. */
static int check(const char *attribute, const json_t *value) {
    char error[SETTINGS_ERROR_MAX];
    struct settings settings;
    int result;

    settings_init(&settings);
    result = attribute_apply_one(&settings, attribute, value, error);
    settings_clear(&settings);
    return result;
}

/* Steals `value`; NULL: a text that is no UTF-8. */
static int set(void *target, const char *attribute, json_t *value) {
    int result = value ? check(attribute, value) : UV_EINVAL;

    if (result == 0 && json_object_set(((struct cli_flags *)target)->app, attribute, value) < 0)
        result = UV_ENOMEM;
    json_decref(value);
    return result;
}

/* Adds to the list that earlier uses of the same flag have begun. */
static int add(void *target, const char *attribute, const char *value) {
    json_t *app = ((struct cli_flags *)target)->app;
    json_t *list = json_object_get(app, attribute);

    if (!list && json_object_set_new(app, attribute, json_array()) < 0)
        return UV_ENOMEM;
    list = json_object_get(app, attribute);
    return json_array_append_new(list, json_string(value)) < 0 ? UV_EINVAL : check(attribute, list);
}

/* "max-restarts" to "max_restarts", "no-treekill" to "treekill". */
static const char *attribute_of(const struct cli_option *option, char name[NAME_MAX_LENGTH]) {
    bool negated = !option->value && strncmp(option->name, "no-", 3) == 0;

    snprintf(name, NAME_MAX_LENGTH, "%s", option->name + (negated ? 3 : 0));
    for (char *at = name; *at; at++)
        if (*at == '-')
            *at = '_';
    return attribute_canonical_name(name);
}

int app_options_apply(void *target, const struct cli_option *option, const char *value) {
    char name[NAME_MAX_LENGTH];
    const char *attribute = attribute_of(option, name);

    if (!attribute)
        return UV_EINVAL;
    if (value)
        return set(target, attribute, json_string(value));
    return set(target, attribute, json_boolean(strncmp(option->name, "no-", 3) != 0));
}

static int set_fork(void *target, const char *value) {
    (void)value;
    return set(target, "exec_mode", json_string("fork"));
}

static int add_private_port(void *target, const char *value) {
    return add(target, "private_ports", value);
}

static int add_filter_env(void *target, const char *value) {
    return value[0] ? add(target, "filter_env", value) : UV_EINVAL; /* "" would be all of them */
}

/* Words behind those that are there. */
static int add_interpreter_args(void *target, const char *value) {
    const char *before =
        json_string_value(json_object_get(((struct cli_flags *)target)->app, "interpreter_args"));

    return set(target, "interpreter_args",
               before ? json_sprintf("%s %s", before, value) : json_string(value));
}

static int ignore(void *target, const char *value) {
    (void)target;
    (void)value;
    return 0;
}

#define A_TIME "a time such as 1500, 1500ms, 1.5s, 2m or 1h"
#define A_FILE "a file's name, or NULL for none"

const struct cli_option app_options[] = {
    {"name", 'n', "NAME", "a name", "the app's name (the script's, without its ending)", NULL},
    {"namespace", 0, "NAME", "a name", "apps of one namespace can be meant together (default)",
     NULL},
    {"instances", 'i', "N", "a number, 0 or 'max' for one per CPU, or -K for K fewer",
     "how many processes (1)", NULL},
    {"fork", 'x', NULL, NULL, "supervise only; the program listens by itself", set_fork},
    {"cwd", 0, "DIR", "a directory", "where it runs (here)", NULL},
    {"interpreter", 0, "BIN", "a program or 'none'", "what runs the script (by its ending)", NULL},
    {"interpreter-args", 0, "ARGS", "arguments", "for the interpreter", add_interpreter_args},
    {"node-args", 0, "ARGS", "arguments", "the same", add_interpreter_args},
    {"uid", 0, "USER", "a user's name or number", "that it runs as", NULL},
    {"gid", 0, "GROUP", "a group's name or number", "that it runs as", NULL},
    {"filter-env", 0, "PREFIX", "the beginning of names", "variables that it does not get",
     add_filter_env},
    {"policy", 0, "NAME[:ARG]", "a policy", "who gets the next client (node)", NULL},
    {"window", 0, "K", "a number from 1 to 1024", "un-acknowledged clients a process may hold",
     NULL},
    {"intercept", 0, "KIND", "auto, node, node-fast, preload, seccomp, listen-fds, native or none",
     "how processes get clients (auto)", NULL},
    {"private-port", 0, "PORT", "a port from 1 to 65535",
     "each process binds this one for itself; may be repeated", add_private_port},
    {"listen", 0, "ADDRESS", "[HOST:]PORT or a path",
     "what they inherit with --intercept listen-fds", NULL},
    {"output", 'o', "FILE", A_FILE, "where standard output goes", NULL},
    {"error", 'e', "FILE", A_FILE, "where standard error goes", NULL},
    {"log", 'l', "FILE", A_FILE, "where both go, besides", NULL},
    {"merge-logs", 0, NULL, NULL, "one file for all processes of the app", NULL},
    {"time", 0, NULL, NULL, "a time before each line of the log", NULL},
    {"log-date-format", 0, "FORMAT", "a format such as 'YYYY-MM-DD HH:mm:ss'", "its form", NULL},
    {"log-type", 0, "TYPE", "json or raw", "json: each line as an object", NULL},
    {"disable-logs", 0, NULL, NULL, "no log files", NULL},
    {"max-log-size", 0, "SIZE", "a size such as 10M", "of a log file before it is rotated", NULL},
    {"log-keep", 0, "N", "a number from 0 to 1000", "rotated files that are kept", NULL},
    {"watch", 0, "(PATHS)", "paths", "restart when a file changes", NULL},
    {"ignore-watch", 0, "PATHS", "paths", "that do not count", NULL},
    {"watch-delay", 0, "MS", A_TIME, "from a change to the restart", NULL},
    {"max-memory-restart", 0, "SIZE", "a size such as 200M", "replace a process that uses more",
     NULL},
    {"cron-restart", 'c', "EXPRESSION", "a cron expression such as '0 4 * * *'",
     "restart at these times", NULL},
    {"max-restarts", 0, "N", "a number of 0 or more", "early ends in a row before giving up (16)",
     NULL},
    {"min-uptime", 0, "MS", A_TIME, "what ends sooner has ended early (1000)", NULL},
    {"restart-delay", 0, "MS", A_TIME, "before every restart (0)", NULL},
    {"exp-backoff-restart-delay", 0, "MS", A_TIME,
     "first delay after early ends; grows by half to 15 s", NULL},
    {"no-autostart", 0, NULL, NULL, "known, but not started", NULL},
    {"no-autorestart", 0, NULL, NULL, "do not start it again", NULL},
    {"stop-exit-codes", 0, "CODES", "codes from 0 to 255, e.g. 0,42",
     "after one of these it is not started again", NULL},
    {"wait-ready", 0, NULL, NULL, "no clients before it has sent 'ready'", NULL},
    {"listen-timeout", 0, "MS", "a time above 0", "to listen or be ready (3000)", NULL},
    {"drain-timeout", 0, "MS", A_TIME, "for open connections before it is stopped (8000)", NULL},
    {"kill-timeout", 'k', "MS", A_TIME, "from its stop signal to SIGKILL (1600)", NULL},
    {"shutdown-with-message", 0, NULL, NULL, "send 'shutdown' to a Node program that is to end",
     NULL},
    {"no-treekill", 0, NULL, NULL, "leave the programs alone that it has started", NULL},
    {"slow-after", 0, "MS", "a time above 0",
     "a client untaken this long: none more for that process", NULL},
    {"kill-stuck-after", 0, "MS", A_TIME, "… and this long: it is killed; 0 never", NULL},
    {"pid", 'p', "FILE", "a file's name", "where its process number is written", NULL},
    {"execute-command", 0, NULL, NULL, NULL, set_fork},
    {"cron", 0, "EXPRESSION", "a cron expression such as '0 4 * * *'", NULL, NULL},
    {"source-map-support", 0, NULL, NULL, NULL, ignore},
    {"disable-source-map-support", 0, NULL, NULL, NULL, ignore},
    {"no-vizion", 0, NULL, NULL, NULL, ignore},
    {"no-pmx", 0, NULL, NULL, NULL, ignore},
    {"no-automation", 0, NULL, NULL, NULL, ignore},
    {"trace", 0, NULL, NULL, NULL, ignore},
    {"disable-trace", 0, NULL, NULL, NULL, ignore},
    {"deep-monitoring", 0, NULL, NULL, NULL, ignore},
    {"v8", 0, NULL, NULL, NULL, ignore},
    {"event-loop-inspector", 0, NULL, NULL, NULL, ignore},
    {"write", 'w', NULL, NULL, NULL, ignore},
    {NULL, 0, NULL, NULL, NULL, NULL},
};
