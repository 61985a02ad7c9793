#include "daemon/operation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 320

static void on_client_gone(void *owner) {
    struct operation *operation = owner;

    operation->answer = NULL;
}

struct operation *operation_create(struct list *operations, uv_loop_t *loop,
                                   struct control_request *request,
                                   const struct operation_events *events, void *owner) {
    struct operation *operation = calloc(1, sizeof *operation);

    if (!operation) {
        if (request)
            control_reply_json(request->connection, 503, NULL);
        return NULL;
    }
    if (request) {
        operation->answer = control_answer_create(request, on_client_gone, operation);
        if (!operation->answer) {
            free(operation);
            return NULL;
        }
    }
    operation->events = events;
    operation->owner = owner;
    uv_timer_init(loop, &operation->timer);
    operation->timer.data = operation;
    list_push_back(operations, &operation->node);
    return operation;
}

void operation_warn(struct operation *operation, const char *sentence) {
    if (!operation->warnings)
        operation->warnings = json_array();
    json_array_append_new(operation->warnings, json_string(sentence));
}

int operation_add(struct operation *operation, uint32_t pm_id, const char *name,
                  enum operation_goal goal, uint64_t limit_ms) {
    struct operation_item *items =
        realloc(operation->items, (operation->count + 1) * sizeof *items);
    char *copy = strdup(name);

    if (items)
        operation->items = items;
    if (!items || !copy) {
        free(copy);
        return UV_ENOMEM;
    }
    items[operation->count++] = (struct operation_item){.pm_id = pm_id, .goal = goal, .name = copy};
    if (limit_ms > operation->limit_ms)
        operation->limit_ms = limit_ms;
    return 0;
}

int operation_fail(struct operation *operation, const char *name, const char *reason) {
    struct operation_item *item;
    int result = operation_add(operation, OPERATION_NO_PROCESS, name, OPERATION_ONLINE, 0);

    if (result < 0)
        return result;
    item = &operation->items[operation->count - 1];
    item->over = item->failed = true;
    item->reason = strdup(reason);
    operation->over++;
    return 0;
}

int operation_show(struct operation *operation, uint32_t pm_id) {
    int result = operation_add(operation, pm_id, "", OPERATION_STOPPED, 0);

    if (result == 0) {
        operation->items[operation->count - 1].over = true;
        operation->over++;
    }
    return result;
}

/* --- the end --- */

static void on_timer_closed(uv_handle_t *handle) {
    struct operation *operation = handle->data;

    for (size_t i = 0; i < operation->count; i++) {
        free(operation->items[i].name);
        free(operation->items[i].reason);
    }
    free(operation->items);
    json_decref(operation->warnings);
    free(operation);
}

static json_t *draw_failure(const struct operation *operation, const struct operation_item *item) {
    json_t *output =
        item->untried ? NULL : operation->events->output(operation->owner, item->pm_id, item->pid);
    json_t *pm_id =
        item->pm_id == OPERATION_NO_PROCESS ? json_null() : json_integer((json_int_t)item->pm_id);

    return json_pack("{s:o, s:s, s:s, s:o}", "pm_id", pm_id, "name", item->name, "reason",
                     item->reason ? item->reason : "it failed", "output",
                     output ? output : json_array());
}

/* The answer's body: the processes that are left, and what went wrong. */
static json_t *draw(const struct operation *operation) {
    json_t *body = json_pack("{s:[], s:O?}", "processes", "warnings", operation->warnings);
    json_t *failed = NULL;

    for (size_t i = 0; body && i < operation->count; i++) {
        const struct operation_item *item = &operation->items[i];
        json_t *process = operation->events->draw(operation->owner, item->pm_id);

        if (process)
            json_array_append_new(json_object_get(body, "processes"), process);
        if (!item->failed)
            continue;
        if (!failed)
            failed = json_array();
        json_array_append_new(failed, draw_failure(operation, item));
    }
    if (body && failed)
        json_object_set_new(body, "failed", failed);
    return body;
}

static void finish(struct operation *operation) {
    if (operation->closing)
        return;
    operation->closing = true;
    list_remove(&operation->node);
    if (operation->answer)
        control_answer_finish(operation->answer, 200, draw(operation));
    if (operation->on_over)
        operation->on_over(operation->over_owner);
    uv_close((uv_handle_t *)&operation->timer, on_timer_closed);
}

static bool is_over(const struct operation *operation) {
    return operation->begun && operation->over == operation->count;
}

static void finish_if_over(struct operation *operation) {
    if (is_over(operation) && operation->events->is_saved(operation->owner))
        finish(operation);
}

/* --- what becomes of a process --- */

