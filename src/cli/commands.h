/* The list of commands: main.c's and the clients of the control API. */
#ifndef BATON_CLI_COMMANDS_H
#define BATON_CLI_COMMANDS_H

#include "cli/command.h"

#include <stddef.h>

/* The command at a place of the list, in the order of the help text; NULL behind the last one. */
const struct cli_command *cli_command_at(const struct cli_command *const *roles, size_t place);

/* The heading that stands before the command at this place in the help text, or NULL. */
const char *cli_command_heading(size_t place);

/* The command of that name or alias, or NULL. */
const struct cli_command *cli_command_find(const struct cli_command *const *roles,
                                           const char *name);

/* The name or alias that is nearest to what was typed, or NULL when none is like it. Written to
 * `name`, which it fits into. */
#define CLI_COMMAND_NAME_MAX 32
bool cli_command_nearest(const struct cli_command *const *roles, const char *typed,
                         char name[CLI_COMMAND_NAME_MAX]);

/* All flags of a command, its own and the common ones, as one table ended by a NULL name; at most
 * OPTIONS_MAX. */
void cli_command_options(const struct cli_command *command,
                         struct cli_option table[OPTIONS_MAX + 1]);

#endif
