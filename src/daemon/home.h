/* The home on disk: its directories, and what the files in it are called. Where it is,
 * config/home.h says.
 *
 *     daemon.pid          the lock of the one daemon (lock.h)
 *     daemon.log          what the daemon itself says
 *     control.sock        the control API
 *     api-token           for the control API on TCP (control_tcp.h)
 *     dump.json           what `save` wrote, and dump.json.bak (state_file.h)
 *     state.json          the same, saved on each change, and state.json.bak
 *     logs/, pids/        of the apps
 *     workers/            a note of each living worker (worker_note.h)
 */
#ifndef BATON_DAEMON_HOME_H
#define BATON_DAEMON_HOME_H

#include "config/home.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define HOME_LOG     "daemon.log"
#define HOME_TOKEN   "api-token"
#define HOME_DUMP    "dump.json"
#define HOME_STATE   "state.json"
#define HOME_LOGS    "logs"
#define HOME_PIDS    "pids"
#define HOME_WORKERS "workers"

#define HOME_ERROR_MAX 512
#define HOME_NAME_MAX  128              /* bytes of an app's name that get into a file's name */
#define HOME_FILE_MAX  (PATH_MAX + 256) /* more than any path of a home */

/* Makes the home and its directories where they are missing, each 0700, parents too. What is there
 * already must be our own, and others lose the right to write to it: whoever can write there
 * commands the daemon. 0, or a UV_E* with a sentence in `error`. */
int home_create(const char *home, char error[HOME_ERROR_MAX]);

/* An app's name as part of a file's name: '/', control bytes and DEL become '_', so does a dot in
 * front, and what is longer than HOME_NAME_MAX is cut, between two characters of UTF-8. Names that
 * were changed get 8 hexadecimal digits of a hash of the whole name behind it, so that two names
 * never share a file. Never empty. Pure. */
void home_safe_name(const char *name, char ret_text[HOME_NAME_MAX + 16]);

/* "HOME/pids/NAME-ID.pid". 0 or UV_ENAMETOOLONG. Pure. */
int home_pid_path(const char *home, const char *name, uint32_t id, char *path, size_t size);

/* Writes the number and a newline (PM2 writes none; both are read by `cat` and `kill`), replacing
 * what was there; 0600. `path` may also be the user's own (`pid_file`). 0 or a UV_E*. */
int home_write_pid(const char *path, int pid);

/* Removes it; that it is not there is no error. */
void home_remove_pid(const char *path);

/* Removes every pids/NAME-ID.pid: for a daemon that has just taken the lock, whose workers are yet
 * to be started. */
void home_remove_pids(const char *home);

#endif
