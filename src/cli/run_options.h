/* The flags of `baton run`, and of `baton serve` with -i: those of app_options.h that the master
 * serves in the foreground, and its own. */
#ifndef BATON_CLI_RUN_OPTIONS_H
#define BATON_CLI_RUN_OPTIONS_H

#include "cli/flags.h"
#include "cli/options.h"
#include "config/settings.h"

/* What they come to: the app's description, and what is asked for besides. */
struct run_flags {
    struct cli_flags common; /* the first, for it is the target of app_options.h's flags */
    bool trace;
    bool status;
    bool status_json;
};

/* 0, or UV_ENOMEM after a sentence on standard error; to be cleared in any case. */
int run_flags_init(struct run_flags *flags);
void run_flags_clear(struct run_flags *flags);

/* The table, which ends with a NULL name. Its options' target is a struct run_flags; struct
 * cli_words has to have app_options_apply(). */
void run_options(struct cli_option table[OPTIONS_MAX + 1]);

/* Fills in what the flags say; texts are copied. 0, or UV_EINVAL or UV_ENOMEM with a sentence. */
int run_flags_apply(const struct run_flags *flags, struct settings *settings,
                    char error[SETTINGS_ERROR_MAX]);

/* Lists the policies on standard output. */
void run_print_policies(void);
void run_print_kinds(void);

/* Checks the policy's name and argument; the sentence lists the known ones. 0 or UV_EINVAL. */
int run_check_policy(const char *specification);

#endif
