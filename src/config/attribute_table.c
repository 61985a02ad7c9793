/* The table is at the end; before it is what becomes of the values. */
#include "config/attribute_table.h"

#include "base/text.h"
#include "config/attribute_value.h"
#include "config/cron.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define COUNT_MAX   1000000000
#define A_TIME      "a time such as 1500, \"1500ms\", \"1.5s\", \"2m\" or \"1h\""
#define A_SIZE      "a size such as 1048576 or \"200M\""
#define TRUE_FALSE  "true or false"
#define A_FILE      "a file's name"
#define WORDS       "a list of texts, or one text of several words"
#define LIST        "a list of texts, or one text"
#define FIELD(name) offsetof(struct settings, name)

/* ---- Fields of a plain type ---- */

static void *field_of(const struct attribute *attribute, struct settings *settings) {
    return (char *)settings + attribute->offset;
}

static int apply_text(const struct attribute *attribute, struct settings *settings,
                      const json_t *value) {
    char **field = field_of(attribute, settings);
    char *text;
    int result = attribute_value_text(value, &text);

    if (result < 0)
        return result;
    if (!text[0]) {
        free(text);
        return UV_EINVAL;
    }
    free(*field);
    *field = text;
    return 0;
}

/* A file for output: "NULL" is PM2's word for none. */
static int apply_output(const struct attribute *attribute, struct settings *settings,
                        const json_t *value) {
    char **field = field_of(attribute, settings);
    int result = apply_text(attribute, settings, value);

    if (result == 0 && strcmp(*field, "NULL") == 0)
        return settings_set_text(field, SETTINGS_NO_FILE);
    return result;
}

static int apply_bool(const struct attribute *attribute, struct settings *settings,
                      const json_t *value) {
    return attribute_value_bool(value, field_of(attribute, settings));
}

static int apply_count(const struct attribute *attribute, struct settings *settings,
                       const json_t *value) {
    uint32_t *field = field_of(attribute, settings);
    int64_t number;

    if (attribute_value_number(value, attribute->low, attribute->high, &number) < 0)
        return UV_EINVAL;
    *field = (uint32_t)number;
    return 0;
}

static int apply_port(const struct attribute *attribute, struct settings *settings,
                      const json_t *value) {
    uint16_t *field = field_of(attribute, settings);
    int64_t number;

    if (attribute_value_number(value, attribute->low, UINT16_MAX, &number) < 0)
        return UV_EINVAL;
    *field = (uint16_t)number;
    return 0;
}

static int apply_milliseconds(const struct attribute *attribute, struct settings *settings,
                              const json_t *value) {
    uint64_t milliseconds;

    if (attribute_value_milliseconds(value, &milliseconds) < 0 ||
        milliseconds < (uint64_t)attribute->low)
        return UV_EINVAL;
    *(uint64_t *)field_of(attribute, settings) = milliseconds;
    return 0;
}

static int apply_bytes(const struct attribute *attribute, struct settings *settings,
                       const json_t *value) {
    return attribute_value_bytes(value, field_of(attribute, settings));
}

static int apply_words(const struct attribute *attribute, struct settings *settings,
                       const json_t *value) {
    return attribute_value_words(value, field_of(attribute, settings));
}

static int apply_list(const struct attribute *attribute, struct settings *settings,
                      const json_t *value) {
    return attribute_value_list(value, field_of(attribute, settings));
}

/* ---- Those with rules of their own ---- */

static int apply_instances(const struct attribute *attribute, struct settings *settings,
                           const json_t *value) {
    const char *text = json_string_value(value);
    int64_t number = 0;

    if ((!text || strcmp(text, "max") != 0) &&
        attribute_value_number(value, attribute->low, attribute->high, &number) < 0)
        return UV_EINVAL;
    settings->instances_given = true;
    settings->instances = number > 0 ? (uint32_t)number : 0;
    settings->instances_less = number < 0 ? (int32_t)-number : 0;
    return 0;
}

