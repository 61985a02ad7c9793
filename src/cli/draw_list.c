#include "cli/draw_list.h"

#include "base/text.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum list_column {
    LIST_ID,
    LIST_NAME,
    LIST_NAMESPACE,
    LIST_VERSION,
    LIST_MODE,
    LIST_PID,
    LIST_UPTIME,
    LIST_RESTARTS,
    LIST_STATUS,
    LIST_CPU,
    LIST_MEMORY,
    LIST_USER,
    LIST_WATCHING,
    LIST_OPEN, /* ours: connections that the worker has open now */
    LIST_COLUMNS,
};

/* What a narrow terminal loses first has the highest rank. Ours stands last, for scripts that count
 * PM2's columns. */
static const struct cli_table_column columns[] = {
    [LIST_ID] = {"id", 0, true},
    [LIST_NAME] = {"name", 0, false},
    [LIST_NAMESPACE] = {"namespace", 7, false},
    [LIST_VERSION] = {"version", 9, false},
    [LIST_MODE] = {"mode", 6, false},
    [LIST_PID] = {"pid", 4, true},
    [LIST_UPTIME] = {"uptime", 3, true},
    [LIST_RESTARTS] = {"↺", 2, true},
    [LIST_STATUS] = {"status", 0, false},
    [LIST_CPU] = {"cpu", 1, true},
    [LIST_MEMORY] = {"mem", 1, true},
    [LIST_USER] = {"user", 8, false},
    [LIST_WATCHING] = {"watching", 10, false},
    [LIST_OPEN] = {"open", 5, true},
    [LIST_COLUMNS] = {NULL, 0, false},
};

/* A process with its parts at hand. */
struct entry {
    const json_t *process;
    const json_t *env;   /* pm2_env */
    const json_t *monit; /* memory and cpu */
    const json_t *baton;
    const char *sort_text; /* what it is sorted by: this … */
    double sort_number;    /* … or, when that is NULL, this */
    size_t place;          /* in the answer, which is by pm_id */
};

struct list {
    struct entry *entries;
    size_t count;
};

/* Where a field that is sorted by is found. */
struct sort_field {
    const char *name;
    const char *(*text)(const struct entry *entry); /* or: */
    double (*number)(const struct entry *entry);
};

static const char *name_of(const struct entry *entry) {
    return draw_member_text(entry->process, "name", "");
}

static const char *namespace_of(const struct entry *entry) {
    return draw_member_text(entry->env, "namespace", "default");
}

static const char *version_of(const struct entry *entry) {
    return draw_member_text(entry->env, "version", "N/A");
}

static const char *mode_of(const struct entry *entry) {
    const char *mode = draw_member_text(entry->env, "exec_mode", "fork_mode");

    return strcmp(mode, "cluster_mode") == 0 ? "cluster" : "fork";
}

static const char *status_of(const struct entry *entry) {
    return draw_member_text(entry->env, "status", "N/A");
}

static const char *user_of(const struct entry *entry) {
    return draw_member_text(entry->env, "username", "N/A");
}

static bool is_online(const struct entry *entry) {
    return strcmp(status_of(entry), "online") == 0;
}

static double id_of(const struct entry *entry) {
    return (double)draw_member_number(entry->process, "pm_id", -1);
}

static double pid_of(const struct entry *entry) {
    return (double)draw_member_number(entry->process, "pid", 0);
}

static double cpu_of(const struct entry *entry) {
    return json_number_value(json_object_get(entry->monit, "cpu"));
}

static double memory_of(const struct entry *entry) {
    return (double)draw_member_number(entry->monit, "memory", 0);
}

static double restarts_of(const struct entry *entry) {
    return (double)draw_member_number(entry->env, "restart_time", 0);
}

/* A process that does not run has none: as if it began in the future. */
static double begin_of(const struct entry *entry) {
    return is_online(entry) ? -(double)draw_member_number(entry->env, "pm_uptime", 0) : -1e18;
}

static double open_of(const struct entry *entry) {
    return (double)draw_member_number(entry->baton, "open", -1);
}

static const struct sort_field sort_fields[] = {
    {"name", name_of, NULL},
    {"id", NULL, id_of},
    {"pm_id", NULL, id_of},
    {"pid", NULL, pid_of},
    {"namespace", namespace_of, NULL},
    {"version", version_of, NULL},
    {"mode", mode_of, NULL},
    {"status", status_of, NULL},
    {"cpu", NULL, cpu_of},
    {"memory", NULL, memory_of},
    {"mem", NULL, memory_of},
    {"uptime", NULL, begin_of},
    {"restart", NULL, restarts_of},
    {"restarts", NULL, restarts_of},
    {"user", user_of, NULL},
    {"open", NULL, open_of},
};

