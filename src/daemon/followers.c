/* Who listens: streams of events, and of log lines with those that were printed before.
 *
 * The happy path: a client opens a stream and is a follower until it leaves; GET /v1/logs first
 * reads the ends of the files, one after the other in the thread pool, and follows after that if it
 * was asked to. A follower that is slow loses events and is told how many (event_stream.h). */
#include "daemon/daemon_internal.h"
#include "daemon/log_tail.h"
#include "daemon/target.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX    16
#define TARGET_MAX     256
#define LINES_DEFAULT  15
#define LINES_MAX      100000
#define TAIL_BYTES_MAX 8192 /* of a line that is shown from a file */

/* A file whose last lines are to be shown. */
struct tail {
    uint32_t pm_id;
    bool error;
    char *name; /* of the app; owned */
    char *path; /* owned */
};

struct follower {
    struct list node;
    struct daemon *daemon;
    struct event_stream *stream; /* NULL: the client has left */
    char texts[TARGETS_MAX][TARGET_MAX];
    struct target targets[TARGETS_MAX];
    unsigned target_count; /* 0: everything */
    bool processes;        /* wants changes of processes */
    bool lines;            /* wants log lines, once the tails are done */
    bool only_out;
    bool only_error;
    bool counted; /* fleet_follow() was called for it */
    struct tail *tails;
    size_t tail_count;
    size_t tail_next;
    bool reading; /* a thread has a tail of it */
    size_t line_count;
};

/* --- life --- */

static void destroy(struct follower *follower) {
    for (unsigned i = 0; i < follower->target_count; i++)
        target_clear(&follower->targets[i]);
    for (size_t i = 0; i < follower->tail_count; i++) {
        free(follower->tails[i].name);
        free(follower->tails[i].path);
    }
    free(follower->tails);
    free(follower);
}

static void leave(struct follower *follower) {
    list_remove(&follower->node);
    if (follower->counted)
        fleet_follow(&follower->daemon->fleet, false);
    if (!follower->reading)
        destroy(follower);
}

static void on_gone(void *owner) {
    struct follower *follower = owner;

    follower->stream = NULL;
    leave(follower);
}

static void end(struct follower *follower) {
    event_stream_close(follower->stream);
    follower->stream = NULL;
    leave(follower);
}

void daemon_end_followers(struct daemon *daemon) {
    LIST_EACH(node, following, &daemon->followers)
        end(LIST_ENTRY(node, struct follower, node));
}

/* The targets of the query, as they fit later: false when one is no expression. */
static bool read_targets(struct follower *follower, struct control_request *request) {
    unsigned count = 0;

    while (count < TARGETS_MAX && control_query(request, "target", count, follower->texts[count],
                                                sizeof follower->texts[count])) {
        if (target_init(&follower->targets[count], follower->texts[count]) < 0)
            return false;
        follower->target_count = ++count;
    }
    return true;
}

static bool is_set(const struct control_request *request, const char *name) {
    char value[8];

    return control_query(request, name, 0, value, sizeof value) && strcmp(value, "0") != 0;
}

static struct follower *open_follower(struct daemon *daemon, struct control_request *request) {
    struct follower *follower = calloc(1, sizeof *follower);

    if (!follower) {
        control_reply_error(request->connection, 503, "out_of_memory", "memory is out");
        return NULL;
    }
    list_init(&follower->node);
    follower->daemon = daemon;
    if (!read_targets(follower, request)) {
        control_reply_error(request->connection, 400, "bad_request",
                            "a target is no regular expression");
        destroy(follower);
        return NULL;
    }
    follower->stream = event_stream_open(request, on_gone, follower);
    if (!follower->stream) {
        destroy(follower);
        return NULL;
    }
    list_push_back(&daemon->followers, &follower->node);
    return follower;
}

static void follow_lines(struct follower *follower) {
    follower->lines = true;
    follower->counted = true;
    fleet_follow(&follower->daemon->fleet, true);
}

/* --- events --- */

void daemon_on_events(void *owner, struct control_request *request) {
    struct follower *follower = open_follower(owner, request);

    if (!follower)
        return;
    follower->processes = true;
    if (is_set(request, "logs"))
        follow_lines(follower);
}

static bool wants(const struct follower *follower, const struct record *record, uint32_t pm_id) {
    const struct settings *settings = record->settings;

    for (unsigned i = 0; i < follower->target_count; i++)
        if (target_fit(&follower->targets[i], pm_id, settings->name, settings->namespace) > 0)
            return true;
    return follower->target_count == 0;
}

void daemon_announce_process(struct daemon *daemon, struct record *record, uint32_t slot) {
    struct app_slot_status status;
    json_t *data = NULL;
    uint32_t pm_id;

    if (list_empty(&daemon->followers) || !record_pm_id(record, slot, &pm_id) ||
        app_slot_status(record->app, slot, &status) < 0)
        return;
    LIST_EACH(node, following, &daemon->followers) {
        struct follower *follower = LIST_ENTRY(node, struct follower, node);

        if (!follower->processes || !wants(follower, record, pm_id))
            continue;
        if (!data)
            data = json_pack("{s:I, s:s, s:s, s:i}", "pm_id", (json_int_t)pm_id, "name",
                             record->settings->name, "status", app_status_name(status.status),
                             "pid", (int)status.pid);
        event_stream_send(follower->stream, "process", data);
    }
    json_decref(data);
}

