/* The flags of `baton run`, and of `baton serve` with -i: they fill in an app's settings. */
#ifndef BATON_CLI_RUN_OPTIONS_H
#define BATON_CLI_RUN_OPTIONS_H

#include "cli/options.h"
#include "config/settings.h"

/* What else than settings the flags ask for. */
struct run_flags {
    struct settings settings;
    bool help;
};

extern const struct cli_option run_options[]; /* their target is a struct run_flags */

/* Lists the policies on standard output. */
void run_print_policies(void);
void run_print_kinds(void);

/* Checks the policy's name and argument; the sentence lists the known ones. 0 or UV_EINVAL. */
int run_check_policy(const char *specification);

#endif
