/* The processes that somebody means: by number, each once, in the order of their numbers.
 *
 * A value that owns its array; all zero is empty. Its records are borrowed: it is not kept over a
 * turn of the loop, in which they may go. */
#ifndef BATON_DAEMON_FLEET_SELECTION_H
#define BATON_DAEMON_FLEET_SELECTION_H

#include "daemon/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet;

/* A process that is meant by somebody. */
struct fleet_process {
    struct record *record;
    uint32_t slot;
    uint32_t pm_id;
};

struct fleet_selection {
    struct fleet_process *processes; /* by pm_id, each once; owned */
    size_t count;
};

void fleet_selection_clear(struct fleet_selection *selection);

/* Adds what one target means: 0, UV_ENOENT when that is nothing, UV_EINVAL for a broken
 * expression, or UV_ENOMEM. */
int fleet_select(const struct fleet *fleet, const char *target, struct fleet_selection *selection);

/* Adds one process, if it is not there yet. 0 or UV_ENOMEM. */
int fleet_selection_add(struct fleet_selection *selection, const struct fleet_process *process);

/* Adds every process of a record. 0 or UV_ENOMEM. */
int fleet_select_record(struct record *record, struct fleet_selection *selection);

/* The process of this number; false when there is none. */
bool fleet_find_process(const struct fleet *fleet, uint32_t pm_id, struct fleet_process *ret);

#endif