/* The field of "field[:asc|:desc]", or NULL. */
static const struct sort_field *find_sort(const char *sort, bool *ret_descending) {
    const char *colon = strchr(sort, ':');
    size_t length = colon ? (size_t)(colon - sort) : strlen(sort);
    bool descending = colon && strcmp(colon, ":desc") == 0;

    if (colon && !descending && strcmp(colon, ":asc") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(sort_fields) / sizeof(sort_fields[0]); i++)
        if (strlen(sort_fields[i].name) == length &&
            strncmp(sort_fields[i].name, sort, length) == 0) {
            *ret_descending = descending;
            return &sort_fields[i];
        }
    return NULL;
}

bool draw_list_sorts_by(const char *sort) {
    bool descending;

    return find_sort(sort, &descending) != NULL;
}

static int compare(const void *one_entry, const void *other_entry) {
    const struct entry *one = one_entry;
    const struct entry *other = other_entry;
    int order = 0;

    if (one->sort_text)
        order = strcmp(one->sort_text, other->sort_text);
    else
        order = (one->sort_number > other->sort_number) - (one->sort_number < other->sort_number);
    return order ? order : (one->place > other->place) - (one->place < other->place);
}

/* The other way round, but equals stay in the order of their numbers. */
static int compare_descending(const void *one_entry, const void *other_entry) {
    const struct entry *one = one_entry;
    const struct entry *other = other_entry;
    int order = compare(one_entry, other_entry);
    bool equal = one->sort_text ? strcmp(one->sort_text, other->sort_text) == 0
                                : one->sort_number == other->sort_number;

    return equal ? order : -order;
}

static int list_init(struct list *list, const json_t *processes, const char *sort) {
    bool descending = false;
    const struct sort_field *field = find_sort(sort ? sort : "name", &descending);
    size_t count = json_array_size(processes);

    if (!field || !json_is_array(processes))
        return -EINVAL;
    *list = (struct list){.entries = calloc(count + 1, sizeof(struct entry)), .count = count};
    if (!list->entries)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &list->entries[i];

        entry->process = json_array_get(processes, i);
        entry->env = json_object_get(entry->process, "pm2_env");
        entry->monit = json_object_get(entry->process, "monit");
        entry->baton = json_object_get(entry->process, "baton");
        entry->place = i;
        entry->sort_text = field->text ? field->text(entry) : NULL;
        entry->sort_number = field->number ? field->number(entry) : 0;
    }
    qsort(list->entries, count, sizeof(struct entry), descending ? compare_descending : compare);
    return 0;
}

static void list_clear(struct list *list) {
    free(list->entries);
}

static void add_number(struct cli_table *table, int64_t number) {
    char text[DRAW_NUMBER_MAX];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    cli_table_add(table, text, DRAW_PLAIN);
}

static void write_uptime(char text[DRAW_NUMBER_MAX], const struct entry *entry, int64_t now_ms) {
    if (is_online(entry))
        draw_duration(text, now_ms - draw_member_number(entry->env, "pm_uptime", now_ms));
    else
        snprintf(text, DRAW_NUMBER_MAX, "0");
}

/* "0%", "0.3%", "120%". */
static void write_cpu(char text[DRAW_NUMBER_MAX], const struct entry *entry) {
    double cpu = cpu_of(entry);
    size_t length;

    if (!(cpu > 0 && cpu < 1e9)) /* nor what is no number */
        cpu = 0;
    length = (size_t)snprintf(text, DRAW_NUMBER_MAX - 1, "%.1f", cpu);
    if (text_ends_with(text, ".0"))
        length -= 2;
    snprintf(text + length, DRAW_NUMBER_MAX - length, "%%");
}

static bool is_watched(const struct entry *entry) {
    const json_t *watch = json_object_get(entry->env, "watch");

    return json_is_true(watch) || json_array_size(watch) > 0;
}

/* Open connections, and those that wait for this worker to take them. */
static void add_open(struct cli_table *table, const struct entry *entry) {
    char text[2 * DRAW_NUMBER_MAX];
    long long open = (long long)open_of(entry);
    long long waiting = (long long)draw_member_number(entry->baton, "waiting", 0);

    if (open < 0)
        strcpy(text, "-");
    else if (waiting > 0)
        snprintf(text, sizeof(text), "%lld +%lld", open, waiting);
    else
        snprintf(text, sizeof(text), "%lld", open);
    cli_table_add(table, text, open > 0 || waiting > 0 ? DRAW_PLAIN : DRAW_GREY);
}

