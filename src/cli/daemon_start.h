/* Starts the daemon, detached, and waits until it serves.
 *
 * It runs as this binary's `daemon --background --ready-descriptor 3`, under the name that we were
 * called by, in a session of its own, with nothing of ours open. On descriptor 3, a pipe, it writes
 * "ready" once it serves, or a sentence that says why it cannot, and closes it: so nobody polls. */
#ifndef BATON_CLI_DAEMON_START_H
#define BATON_CLI_DAEMON_START_H

#include "cli/command.h"

/* Of several commands that find no daemon only one starts it; the others wait here for it. A
 * descriptor to be given to cli_daemon_unlock(), -1 when the home is not to be had. */
int cli_daemon_lock(const char *home);
void cli_daemon_unlock(int lock);

/* 0 once it serves, or a UV_E* after one sentence. `crashed`: one before it has, which is said on
 * standard error, as whoever only asks for something does not expect to start a daemon. */
int cli_daemon_start(const struct cli_call *call, const char *home, bool crashed);

/* The same in the foreground: this very process becomes the daemon, with our terminal and number,
 * so that whatever supervises us has the daemon's signals and exit code. The caller goes on in a
 * child of it. */
int cli_daemon_become(const struct cli_call *call, const char *home);

#endif
