/* The daemon: one for each home, with any number of apps, commanded by the control API.
 *
 * The happy path: daemon_run() makes the home, takes the lock, opens the control socket, starts
 * what the state file says ran before a crash, says that it is ready, and runs the loop until a
 * client or a signal ends it; then every app is stopped, in order. It can fail when another daemon
 * has the home, or the home or the socket cannot be used: one sentence, to whoever started it.
 *
 * SIGINT and SIGTERM end it; SIGUSR2 opens the log files anew, SIGHUP is ignored. */
#ifndef BATON_DAEMON_DAEMON_H
#define BATON_DAEMON_DAEMON_H

#include <jansson.h>
#include <stdbool.h>

struct daemon_options {
    const char *home;     /* absolute; config/home.h says which */
    int ready_descriptor; /* gets "ready\n" or a sentence, and is closed; -1: none */
    bool background; /* nothing of the terminal is kept, and the daemon's log is its only word */
    const char
        *api; /* where the control API is served on TCP, too: "9700", "[::1]:9700"; NULL: not */
    const json_t *defaults; /* attributes for what apps do not say themselves, or NULL */
    bool resurrect;         /* start what is in the dump, too */
    bool fresh;             /* begin without what ran before, and leave nothing to begin with */
    bool until_down;        /* end, with 2, once every process is down for good */
};

/* The exit code: 0 after it was told to end, or what it was told to end with; 1 when it could not
 * begin; 2 when it has ended because everything is down. */
int daemon_run(const struct daemon_options *options);

#endif
