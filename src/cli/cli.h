/* The command line as a whole: finds the command, parses its flags and runs it. */
#ifndef BATON_CLI_CLI_H
#define BATON_CLI_CLI_H

#include "cli/command.h"

/* Runs what argv says; `roles` are main.c's commands, which need more than the control API, ended
 * by NULL. The exit code of the process. argv is changed: words move before flags. */
int cli_main(int argc, char **argv, const struct cli_command *const *roles);

#endif
