/* How far a long action is: on a terminal a bar that is drawn again in its place, elsewhere a plain
 * line for each step, with --silent nothing.
 *
 *   [=========>          ]  2/4  api (1) online          terminal
 *   [2/4] api (1) online                                 pipe
 *
 * The drawings are pure; progress_step() and progress_end() write them to a file of the caller's.
 */
#ifndef BATON_CLI_PROGRESS_H
#define BATON_CLI_PROGRESS_H

#include "cli/draw_text.h"

#include <stdio.h>

struct progress {
    FILE *file; /* not closed; NULL: nothing is shown (--silent) */
    struct draw_style style;
    bool drawn; /* a bar stands in the last line */
};

/* `file` is usually standard error or output; `style` as terminal_look() found it there. */
void progress_init(struct progress *progress, FILE *file, const struct draw_style *style);

/* Shows a step, from a `progress` event's data {done, of, pm_id, name, status}. */
void progress_step(struct progress *progress, const json_t *event);

/* Takes the bar away, so that something else can be printed where it stood; the next step draws it
 * again. */
void progress_end(struct progress *progress);

/* Appends what progress_step() shows for a terminal (one line, no newline) or for a pipe (with
 * newline). 0 or -ENOMEM. */
int progress_draw(struct buffer *out, const struct draw_style *style, const json_t *event);

#endif