static int apply_exec_mode(const struct attribute *attribute, struct settings *settings,
                           const json_t *value) {
    const char *text = json_string_value(value);
    bool fork = text && (strcmp(text, "fork") == 0 || strcmp(text, "fork_mode") == 0);
    bool cluster = text && (strcmp(text, "cluster") == 0 || strcmp(text, "cluster_mode") == 0);

    (void)attribute;
    if (!fork && !cluster)
        return UV_EINVAL;
    settings->fork_mode = fork;
    settings->mode_given = true;
    return 0;
}

static int apply_intercept(const struct attribute *attribute, struct settings *settings,
                           const json_t *value) {
    const char *text = json_string_value(value);

    (void)attribute;
    if (!text || settings_intercept_by_name(text, &settings->intercept) < 0)
        return UV_EINVAL;
    settings->mode_given = true;
    return 0;
}

static int apply_log_type(const struct attribute *attribute, struct settings *settings,
                          const json_t *value) {
    const char *text = json_string_value(value);
    bool json = text && strcmp(text, "json") == 0;

    (void)attribute;
    if (!json && (!text || strcmp(text, "raw") != 0))
        return UV_EINVAL;
    settings->log_type_json = json;
    return 0;
}

/* PM2's way to take a time back: `restart api --cron-restart 0`. */
static bool is_none(const json_t *value) {
    const char *text = json_string_value(value);

    return json_is_false(value) || (text && strcmp(text, "0") == 0) ||
           (json_is_integer(value) && json_integer_value(value) == 0);
}

static int apply_cron(const struct attribute *attribute, struct settings *settings,
                      const json_t *value) {
    const char *text = json_string_value(value);
    char ignored[CRON_ERROR_MAX];
    struct cron cron;

    if (is_none(value)) {
        free(settings->cron_restart);
        settings->cron_restart = NULL;
        return 0;
    }
    if (!text || cron_parse(&cron, text, ignored) < 0)
        return UV_EINVAL;
    return apply_text(attribute, settings, value);
}

static int apply_signal(const struct attribute *attribute, struct settings *settings,
                        const json_t *value) {
    const char *text = json_string_value(value);
    int64_t number;

    if (text)
        return text_to_signal(text, field_of(attribute, settings)) == 0 ? 0 : UV_EINVAL;
    if (attribute_value_number(value, 1, NSIG - 1, &number) < 0)
        return UV_EINVAL;
    *(int *)field_of(attribute, settings) = (int)number;
    return 0;
}

/* true, false, or the paths. */
static int apply_watch(const struct attribute *attribute, struct settings *settings,
                       const json_t *value) {
    int result;

    (void)attribute;
    if (attribute_value_bool(value, &settings->watch) == 0) {
        text_list_clear(&settings->watch_paths);
        return 0;
    }
    result = attribute_value_list(value, &settings->watch_paths);
    if (result == 0)
        settings->watch = settings->watch_paths.count > 0;
    return result;
}

/* true is all of them. */
static int apply_filter_env(const struct attribute *attribute, struct settings *settings,
                            const json_t *value) {
    struct text_list prefixes = {.items = NULL};
    bool all = false;
    int result;

    if (attribute_value_bool(value, &all) < 0)
        return apply_list(attribute, settings, value);
    result = all ? text_list_add(&prefixes, "") : 0;
    if (result < 0)
        return result;
    text_list_clear(&settings->filter_env);
    settings->filter_env = prefixes;
    return 0;
}

/* Numbers of a list. */
struct numbers {
    int64_t items[SETTINGS_PRIVATE_PORTS_MAX];
    size_t count;
};

