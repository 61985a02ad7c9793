#include "daemon/fleet_held.h"

#include "base/log.h"

#include <stdio.h>

enum dependency { DEPENDENCY_MET, DEPENDENCY_AWAITED, DEPENDENCY_LOST };

/* Whether an app serves with all its processes. */
static enum dependency judge(const struct record *record) {
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1)) {
        struct app_slot_status status;

        if (app_slot_status(record->app, slot, &status) < 0)
            continue;
        if (status.status == APP_ERRORED)
            return DEPENDENCY_LOST;
        if (status.status == APP_STOPPED && !record->processes[slot].held)
            return DEPENDENCY_LOST;
        if (status.status != APP_ONLINE)
            return DEPENDENCY_AWAITED;
    }
    return DEPENDENCY_MET;
}

/* What is to become of an app that depends on others; *ret_name is the first that is not there. */
static enum dependency judge_dependencies(const struct fleet *fleet, const struct record *record,
                                          const char **ret_name) {
    const struct text_list *names = &record->settings->depends_on;

    for (size_t i = 0; i < names->count; i++) {
        const struct record *other = fleet_find(fleet, names->items[i]);
        enum dependency verdict = other ? judge(other) : DEPENDENCY_LOST;

        *ret_name = names->items[i];
        if (verdict != DEPENDENCY_MET)
            return verdict;
    }
    return DEPENDENCY_MET;
}

static void fail_held(struct fleet *fleet, struct record *record, uint32_t slot, const char *name) {
    char reason[SETTINGS_ERROR_MAX];

    record_hold(record, slot, false);
    snprintf(reason, sizeof reason, "'%.128s', which it depends on, does not run", name);
    log_error("%s is not started: %s", record->settings->name, reason);
    fleet->events->process(fleet->owner, record, slot);
    operation_status(&fleet->operations, record->processes[slot].pm_id, APP_ERRORED, false, reason);
}

void fleet_release_held(struct fleet *fleet) {
    LIST_EACH(node, following, &fleet->records) {
        struct record *record = fleet_record(node);
        const char *name;
        enum dependency verdict = DEPENDENCY_AWAITED;

        if (record->settings->depends_on.count > 0 && !record->closing)
            verdict = judge_dependencies(fleet, record, &name);
        for (uint32_t slot = 0; verdict != DEPENDENCY_AWAITED && slot < record->capacity; slot++) {
            if (!record->processes[slot].exists || !record->processes[slot].held)
                continue;
            if (verdict == DEPENDENCY_LOST) {
                fail_held(fleet, record, slot, name);
            } else {
                record->processes[slot].held = false;
                record_start(record, slot);
            }
        }
    }
}
