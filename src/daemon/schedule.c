#include "daemon/schedule.h"

#include <time.h>

static int64_t system_now_ms(void *clock) {
    struct timespec now;

    (void)clock;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum schedule_verdict schedule_decide(int64_t due, int64_t last, int64_t now) {
    if (last - now > SCHEDULE_BACK_S)
        return SCHEDULE_SKIP;
    if (due < 0 || due > now)
        return SCHEDULE_WAIT;
    return now - due > SCHEDULE_LATE_S ? SCHEDULE_SKIP : SCHEDULE_RUN;
}

static int64_t now_s(const struct schedule *schedule) {
    return schedule->now_ms(schedule->clock) / 1000;
}

static void on_timer(uv_timer_t *timer);

/* Until the next one is due, and a minute at most. */
static void arm(struct schedule *schedule) {
    int64_t now = schedule->now_ms(schedule->clock);
    int64_t wait = SCHEDULE_LOOK_MS;

    if (uv_is_closing((const uv_handle_t *)&schedule->timer))
        return;
    if (list_empty(&schedule->entries)) {
        uv_timer_stop(&schedule->timer);
        return;
    }
    LIST_EACH(node, following, &schedule->entries) {
        const struct schedule_entry *entry = LIST_ENTRY(node, struct schedule_entry, in_schedule);

        if (entry->due >= 0 && entry->due * 1000 - now < wait)
            wait = entry->due * 1000 - now;
    }
    uv_timer_start(&schedule->timer, on_timer, wait < 0 ? 0 : (uint64_t)wait, 0);
}

static void look(struct schedule *schedule, struct schedule_entry *entry, int64_t now) {
    enum schedule_verdict verdict = schedule_decide(entry->due, schedule->last, now);

    if (verdict == SCHEDULE_WAIT)
        return;
    entry->due = cron_next(&entry->cron, now);
    if (verdict == SCHEDULE_RUN)
        entry->on_due(entry->owner);
}

/* Callbacks may remove any entry, and close the schedule: so each is in a list of those that were
 * not looked at yet until it is. */
static void on_timer(uv_timer_t *timer) {
    struct schedule *schedule = timer->data;
    int64_t now = now_s(schedule);
    struct list *node;

    list_move_all(&schedule->unseen, &schedule->entries);
    while ((node = list_pop_front(&schedule->unseen))) {
        list_push_back(&schedule->entries, node);
        look(schedule, LIST_ENTRY(node, struct schedule_entry, in_schedule), now);
    }
    schedule->last = now;
    arm(schedule);
}

int schedule_start(struct schedule *schedule, uv_loop_t *loop, int64_t (*now_ms)(void *clock),
                   void *clock) {
    *schedule = (struct schedule){.now_ms = now_ms ? now_ms : system_now_ms, .clock = clock};
    list_init(&schedule->entries);
    list_init(&schedule->unseen);
    schedule->last = now_s(schedule);
    uv_timer_init(loop, &schedule->timer);
    schedule->timer.data = schedule;
    return 0;
}

void schedule_add(struct schedule *schedule, struct schedule_entry *entry, const struct cron *cron,
                  void (*on_due)(void *owner), void *owner) {
    schedule_remove(entry);
    *entry = (struct schedule_entry){
        .schedule = schedule,
        .cron = *cron,
        .due = cron_next(cron, now_s(schedule)),
        .on_due = on_due,
        .owner = owner,
    };
    list_push_back(&schedule->entries, &entry->in_schedule);
    arm(schedule);
}

void schedule_remove(struct schedule_entry *entry) {
    struct schedule *schedule = entry->schedule;

    if (!schedule)
        return;
    list_remove(&entry->in_schedule);
    entry->schedule = NULL;
    arm(schedule);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct schedule *schedule = handle->data;

    if (schedule->on_closed)
        schedule->on_closed(schedule->owner);
}

void schedule_close(struct schedule *schedule, void (*on_closed)(void *owner), void *owner) {
    struct list *node;

    list_move_all(&schedule->entries, &schedule->unseen);
    while ((node = list_pop_front(&schedule->entries)))
        LIST_ENTRY(node, struct schedule_entry, in_schedule)->schedule = NULL;
    schedule->on_closed = on_closed;
    schedule->owner = owner;
    uv_close((uv_handle_t *)&schedule->timer, on_timer_closed);
}
