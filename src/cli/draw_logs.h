/* `logs`: one line of output of a process.
 *
 *   0|name  | text                                       names padded to the longest one known
 *   2026-11-23-12:00:00 0|name  | text                   --timestamp
 *   text                                                 --raw
 *   {"message":"text","timestamp":"…","type":"out","process_id":0,"app_name":"name"}     --json
 *
 * With colours each process has one for its prefix, and what comes from standard error has a red
 * bar. Colours (ESC[…m) of the program itself pass where the style has colours, and end with the
 * line; without, they are taken out; everything else that is no text is escaped. In --raw to
 * something that is no terminal the line is as it was printed.
 *
 * Pure: from the events of docs/api.md. */
#ifndef BATON_CLI_DRAW_LOGS_H
#define BATON_CLI_DRAW_LOGS_H

#include "cli/draw_text.h"

enum draw_logs_form {
    DRAW_LOGS_PREFIXED,
    DRAW_LOGS_RAW,
    DRAW_LOGS_JSON,
};

/* To be filled in by the caller; it owns nothing. */
struct draw_logs {
    struct draw_style style;
    enum draw_logs_form form;
    const char *time_format; /* for strftime(3), local time; NULL: no time. DRAW_LOGS_TIME is the
                                usual one */
    const char *highlight;   /* a word shown in reverse video; NULL: none */
    size_t prefix_width;     /* of "0|name"; grown by draw_logs_learn() and by longer ones */
};

#define DRAW_LOGS_TIME "%Y-%m-%d-%H:%M:%S"

/* Widens the prefix for the processes of GET /v1/processes, so that the lines of all of them stand
 * below each other. */
void draw_logs_learn(struct draw_logs *logs, const json_t *processes);

/* Appends the line of a `log` event's data {pm_id, name, stream, time, line}, with "\n"; an event
 * that is none appends nothing. 0 or -ENOMEM. */
int draw_logs_line(struct buffer *out, struct draw_logs *logs, const json_t *event);

/* Appends the text of a line alone, as it is safe for `style`; tabs stay. 0 or -ENOMEM. */
int draw_logs_text(struct buffer *out, const struct draw_style *style, const char *line);

/* Appends the sentence of a `lost` event's data {lines}; nothing in JSON form. 0 or -ENOMEM. */
int draw_logs_lost(struct buffer *out, const struct draw_logs *logs, const json_t *event);

#endif
