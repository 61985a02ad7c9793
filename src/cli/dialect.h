/* By which name we were called: a link named pm2 speaks PM2's dialect, so that habits and scripts
 * carry over; one named pm2-runtime is `run`.
 *
 * The daemon is started under the same name, so that it knows, too. */
#ifndef BATON_CLI_DIALECT_H
#define BATON_CLI_DIALECT_H

#include <stdbool.h>

struct cli_dialect {
    const char *name;   /* what people type */
    const char *prefix; /* of a message */
    const char *warning_prefix;
    const char *error_prefix;
    const char *home_default; /* for texts */
    const char *home_variable;
    bool pm2;     /* PM2's home and defaults */
    bool runtime; /* there are no commands: it is `run` */
};

/* `called` is argv[0], with or without directories; NULL counts as baton. A constant. */
const struct cli_dialect *cli_dialect_of(const char *called);

#endif
