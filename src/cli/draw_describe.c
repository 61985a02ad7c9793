#include "cli/draw_describe.h"

#include "cli/table.h"
#include "config/cron.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VALUE_WIDTH_MIN 16 /* a narrower terminal breaks the box instead of the values */

/* A section has no heads: names on the left, values on the right. */
static const struct cli_table_column section_columns[] = {
    {"", 0, false}, {"", 0, false}, {NULL, 0, false}};

/* One box of names and values. */
struct section {
    const struct draw_style *style;
    struct cli_table table;
    size_t value_width; /* longer values go on in the next line; 0: no limit */
    size_t rows;
    int failure;
};

static void section_init(struct section *section, const struct draw_style *style,
                         size_t name_width) {
    size_t taken = name_width + 7; /* three bars, four blanks */

    *section = (struct section){.style = style};
    if (style->columns > 0)
        section->value_width =
            style->columns > taken + VALUE_WIDTH_MIN ? style->columns - taken : VALUE_WIDTH_MIN;
    cli_table_init(&section->table, section_columns, style);
}

static void add_row(struct section *section, const char *name, const char *value,
                    enum draw_colour colour) {
    cli_table_add(&section->table, name, DRAW_HEAD);
    cli_table_add(&section->table, value, colour);
}

/* Values go on in the next line and are never cut, for paths are copied from here. `value` is
 * printable and is left as it was. */
static void add_folded(struct section *section, const char *name, char *value,
                       enum draw_colour colour) {
    size_t width = section->value_width > 0 ? section->value_width : SIZE_MAX;
    size_t length = draw_fitting(value, strlen(value), width);

    while (value[length] != '\0') {
        char next = value[length];

        value[length] = '\0';
        add_row(section, name, value, colour);
        value[length] = next;
        value += length;
        name = "";
        length = draw_fitting(value, strlen(value), width);
    }
    add_row(section, name, value, colour);
}

static void section_add(struct section *section, const char *name, const char *value,
                        enum draw_colour colour) {
    struct buffer escaped;

    buffer_init(&escaped);
    if (section->failure == 0)
        section->failure = draw_escaped(&escaped, section->style, value);
    if (section->failure == 0)
        section->failure = buffer_append(&escaped, "", 1);
    if (section->failure == 0)
        add_folded(section, name, buffer_data(&escaped), colour);
    section->rows++;
    buffer_clear(&escaped);
}

static void section_add_number(struct section *section, const char *name, int64_t number) {
    char text[DRAW_NUMBER_MAX];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    section_add(section, name, text, DRAW_PLAIN);
}

/* The words of an array, or a text. */
static void section_add_words(struct section *section, const char *name, const json_t *words) {
    struct buffer joined;
    const json_t *word;
    size_t i;

    buffer_init(&joined);
    if (json_is_string(words))
        section->failure = buffer_print(&joined, "%s", json_string_value(words));
    json_array_foreach(words, i, word) {
        if (section->failure == 0 && json_is_string(word))
            section->failure = buffer_print(&joined, "%s%s", i ? " " : "", json_string_value(word));
    }
    if (section->failure == 0)
        section->failure = buffer_append(&joined, "", 1);
    if (section->failure == 0) {
        const char *text = buffer_data(&joined);

        section_add(section, name, text[0] != '\0' ? text : "N/A", DRAW_PLAIN);
    }
    buffer_clear(&joined);
}

/* " Describing process with id 0 - name api " and the box. Nothing for a section without rows. */
static int section_draw(struct section *section, struct buffer *out, const char *title) {
    int result = section->failure;

    if (result < 0 || section->rows == 0)
        return result;
    result = buffer_print(out, "%s", section->style->colour ? "\033[1;7m " : " ");
    if (result == 0)
        result = draw_escaped(out, section->style, title);
    if (result == 0)
        result = buffer_print(out, "%s", section->style->colour ? " \033[0m\n" : "\n");
    return result == 0 ? cli_table_draw(&section->table, out) : result;
}

static void section_clear(struct section *section) {
    cli_table_clear(&section->table);
}

/* A member of pm2_env that is shown as it is. */
struct plain_row {
    const char *name;
    const char *member;
};

static void add_plain(struct section *section, const json_t *env, const struct plain_row *rows) {
    for (; rows->name; rows++) {
        const json_t *value = json_object_get(env, rows->member);

        if (json_is_integer(value))
            section_add_number(section, rows->name, json_integer_value(value));
        else
            section_add(section, rows->name, draw_member_text(env, rows->member, "N/A"),
                        DRAW_PLAIN);
    }
}

