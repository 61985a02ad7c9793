#include "daemon/fleet_selection.h"

#include "daemon/fleet.h"
#include "daemon/target.h"

#include <stdlib.h>
#include <string.h>

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
        struct fleet_process process = {.record = fleet_record(node)};

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

bool fleet_find_process(const struct fleet *fleet, uint32_t pm_id, struct fleet_process *ret) {
    ret->pm_id = pm_id;
    return each_process(fleet, take_by_id, ret) == UV_EEXIST;
}
