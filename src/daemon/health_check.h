/* The health checks of one worker, from when it is ready until somebody stops them.
 *
 * The happy path: health_check_start(); an interval later a connection to the worker is asked for,
 * one request goes over it (health.h), and the result is announced; an interval after that the next
 * one. It can fail when the worker takes no connection, closes it without an answer, or another
 * worker was dealt what this one did not accept: then it is tried again, with growing pauses, until
 * the probe's time is over, and that is a failure. What fails for a reason of ours counts as
 * nothing.
 *
 * On the heap; after health_check_stop() it frees itself, and calls nobody any more. */
#ifndef BATON_DAEMON_HEALTH_CHECK_H
#define BATON_DAEMON_HEALTH_CHECK_H

#include "config/settings.h"
#include "daemon/health.h"

#include <stdint.h>
#include <uv.h>

struct health_check_events {
    /* A connection to the worker, and to no other: 0 with *ret_descriptor. UV_EAGAIN when it takes
     * none; UV_ENOTSUP when there never will be one, which ends the checks; every other UV_E* is
     * ours. `attempt` counts from 0 within a probe. */
    int (*connect)(void *owner, uint32_t slot, unsigned attempt, int *ret_descriptor);
    /* How many of its clients have been dealt to others so far. */
    uint64_t (*returned)(void *owner, uint32_t slot);
    /* A result has come; the checks may be stopped in it. */
    void (*result)(void *owner, uint32_t slot, enum health_change change);
    /* There will be no checks, for no connection can be made. */
    void (*impossible)(void *owner, uint32_t slot);
};

struct health_check {
    struct health health;
    struct health_probe probe;
    struct health_outcome last; /* of the checks that are over */
    uint64_t count;             /* … and how many these are */
    struct settings *settings;  /* a reference */
    uv_timer_t timer;           /* until the next probe, or the next attempt */
    uint64_t deadline_ms;       /* of the probe under way */
    unsigned attempt;
    uint64_t returned;
    bool probing;
    bool stopped;
    bool timer_closed;
    uint32_t slot;
    const struct health_check_events *events;
    void *owner;
};

struct health_check_options {
    uv_loop_t *loop;
    struct settings *settings; /* with health.path; a reference is taken */
    uint32_t slot;
    bool at_once; /* the first now, and the next ones soon: for a worker that is to prove itself */
    const struct health_check_events *events;
    void *owner;
};

/* NULL when memory is out. */
struct health_check *health_check_start(const struct health_check_options *options);

/* No event comes any more. NULL is allowed. */
void health_check_stop(struct health_check *check);

/* Begins to count anew: it was to be replaced, and that has failed. */
void health_check_again(struct health_check *check);

#endif
