/* The last lines of a log file, going back over those it was rotated to (PATH.1, PATH.2.gz …).
 *
 * log_tail_read() blocks, so the daemon uses log_tail_start(), which does it in the thread pool. A
 * rotation meanwhile neither repeats nor hides a file. Memory: three times max_bytes at most,
 * however long a line is; of one that is longer only the end is given. */
#ifndef BATON_DAEMON_LOG_TAIL_H
#define BATON_DAEMON_LOG_TAIL_H

#include "base/buffer.h"

#include <stddef.h>
#include <uv.h>

#define LOG_TAIL_MAX_BYTES (1 << 20)

/* Appends the last `lines` lines, raw, at most max_bytes in all; the last one ends in a newline
 * only if the file does. 0, UV_ENOENT when no such file is there, another UV_E* when it cannot be
 * read, or UV_ENOMEM. */
int log_tail_read(struct buffer *ret_text, const char *path, size_t lines, size_t max_bytes);

/* The same in the background; on the heap, freed by itself after the callback. */
struct log_tail {
    uv_work_t work;
    char *path; /* owned */
    size_t lines;
    int result;         /* as log_tail_read() */
    struct buffer text; /* the callback may take it over and buffer_init() it */
    void (*on_done)(void *owner, struct log_tail *tail);
    void *owner;
};

/* on_done comes from the loop, always, and once. 0 or UV_ENOMEM. */
int log_tail_start(uv_loop_t *loop, const char *path, size_t lines,
                   void (*on_done)(void *owner, struct log_tail *tail), void *owner);

#endif
