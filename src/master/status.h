/* A snapshot as text: the live table of --status, and one line of JSON for scripts. Pure. */
#ifndef BATON_MASTER_STATUS_H
#define BATON_MASTER_STATUS_H

#include "base/buffer.h"
#include "master/snapshot.h"

/* Where the table is shown. */
struct status_view {
    bool color;
    unsigned columns; /* fewer than STATUS_WIDE: some are left out; 0: no limit */
    unsigned rows;    /* workers that do not fit are only counted; 0: no limit */
};

#define STATUS_WIDE 109

/* Appends the table, each line ending in newline. 0 or UV_ENOMEM. */
int status_table(struct buffer *out, const struct snapshot *snapshot,
                 const struct status_view *view);

/* Appends one JSON object and a newline: 0 or UV_ENOMEM. Its fields are in docs/manual.md. */
int status_json(struct buffer *out, const struct snapshot *snapshot);

#endif
