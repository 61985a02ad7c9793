/* The last lines of a log file, going back over those it was rotated to (PATH.1, PATH.2.gz …).
 *
 * log_tail_read() blocks, so the daemon uses log_tail_start(), which does it in the thread pool. A
 * rotation meanwhile neither repeats nor hides a file. Memory: three times max_bytes at most,
 * however long a line is; of one that is longer only the end is given. */
#ifndef BATON_DAEMON_LOG_TAIL_H
#define BATON_DAEMON_LOG_TAIL_H

#include "base/buffer.h"

#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#define LOG_TAIL_MAX_BYTES (1 << 20)

/* Where to stop, so that what is written later belongs to whoever notes it as it is written. The
 * file may be rotated meanwhile; if it is removed or emptied there is less to be had. */
struct log_tail_end {
    dev_t device;
    ino_t inode;
    off_t size;
};

/* The end of a log file as it is now. 0, or a UV_E*: UV_ENOENT when it is not there. */
int log_tail_look(const char *path, struct log_tail_end *ret_end);

/* Appends the last `lines` lines before `end` (NULL: before wherever the file ends), raw, at most
 * max_bytes in all; the last one ends in a newline only if it has one there. 0, UV_ENOENT when no
 * such file is there, another UV_E* when it cannot be read, or UV_ENOMEM. */
int log_tail_read(struct buffer *ret_text, const char *path, size_t lines, size_t max_bytes,
                  const struct log_tail_end *end);

/* The same in the background; on the heap, freed by itself after the callback. */
struct log_tail {
    uv_work_t work;
    char *path; /* owned */
    size_t lines;
    struct log_tail_end end;
    int result;         /* as log_tail_read() */
    struct buffer text; /* the callback may take it over and buffer_init() it */
    void (*on_done)(void *owner, struct log_tail *tail);
    void *owner;
};

/* Which lines of which file, before which end. */
struct log_tail_wish {
    const char *path;
    size_t lines;
    struct log_tail_end end;
};

/* on_done comes from the loop, always, and once. 0 or UV_ENOMEM. */
int log_tail_start(uv_loop_t *loop, const struct log_tail_wish *wish,
                   void (*on_done)(void *owner, struct log_tail *tail), void *owner);

#endif
