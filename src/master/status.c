#include "master/status.h"

#include "base/text.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *state_color(enum child_state state) {
    switch (state) {
    case CHILD_READY:
        return "\x1b[32m";
    case CHILD_STARTING:
    case CHILD_ONLINE:
        return "\x1b[34m";
    case CHILD_DRAINING:
    case CHILD_EXITED:
        break;
    }
    return "\x1b[31m";
}

static void print_uptime(char *text, size_t size, uint64_t ms) {
    uint64_t seconds = ms / 1000;

    if (seconds < 60)
        snprintf(text, size, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        snprintf(text, size, "%" PRIu64 "m", seconds / 60);
    else if (seconds < 86400)
        snprintf(text, size, "%" PRIu64 "h", seconds / 3600);
    else
        snprintf(text, size, "%" PRIu64 "D", seconds / 86400);
}

static bool is_wide(const struct status_view *view) {
    return view->columns == 0 || view->columns >= STATUS_WIDE;
}

static int print_heading(struct buffer *out, const struct status_view *view) {
    if (is_wide(view))
        return buffer_print(out, "%6s %8s %-9s %6s %10s %12s %6s %8s %9s %8s %7s %9s\n", "worker",
                            "pid", "state", "uptime", "handed", "acknowledged", "open", "waiting",
                            "returned", "restarts", "cpu", "memory");
    return buffer_print(out, "%6s %-8s %8s %12s %6s %7s %8s %6s %8s\n", "worker", "state", "handed",
                        "acknowledged", "open", "waiting", "restarts", "cpu", "memory");
}

static int print_wide(struct buffer *out, const struct snapshot_worker *worker, const char *state,
                      const char *open) {
    const struct child_counts *counts = &worker->counts;
    char uptime[24] = "-";
    char pid[16] = "-";

    if (worker->pid) {
        snprintf(pid, sizeof pid, "%d", (int)worker->pid);
        print_uptime(uptime, sizeof uptime, worker->uptime_ms);
    }
    return buffer_print(out,
                        "%6u %8s %s %6s %10" PRIu64 " %12" PRIu64 " %6s %8" PRIu64 " %9" PRIu64
                        " %8" PRIu64 " %6.1f%% %7.1fmb\n",
                        worker->slot, pid, state, uptime, counts->handed, counts->acknowledged,
                        open, counts->waiting, counts->refused + counts->returned, worker->restarts,
                        worker->cpu_percent, (double)worker->memory / 1048576);
}

static int print_narrow(struct buffer *out, const struct snapshot_worker *worker, const char *state,
                        const char *open) {
    const struct child_counts *counts = &worker->counts;

    return buffer_print(
        out, "%6u %s %8" PRIu64 " %12" PRIu64 " %6s %7" PRIu64 " %8" PRIu64 " %5.1f%% %6.1fmb\n",
        worker->slot, state, counts->handed, counts->acknowledged, open, counts->waiting,
        worker->restarts, worker->cpu_percent, (double)worker->memory / 1048576);
}

static int print_worker(struct buffer *out, const struct snapshot_worker *worker,
                        const struct status_view *view) {
    char open[24] = "-";
    char state[32];

    if (worker->counts.open >= 0)
        snprintf(open, sizeof open, "%" PRId64, worker->counts.open);
    snprintf(state, sizeof state, "%s%-*s%s", view->color ? state_color(worker->state) : "",
             is_wide(view) ? 9 : 8, child_state_name(worker->state), view->color ? "\x1b[0m" : "");
    return is_wide(view) ? print_wide(out, worker, state, open)
                         : print_narrow(out, worker, state, open);
}

static int print_listener(struct buffer *out, const struct snapshot_listener *listener) {
    if (listener->shared)
        return buffer_print(out, "  %s  shared: the workers accept by themselves\n",
                            listener->address);
    return buffer_print(out, "  %s  accepted %" PRIu64 ", in line %" PRIu64 "%s%s\n",
                        listener->address, listener->accepted, listener->waiting,
                        listener->gave_up ? ", some let go" : "",
                        listener->accepting ? "" : ", paused");
}

#define NAME_TEXT_MAX 256

/* A name may be any bytes: those of a file's name, for one. */
static void print_name(char text[NAME_TEXT_MAX], const char *name) {
    text_escape_utf8(text, NAME_TEXT_MAX, name, strlen(name));
}

static int print_title(struct buffer *out, const struct snapshot *snapshot, bool color) {
    const char *open = !snapshot->wants_connections    ? ""
                       : snapshot->follows_connections ? ", open connections from the kernel"
                                                       : ", open connections unknown here";

    char name[NAME_TEXT_MAX];

    print_name(name, snapshot->name);
    return buffer_print(out, "%s%s%s  policy %s%s\n", color ? "\x1b[1m" : "", name,
                        color ? "\x1b[0m" : "", snapshot->policy, open);
}

/* How many workers fit below the title, the listeners and the heading, with a line to spare for the
 * cursor. */
static size_t fitting_workers(const struct snapshot *snapshot, const struct status_view *view) {
    size_t others = snapshot->listener_count + 4;

    if (view->rows == 0 || snapshot->worker_count + others <= view->rows + 1u)
        return snapshot->worker_count;
    return view->rows > others ? view->rows - others : 0;
}

int status_table(struct buffer *out, const struct snapshot *snapshot,
                 const struct status_view *view) {
    size_t workers = fitting_workers(snapshot, view);
    int result = print_title(out, snapshot, view->color);

    for (size_t i = 0; i < snapshot->listener_count && result == 0; i++)
        result = print_listener(out, &snapshot->listeners[i]);
    if (result == 0)
        result = print_heading(out, view);
    for (size_t i = 0; i < workers && result == 0; i++)
        result = print_worker(out, &snapshot->workers[i], view);
    if (result == 0 && workers < snapshot->worker_count)
        result = buffer_print(out, "%6s and %zu more\n", "…", snapshot->worker_count - workers);
    return result;
}

static json_t *listener_json(const struct snapshot_listener *listener) {
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "address", listener->address,
                     "accepted", (json_int_t)listener->accepted, "waiting",
                     (json_int_t)listener->waiting, "gave_up", (json_int_t)listener->gave_up,
                     "paused_total", (json_int_t)listener->paused, "starved_total",
                     (json_int_t)listener->starved, "paused",
                     !listener->accepting && !listener->shared, "shared", listener->shared);
}

