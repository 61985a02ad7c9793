/* Help texts, made of the commands' records. */
#ifndef BATON_CLI_HELP_H
#define BATON_CLI_HELP_H

#include "cli/command.h"

/* All commands, in groups. */
void help_print_all(const struct cli_context *context);

/* One command: usage, flags, examples. */
void help_print_command(const struct cli_context *context, const struct cli_command *command,
                        const struct cli_option *options);

/* Its examples under a head; nothing when it has none. */
void help_print_examples(const struct cli_context *context, const struct cli_command *command);

#endif
