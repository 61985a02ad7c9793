/* The life of a worker, as one table. The names are those of the CLI and the API. Pure. */
#ifndef BATON_MASTER_CHILD_STATE_H
#define BATON_MASTER_CHILD_STATE_H

#include <stdbool.h>

enum child_state {
    CHILD_STARTING, /* the process exists */
    CHILD_ONLINE,   /* it has spoken: its runtime is up */
    CHILD_READY,    /* it listens, or says that it is ready */
    CHILD_DRAINING, /* out of the rotation; finishing what it has */
    CHILD_EXITED,
};

/* "starting", "online", "ready", "draining", "exited". */
const char *child_state_name(enum child_state state);

/* Whether a worker may go from one state to the other. */
bool child_state_allowed(enum child_state from, enum child_state to);

#endif