static void add_uptime(struct section *section, const json_t *env, int64_t now_ms) {
    char text[DRAW_NUMBER_MAX] = "0";

    if (strcmp(draw_member_text(env, "status", ""), "online") == 0)
        draw_duration(text, now_ms - draw_member_number(env, "pm_uptime", now_ms));
    section_add(section, "uptime", text, DRAW_PLAIN);
}

static void add_created(struct section *section, const json_t *env) {
    char text[DRAW_NUMBER_MAX];

    draw_time(text, draw_member_number(env, "created_at", -1));
    section_add(section, "created at", text, DRAW_PLAIN);
}

static void add_watch(struct section *section, const json_t *env) {
    const json_t *watch = json_object_get(env, "watch");
    bool watched = json_is_true(watch) || json_array_size(watch) > 0;

    if (json_array_size(watch) > 0)
        section_add_words(section, "watch & reload", watch);
    else
        section_add(section, "watch & reload", watched ? "enabled" : "disabled",
                    watched ? DRAW_GREEN : DRAW_PLAIN);
}

/* Why it is not online, or was not before: the first thing that somebody looks for. */
static void add_last_end(struct section *section, const json_t *process) {
    const json_t *baton = json_object_get(process, "baton");
    const char *reason = draw_member_text(baton, "reason", NULL);
    int64_t number = draw_member_number(baton, "exit_signal", -1);
    char text[DRAW_NUMBER_MAX];

    if (reason)
        section_add(section, "last end", reason, DRAW_YELLOW);
    if (number < 0)
        return;
    if (number > 0 && sigabbrev_np((int)number))
        snprintf(text, sizeof(text), "signal SIG%s", sigabbrev_np((int)number));
    else
        snprintf(
            text, sizeof(text), "code %lld",
            (long long)draw_member_number(json_object_get(process, "pm2_env"), "exit_code", 0));
    section_add(section, "last exit", text, DRAW_PLAIN);
}

/* "0 4 * * *, next 2026-11-23T04:00:00.000Z". */
static void add_cron(struct section *section, const json_t *env, int64_t now_ms) {
    const char *expression = draw_member_text(env, "cron_restart", NULL);
    char next[DRAW_NUMBER_MAX] = "never";
    char text[256];
    char error[CRON_ERROR_MAX];
    struct cron cron;

    if (!expression)
        return;
    if (cron_parse(&cron, expression, error) == 0) {
        int64_t seconds = cron_next(&cron, now_ms / 1000);

        if (seconds >= 0)
            draw_time(next, seconds * 1000);
    }
    snprintf(text, sizeof(text), "%.200s, next %s", expression, next);
    section_add(section, "cron restart", text, DRAW_PLAIN);
}

static void add_memory_limit(struct section *section, const json_t *env) {
    int64_t bytes = draw_member_number(env, "max_memory_restart", 0);
    char text[DRAW_NUMBER_MAX];

    if (bytes <= 0)
        return;
    draw_bytes(text, bytes);
    section_add(section, "memory limit", text, DRAW_PLAIN);
}

/* "10mb a file, 10 kept": what keeps logs from filling the disk. */
static void add_log_size(struct section *section, const json_t *baton) {
    int64_t bytes = draw_member_number(baton, "max_log_size", -1);
    char size[DRAW_NUMBER_MAX];
    char text[3 * DRAW_NUMBER_MAX];

    if (bytes < 0)
        return;
    draw_bytes(size, bytes);
    if (bytes == 0)
        snprintf(text, sizeof(text), "none");
    else
        snprintf(text, sizeof(text), "%s, then rotated, %lld kept", size,
                 (long long)draw_member_number(baton, "log_keep", 0));
    section_add(section, "log size limit", text, DRAW_PLAIN);
}

/* The rows that PM2's users know, in their order. */
static void add_process(struct section *section, const json_t *process, int64_t now_ms) {
    static const struct plain_row first[] = {{"name", "name"},
                                             {"namespace", "namespace"},
                                             {"version", "version"},
                                             {"restarts", "restart_time"},
                                             {NULL, NULL}};
    static const struct plain_row paths[] = {{"error log path", "pm_err_log_path"},
                                             {"out log path", "pm_out_log_path"},
                                             {"pid path", "pm_pid_path"},
                                             {"interpreter", "exec_interpreter"},
                                             {NULL, NULL}};
    static const struct plain_row last[] = {{"script id", "pm_id"},
                                            {"exec cwd", "pm_cwd"},
                                            {"exec mode", "exec_mode"},
                                            {"node.js version", "node_version"},
                                            {NULL, NULL}};
    static const struct plain_row unstable[] = {{"unstable restarts", "unstable_restarts"},
                                                {NULL, NULL}};
    const json_t *env = json_object_get(process, "pm2_env");
    const char *status = draw_member_text(env, "status", "N/A");

    section_add(section, "status", status, draw_status_colour(status));
    add_last_end(section, process);
    add_plain(section, env, first);
    add_uptime(section, env, now_ms);
    section_add(section, "script path", draw_member_text(env, "pm_exec_path", "N/A"), DRAW_PLAIN);
    section_add_words(section, "script args", json_object_get(env, "args"));
    add_plain(section, env, paths);
    section_add_words(section, "interpreter args", json_object_get(env, "node_args"));
    add_plain(section, env, last);
    section_add(section, "node env",
                draw_member_text(json_object_get(env, "env"), "NODE_ENV", "N/A"), DRAW_PLAIN);
    add_watch(section, env);
    add_cron(section, env, now_ms);
    add_memory_limit(section, env);
    add_log_size(section, json_object_get(process, "baton"));
    add_plain(section, env, unstable);
    add_created(section, env);
}

