#include "daemon/fleet.h"

#include "daemon/fleet_actions.h"
#include "daemon/fleet_held.h"

#include <string.h>

#define PARALLEL_MIN 2 /* apps that an operation renews at once, as PM2 does */

/* --- what records announce --- */

static void on_status(void *owner, struct record *record, uint32_t slot) {
    struct fleet *fleet = owner;
    struct app_slot_status status;
    uint32_t pm_id;

    if (!record_pm_id(record, slot, &pm_id) || app_slot_status(record->app, slot, &status) < 0)
        return;
    fleet->events->process(fleet->owner, record, slot);
    if (!record->processes[slot].held)
        operation_status(&fleet->operations, pm_id, status.status, status.failed, status.reason);
    if (!fleet->acting)
        fleet_release_held(fleet);
}

static void on_failing(void *owner, struct record *record, uint32_t slot) {
    struct fleet *fleet = owner;
    struct app_slot_status status;
    uint32_t pm_id;

    if (record_pm_id(record, slot, &pm_id) && app_slot_status(record->app, slot, &status) == 0)
        operation_status(&fleet->operations, pm_id, status.status, true, status.reason);
}

static void on_renewed(void *owner, struct record *record, const struct app_renewed *renewed) {
    struct fleet *fleet = owner;
    uint32_t pm_id;

    if (record_pm_id(record, renewed->slot, &pm_id))
        operation_renewed(&fleet->operations, pm_id, renewed);
    fleet_renew_more(fleet);
}

static void finish_if_empty(struct fleet *fleet);

static void on_record_closed(void *owner, struct record *record) {
    struct fleet *fleet = owner;

    list_remove(&record->in_fleet);
    finish_if_empty(fleet);
}

/* Whether no app is left but those that are being closed. */
static bool is_empty(const struct fleet *fleet) {
    LIST_EACH(node, following, &fleet->records)
        if (!fleet_record(node)->closing)
            return false;
    return true;
}

static void on_removed(void *owner, struct record *record, uint32_t pm_id, bool last) {
    struct fleet *fleet = owner;

    fleet->events->removed(fleet->owner, record, pm_id);
    fleet->events->changed(fleet->owner); /* before whoever waits for it looks */
    operation_gone(&fleet->operations, pm_id);
    fleet_renew_more(fleet);
    if (last)
        record_close(record, on_record_closed);
    if (is_empty(fleet))
        fleet->next_pm_id = 0; /* numbers begin anew, as PM2's users expect of an empty list */
}

static void on_line(void *owner, struct record *record, const struct log_line *line) {
    struct fleet *fleet = owner;

    fleet->events->line(fleet->owner, record, line);
}

static void on_changed(void *owner, struct record *record) {
    struct fleet *fleet = owner;

    (void)record;
    fleet->events->changed(fleet->owner);
}

static const struct record_events record_events = {.changed = on_changed,
                                                   .status = on_status,
                                                   .failing = on_failing,
                                                   .renewed = on_renewed,
                                                   .removed = on_removed,
                                                   .line = on_line};

/* --- life --- */

/* So that each worker that starts has a processor, and is not late for want of one. */
static uint32_t count_parallel(void) {
    unsigned processors = uv_available_parallelism();

    return processors < PARALLEL_MIN ? PARALLEL_MIN : processors;
}

int fleet_start(struct fleet *fleet, struct host *host, const char *home,
                const struct fleet_events *events, void *owner) {
    *fleet = (struct fleet){.loop = host->loop,
                            .host = host,
                            .home = home,
                            .events = events,
                            .owner = owner,
                            .parallel = count_parallel(),
                            .next_request = 1};
    list_init(&fleet->records);
    list_init(&fleet->operations);
    return schedule_start(&fleet->schedule, fleet->loop, NULL, NULL);
}

static void on_schedule_closed(void *owner) {
    struct fleet *fleet = owner;

    fleet->on_closed(fleet->owner);
}

static void finish_if_empty(struct fleet *fleet) {
    if (fleet->closing && list_empty(&fleet->records))
        schedule_close(&fleet->schedule, on_schedule_closed, fleet);
}

void fleet_close(struct fleet *fleet, void (*on_closed)(void *owner)) {
    fleet->closing = true;
    fleet->on_closed = on_closed;
    operation_abandon_all(&fleet->operations);
    LIST_EACH(node, following, &fleet->records)
        record_close(fleet_record(node), on_record_closed);
    finish_if_empty(fleet);
}

struct record *fleet_find_program(const struct fleet *fleet, const char *name, const char *script) {
    LIST_EACH(node, following, &fleet->records) {
        struct record *record = fleet_record(node);

        if (!record->closing && strcmp(record->settings->name, name) == 0 &&
            (!script || strcmp(record->settings->script, script) == 0))
            return record;
    }
    return NULL;
}

struct record *fleet_find(const struct fleet *fleet, const char *name) {
    return fleet_find_program(fleet, name, NULL);
}

/* Apps that are started from one shell have equal environments, which are the largest part of what
 * is kept of them: one is enough. */
static void share_environment(const struct fleet *fleet, json_t *description) {
    json_t *environment = json_object_get(description, "environment");
    const struct record *before;
    json_t *known;

    if (!environment || list_empty(&fleet->records))
        return;
    before = LIST_ENTRY(fleet->records.previous, struct record, in_fleet);
    known = json_object_get(before->description, "environment");
    if (known != environment && json_equal(known, environment))
        json_object_set(description, "environment", known);
}

int fleet_add(struct fleet *fleet, json_t *description, struct settings *settings,
              struct record **ret_record, char error[SETTINGS_ERROR_MAX]) {
    struct record_options options = {.loop = fleet->loop,
                                     .host = fleet->host,
                                     .schedule = &fleet->schedule,
                                     .home = fleet->home,
                                     .next_pm_id = &fleet->next_pm_id,
                                     .events = &record_events,
                                     .owner = fleet};
    int result;

    share_environment(fleet, description);
    result = record_create(ret_record, &options, description, settings, error);
    if (result < 0)
        return result;
    list_push_back(&fleet->records, &(*ret_record)->in_fleet);
    app_log_follow(&(*ret_record)->log, fleet->followers > 0);
    fleet->events->changed(fleet->owner);
    return 0;
}

static bool is_down(const struct record *record) {
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1)) {
        struct app_slot_status status;

        if (record->processes[slot].held || app_slot_status(record->app, slot, &status) < 0 ||
            (status.status != APP_STOPPED && status.status != APP_ERRORED))
            return false;
    }
    return true;
}

bool fleet_is_down(const struct fleet *fleet) {
    LIST_EACH(node, following, &fleet->records)
        if (!fleet_record(node)->closing && !is_down(fleet_record(node)))
            return false;
    return true;
}

void fleet_follow(struct fleet *fleet, bool followed) {
    bool before = fleet->followers > 0;

    fleet->followers += followed ? 1 : -1u;
    if (before == (fleet->followers > 0))
        return;
    LIST_EACH(node, following, &fleet->records)
        app_log_follow(&fleet_record(node)->log, fleet->followers > 0);
}
