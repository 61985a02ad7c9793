/* All counters of an app at one moment, as plain values: what the table, the JSON line and later
 * metrics read. */
#ifndef BATON_MASTER_SNAPSHOT_H
#define BATON_MASTER_SNAPSHOT_H

#include "master/app.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot_listener {
    char address[ADDRESS_TEXT_MAX];
    uint64_t accepted;
    uint64_t waiting;
    uint64_t gave_up; /* clients that no worker took in time */
    uint64_t paused;  /* how often accepting paused for lack of credit … */
    uint64_t starved; /* … and of descriptors */
    bool accepting;
    bool shared; /* the workers accept from it themselves: nothing is counted */
};

struct snapshot_worker {
    uint32_t slot;
    pid_t pid; /* 0 while the slot has none */
    enum child_state state;
    uint64_t uptime_ms;
    struct child_counts counts;
    uint64_t restarts; /* of its slot */
    uint64_t stuck;
    double cpu_percent;
    uint64_t memory; /* bytes */
};

struct snapshot {
    const char *name;         /* the app's, borrowed */
    const char *policy;       /* borrowed */
    bool follows_connections; /* whether `open` is known */
    bool wants_connections;   /* whether the policy asks for it */
    uint64_t reloads;
    size_t listener_count;
    struct snapshot_listener *listeners; /* owned */
    size_t worker_count;
    struct snapshot_worker
        *workers; /* owned; by slot, draining ones after the slot's current one */
};

/* 0 or UV_ENOMEM. */
int snapshot_take(struct snapshot *ret_snapshot, const struct app *app, uint64_t now_ms);
void snapshot_clear(struct snapshot *snapshot);

#endif