/* "/health every 5000 ms, at most 2000 ms each, 3 failures in a row". */
static void add_health(struct section *section, const json_t *env) {
    const json_t *health = json_object_get(env, "health");
    char text[512];

    if (!json_is_object(health))
        return;
    snprintf(text, sizeof(text),
             "%.256s every %lld ms, at most %lld ms each, %lld failures in a row",
             draw_member_text(health, "path", "/"),
             (long long)draw_member_number(health, "interval_ms", 0),
             (long long)draw_member_number(health, "timeout_ms", 0),
             (long long)draw_member_number(health, "failures", 0));
    section_add(section, "health check", text, DRAW_PLAIN);
}

/* "healthy, 12 checks, the last one: status 200". */
static void add_health_state(struct section *section, const json_t *health) {
    const char *last = draw_member_text(health, "last", NULL);
    const char *replaced = draw_member_text(health, "replaced", NULL);
    const char *state = draw_member_text(health, "state", "unknown");
    bool bad = strcmp(state, "unhealthy") == 0 || strcmp(state, "failing") == 0;
    char text[384];

    if (!json_is_object(health))
        return;
    snprintf(text, sizeof(text), "%.32s, %lld checks%s%.200s", state,
             (long long)draw_member_number(health, "checks", 0), last ? ", the last one: " : "",
             last ? last : "");
    section_add(section, "health", text, bad ? DRAW_YELLOW : DRAW_PLAIN);
    if (replaced)
        section_add(section, "was unhealthy", replaced, DRAW_YELLOW);
}

static void add_listeners(struct section *section, const json_t *listeners) {
    const json_t *listener;
    size_t i;

    json_array_foreach(listeners, i, listener) {
        char text[320];

        snprintf(text, sizeof(text), "%.200s, %lld accepted, %lld waiting",
                 draw_member_text(listener, "address", "N/A"),
                 (long long)draw_member_number(listener, "accepted", 0),
                 (long long)draw_member_number(listener, "waiting", 0));
        section_add(section, "listens on", text, DRAW_PLAIN);
    }
}

static void add_resources(struct section *section, const json_t *process) {
    const json_t *monit = json_object_get(process, "monit");
    char memory[DRAW_NUMBER_MAX];
    char text[3 * DRAW_NUMBER_MAX];

    if (draw_member_number(process, "pid", 0) == 0) {
        section_add(section, "worker", "none", DRAW_PLAIN);
        return;
    }
    draw_bytes(memory, draw_member_number(monit, "memory", 0));
    snprintf(text, sizeof(text), "pid %lld, cpu %.1f%%, memory %s",
             (long long)draw_member_number(process, "pid", 0),
             json_number_value(json_object_get(monit, "cpu")), memory);
    section_add(section, "worker", text, DRAW_PLAIN);
}

/* 0: what the way of delivery has without being told. */
static void add_window(struct section *section, const json_t *baton) {
    if (draw_member_number(baton, "window", 0) > 0)
        section_add_number(section, "window", draw_member_number(baton, "window", 0));
    else
        section_add(section, "window", "default", DRAW_PLAIN);
}

/* Counts of clients that nobody has are left out. */
static void add_counts(struct section *section, const json_t *baton) {
    static const struct plain_row rows[] = {
        {"open connections", "open"}, {"waiting for it", "waiting"},
        {"handed over", "handed"},    {"acknowledged", "acknowledged"},
        {"refused", "refused"},       {"returned", "returned"},
        {"stuck", "stuck"},           {NULL, NULL}};

    for (const struct plain_row *row = rows; row->name; row++) {
        const struct plain_row one[] = {*row, {NULL, NULL}};

        if (json_is_integer(json_object_get(baton, row->member)))
            add_plain(section, baton, one);
    }
}