static void add_row(struct cli_table *table, const struct entry *entry, int64_t now_ms) {
    char text[DRAW_NUMBER_MAX];
    bool watched = is_watched(entry);

    add_number(table, draw_member_number(entry->process, "pm_id", -1));
    cli_table_add(table, name_of(entry), DRAW_PLAIN);
    cli_table_add(table, namespace_of(entry), DRAW_PLAIN);
    cli_table_add(table, version_of(entry), DRAW_PLAIN);
    cli_table_add(table, mode_of(entry), DRAW_PLAIN);
    add_number(table, draw_member_number(entry->process, "pid", 0));
    write_uptime(text, entry, now_ms);
    cli_table_add(table, text, DRAW_PLAIN);
    add_number(table, draw_member_number(entry->env, "restart_time", 0));
    cli_table_add(table, status_of(entry), draw_status_colour(status_of(entry)));
    write_cpu(text, entry);
    cli_table_add(table, text, DRAW_PLAIN);
    draw_bytes(text, draw_member_number(entry->monit, "memory", 0));
    cli_table_add(table, text, DRAW_PLAIN);
    cli_table_add(table, user_of(entry), DRAW_PLAIN);
    cli_table_add(table, watched ? "enabled" : "disabled", watched ? DRAW_GREEN : DRAW_GREY);
    add_open(table, entry);
}

static int draw_table(struct buffer *out, const struct list *list,
                      const struct draw_list_options *options) {
    struct cli_table table;
    int result;

    cli_table_init(&table, columns, &options->style);
    for (size_t i = 0; i < list->count; i++)
        add_row(&table, &list->entries[i], options->now_ms);
    result = cli_table_draw(&table, out);
    cli_table_clear(&table);
    return result;
}

/* A line of the mini form. */
static int print_member(struct buffer *out, const struct draw_style *style, const char *head,
                        const char *text) {
    int result = buffer_print(out, "%s : ", head);

    if (result == 0)
        result = draw_escaped(out, style, text);
    return result == 0 ? buffer_append(out, "\n", 1) : result;
}

static int draw_mini_entry(struct buffer *out, const struct entry *entry,
                           const struct draw_list_options *options) {
    char pid[DRAW_NUMBER_MAX], id[DRAW_NUMBER_MAX], restarts[DRAW_NUMBER_MAX];
    char uptime[DRAW_NUMBER_MAX], memory[DRAW_NUMBER_MAX];
    const struct {
        const char *head;
        const char *text;
    } lines[] = {
        {"namespace", namespace_of(entry)},
        {"version", version_of(entry)},
        {"pid", pid},
        {"pm2 id", id},
        {"status", status_of(entry)},
        {"mode", mode_of(entry)},
        {"restarted", restarts},
        {"uptime", uptime},
        {"memory usage", memory},
        {"error log", draw_member_text(entry->env, "pm_err_log_path", "N/A")},
        {"watching", is_watched(entry) ? "yes" : "no"},
        {"PID file", draw_member_text(entry->env, "pm_pid_path", "N/A")},
    };
    int result = buffer_print(out, "+--- ");

    snprintf(pid, sizeof(pid), "%.0f", pid_of(entry));
    snprintf(id, sizeof(id), "%.0f", id_of(entry));
    snprintf(restarts, sizeof(restarts), "%.0f", restarts_of(entry));
    write_uptime(uptime, entry, options->now_ms);
    draw_bytes(memory, draw_member_number(entry->monit, "memory", 0));
    if (result == 0)
        result = draw_escaped(out, &options->style, name_of(entry));
    if (result == 0)
        result = buffer_append(out, "\n", 1);
    for (size_t i = 0; result == 0 && i < sizeof(lines) / sizeof(lines[0]); i++)
        result = print_member(out, &options->style, lines[i].head, lines[i].text);
    return result;
}

static int draw_mini(struct buffer *out, const struct list *list,
                     const struct draw_list_options *options) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < list->count; i++) {
        result = draw_mini_entry(out, &list->entries[i], options);
        if (result == 0)
            result = buffer_append(out, "\n", 1);
    }
    return result;
}

int draw_list(struct buffer *out, const json_t *processes,
              const struct draw_list_options *options) {
    struct list list;
    int result = list_init(&list, processes, options->sort);

    if (result < 0)
        return result;
    result = options->mini ? draw_mini(out, &list, options) : draw_table(out, &list, options);
    list_clear(&list);
    return result;
}
