/* Where a daemon has its files: the names alone, nothing is looked up or made on disk.
 *
 * The home is $BATON_HOME, or ~/.baton; under the name pm2 $PM2_HOME, or ~/.pm2. Whoever asks
 * passes what the environment says, so that this knows no environment itself. */
#ifndef BATON_CONFIG_HOME_H
#define BATON_CONFIG_HOME_H

#include <stdbool.h>
#include <stddef.h>

#define HOME_VARIABLE       "BATON_HOME"
#define HOME_VARIABLE_PM2   "PM2_HOME"
#define HOME_DIRECTORY      ".baton" /* beneath $HOME */
#define HOME_DIRECTORY_PM2  ".pm2"
#define HOME_CONTROL_SOCKET "control.sock"
#define HOME_LOCK           "daemon.pid" /* there while a daemon runs, or since it crashed */

/* What the answer depends on; each text may be NULL or empty, which counts as not given. */
struct home_source {
    bool pm2;          /* called by the name pm2 */
    const char *given; /* $BATON_HOME, or $PM2_HOME under the name pm2 */
    const char *user;  /* $HOME, or the user's directory in the password file */
    const char *cwd;   /* what a relative home is relative to */
};

/* Writes the home's absolute path, without a slash at its end. 0, UV_ENOENT when nothing says where
 * it is, or UV_ENAMETOOLONG. */
int home_path(const struct home_source *source, char *path, size_t size);

/* "HOME/NAME": 0 or UV_ENAMETOOLONG. */
int home_file(const char *home, const char *name, char *path, size_t size);

/* home_path() with this process's own environment and directory. */
int home_find(bool pm2, char *path, size_t size);

#endif
