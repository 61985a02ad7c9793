/* Flags of the commands that take process files. */
#ifndef BATON_CLI_FILE_FLAGS_H
#define BATON_CLI_FILE_FLAGS_H

#include "cli/options.h"

extern const struct cli_option cli_file_options[];       /* --env, --only, --parallel */
extern const struct cli_option cli_update_env_options[]; /* --update-env */
extern const struct cli_option cli_force_options[];      /* --force */
extern const struct cli_option cli_watch_options[];      /* --watch, of stop */

#endif
