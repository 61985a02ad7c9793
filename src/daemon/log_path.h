/* Where an app's log files are: what its settings say of out_file, error_file and log_file, or the
 * home's logs/NAME-out.log and NAME-error.log. Pure. */
#ifndef BATON_DAEMON_LOG_PATH_H
#define BATON_DAEMON_LOG_PATH_H

#include "config/settings.h"

#include <limits.h>
#include <stdbool.h>

enum log_path_kind { LOG_PATH_OUT, LOG_PATH_ERROR, LOG_PATH_COMBINED };

/* Whether the user has given the path of this file. */
bool log_path_is_given(const struct settings *settings, enum log_path_kind kind);

/* The absolute path, without a process's number. A relative one counts from the app's working
 * directory. `name` is the app's. 0, UV_ENOENT where there shall be no file, or UV_ENAMETOOLONG. */
int log_path(const struct settings *settings, const char *home, const char *name,
             enum log_path_kind kind, char path[PATH_MAX]);

#endif
