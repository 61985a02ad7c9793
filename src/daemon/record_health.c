#include "daemon/record_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

/* --- workers that serve --- */

static uint64_t count_returned(void *owner, uint32_t slot) {
    const struct record *record = owner;
    struct app_slot_status status;

    return app_slot_status(record->app, slot, &status) == 0 ? status.counts.returned : 0;
}

/* Nobody but the worker is there in fork mode, at one address of this machine or the other. */
static int connect_worker(void *owner, uint32_t slot, unsigned attempt, int *ret_descriptor) {
    const struct record *record = owner;
    const struct settings *settings = record->settings;

    if (settings->intercept != SETTINGS_INTERCEPT_NONE)
        return app_connect_slot(record->app, slot, settings->health.port, ret_descriptor);
    return health_connect((uint16_t)(settings->health.port + (settings->increment_var ? slot : 0)),
                          attempt % 2 == 1, ret_descriptor);
}

static void replace_unhealthy(struct record *record, uint32_t slot) {
    struct record_process *process = &record->processes[slot];

    snprintf(process->unhealthy, sizeof process->unhealthy, "%s", process->check->last.reason);
    log_warning("worker %u of %s (pid %d) is unhealthy: %s, %u times in a row; replacing it", slot,
                record->settings->name, (int)process->checked, process->unhealthy,
                process->check->health.failed);
    app_replace_slot(record->app, slot, "it was unhealthy");
}

static void on_health(void *owner, uint32_t slot, enum health_change change) {
    struct record *record = owner;
    const struct health_check *check = record->processes[slot].check;

    if (check->count == 1 || change != HEALTH_SAME)
        record->options.events->status(record->options.owner, record, slot);
    if (change == HEALTH_REGAINED)
        log_info("worker %u of %s is healthy again", slot, record->settings->name);
    else if (change == HEALTH_LOST)
        replace_unhealthy(record, slot);
}

static void on_no_health(void *owner, uint32_t slot) {
    const struct record *record = owner;

    log_warning("the health of worker %u of %s cannot be checked: it has no TCP listener%s that "
                "the master deals the clients of",
                slot, record->settings->name,
                record->settings->health.port ? " at health.port" : "");
}

static const struct health_check_events health_events = {.connect = connect_worker,
                                                         .returned = count_returned,
                                                         .result = on_health,
                                                         .impossible = on_no_health};

void record_health_follow(struct record *record, uint32_t slot,
                          const struct app_slot_status *status) {
    struct record_process *process = &record->processes[slot];
    struct health_check_options options = {.loop = record->options.loop,
                                           .settings = record->settings,
                                           .slot = slot,
                                           .events = &health_events,
                                           .owner = record};
    pid_t pid = status->status == APP_ONLINE && record->settings->health.path ? status->pid : 0;

    if (status->status != APP_ONLINE) {
        health_check_stop(process->examination);
        process->examination = NULL;
    }
    if (pid == process->checked)
        return;
    health_check_stop(process->check);
    process->checked = pid;
    process->check = pid ? health_check_start(&options) : NULL;
}

/* --- a reload's new worker, before the old one is let go --- */

static void end_examination(struct record *record, uint32_t slot, const char *failure) {
    health_check_stop(record->processes[slot].examination);
    record->processes[slot].examination = NULL;
    app_examined(record->app, slot, failure);
}

/* What keeps us from asking for so long is not the worker's fault. */
static int connect_examined(void *owner, uint32_t slot, unsigned attempt, int *ret_descriptor) {
    const struct record *record = owner;
    int result =
        app_connect_examined(record->app, slot, record->settings->health.port, ret_descriptor);

    (void)attempt;
    if (result < 0 && result != UV_EAGAIN &&
        clock_ms() >= record->processes[slot].examined_until_ms)
        return UV_ENOTSUP;
    return result;
}

/* It is not dealt any client yet that others could get. */
static uint64_t none_returned(void *owner, uint32_t slot) {
    (void)owner;
    (void)slot;
    return 0;
}

static void on_examined(void *owner, uint32_t slot, enum health_change change) {
    struct record *record = owner;
    const struct record_process *process = &record->processes[slot];
    char failure[HEALTH_REASON_MAX + 64];

    (void)change;
    if (process->examination->last.healthy) {
        end_examination(record, slot, NULL);
        return;
    }
    snprintf(failure, sizeof failure, "the new one did not become healthy: %s",
             process->examination->last.reason);
    if (clock_ms() >= process->examined_until_ms)
        end_examination(record, slot, failure);
}

static void on_no_examination(void *owner, uint32_t slot) {
    end_examination(owner, slot, NULL);
}

static const struct health_check_events examination_events = {.connect = connect_examined,
                                                              .returned = none_returned,
                                                              .result = on_examined,
                                                              .impossible = on_no_examination};

bool record_health_examine(struct record *record, uint32_t slot) {
    struct record_process *process = &record->processes[slot];
    struct health_check_options options = {.loop = record->options.loop,
                                           .settings = record->settings,
                                           .slot = slot,
                                           .at_once = true,
                                           .events = &examination_events,
                                           .owner = record};

    if (!record->settings->health.path)
        return false;
    health_check_stop(process->examination);
    process->examination = health_check_start(&options);
    process->examined_until_ms = clock_ms() + record->settings->listen_timeout_ms;
    return process->examination != NULL;
}

void record_health_again(const struct record *record, uint32_t slot) {
    if (record->processes[slot].check)
        health_check_again(record->processes[slot].check);
}

void record_health_stop(struct record *record, uint32_t slot) {
    struct record_process *process = &record->processes[slot];

    health_check_stop(process->check);
    health_check_stop(process->examination);
    process->check = NULL;
    process->examination = NULL;
}
