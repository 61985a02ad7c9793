#include "cli/commands.h"

#include "base/text.h"
#include "cli/records.h"

#include <stdio.h>
#include <string.h>

/* In the order of the help text; a heading begins a group. */
static const struct {
    const struct cli_command *command;
    const char *heading;
} clients[] = {
    {&command_start, "Apps"},
    {&command_stop, NULL},
    {&command_restart, NULL},
    {&command_reload, NULL},
    {&command_scale, NULL},
    {&command_delete, NULL},
    {&command_reset, NULL},
    {&command_send_signal, NULL},
    {&command_send, NULL},
    {&command_attach, NULL},
    {&command_list, "What they do"},
    {&command_describe, NULL},
    {&command_monit, NULL},
    {&command_logs, NULL},
    {&command_flush, NULL},
    {&command_reload_logs, NULL},
    {&command_env, NULL},
    {&command_pid, NULL},
    {&command_id, NULL},
    {&command_jlist, NULL},
    {&command_prettylist, NULL},
    {&command_init, "Process files"},
    {&command_validate, NULL},
    {&command_start_or_restart, NULL},
    {&command_start_or_reload, NULL},
    {&command_save, "After a reboot"},
    {&command_resurrect, NULL},
    {&command_cleardump, NULL},
    {&command_startup, NULL},
    {&command_unstartup, NULL},
    {&command_ping, "The daemon"},
    {&command_update, NULL},
    {&command_kill, NULL},
    {&command_report, NULL},
    {&command_completion, "Baton itself"},
    {&command_version, NULL},
    {&command_help, NULL},
};
#define CLIENT_COUNT (sizeof clients / sizeof clients[0])

const struct cli_command *cli_command_at(const struct cli_command *const *roles, size_t place) {
    if (place < CLIENT_COUNT)
        return clients[place].command;
    for (place -= CLIENT_COUNT; *roles; roles++)
        if (place-- == 0)
            return *roles;
    return NULL;
}

const char *cli_command_heading(size_t place) {
    if (place < CLIENT_COUNT)
        return clients[place].heading;
    return place == CLIENT_COUNT ? "In the foreground" : NULL;
}

/* The `index`-th word of "ls l ps" into `name`; false behind the last one. */
static bool alias_at(const char *aliases, size_t index, char name[CLI_COMMAND_NAME_MAX]) {
    size_t length;

    for (; aliases; aliases += length + (aliases[length] == ' ')) {
        length = strcspn(aliases, " ");
        if (length == 0)
            return false;
        if (index-- == 0) {
            snprintf(name, CLI_COMMAND_NAME_MAX, "%.*s", (int)length, aliases);
            return true;
        }
    }
    return false;
}

/* The name (index 0) or an alias of a command. */
static bool name_at(const struct cli_command *command, size_t index,
                    char name[CLI_COMMAND_NAME_MAX]) {
    if (index > 0)
        return alias_at(command->aliases, index - 1, name);
    snprintf(name, CLI_COMMAND_NAME_MAX, "%s", command->name);
    return true;
}

static bool is_called(const struct cli_command *command, const char *typed) {
    char name[CLI_COMMAND_NAME_MAX];

    for (size_t i = 0; name_at(command, i, name); i++)
        if (strcmp(name, typed) == 0)
            return true;
    return false;
}

const struct cli_command *cli_command_find(const struct cli_command *const *roles,
                                           const char *name) {
    const struct cli_command *command;

    for (size_t i = 0; (command = cli_command_at(roles, i)); i++)
        if (is_called(command, name))
            return command;
    return NULL;
}

bool cli_command_nearest(const struct cli_command *const *roles, const char *typed,
                         char nearest[CLI_COMMAND_NAME_MAX]) {
    const struct cli_command *command;
    unsigned distance = 3; /* farther is no likeness */
    char name[CLI_COMMAND_NAME_MAX];

    for (size_t i = 0; (command = cli_command_at(roles, i)); i++) {
        for (size_t j = 0; command->summary && name_at(command, j, name); j++) {
            unsigned other = text_distance(name, typed);

            if (other >= distance || 2 * other >= strlen(name))
                continue;
            distance = other;
            memcpy(nearest, name, sizeof name);
        }
    }
    return distance < 3;
}

static size_t append(struct cli_option *table, size_t count, const struct cli_option *options) {
    for (; options->name && count < OPTIONS_MAX; options++)
        table[count++] = *options;
    return count;
}

void cli_command_options(const struct cli_command *command,
                         struct cli_option table[OPTIONS_MAX + 1]) {
    const struct cli_option *const *own = command->options;
    size_t count = 0;

    if (command->fill_options) {
        command->fill_options(table);
        return;
    }
    for (; own && *own; own++)
        count = append(table, count, *own);
    count = append(table, count, cli_common_options);
    table[count] = (struct cli_option){.name = NULL};
}