/* What only Baton knows. */
static void add_balancing(struct section *section, const json_t *process) {
    static const struct plain_row rows[] = {
        {"slot", "slot"}, {"kind", "kind"}, {"policy", "policy"}, {NULL, NULL}};
    const json_t *baton = json_object_get(process, "baton");

    add_resources(section, process);
    add_health(section, json_object_get(process, "pm2_env"));
    add_health_state(section, json_object_get(baton, "health"));
    /* The master deals nothing to what is only supervised. */
    if (!baton || strcmp(draw_member_text(baton, "kind", ""), "none") == 0)
        return;
    add_plain(section, baton, rows);
    add_window(section, baton);
    add_counts(section, baton);
    add_listeners(section, json_object_get(baton, "listeners"));
}

static bool contains(const char *text, const char *word) {
    return strcasestr(text, word) != NULL;
}

/* "scheme://user:password@host". */
static bool has_password(const char *value) {
    const char *authority = strstr(value, "://");
    const char *at;
    const char *colon;

    if (!authority)
        return false;
    authority += 3;
    at = authority + strcspn(authority, "@/?#");
    colon = memchr(authority, ':', (size_t)(at - authority));
    return *at == '@' && colon;
}

bool draw_describe_is_secret(const char *name, const char *value) {
    static const char *const words[] = {"secret",     "token",   "passw",    "passphrase",
                                        "credential", "private", "auth",     "cookie",
                                        "session",    "salt",    "signature"};
    static const char *const ends[] = {"key", "_pass", "_pwd", "dsn"};
    size_t length = strlen(name);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (contains(name, words[i]))
            return true;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t end = strlen(ends[i]);

        if (length >= end && strcasecmp(name + length - end, ends[i]) == 0)
            return true;
    }
    return has_password(value) || contains(name, "_key_") || contains(value, "PRIVATE KEY");
}

/* The caller's value of a variable, or NULL. */
static const char *find_variable(char *const *environment, const char *name) {
    size_t length = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

/* Variables that differ between any two processes and say nothing about the app, and those that
 * stand above already. */
static bool is_noise(const char *name) {
    static const char *const names[] = {
        "_",     "SHLVL",  "PWD",          "OLDPWD",    "name",      "namespace",
        "pm_id", "pm_cwd", "pm_exec_path", "exec_mode", "instances", "unique_id"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void add_environment(struct section *section, json_t *variables, char *const *environment) {
    const char *name;
    json_t *value;

    json_object_foreach(variables, name, value) {
        const char *text = json_string_value(value);
        const char *ours = find_variable(environment, name);

        if (!text || is_noise(name) || (ours && strcmp(ours, text) == 0))
            continue;
        if (draw_describe_is_secret(name, text))
            section_add(section, name, "(hidden)", DRAW_GREY);
        else
            section_add(section, name, text, DRAW_PLAIN);
    }
}

static size_t longest_name(json_t *variables) {
    size_t longest = 0;
    const char *name;
    json_t *value;

    json_object_foreach(variables, name, value) {
        if (strlen(name) > longest)
            longest = strlen(name);
    }
    return longest;
}

static int draw_environment(struct buffer *out, const json_t *process,
                            const struct draw_describe_options *options) {
    json_t *variables = json_object_get(json_object_get(process, "pm2_env"), "env");
    struct section section;
    int result;

    if (!options->environment)
        return 0;
    section_init(&section, &options->style, longest_name(variables));
    add_environment(&section, variables, options->environment);
    result = section_draw(&section, out, "Environment that differs from yours");
    section_clear(&section);
    return result;
}

static int draw_process(struct buffer *out, const json_t *process,
                        const struct draw_describe_options *options) {
    struct section section;
    char title[256];
    int result;

    snprintf(title, sizeof(title), "Describing process with id %lld - name %.180s",
             (long long)draw_member_number(process, "pm_id", -1),
             draw_member_text(process, "name", ""));
    section_init(&section, &options->style, strlen("unstable restarts"));
    add_process(&section, process, options->now_ms);
    result = section_draw(&section, out, title);
    section_clear(&section);
    return result;
}

static int draw_balancing(struct buffer *out, const json_t *process,
                          const struct draw_describe_options *options) {
    struct section section;
    int result;

    section_init(&section, &options->style, strlen("open connections"));
    add_balancing(&section, process);
    result = section_draw(&section, out, "Worker and connections");
    section_clear(&section);
    return result;
}

int draw_describe(struct buffer *out, const json_t *processes,
                  const struct draw_describe_options *options) {
    const json_t *process;
    int result = json_is_array(processes) ? 0 : -EINVAL;
    size_t i;

    json_array_foreach(processes, i, process) {
        if (result == 0)
            result = draw_process(out, process, options);
        if (result == 0)
            result = draw_balancing(out, process, options);
        if (result == 0)
            result = draw_environment(out, process, options);
    }
    return result;
}
