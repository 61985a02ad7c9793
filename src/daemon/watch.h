/* Tells when files change: an app's folders, recursively, by inotify(7).
 *
 * The happy path: each directory gets a watch; a change starts a timer of `delay_ms`, and when it
 * fires the first path that changed is announced, one announcement for all that came meanwhile. A
 * directory that is new is followed, one that is moved away no longer. It can fail when the limits
 * of inotify are reached (then what could be watched is, and on_problem says so), when the kernel's
 * queue overflows (then everything is looked at anew and counts as changed), and when a path is not
 * there, or no longer: it is looked for every second, and its return is a change.
 *
 * A file counts as changed when whoever writes to it closes it, when its name is new, gone or
 * another; not while it is being written: a log that grows is no change. Symbolic links inside are
 * not followed.
 *
 * start/close(cb). */
#ifndef BATON_DAEMON_WATCH_H
#define BATON_DAEMON_WATCH_H

#include "base/table.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define WATCH_ERROR_MAX 512

struct watch_options {
    const struct text_list *paths;  /* files or directories; empty: `cwd`. Copied */
    const struct text_list *ignore; /* patterns, see watch_ignores(). Copied */
    const char *cwd;                /* absolute; what relative paths are relative to. Copied */
    uint64_t delay_ms;              /* at least 20 are waited, for one save is several events */
    void (*on_change)(void *owner, const char *path);      /* absolute; may hold any byte */
    void (*on_problem)(void *owner, const char *sentence); /* each kind once; from the loop */
    void *owner;
};

struct watch_root;

struct watch {
    struct watch_options options; /* the callbacks; its paths are not used after the start */
    int descriptor;               /* of inotify */
    uv_poll_t poll;
    uv_timer_t delay; /* until on_change */
    uv_timer_t retry; /* until the next look for roots that are not there; and for on_problem */
    struct table directories; /* watch descriptor -> the directory's path */
    struct watch_root *roots;
    size_t root_count;
    struct text_list ignore;
    struct text_list problems; /* sentences yet to be announced */
    char *changed;             /* the first path since the last announcement, or NULL */
    bool full;                 /* max_user_watches was reached, and this was said */
    unsigned open;             /* handles not closed */
    void (*on_closed)(void *owner);
};

/* Whether a path is of no interest: node_modules, whatever begins with a dot (but "." and ".."), or
 * what fits a pattern. `relative` is relative to the watched directory and `absolute` the whole.
 * Patterns are those of fnmatch(3), in which a star also stands for slashes, on the base name, the
 * relative path and the absolute one. What is in a directory that is ignored is ignored, too. Of a
 * pattern's beginning "./" is left out, of its end a slash with or without stars, and a beginning
 * of two stars and a slash may also stand for nothing. Pure. */
bool watch_ignores(const struct text_list *patterns, const char *relative, const char *absolute);

/* 0, or a UV_E* with a sentence in `error`; then nothing is left open. */
int watch_start(struct watch *watch, uv_loop_t *loop, const struct watch_options *options,
                char error[WATCH_ERROR_MAX]);

void watch_close(struct watch *watch, void (*on_closed)(void *owner));

#endif
