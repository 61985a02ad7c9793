#include "master/snapshot.h"

#include <stdlib.h>

static void take_listener(struct snapshot_listener *into, const struct listener *listener) {
    listener_describe(listener, into->address);
    into->accepted = listener->accepted_total;
    into->waiting = listener->dispatcher.waiting_count;
    into->gave_up = listener->dispatcher.gave_up_total;
    into->paused = listener->paused_total;
    into->starved = listener->starved_total;
    into->accepting = listener->polling;
    into->shared = listener->shared;
}

static void take_worker(struct snapshot_worker *into, const struct child *child, uint64_t now_ms) {
    into->pid = child->pid;
    into->state = child->state;
    into->uptime_ms = now_ms - child->started_ms;
    into->stuck = child->stuck_total;
    into->cpu_percent = child->cpu_percent;
    into->memory = child->memory;
    child_count(child, &into->counts);
}

/* The workers of one slot: its current one (or its empty place), then those that drain or get
 * ready. */
static size_t take_slot(struct snapshot_worker *into, const struct app *app,
                        const struct slot *slot, uint64_t now_ms) {
    size_t count = 1;

    into[0] = (struct snapshot_worker){
        .slot = slot->number, .state = CHILD_EXITED, .restarts = slot->history.restarts};
    into[0].counts.open = POLICY_OPEN_UNKNOWN;
    if (slot->current)
        take_worker(&into[0], slot->current, now_ms);
    LIST_EACH(node, following, &app->children) {
        const struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->slot != slot->number || child == slot->current)
            continue;
        into[count] =
            (struct snapshot_worker){.slot = slot->number, .restarts = slot->history.restarts};
        take_worker(&into[count++], child, now_ms);
    }
    return count;
}

int snapshot_take(struct snapshot *ret_snapshot, const struct app *app, uint64_t now_ms) {
    struct snapshot snapshot = {
        .name = app->settings->name, .policy = app->settings->policy, .reloads = app->reloads};
    const struct policy_type *policy = policy_find(app->settings->policy);
    size_t listeners = 0;

    snapshot.wants_connections = policy && policy->needs_open;
    snapshot.follows_connections = snapshot.wants_connections && app->watch;
    LIST_EACH(node, following, &app->listeners.listeners)
        listeners++;
    snapshot.listeners = calloc(listeners + 1, sizeof *snapshot.listeners);
    snapshot.workers = calloc(app->slot_count + app->child_count + 1, sizeof *snapshot.workers);
    if (!snapshot.listeners || !snapshot.workers) {
        snapshot_clear(&snapshot);
        return UV_ENOMEM;
    }
    LIST_EACH(node, following, &app->listeners.listeners)
        take_listener(&snapshot.listeners[snapshot.listener_count++],
                      LIST_ENTRY(node, struct listener, in_set));
    for (uint32_t i = 0; i < app->slot_capacity; i++)
        if (app->slots[i])
            snapshot.worker_count +=
                take_slot(snapshot.workers + snapshot.worker_count, app, app->slots[i], now_ms);
    *ret_snapshot = snapshot;
    return 0;
}

void snapshot_clear(struct snapshot *snapshot) {
    free(snapshot->listeners);
    free(snapshot->workers);
    *snapshot = (struct snapshot){.listeners = NULL};
}
