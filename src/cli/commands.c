#include "cli/commands.h"

#include "base/text.h"
#include "cli/records.h"

#include <stdio.h>
#include <string.h>

/* In the order of the help text. */
static const struct cli_command *const clients[] = {
    &command_start,
    &command_stop,
    &command_restart,
    &command_reload,
    &command_delete,
    &command_scale,
    &command_list,
    &command_describe,
    &command_logs,
    &command_monit,
    &command_flush,
    &command_reload_logs,
    &command_jlist,
    &command_prettylist,
    &command_pid,
    &command_id,
    &command_env,
    &command_reset,
    &command_send_signal,
    &command_send,
    &command_attach,
    &command_save,
    &command_resurrect,
    &command_cleardump,
    &command_start_or_restart,
    &command_start_or_reload,
    &command_startup,
    &command_unstartup,
    &command_kill,
    &command_update,
    &command_ping,
    &command_init,
    &command_validate,
    &command_report,
    &command_completion,
    &command_version,
    &command_help,
};
#define CLIENT_COUNT (sizeof clients / sizeof clients[0])

const struct cli_command *cli_command_at(const struct cli_command *const *roles, size_t place) {
    for (; *roles; roles++)
        if (place-- == 0)
            return *roles;
    return place < CLIENT_COUNT ? clients[place] : NULL;
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

    for (; own && *own; own++)
        count = append(table, count, *own);
    count = append(table, count, cli_common_options);
    table[count] = (struct cli_option){.name = NULL};
}