/* A number by itself is a list of one, and so is a text of several with commas. */
static int read_texts(const json_t *value, struct text_list *texts) {
    char words[256];
    char *save = NULL;
    int result = 0;

    if (!json_is_string(value))
        return attribute_value_list(value, texts);
    if (snprintf(words, sizeof words, "%s", json_string_value(value)) >= (int)sizeof words)
        return UV_EINVAL;
    for (char *word = strtok_r(words, ", ", &save); word && result == 0;
         word = strtok_r(NULL, ", ", &save))
        result = text_list_add(texts, word);
    return result == 0 && texts->count == 0 ? UV_EINVAL : result;
}

static int read_numbers(const struct attribute *attribute, const json_t *value, size_t most,
                        struct numbers *ret_numbers) {
    struct text_list texts = {.items = NULL};
    int result = read_texts(value, &texts);

    if (texts.count > most)
        result = UV_EINVAL;
    ret_numbers->count = result == 0 ? texts.count : 0;
    for (size_t i = 0; i < ret_numbers->count; i++)
        if (text_to_number(texts.items[i], attribute->low, attribute->high,
                           &ret_numbers->items[i]) < 0)
            result = UV_EINVAL;
    text_list_clear(&texts);
    return result;
}

static int apply_stop_codes(const struct attribute *attribute, struct settings *settings,
                            const json_t *value) {
    struct numbers codes;
    int result = read_numbers(attribute, value, SETTINGS_STOP_CODES_MAX, &codes);

    if (result < 0)
        return result;
    for (size_t i = 0; i < codes.count; i++)
        settings->stop_codes[i] = (int)codes.items[i];
    settings->stop_code_count = codes.count;
    return 0;
}

static int apply_private_ports(const struct attribute *attribute, struct settings *settings,
                               const json_t *value) {
    struct numbers ports;
    int result = read_numbers(attribute, value, SETTINGS_PRIVATE_PORTS_MAX, &ports);

    if (result < 0)
        return result;
    for (size_t i = 0; i < ports.count; i++)
        settings->private_ports[i] = (uint16_t)ports.items[i];
    settings->private_port_count = ports.count;
    return 0;
}

/* ---- Variables ---- */

static int set_variable(struct text_list *list, const char *name, const json_t *value) {
    char *text;
    int result;

    if (!name[0] || strchr(name, '=') ||
        (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value)))
        return UV_EINVAL;
    if (json_is_null(value))
        return 0;
    result = attribute_value_variable(value, &text);
    if (result < 0)
        return result;
    result = text_list_set_variable(list, name, text);
    free(text);
    return result;
}

static int set_variables(struct text_list *list, const json_t *value) {
    const char *name;
    json_t *variable;
    int result = 0;

    if (!json_is_object(value))
        return UV_EINVAL;
    json_object_foreach(attribute_iterable(value), name, variable) {
        result = set_variable(list, name, variable);
        if (result < 0)
            break;
    }
    return result;
}

static int apply_env(const struct attribute *attribute, struct settings *settings,
                     const json_t *value) {
    (void)attribute;
    return set_variables(&settings->env, value);
}

static int apply_environment(const struct attribute *attribute, struct settings *settings,
                             const json_t *value) {
    (void)attribute;
    text_list_clear(&settings->environment);
    return set_variables(&settings->environment, value);
}

/* ---- Health ---- */

static const struct attribute health_table[] = {
    {"path", NULL, NULL, apply_text, FIELD(health.path), 0, 0},
    {"port", NULL, NULL, apply_port, FIELD(health.port), 1, 0},
    {"interval", NULL, NULL, apply_milliseconds, FIELD(health.interval_ms), 1, 0},
    {"timeout", NULL, NULL, apply_milliseconds, FIELD(health.timeout_ms), 1, 0},
    {"failures", NULL, NULL, apply_count, FIELD(health.failures), 1, 1000},
};

static int apply_health_field(struct settings *settings, const char *name, const json_t *value) {
    for (size_t i = 0; i < sizeof health_table / sizeof health_table[0]; i++)
        if (strcmp(health_table[i].name, name) == 0)
            return health_table[i].apply(&health_table[i], settings, value);
    return UV_EINVAL;
}

