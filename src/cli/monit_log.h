/* The last lines of output of every process, for monit. Pure.
 *
 * Each process has a ring of its own, so that one that prints without end does not push out what
 * the others have said. init/clear: an embedded value that owns the lines. */
#ifndef BATON_CLI_MONIT_LOG_H
#define BATON_CLI_MONIT_LOG_H

#include "base/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONIT_LOG_LINES    200  /* kept of each process */
#define MONIT_LOG_LINE_MAX 1024 /* bytes kept of a line */

struct monit_line {
    char *text;
    uint64_t order; /* over all processes */
    int64_t pm_id;
    bool error; /* from standard error */
};

struct monit_log {
    struct table rings; /* of struct monit_ring, by pm_id */
    uint64_t order;     /* of the next line */
};

void monit_log_init(struct monit_log *log);
void monit_log_clear(struct monit_log *log);

/* Copies a line. 0 or -ENOMEM. */
int monit_log_add(struct monit_log *log, int64_t pm_id, const char *text, bool error);

/* Forgets a process. */
void monit_log_remove(struct monit_log *log, int64_t pm_id);

/* The last `count` lines of some processes together, in the order of their arrival: how many there
 * are, at most `count`. They are borrowed until the next change. */
size_t monit_log_last(const struct monit_log *log, const int64_t *pm_ids, size_t pm_id_count,
                      const struct monit_line **ret_lines, size_t count);

#endif
