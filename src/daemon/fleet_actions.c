#include "daemon/fleet_actions.h"

#include "daemon/fleet_held.h"
#include "daemon/process_json.h"

#include <string.h>

#define LATE_MS 1000 /* more than an app's own limits, after which an action on it is late */

static json_t *draw_process(void *owner, uint32_t pm_id) {
    struct fleet_process process;

    return fleet_find_process(owner, pm_id, &process) ? process_json(process.record, process.slot)
                                                      : NULL;
}

static json_t *draw_output(void *owner, uint32_t pm_id, pid_t pid) {
    struct fleet_process process;

    return fleet_find_process(owner, pm_id, &process)
               ? process_json_output(process.record, process.slot, pid)
               : NULL;
}

static bool is_saved(void *owner) {
    const struct fleet *fleet = owner;

    return fleet->events->is_saved(fleet->owner);
}

static const struct operation_events operation_events = {
    .draw = draw_process, .output = draw_output, .is_saved = is_saved};

struct operation *fleet_operation(struct fleet *fleet, struct control_request *request) {
    return operation_create(&fleet->operations, fleet->loop, request, &operation_events, fleet);
}

static enum operation_goal goal_of(enum fleet_action action) {
    switch (action) {
    case FLEET_START:
        return OPERATION_ONLINE;
    case FLEET_STOP:
        return OPERATION_STOPPED;
    case FLEET_RESTART:
    case FLEET_RELOAD:
        return OPERATION_RENEWED;
    case FLEET_DELETE:
        break;
    }
    return OPERATION_GONE;
}

/* A start has its listen timeout; everything else ends by the app's own timeouts. */
static uint64_t limit_of(enum fleet_action action, const struct settings *settings) {
    return action == FLEET_START
               ? (settings->listen_timeout_ms + LATE_MS) * (settings->depends_on.count + 1)
               : 0;
}

/* --- renewals, some apps at a time --- */

static bool is_under_way(const struct operation_item *item) {
    return item->goal == OPERATION_RENEWED && !item->waiting && !item->over;
}

/* Whether one of the first `count` items is of this app and under way. */
static bool app_is_under_way(const struct operation *operation, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (is_under_way(&operation->items[i]) && strcmp(operation->items[i].name, name) == 0)
            return true;
    return false;
}

static uint32_t count_apps_under_way(const struct operation *operation) {
    uint32_t count = 0;

    for (size_t i = 0; i < operation->count; i++)
        count += is_under_way(&operation->items[i]) &&
                 !app_is_under_way(operation, i, operation->items[i].name);
    return count;
}

static struct operation_item *find_waiting(const struct operation *operation) {
    for (size_t i = 0; i < operation->count; i++)
        if (operation->items[i].waiting && !operation->items[i].over)
            return &operation->items[i];
    return NULL;
}

/* Every item of the app is under way before the first is asked, which may be over at once. */
static void renew_app(struct fleet *fleet, struct operation *operation, const char *name) {
    enum app_renewal how = operation->reloads ? APP_RELOAD : APP_RESTART;

    for (size_t i = 0; i < operation->count; i++)
        if (strcmp(operation->items[i].name, name) == 0)
            operation->items[i].waiting = false;
    for (size_t i = 0; i < operation->count; i++) {
        const struct operation_item *item = &operation->items[i];
        struct fleet_process process;

        if (is_under_way(item) && strcmp(item->name, name) == 0 &&
            fleet_find_process(fleet, item->pm_id, &process))
            record_renew(process.record, process.slot, how, operation->request);
    }
}

static void renew_more(struct fleet *fleet, struct operation *operation) {
    uint32_t limit = operation->parallel ? operation->parallel : fleet->parallel;
    const struct operation_item *next;

    while (!operation->closing && (next = find_waiting(operation)) &&
           count_apps_under_way(operation) < limit)
        renew_app(fleet, operation, next->name);
}

void fleet_renew_more(struct fleet *fleet) {
    LIST_EACH(node, following, &fleet->operations)
        renew_more(fleet, LIST_ENTRY(node, struct operation, node));
}

static void begin_renewals(struct fleet *fleet, enum fleet_action action,
                           struct operation *operation) {
    operation->reloads = action == FLEET_RELOAD;
    for (size_t i = 0; i < operation->count; i++)
        operation->items[i].waiting = operation->items[i].goal == OPERATION_RENEWED;
    renew_more(fleet, operation);
}

