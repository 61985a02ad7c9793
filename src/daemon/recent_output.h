/* The last bytes that the workers of one slot have printed, for failure reports: of the two workers
 * that have printed last, as a reload has an old one and a new one, 4 KiB each, both streams in the
 * order of their reading.
 *
 * An embedded value that owns its blocks; all zero is empty. What memory is out for is not kept. */
#ifndef BATON_DAEMON_RECENT_OUTPUT_H
#define BATON_DAEMON_RECENT_OUTPUT_H

#include "base/buffer.h"
#include "master/output_sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RECENT_OUTPUT_WORKERS 2
#define RECENT_OUTPUT_SIZE    4096 /* bytes of each */
#define RECENT_OUTPUT_LINES   20

/* Of one worker. */
struct recent_bytes {
    pid_t pid;
    bool error; /* the last of them are of standard error */
    size_t length;
    char *bytes; /* RECENT_OUTPUT_SIZE; NULL while it has printed nothing */
};

struct recent_output {
    struct recent_bytes workers[RECENT_OUTPUT_WORKERS];
    unsigned latest; /* of them */
};

void recent_output_clear(struct recent_output *recent);

/* Keeps the end of what was read. The other stream's unfinished line is ended first. */
void recent_output_add(struct recent_output *recent, const struct output_origin *origin,
                       const char *bytes, size_t length);

/* Appends the last lines of a worker, at most RECENT_OUTPUT_LINES, each with its newline, as UTF-8;
 * nothing of a worker that is not known any more. `pid` 0: whichever has printed last. 0 or
 * -ENOMEM. */
int recent_output_last_lines(const struct recent_output *recent, pid_t pid, struct buffer *text);

#endif
