/* `list`: one line for each process.
 *
 * Pure: from the JSON of GET /v1/processes. */
#ifndef BATON_CLI_DRAW_LIST_H
#define BATON_CLI_DRAW_LIST_H

#include "cli/draw_text.h"

struct draw_list_options {
    struct draw_style style;
    int64_t now_ms;   /* since 1970 */
    const char *sort; /* "field" or "field:desc" (":asc"), NULL: by name, then id, as PM2 does */
    bool mini;        /* -m: a few lines for each instead of a table */
};

/* Whether `sort` can be used: its field is name, id (pm_id), pid, namespace, version, mode, status,
 * cpu, memory (mem), uptime, restart (restarts), user or open. */
bool draw_list_sorts_by(const char *sort);

/* Appends the list. A process or a member of one that is not as it should be is shown as far as
 * possible. 0, -EINVAL (a field that nothing is sorted by, `processes` no array) or -ENOMEM, with
 * `out` then holding part of it. */
int draw_list(struct buffer *out, const json_t *processes, const struct draw_list_options *options);

#endif
