/* A snapshot as text: the live table of --status, and one line of JSON for scripts. Pure. */
#ifndef BATON_MASTER_STATUS_H
#define BATON_MASTER_STATUS_H

#include "base/buffer.h"
#include "master/snapshot.h"

/* Appends the table, each line ending in newline, with colours if asked for. 0 or UV_ENOMEM. */
int status_table(struct buffer *out, const struct snapshot *snapshot, bool color);

/* Appends one JSON object and a newline: 0 or UV_ENOMEM. Its fields are in docs/manual.md. */
int status_json(struct buffer *out, const struct snapshot *snapshot);

#endif
