#include "daemon/fleet.h"

#include "base/log.h"
#include "daemon/process_json.h"
#include "daemon/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARALLEL_MIN 2    /* apps that an operation renews at once, as PM2 does */
#define LATE_MS      1000 /* more than an app's own limits, after which an action on it is late */

static struct record *record_of(struct list *node) {
    return LIST_ENTRY(node, struct record, in_fleet);
}

/* --- apps that depend on others --- */

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
    operation_status(&fleet->operations, record->processes[slot].pm_id, APP_ERRORED, false, reason);
}

/* Starts what waited for others, once they serve. */
static void release_held(struct fleet *fleet) {
    LIST_EACH(node, following, &fleet->records) {
        struct record *record = record_of(node);
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

static void renew_more_of_all(struct fleet *fleet);

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
        release_held(fleet);
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
    renew_more_of_all(fleet);
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
        if (!record_of(node)->closing)
            return false;
    return true;
}

static void on_removed(void *owner, struct record *record, uint32_t pm_id, bool last) {
    struct fleet *fleet = owner;

    fleet->events->removed(fleet->owner, record, pm_id);
    operation_gone(&fleet->operations, pm_id);
    renew_more_of_all(fleet);
    if (last)
        record_close(record, on_record_closed);
    if (is_empty(fleet))
        fleet->next_pm_id = 0; /* numbers begin anew, as PM2's users expect of an empty list */
    fleet->events->changed(fleet->owner);
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
        record_close(record_of(node), on_record_closed);
    finish_if_empty(fleet);
}

struct record *fleet_find_program(const struct fleet *fleet, const char *name, const char *script) {
    LIST_EACH(node, following, &fleet->records) {
        struct record *record = record_of(node);

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
        if (!record_of(node)->closing && !is_down(record_of(node)))
            return false;
    return true;
}

/* --- selections --- */

void fleet_selection_clear(struct fleet_selection *selection) {
    free(selection->processes);
    *selection = (struct fleet_selection){.count = 0};
}

/* By pm_id, and each once, however often it is meant. */
int fleet_selection_add(struct fleet_selection *selection, const struct fleet_process *process) {
    struct fleet_process *processes;
    size_t place = selection->count;

    while (place > 0 && selection->processes[place - 1].pm_id > process->pm_id)
        place--;
    if (place > 0 && selection->processes[place - 1].pm_id == process->pm_id)
        return 0;
    processes = realloc(selection->processes, (selection->count + 1) * sizeof *processes);
    if (!processes)
        return UV_ENOMEM;
    memmove(&processes[place + 1], &processes[place],
            (selection->count - place) * sizeof *processes);
    processes[place] = *process;
    selection->processes = processes;
    selection->count++;
    return 0;
}

/* Calls `visit` for every process until it answers less than 0. */
static int each_process(const struct fleet *fleet,
                        int (*visit)(void *context, const struct fleet_process *process),
                        void *context) {
    int result = 0;

    LIST_EACH(node, following, &fleet->records) {
        struct fleet_process process = {.record = record_of(node)};

        if (process.record->closing)
            continue;
        for (process.slot = record_next(process.record, 0);
             result >= 0 && process.slot != UINT32_MAX;
             process.slot = record_next(process.record, process.slot + 1)) {
            record_pm_id(process.record, process.slot, &process.pm_id);
            result = visit(context, &process);
        }
    }
    return result;
}

struct search {
    struct target target;
    unsigned best; /* fit so far */
    struct fleet_selection *selection;
};

static unsigned fit_of(const struct search *search, const struct fleet_process *process) {
    const struct settings *settings = process->record->settings;

    return target_fit(&search->target, process->pm_id, settings->name, settings->namespace);
}

static int find_best(void *context, const struct fleet_process *process) {
    struct search *search = context;
    unsigned fit = fit_of(search, process);

    if (fit > search->best)
        search->best = fit;
    return 0;
}

static int take_best(void *context, const struct fleet_process *process) {
    struct search *search = context;

    return fit_of(search, process) == search->best ? fleet_selection_add(search->selection, process)
                                                   : 0;
}

int fleet_select(const struct fleet *fleet, const char *target, struct fleet_selection *selection) {
    struct search search = {.selection = selection};
    int result = target_init(&search.target, target);

    if (result < 0)
        return result;
    each_process(fleet, find_best, &search);
    result = search.best == 0 ? UV_ENOENT : each_process(fleet, take_best, &search);
    target_clear(&search.target);
    return result;
}

int fleet_select_record(struct record *record, struct fleet_selection *selection) {
    struct fleet_process process = {.record = record};
    int result = 0;

    for (process.slot = record_next(record, 0); result == 0 && process.slot != UINT32_MAX;
         process.slot = record_next(record, process.slot + 1)) {
        record_pm_id(record, process.slot, &process.pm_id);
        result = fleet_selection_add(selection, &process);
    }
    return result;
}

static int take_by_id(void *context, const struct fleet_process *process) {
    struct fleet_process *wanted = context;

    if (process->pm_id != wanted->pm_id)
        return 0;
    *wanted = *process;
    return UV_EEXIST; /* enough */
}

/* False when there is no process of this number. */
static bool find_process(const struct fleet *fleet, uint32_t pm_id, struct fleet_process *ret) {
    ret->pm_id = pm_id;
    return each_process(fleet, take_by_id, ret) == UV_EEXIST;
}

/* --- actions --- */

static json_t *draw_process(void *owner, uint32_t pm_id) {
    struct fleet_process process;

    return find_process(owner, pm_id, &process) ? process_json(process.record, process.slot) : NULL;
}

static json_t *draw_output(void *owner, uint32_t pm_id) {
    struct fleet_process process;

    return find_process(owner, pm_id, &process)
               ? process_json_output(process.record, process.slot, 0)
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
            find_process(fleet, item->pm_id, &process))
            app_renew_slot(process.record->app, process.slot, how, operation->request);
    }
}