/* The path alone, or everything. */
static int apply_health(const struct attribute *attribute, struct settings *settings,
                        const json_t *value) {
    const json_t *path = json_is_string(value) ? value : json_object_get(value, "path");
    const char *name;
    json_t *field;
    int result = 0;

    (void)attribute;
    if (!json_is_string(path) || json_string_value(path)[0] != '/')
        return UV_EINVAL;
    if (json_is_string(value))
        return apply_health_field(settings, "path", value);
    json_object_foreach(attribute_iterable(value), name, field) {
        result = apply_health_field(settings, name, field);
        if (result < 0)
            break;
    }
    return result;
}

/* ---- The table ---- */

#define LOW  (-SETTINGS_INSTANCES_MAX)
#define HIGH SETTINGS_INSTANCES_MAX

const struct attribute attribute_table[] = {
    /* what runs */
    {"script", "exec cmd command pm_exec_path", "a file or a command", apply_text, FIELD(script), 0,
     0},
    {"name", NULL, "a name", apply_text, FIELD(name), 0, 0},
    {"namespace", NULL, "a name", apply_text, FIELD(namespace), 0, 0},
    {"args", NULL, WORDS, apply_words, FIELD(args), 0, 0},
    {"cwd", "pm_cwd", "a directory", apply_text, FIELD(cwd), 0, 0},
    {"interpreter", "exec_interpreter", "a program or 'none'", apply_text, FIELD(interpreter), 0,
     0},
    {"interpreter_args", "node_args", WORDS, apply_words, FIELD(interpreter_args), 0, 0},
    {"instances", NULL, "a number, 0 or 'max' for one per CPU, or -K for K fewer", apply_instances,
     0, LOW, HIGH},
    {"exec_mode", NULL, "'fork' or 'cluster'", apply_exec_mode, 0, 0, 0},
    {"uid", "user", "a user's name or number", apply_text, FIELD(uid), 0, 0},
    {"gid", "group", "a group's name or number", apply_text, FIELD(gid), 0, 0},

    /* its environment */
    {"env", NULL, "an object of variables", apply_env, 0, 0, 0},
    {"environment", NULL, "an object of variables", apply_environment, 0, 0, 0},
    {"filter_env", NULL, "beginnings of names: a list, one text, or true for all", apply_filter_env,
     FIELD(filter_env), 0, 0},
    {"instance_var", NULL, "a variable's name", apply_text, FIELD(instance_var), 0, 0},
    {"increment_var", NULL, "a variable's name", apply_text, FIELD(increment_var), 0, 0},
    {"port", NULL, "a port from 0 to 65535", apply_port, FIELD(port), 0, 0},
    {"append_env_to_name", NULL, TRUE_FALSE, apply_bool, FIELD(append_env_to_name), 0, 0},

    /* its clients */
    {"policy", NULL, "a policy's name", apply_text, FIELD(policy), 0, 0},
    {"window", NULL, "a number from 1 to 1024", apply_count, FIELD(window), 1, 1024},
    {"intercept", NULL, "auto, node, node-fast, preload, seccomp, listen-fds, native or none",
     apply_intercept, 0, 0, 0},
    {"private_ports", "private_port", "ports from 1 to 65535, at most 32", apply_private_ports, 0,
     1, UINT16_MAX},
    {"listen", NULL, "[HOST:]PORT or a path", apply_text, FIELD(listen), 0, 0},
    {"slow_after", NULL, "a time above 0", apply_milliseconds, FIELD(slow_after_ms), 1, 0},
    {"kill_stuck_after", NULL, A_TIME, apply_milliseconds, FIELD(kill_stuck_after_ms), 0, 0},

    /* its start and its end */
    {"autostart", NULL, TRUE_FALSE, apply_bool, FIELD(autostart), 0, 0},
    {"depends_on", NULL, "names of apps: a list, or one text", apply_list, FIELD(depends_on), 0, 0},
    {"wait_ready", NULL, TRUE_FALSE, apply_bool, FIELD(wait_ready), 0, 0},
    {"listen_timeout", NULL, "a time above 0", apply_milliseconds, FIELD(listen_timeout_ms), 1, 0},
    {"drain_timeout", NULL, A_TIME, apply_milliseconds, FIELD(drain_timeout_ms), 0, 0},
    {"kill_signal", NULL, "a signal's name such as SIGTERM, or its number", apply_signal,
     FIELD(kill_signal), 0, 0},
    {"kill_timeout", NULL, A_TIME, apply_milliseconds, FIELD(kill_timeout_ms), 0, 0},
    {"shutdown_with_message", NULL, TRUE_FALSE, apply_bool, FIELD(shutdown_with_message), 0, 0},
    {"treekill", NULL, TRUE_FALSE, apply_bool, FIELD(treekill), 0, 0},

    /* when it starts again */
    {"autorestart", NULL, TRUE_FALSE, apply_bool, FIELD(autorestart), 0, 0},
    {"min_uptime", NULL, A_TIME, apply_milliseconds, FIELD(min_uptime_ms), 0, 0},
    {"max_restarts", NULL, "a number of 0 or more", apply_count, FIELD(max_restarts), 0, COUNT_MAX},
    {"restart_delay", NULL, A_TIME, apply_milliseconds, FIELD(restart_delay_ms), 0, 0},
    {"exp_backoff_restart_delay", NULL, A_TIME, apply_milliseconds, FIELD(backoff_ms), 0, 0},
    {"stop_exit_codes", NULL, "codes from 0 to 255, e.g. [0, 42], at most 16", apply_stop_codes, 0,
     0, 255},
    {"max_memory_restart", NULL, A_SIZE, apply_bytes, FIELD(max_memory), 0, 0},
    {"cron_restart", "cron", "a cron expression such as \"0 4 * * *\", or 0 for none", apply_cron,
     FIELD(cron_restart), 0, 0},
    {"watch", NULL, "true, false, or paths: a list, or one text", apply_watch, 0, 0, 0},
    {"ignore_watch", NULL, "paths: a list, or one text", apply_list, FIELD(ignore_watch), 0, 0},
    {"watch_delay", NULL, A_TIME, apply_milliseconds, FIELD(watch_delay_ms), 0, 0},
    {"health", NULL, "a path, or {path, port, interval, timeout, failures}", apply_health, 0, 0, 0},

    /* what it prints */
    {"out_file", "output out out_log pm_out_log_path", A_FILE, apply_output, FIELD(out_file), 0, 0},
    {"error_file", "error err err_file err_log error_log pm_err_log_path", A_FILE, apply_output,
     FIELD(error_file), 0, 0},
    {"log_file", "log pm_log_path", A_FILE, apply_output, FIELD(log_file), 0, 0},
    {"pid_file", "pid pm_pid_path", A_FILE, apply_text, FIELD(pid_file), 0, 0},
    {"merge_logs", "combine_logs", TRUE_FALSE, apply_bool, FIELD(merge_logs), 0, 0},
    {"disable_logs", NULL, TRUE_FALSE, apply_bool, FIELD(disable_logs), 0, 0},
    {"log_type", NULL, "'json' or 'raw'", apply_log_type, 0, 0, 0},
    {"log_date_format", NULL, "a format such as \"YYYY-MM-DD HH:mm:ss\"", apply_text,
     FIELD(log_date_format), 0, 0},
    {"time", NULL, TRUE_FALSE, apply_bool, FIELD(time), 0, 0},
    {"max_log_size", NULL, A_SIZE, apply_bytes, FIELD(max_log_size), 0, 0},
    {"log_keep", NULL, "a number from 0 to 1000", apply_count, FIELD(log_keep), 0, 1000},
    {"trace", NULL, TRUE_FALSE, apply_bool, FIELD(trace), 0, 0},
    {NULL, NULL, NULL, NULL, 0, 0, 0},
};