static json_t *draw_line(uint32_t pm_id, const char *name, const struct log_line *line) {
    return json_pack("{s:I, s:s, s:s, s:I, s:s%}", "pm_id", (json_int_t)pm_id, "name", name,
                     "stream", line->error ? "err" : "out", "time", (json_int_t)line->time_ms,
                     "line", line->text, line->length);
}

static bool wants_line(const struct follower *follower, bool error) {
    return follower->lines && !(follower->only_out && error) && !(follower->only_error && !error);
}

void daemon_announce_line(struct daemon *daemon, struct record *record,
                          const struct log_line *line) {
    struct buffer text;
    uint32_t pm_id;

    if (!record_pm_id(record, line->slot, &pm_id))
        return;
    buffer_init(&text); /* drawn for the first that wants it */
    LIST_EACH(node, following, &daemon->followers) {
        struct follower *follower = LIST_ENTRY(node, struct follower, node);
        json_t *data;

        if (!wants_line(follower, line->error) || !wants(follower, record, pm_id))
            continue;
        if (buffer_length(&text) == 0) {
            data = draw_line(pm_id, record->settings->name, line);
            if (data)
                event_stream_format(&text, "log", data);
            json_decref(data);
        }
        event_stream_send_text(follower->stream, buffer_data(&text), buffer_length(&text));
    }
    buffer_clear(&text);
}

/* --- the last lines --- */

static void read_next(struct follower *follower);

static void show_line(struct follower *follower, const struct tail *tail, const char *text,
                      size_t length) {
    char line[TAIL_BYTES_MAX];
    struct log_line shown = {.error = tail->error, .text = line};
    json_t *data;

    shown.length = text_escape_utf8(line, sizeof line, text, length);
    data = draw_line(tail->pm_id, tail->name, &shown);
    if (data)
        event_stream_send(follower->stream, "log", data);
    json_decref(data);
}

static void show_lines(struct follower *follower, const struct tail *tail,
                       const struct buffer *text) {
    const char *rest = buffer_data(text);
    size_t length = buffer_length(text);

    while (length > 0) {
        const char *newline = memchr(rest, '\n', length);
        size_t line = newline ? (size_t)(newline - rest) : length;

        show_line(follower, tail, rest, line);
        rest += line + (newline != NULL);
        length -= line + (newline != NULL);
    }
}

static void on_tail(void *owner, struct log_tail *read) {
    struct follower *follower = owner;

    follower->reading = false;
    if (!follower->stream) {
        destroy(follower);
        return;
    }
    if (read->result == 0)
        show_lines(follower, &follower->tails[follower->tail_next], &read->text);
    follower->tail_next++;
    read_next(follower);
}

static void read_next(struct follower *follower) {
    struct daemon *daemon = follower->daemon;

    if (follower->tail_next < follower->tail_count && follower->line_count > 0) {
        const struct tail *tail = &follower->tails[follower->tail_next];

        follower->reading =
            log_tail_start(&daemon->loop, tail->path, follower->line_count, on_tail, follower) == 0;
        if (follower->reading)
            return;
    }
    if (follower->processes)
        follow_lines(follower);
    else
        end(follower);
}

/* Each file once, also where several processes share it. */
static int add_tail(struct follower *follower, const struct fleet_process *process, bool error) {
    struct tail *tails;
    char path[PATH_MAX];

    record_log_path(process->record, process->slot, error ? APP_LOG_ERROR : APP_LOG_OUT, path);
    for (size_t i = 0; i < follower->tail_count; i++)
        if (strcmp(follower->tails[i].path, path) == 0)
            return 0;
    if (path[0] == '\0')
        return 0;
    tails = realloc(follower->tails, (follower->tail_count + 1) * sizeof *tails);
    if (!tails)
        return UV_ENOMEM;
    follower->tails = tails;
    tails[follower->tail_count] = (struct tail){.pm_id = process->pm_id,
                                                .error = error,
                                                .name = strdup(process->record->settings->name),
                                                .path = strdup(path)};
    if (!tails[follower->tail_count].name || !tails[follower->tail_count].path)
        return UV_ENOMEM;
    follower->tail_count++;
    return 0;
}

static size_t wanted_lines(const struct control_request *request) {
    char value[16];
    int64_t number;

    if (!control_query(request, "lines", 0, value, sizeof value) ||
        text_to_number(value, 0, LINES_MAX, &number) < 0)
        return LINES_DEFAULT;
    return (size_t)number;
}

void daemon_on_logs(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    struct fleet_selection selection;
    struct follower *follower;
    char stream[8];

    if (!daemon_select(daemon, request, true, &selection))
        return;
    follower = open_follower(daemon, request);
    if (!follower)
        goto done;
    if (control_query(request, "stream", 0, stream, sizeof stream)) {
        follower->only_out = strcmp(stream, "out") == 0;
        follower->only_error = strcmp(stream, "err") == 0;
    }
    follower->processes = is_set(request, "follow");
    follower->line_count = wanted_lines(request);
    for (size_t i = 0; i < selection.count; i++) {
        if (!follower->only_error)
            add_tail(follower, &selection.processes[i], false);
        if (!follower->only_out)
            add_tail(follower, &selection.processes[i], true);
    }
    read_next(follower);
done:
    fleet_selection_clear(&selection);
}