static void renew_more(struct fleet *fleet, struct operation *operation) {
    uint32_t limit = operation->parallel ? operation->parallel : fleet->parallel;
    const struct operation_item *next;

    while (!operation->closing && (next = find_waiting(operation)) &&
           count_apps_under_way(operation) < limit)
        renew_app(fleet, operation, next->name);
}

static void renew_more_of_all(struct fleet *fleet) {
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

static void add_all(enum fleet_action action, const struct fleet_selection *selection,
                    struct operation *operation) {
    for (size_t i = 0; i < selection->count; i++) {
        const struct fleet_process *one = &selection->processes[i];
        const struct settings *settings = one->record->settings;

        operation_add(operation, one->pm_id, settings->name, goal_of(action),
                      limit_of(action, settings));
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
        act_on(action, &selection->processes[i]);
        report_what_is(fleet, action, &selection->processes[i]);
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
    release_held(fleet);
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

void fleet_follow(struct fleet *fleet, bool followed) {
    bool before = fleet->followers > 0;

    fleet->followers += followed ? 1 : -1u;
    if (before == (fleet->followers > 0))
        return;
    LIST_EACH(node, following, &fleet->records)
        app_log_follow(&record_of(node)->log, fleet->followers > 0);
}

/* --- what is saved --- */

static json_t *save_processes(const struct record *record) {
    json_t *processes = json_array();

    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1)) {
        json_array_append_new(processes, json_pack("{s:I, s:b}", "pm_id",
                                                   (json_int_t)record->processes[slot].pm_id,
                                                   "stopped", record_is_stopped(record, slot)));
    }
    return processes;
}

json_t *fleet_save(const struct fleet *fleet) {
    json_t *saved = json_array();

    LIST_EACH(node, following, &fleet->records) {
        const struct record *record = record_of(node);

        if (!record->closing)
            json_array_append_new(saved, json_pack("{s:O, s:o}", "description", record->description,
                                                   "processes", save_processes(record)));
    }
    return saved;
}

static bool ran(const json_t *processes, size_t index) {
    const json_t *process = json_array_get(processes, index);

    return process && !json_is_true(json_object_get(process, "stopped"));
}

/* One saved app; its processes that ran are added to the operation, and to the selection. */
static int restore_one(struct fleet *fleet, const json_t *saved, struct fleet_selection *selection,
                       char error[SETTINGS_ERROR_MAX]) {
    json_t *description = json_object_get(saved, "description");
    const json_t *processes = json_object_get(saved, "processes");
    size_t count = json_array_size(processes);
    struct settings *settings;
    struct record *record;
    size_t index = 0;
    int result = record_check(description, &settings, NULL, error);

    if (result < 0)
        return result;
    if (fleet_find(fleet, settings->name)) {
        settings_unref(settings);
        return UV_EEXIST;
    }
    if (count > 0 && count < settings->instances)
        settings->instances = (uint32_t)count; /* it was scaled down since it was described */
    result = fleet_add(fleet, description, settings, &record, error);
    if (result == 0 && count > record_count(record))
        result = record_grow(record, (uint32_t)count);
    if (result < 0)
        return result;
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1), index++) {
        struct fleet_process process = {.record = record, .slot = slot};

        record_pm_id(record, slot, &process.pm_id);
        if (ran(processes, index))
            fleet_selection_add(selection, &process);
    }
    return 0;
}

size_t fleet_restore(struct fleet *fleet, const json_t *saved, struct operation *operation) {
    struct fleet_selection selection = {.count = 0};
    char error[SETTINGS_ERROR_MAX];
    size_t added = 0;

    for (size_t i = 0; i < json_array_size(saved); i++) {
        int result = restore_one(fleet, json_array_get(saved, i), &selection, error);

        added += result == 0;
        if (result < 0 && result != UV_EEXIST)
            log_error("an app of the saved list cannot be started: %s", error);
    }
    fleet_act(fleet, FLEET_START, &selection, operation);
    fleet_selection_clear(&selection);
    return added;
}