static json_t *worker_json(const struct snapshot_worker *worker) {
    const struct child_counts *counts = &worker->counts;

    return json_pack(
        "{s:i, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:f, s:I}", "slot",
        (int)worker->slot, "pid", (int)worker->pid, "state", child_state_name(worker->state),
        "uptime_ms", (json_int_t)worker->uptime_ms, "handed", (json_int_t)counts->handed,
        "acknowledged", (json_int_t)counts->acknowledged, "refused", (json_int_t)counts->refused,
        "returned", (json_int_t)counts->returned, "waiting", (json_int_t)counts->waiting, "open",
        counts->open >= 0 ? json_integer(counts->open) : json_null(), "restarts",
        (json_int_t)worker->restarts, "stuck", (json_int_t)worker->stuck, "cpu",
        worker->cpu_percent, "memory", (json_int_t)worker->memory);
}

static json_t *snapshot_json(const struct snapshot *snapshot) {
    json_t *listeners = json_array();
    json_t *workers = json_array();
    char name[NAME_TEXT_MAX];

    print_name(name, snapshot->name);

    for (size_t i = 0; i < snapshot->listener_count; i++)
        json_array_append_new(listeners, listener_json(&snapshot->listeners[i]));
    for (size_t i = 0; i < snapshot->worker_count; i++)
        json_array_append_new(workers, worker_json(&snapshot->workers[i]));
    return json_pack("{s:s, s:s, s:b, s:I, s:o, s:o}", "app", name, "policy", snapshot->policy,
                     "follows_connections", snapshot->follows_connections, "reloads",
                     (json_int_t)snapshot->reloads, "listeners", listeners, "workers", workers);
}

int status_json(struct buffer *out, const struct snapshot *snapshot) {
    json_t *object = snapshot_json(snapshot);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int result = text ? buffer_print(out, "%s\n", text) : UV_ENOMEM;

    free(text);
    json_decref(object);
    return result;
}
