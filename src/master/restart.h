/* When a slot's worker is forked again, and when it is given up.
 *
 * A worker that lived for min_uptime is replaced at once (after restart_delay). One that died young
 * is replaced at once the first time; then the delay grows by half with each further young death,
 * to 15 s. After max_restarts restarts in a row that all died young the slot is given up. Pure. */
#ifndef BATON_MASTER_RESTART_H
#define BATON_MASTER_RESTART_H

#include "config/settings.h"

#include <stdbool.h>
#include <stdint.h>

#define RESTART_DELAY_MAX 15000 /* ms */

struct restart_history {
    uint32_t young_deaths; /* in a row */
    uint32_t restarts;     /* in all */
};

enum restart_verdict {
    RESTART_AFTER,   /* fork again after the delay */
    RESTART_DONE,    /* ended as it may: not forked again */
    RESTART_GIVE_UP, /* died young too often */
};

struct restart_decision {
    enum restart_verdict verdict;
    uint64_t delay_ms;
};

/* Decides after a worker has lived for lifetime_ms (0 when it was never ready) and ended with a
 * waitpid(2) status; updates the history. */
struct restart_decision restart_decide(struct restart_history *history,
                                       const struct settings *settings, uint64_t lifetime_ms,
                                       int status);

#endif
