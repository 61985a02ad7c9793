/* Runs things at the times of cron expressions: cron_restart.
 *
 * One timer for all. It looks at the clock at least once a minute, because libuv's timers stand
 * still while the machine is suspended and know nothing of a clock that is set. A time that was
 * passed over in between is made up for once, if it is at most an hour ago. When the clock is set
 * back by more than a minute, the next times are reckoned anew, so that nothing waits for the old
 * time; by less, so that nothing happens twice, they stay.
 *
 * start/close(cb). */
#ifndef BATON_DAEMON_SCHEDULE_H
#define BATON_DAEMON_SCHEDULE_H

#include "base/list.h"
#include "config/cron.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define SCHEDULE_LOOK_MS 60000 /* the longest wait */
#define SCHEDULE_LATE_S  3600  /* what is later than this is dropped */
#define SCHEDULE_BACK_S  60

struct schedule {
    uv_timer_t timer;
    struct list entries;
    struct list unseen;             /* those that are yet to be looked at, while that happens */
    int64_t last;                   /* when the clock was last looked at */
    int64_t (*now_ms)(void *clock); /* since 1970 */
    void *clock;
    void (*on_closed)(void *owner);
    void *owner;
};

/* Embedded in whatever is scheduled; zero before the first add. */
struct schedule_entry {
    struct list in_schedule;
    struct schedule *schedule; /* NULL: not in one */
    struct cron cron;
    int64_t due; /* seconds since 1970; -1: never */
    void (*on_due)(void *owner);
    void *owner;
};

/* now_ms NULL: the system's clock. */
int schedule_start(struct schedule *schedule, uv_loop_t *loop, int64_t (*now_ms)(void *clock),
                   void *clock);

/* The expression is copied. on_due may add and remove any entry, its own too. */
void schedule_add(struct schedule *schedule, struct schedule_entry *entry, const struct cron *cron,
                  void (*on_due)(void *owner), void *owner);

/* Nothing happens when it is in none. */
void schedule_remove(struct schedule_entry *entry);

/* Entries that are left are removed. */
void schedule_close(struct schedule *schedule, void (*on_closed)(void *owner), void *owner);

enum schedule_verdict {
    SCHEDULE_WAIT,
    SCHEDULE_RUN,  /* and reckon the next time */
    SCHEDULE_SKIP, /* too late, or the clock was set back: reckon the next time */
};

/* What becomes of an entry that is due at `due`, when the clock was `last` at the last look and is
 * `now`; all in seconds. Pure. */
enum schedule_verdict schedule_decide(int64_t due, int64_t last, int64_t now);

#endif