static void count_off(struct operation *operation, struct operation_item *item, const char *status,
                      const char *reason) {
    item->over = true;
    item->failed = reason != NULL;
    if (reason)
        item->reason = strdup(reason);
    operation->over++;
    control_answer_progress(
        operation->answer,
        json_pack("{s:I, s:I, s:I, s:s, s:s, s:s?}", "done", (json_int_t)operation->over, "of",
                  (json_int_t)operation->count, "pm_id", (json_int_t)item->pm_id, "name",
                  item->name, "status", status, "reason", reason));
}

static struct operation_item *find(struct operation *operation, uint32_t pm_id) {
    for (size_t i = 0; i < operation->count; i++)
        if (operation->items[i].pm_id == pm_id && !operation->items[i].over)
            return &operation->items[i];
    return NULL;
}

static void late(struct operation *operation, struct operation_item *item) {
    char reason[REASON_MAX];

    snprintf(reason, sizeof reason, "it was not %s within %llu ms",
             item->goal == OPERATION_STOPPED || item->goal == OPERATION_GONE ? "stopped" : "ready",
             (unsigned long long)operation->limit_ms);
    count_off(operation, item, "late", reason);
}

static void on_late(uv_timer_t *timer) {
    struct operation *operation = timer->data;

    for (size_t i = 0; i < operation->count; i++)
        if (!operation->items[i].over)
            late(operation, &operation->items[i]);
    finish_if_over(operation);
}

void operation_begin(struct operation *operation) {
    operation->begun = true;
    if (operation->limit_ms > 0)
        uv_timer_start(&operation->timer, on_late, operation->limit_ms, 0);
    finish_if_over(operation);
}

/* Why a process cannot reach its goal any more, or NULL. */
static const char *failure(const struct operation_item *item, enum app_status status, bool failing,
                           const char *reason) {
    if (item->goal != OPERATION_ONLINE)
        return NULL;
    if (status == APP_ERRORED || failing)
        return reason ? reason : "it could not be started";
    return NULL;
}

static bool is_reached(const struct operation_item *item, enum app_status status) {
    if (item->goal == OPERATION_ONLINE)
        return status == APP_ONLINE || status == APP_STOPPED;
    return item->goal == OPERATION_STOPPED && (status == APP_STOPPED || status == APP_ERRORED);
}

void operation_status(struct list *operations, uint32_t pm_id, enum app_status status, bool failing,
                      const char *reason) {
    LIST_EACH(node, following, operations) {
        struct operation *operation = LIST_ENTRY(node, struct operation, node);
        struct operation_item *item = find(operation, pm_id);
        const char *why = item ? failure(item, status, failing, reason) : NULL;

        if (!item || (!why && !is_reached(item, status)))
            continue;
        count_off(operation, item, app_status_name(status), why);
        finish_if_over(operation);
    }
}

void operation_renewed(struct list *operations, uint32_t pm_id, const struct app_renewed *renewed) {
    const char *reason = renewed->reason;

    LIST_EACH(node, following, operations) {
        struct operation *operation = LIST_ENTRY(node, struct operation, node);
        struct operation_item *item = find(operation, pm_id);

        if (!item || item->goal != OPERATION_RENEWED || operation->request > renewed->request)
            continue;
        if (renewed->error < 0 && !reason)
            reason = uv_strerror(renewed->error);
        item->untried = renewed->untried;
        item->pid = renewed->pid;
        count_off(operation, item, renewed->error < 0 ? "failed" : app_status_name(APP_ONLINE),
                  renewed->error < 0 ? reason : NULL);
        finish_if_over(operation);
    }
}

void operation_gone(struct list *operations, uint32_t pm_id) {
    LIST_EACH(node, following, operations) {
        struct operation *operation = LIST_ENTRY(node, struct operation, node);
        struct operation_item *item = find(operation, pm_id);

        if (!item)
            continue;
        count_off(operation, item, "deleted",
                  item->goal == OPERATION_GONE || item->goal == OPERATION_STOPPED
                      ? NULL
                      : "it was deleted meanwhile");
        finish_if_over(operation);
    }
}

void operation_saved(struct list *operations, const char *warning) {
    LIST_EACH(node, following, operations) {
        struct operation *operation = LIST_ENTRY(node, struct operation, node);

        if (warning && is_over(operation))
            operation_warn(operation, warning);
        finish_if_over(operation);
    }
}

void operation_abandon_all(struct list *operations) {
    LIST_EACH(node, following, operations) {
        struct operation *operation = LIST_ENTRY(node, struct operation, node);

        control_answer_finish(operation->answer, 503,
                              control_error("shutting_down", "the daemon ends"));
        operation->answer = NULL;
        finish(operation);
    }
}
