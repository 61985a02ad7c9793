/* What workers print, and the live table below it.
 *
 * On a terminal each line gets its slot's number, a bar and a colour; the table of --status is kept
 * below the lines. With a time asked for, each line begins with it. Elsewhere workers write to our
 * standard output and error themselves and no byte passes through here. Memory is bounded: a line
 * longer than OUTPUT_LINE_MAX is written in pieces, and a worker that floods is read only as fast
 * as the reader of our output takes it. start/close(cb) for a source; init/clear for the output. */
#ifndef BATON_MASTER_OUTPUT_H
#define BATON_MASTER_OUTPUT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define OUTPUT_LINE_MAX 4000

struct output {
    bool prefix; /* "0 | text" */
    bool color;
    bool time;            /* an ISO time before each line */
    unsigned table_lines; /* of the table that stands below, 0 when none */
};

/* One pipe from a worker. */
struct output_source {
    struct output *output;
    uv_poll_t poll;
    uv_timer_t retry; /* while the reader of our output is slow */
    unsigned handles;
    int descriptor; /* owned; -1 when not in use */
    uint32_t slot;
    bool error; /* its standard error */
    struct buffer line;
    void (*on_closed)(void *owner);
    void *owner;
};

/* Decides by what standard output is. */
void output_init(struct output *output, bool color, bool time);

/* Whether workers' output passes through here at all. */
bool output_captures(const struct output *output);

/* Takes over `descriptor`, the reading end of the pipe that a worker writes to. 0 or a UV_E*. */
int output_source_start(struct output_source *source, uv_loop_t *loop, struct output *output,
                        int descriptor, uint32_t slot, bool error);

/* Writes what is left, an unfinished line too. on_closed comes from the loop. */
void output_source_close(struct output_source *source, void (*on_closed)(void *owner), void *owner);

/* The terminal's size in characters; 0 and 0 when standard output is none. */
void output_size(unsigned *ret_columns, unsigned *ret_rows);

/* One line of our own, without newline; `owner` is the output, so that it can serve as log sink. */
void output_log_line(void *owner, const char *line);

/* Puts the table (whole lines) below what was printed, in place of the one before. */
void output_table(struct output *output, const char *table, size_t length);

#endif