static void act_on(enum fleet_action action, const struct fleet_process *one) {
    switch (action) {
    case FLEET_START:
        if (one->record->settings->depends_on.count > 0)
            record_hold(one->record, one->slot, true);
        else
            record_start(one->record, one->slot);
        break;
    case FLEET_STOP:
        record_stop(one->record, one->slot);
        break;
    case FLEET_DELETE:
        record_remove(one->record, one->slot);
        break;
    case FLEET_RESTART: /* begin_renewals() */
    case FLEET_RELOAD:
        break;
    }
}

/* What is where it is to be already is announced by nobody. */
static void report_what_is(struct fleet *fleet, enum fleet_action action,
                           const struct fleet_process *one) {
    struct app_slot_status status;

    if ((action == FLEET_START || action == FLEET_STOP) &&
        !one->record->processes[one->slot].held &&
        app_slot_status(one->record->app, one->slot, &status) == 0 &&
        status.status == (action == FLEET_START ? APP_ONLINE : APP_STOPPED))
        operation_status(&fleet->operations, one->pm_id, status.status, false, NULL);
}

/* A restart or reload of what does not run is a start, which waits for the apps that it depends on.
 */
static enum fleet_action action_on(enum fleet_action action, const struct fleet_process *one) {
    const struct slot *slot = app_slot(one->record->app, one->slot);

    if ((action == FLEET_RESTART || action == FLEET_RELOAD) &&
        one->record->settings->depends_on.count > 0 && slot && slot->wish != SLOT_WANTED)
        return FLEET_START;
    return action;
}

static void add_all(enum fleet_action action, const struct fleet_selection *selection,
                    struct operation *operation) {
    for (size_t i = 0; i < selection->count; i++) {
        const struct fleet_process *one = &selection->processes[i];
        const struct settings *settings = one->record->settings;
        enum fleet_action own = action_on(action, one);

        operation_add(operation, one->pm_id, settings->name, goal_of(own), limit_of(own, settings));
    }
}

/* Whether all processes of its app are meant. */
static bool covers(const struct fleet_selection *selection, const struct record *record) {
    uint32_t count = 0;

    for (size_t i = 0; i < selection->count; i++)
        count += selection->processes[i].record == record;
    return count == record_count(record);
}

/* A whole app ends at once, so that all its workers serve whoever has connected, and not only the
 * last one. */
static void stop_whole_apps(const struct fleet_selection *selection) {
    for (size_t i = 0; i < selection->count; i++) {
        struct record *record = selection->processes[i].record;
        bool first = i == 0 || record != selection->processes[i - 1].record;

        if (first && covers(selection, record))
            app_stop(record->app);
    }
}

static void act_on_all(struct fleet *fleet, enum fleet_action action,
                       const struct fleet_selection *selection) {
    if (action == FLEET_STOP || action == FLEET_DELETE)
        stop_whole_apps(selection);
    for (size_t i = 0; i < selection->count; i++) {
        const struct fleet_process *one = &selection->processes[i];
        enum fleet_action own = action_on(action, one);

        act_on(own, one);
        report_what_is(fleet, own, one);
    }
}

void fleet_act_both(struct fleet *fleet, enum fleet_action action,
                    const struct fleet_selection *known, const struct fleet_selection *fresh,
                    struct operation *operation) {
    operation->request = fleet->next_request;
    add_all(action, known, operation);
    add_all(FLEET_START, fresh, operation);
    fleet->acting = true;
    begin_renewals(fleet, action, operation);
    act_on_all(fleet, action, known);
    act_on_all(fleet, FLEET_START, fresh);
    fleet->acting = false;
    fleet_release_held(fleet);
    fleet->next_request++;
    operation_begin(operation);
}

void fleet_act(struct fleet *fleet, enum fleet_action action,
               const struct fleet_selection *selection, struct operation *operation) {
    static const struct fleet_selection none = {.count = 0};

    fleet_act_both(fleet, action, selection, &none, operation);
}

void fleet_show(const struct fleet_selection *selection, struct operation *operation) {
    for (size_t i = 0; i < selection->count; i++)
        operation_show(operation, selection->processes[i].pm_id);
    operation_begin(operation);
}
