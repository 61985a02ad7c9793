/* What a command says: "[baton] text", and "[PM2] text" under the name pm2. Progress and results
 * go to standard output unless --silent; warnings and errors to standard error.
 *
 * Texts from outside are escaped by the callee: the finished sentence is, as a whole. */
#ifndef BATON_CLI_MESSAGE_H
#define BATON_CLI_MESSAGE_H

#include "cli/command.h"

void cli_say(const struct cli_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void cli_warn(const struct cli_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says what is wrong and answers the exit code of a failure, 1. */
int cli_fail(const struct cli_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The exit code after memory was out; says so. */
int cli_fail_memory(const struct cli_call *call);

/* Each of the warnings. */
void cli_warn_each(const struct cli_call *call, const struct text_list *warnings);

#endif
