/* When a slot's worker is forked again, and when it is given up.
 *
 * A worker that lived for min_uptime is replaced at once (after restart_delay). One that died young
 * is replaced at once the first time; then the delay grows by half with each further young death,
 * to 15 s. One that lived for RESTART_STABLE_MS makes up for all that.
 *
 * The slot is given up at the max_restarts-th young death, as PM2 counts (with 0 at the first); and
 * when more than max_restarts (RESTART_LOOP_MIN at least) workers that were not stable have ended
 * within RESTART_WINDOW_MS, however long each of them lived: a crash every other second is a loop,
 * too. A min_uptime of 0 says that no life is too short, and then it is none. Pure. */
#ifndef BATON_MASTER_RESTART_H
#define BATON_MASTER_RESTART_H

#include "config/settings.h"

#include <stdbool.h>
#include <stdint.h>

#define RESTART_DELAY_MAX     15000 /* ms */
#define RESTART_STABLE_MS     30000
#define RESTART_WINDOW_MS     120000
#define RESTART_WINDOW_PIECES 12 /* the window slides in steps of 10 s */
#define RESTART_LOOP_MIN      8  /* fewer ends than that, not young ones, are no loop yet */

struct restart_history {
    uint32_t young_deaths;                    /* since a worker was stable */
    uint32_t restarts;                        /* in all */
    uint32_t unstable[RESTART_WINDOW_PIECES]; /* ends in the pieces of the window … */
    uint64_t piece;                           /* … of which this is the newest, by its number */
};

enum restart_verdict {
    RESTART_AFTER,   /* fork again after the delay */
    RESTART_DONE,    /* ended as it may: not forked again */
    RESTART_GIVE_UP, /* died too often */
};

struct restart_decision {
    enum restart_verdict verdict;
    uint64_t delay_ms;
};

/* A worker's end. */
struct restart_death {
    uint64_t lifetime_ms; /* 0 when it was never ready */
    int status;           /* waitpid(2)'s */
    uint64_t now_ms;      /* of a clock that never goes back */
};

/* Decides, and updates the history. */
struct restart_decision restart_decide(struct restart_history *history,
                                       const struct settings *settings,
                                       const struct restart_death *death);

/* The number of ends within the window. */
uint32_t restart_count(const struct restart_history *history);

/* Forgets all but the number of restarts: for a new version of the program. */
void restart_forget(struct restart_history *history);

#endif
