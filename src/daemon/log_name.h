/* The names of log files and of their predecessors. Pure. */
#ifndef BATON_DAEMON_LOG_NAME_H
#define BATON_DAEMON_LOG_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "PATH.number" or "PATH.number.gz": 0 or UV_ENAMETOOLONG. */
int log_name_predecessor(const char *path, uint32_t number, bool compressed, char *name,
                         size_t size);

/* Puts "-id" before the ending of the path's last component: /a/app-out-3.log. 0 or
 * UV_ENAMETOOLONG. */
int log_name_with_id(const char *path, uint32_t id, char *name, size_t size);

/* An app's name as it stands in the names of its files: what is no letter, digit, point or hyphen
 * is a hyphen (PM2's rule). Cut to fit. */
void log_name_of_app(const char *app, char *name, size_t size);

#endif
