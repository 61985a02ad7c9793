/* Shell completion, made of the commands' records. Pure. */
#ifndef BATON_CLI_COMPLETION_H
#define BATON_CLI_COMPLETION_H

#include "base/buffer.h"
#include "cli/command.h"

enum completion_shell { COMPLETION_BASH, COMPLETION_ZSH };

/* Appends a script that completes commands, their flags, files, and names of apps, for which it
 * asks `baton completion names`. 0 or -ENOMEM. */
int completion_write(struct buffer *out, const struct cli_context *context,
                     enum completion_shell shell);

#endif
