/* Which program runs a script: found by the file's name, its first line, or PATH.
 *
 * The table of endings is PM2's. Looks at the file system only. */
#ifndef BATON_CONFIG_PROGRAM_H
#define BATON_CONFIG_PROGRAM_H

#include "config/settings.h"

#include <stdbool.h>

/* Before program_resolve(): whether the script is a command line, "python3 -m http.server", for it
 * has words and is no file. */
bool program_is_command_line(const struct settings *settings);

/* Makes settings->script an absolute path (relative to settings->cwd) or the program that PATH
 * gives for a bare command name, or the shell for a command line, which becomes the shell's
 * argument; and settings->interpreter the path of the interpreter or "none". 0, or UV_ENOENT,
 * UV_EISDIR, UV_EACCES, UV_EINVAL with a sentence in `error`, or UV_ENOMEM. */
int program_resolve(struct settings *settings, char error[SETTINGS_ERROR_MAX]);

/* After program_resolve(): the file that is executed, the interpreter or the script itself. */
const char *program_file(const struct settings *settings);

/* After program_resolve(): whether a worker will be a Node process that runs a script, so that
 * Node's cluster channel serves it. */
bool program_is_node(const struct settings *settings);

/* Whether its workers are Node processes with a channel. */
bool program_has_channel(const struct settings *settings);

#endif
