/* The variables by which PM2 is told how to behave, under the name pm2. docs/migrating-from-pm2.md
 * lists those that are not read, and why. */
#ifndef BATON_CLI_PM2_VARIABLES_H
#define BATON_CLI_PM2_VARIABLES_H

#include "cli/flags.h"

#include <jansson.h>

/* Of a command: PM2_SILENT is --silent, PM2_CONCURRENT_ACTIONS is --parallel where that was not
 * given. */
void pm2_variables_apply(struct cli_flags *flags);

/* Of the daemon: the attributes that its apps have where they do not say otherwise, by
 * PM2_KILL_TIMEOUT, PM2_KILL_SIGNAL, PM2_KILL_USE_MESSAGE and PM2_GRACEFUL_LISTEN_TIMEOUT. What an
 * attribute cannot take is told on standard error and left out. A new object, or NULL when memory
 * is out. */
json_t *pm2_variables_defaults(void);

#endif
