/* What a slot looks like from outside, in the words that PM2's users know. Pure. */
#ifndef BATON_MASTER_APP_STATUS_H
#define BATON_MASTER_APP_STATUS_H

#include "master/child_state.h"

#include <stdbool.h>

enum app_status {
    APP_STOPPED,         /* no process, and none wanted: told to, or it ended as it may */
    APP_LAUNCHING,       /* the process exists and does not serve yet */
    APP_ONLINE,          /* it serves, or is ready to */
    APP_STOPPING,        /* it finishes what it has and ends */
    APP_ERRORED,         /* given up, or could not be started */
    APP_WAITING_RESTART, /* it ended; the next start is due later */
};

/* "stopped", "launching", "online", "stopping", "errored", "waiting restart". */
const char *app_status_name(enum app_status status);

/* What is wanted of a slot. */
enum slot_wish {
    SLOT_STOPPED, /* nothing: it is to have no worker */
    SLOT_WANTED,  /* it has a worker, or gets the next */
    SLOT_DONE,    /* its worker ended and is not to be followed by another */
    SLOT_FAILED,  /* given up */
};

struct app_status_input {
    enum slot_wish wish;
    bool has_current; /* a worker in the rotation, or about to be … */
    enum child_state current;
    unsigned children; /* records that exist, the current one and draining ones included */
};

enum app_status app_status_decide(const struct app_status_input *input);

#endif
