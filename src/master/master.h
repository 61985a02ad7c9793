/* The master in the foreground: runs one app until it ends (`baton run`, the entry point of a
 * container).
 *
 * The happy path: raise the descriptor limit, open the worker socket, start the app, run the loop.
 * SIGINT and SIGTERM stop it (served first, then drained); a second one kills the workers at once.
 * SIGHUP reloads. SIGUSR1 prints the status. As PID 1 it also reaps orphans. */
#ifndef BATON_MASTER_MASTER_H
#define BATON_MASTER_MASTER_H

#include "config/settings.h"

/* Checked settings, which it takes over: the caller's are the defaults then. The exit code: 0
 * stopped as told or all workers done; 1 the app could not be started; 2 every worker was given up;
 * 128 + signal after a second signal. */
int master_run(struct settings *settings);

#endif
