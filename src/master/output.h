/* What workers print, and the live table below it.
 *
 * On a terminal each line gets its slot's number, a bar and a colour; the table of --status is kept
 * below the lines. With a time asked for, each line begins with it. Elsewhere workers write to our
 * standard output and error themselves and no byte passes through here. Memory is bounded: a line
 * longer than OUTPUT_LINE_MAX is written in pieces, and a worker that floods is read only as fast
 * as the reader of our output takes it. init at first; output_sink_close() of its sink at last. */
#ifndef BATON_MASTER_OUTPUT_H
#define BATON_MASTER_OUTPUT_H

#include "master/output_sink.h"

#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_LINE_MAX 4000

struct output {
    struct output_sink sink; /* what workers print */
    bool prefix;             /* "0 | text" */
    bool color;
    bool time;            /* an ISO time before each line */
    unsigned table_lines; /* of the table that stands below, 0 when none */
};

/* Decides by what standard output is. */
void output_init(struct output *output, bool color, bool time);

/* Whether workers' output passes through here at all. */
bool output_captures(const struct output *output);

/* The terminal's size in characters; 0 and 0 when standard output is none. */
void output_size(unsigned *ret_columns, unsigned *ret_rows);

/* One line of our own, without newline; `owner` is the output, so that it can serve as log sink. */
void output_log_line(void *owner, const char *line);

/* Puts the table (whole lines) below what was printed, in place of the one before. */
void output_table(struct output *output, const char *table, size_t length);

#endif
