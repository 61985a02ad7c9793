/* A daemon whose home was removed: it serves on, but nobody can ask it anything, for its socket's
 * name is gone. The kernel still knows the name (/proc/net/unix), and the process that listens. */
#ifndef BATON_CLI_LOST_DAEMON_H
#define BATON_CLI_LOST_DAEMON_H

#include "cli/command.h"

#include <sys/types.h>

/* The daemon that listens on `socket_path`, whether or not that is still there; 0 when none does,
 * or it is not ours: of another user, though we be root, or in another container; or when somebody
 * else's socket is named so that which one listens cannot be told. */
pid_t cli_lost_daemon_find(const char *socket_path);

/* Ends the one that was found as a service manager would, with its apps, and waits for that; not
 * whoever has its number by now. The exit code. */
int cli_lost_daemon_end(const struct cli_call *call, const char *socket_path, pid_t daemon);

#endif
