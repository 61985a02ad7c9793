/* `baton startup` and `baton unstartup`: the daemon at boot.
 *
 * Options: -u USER and --hp DIR (whose daemon, and that user's home directory; whoever called sudo,
 * or ourselves), --service-name NAME, --root DIR (into the system that lies there, as an image is
 * built: no root needed, and what runs here is left alone). BATON_SYSTEMD_DIR is where units go in
 * the place of /etc/systemd/system. Without the right to write there, the command to be run with
 * sudo is printed, and the exit code is 1. */
#ifndef BATON_CLI_STARTUP_H
#define BATON_CLI_STARTUP_H

#include <stdbool.h>

/* argv[0] is the command's name; `pm2`: we were called by that name. The exit code. */
int cli_startup(int argc, char **argv, bool pm2);
int cli_unstartup(int argc, char **argv, bool pm2);

#endif
