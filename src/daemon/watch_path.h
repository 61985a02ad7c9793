/* The names of files and directories that are watched: absolute, without dots. */
#ifndef BATON_DAEMON_WATCH_PATH_H
#define BATON_DAEMON_WATCH_PATH_H

#include <limits.h>
#include <stdbool.h>

/* Whether a path is in a directory, however deep; and whether it is that or the directory. */
bool watch_path_is_beneath(const char *path, const char *directory);
bool watch_path_is_at_or_beneath(const char *path, const char *directory);

/* A name in a directory. 0 or UV_ENAMETOOLONG. */
int watch_path_join(const char *directory, const char *name, char path[PATH_MAX]);

/* One name for one place, whatever links and dots lead there; as it is where nothing is yet. A
 * relative path counts from `cwd`. 0 or UV_ENAMETOOLONG. */
int watch_path_whole(const char *cwd, const char *path, char whole[PATH_MAX]);

#endif
