/* Ends the daemon, and waits until its process is gone, so that a command that follows finds either
 * it or nobody. */
#ifndef BATON_CLI_DAEMON_END_H
#define BATON_CLI_DAEMON_END_H

#include "cli/client.h"

/* The exit code. The connection of `client` is of no use afterwards. */
int cli_daemon_end(struct cli_client *client);

#endif
