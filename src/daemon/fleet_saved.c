#include "daemon/fleet_saved.h"

#include "base/log.h"
#include "daemon/fleet_actions.h"

#include <stdio.h>

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
        const struct record *record = fleet_record(node);

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

/* With as many processes as it had. UV_EEXIST when an app of its name is there. */
static int add_saved(struct fleet *fleet, const json_t *saved, struct record **ret_record,
                     char error[SETTINGS_ERROR_MAX]) {
    json_t *description = json_object_get(saved, "description");
    size_t count = json_array_size(json_object_get(saved, "processes"));
    struct settings *settings;
    int result = record_check(description, fleet->defaults, &settings, NULL, error);

    if (result < 0)
        return result;
    if (fleet_find(fleet, settings->name)) {
        settings_unref(settings);
        return UV_EEXIST;
    }
    if (count > 0 && count < settings->instances)
        settings->instances = (uint32_t)count; /* it was scaled down since it was described */
    result = fleet_add(fleet, description, settings, ret_record, error);
    if (result < 0 || count <= record_count(*ret_record))
        return result;
    result = count <= SETTINGS_INSTANCES_MAX ? record_grow(*ret_record, (uint32_t)count) : UV_E2BIG;
    if (result < 0)
        snprintf(error, SETTINGS_ERROR_MAX, "cannot have %zu processes: %s", count,
                 uv_strerror(result));
    return result;
}

/* One saved app; its processes that ran are added to the selection. */
static int restore_one(struct fleet *fleet, const json_t *saved, struct fleet_selection *selection,
                       char error[SETTINGS_ERROR_MAX]) {
    const json_t *processes = json_object_get(saved, "processes");
    struct record *record;
    size_t index = 0;
    int result = add_saved(fleet, saved, &record, error);

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
