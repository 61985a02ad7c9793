/* Who listens: streams of events, and of log lines with those that were printed before (recall.h).
 *
 * The happy path: a client opens a stream and is a follower until it leaves. A follower that is
 * slow loses events and is told how many (event_stream.h). */
#include "daemon/daemon_internal.h"
#include "daemon/recall.h"
#include "daemon/target.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX   16
#define TARGET_MAX    256
#define LINES_DEFAULT 15
#define LINES_MAX     1000000

struct follower {
    struct list node;
    struct daemon *daemon;
    struct event_stream *stream;
    char texts[TARGETS_MAX][TARGET_MAX];
    struct target targets[TARGETS_MAX];
    unsigned target_count; /* 0: everything */
    bool processes;        /* wants changes of processes */
    bool lines;            /* wants log lines */
    bool only_out;
    bool only_error;
    struct recall *recall; /* NULL: nothing that was printed before is wanted */
};

/* --- life --- */

static void destroy(struct follower *follower) {
    for (unsigned i = 0; i < follower->target_count; i++)
        target_clear(&follower->targets[i]);
    recall_destroy(follower->recall);
    free(follower);
}

static void leave(struct follower *follower) {
    list_remove(&follower->node);
    if (follower->lines)
        fleet_follow(&follower->daemon->fleet, false);
    destroy(follower);
}

static void on_gone(void *owner) {
    leave(owner);
}

static void end(struct follower *follower) {
    event_stream_close(follower->stream);
    leave(follower);
}

void daemon_end_followers(struct daemon *daemon) {
    LIST_EACH(node, following, &daemon->followers)
        end(LIST_ENTRY(node, struct follower, node));
}

/* The targets of the query, as they fit later; or what is wrong with them. */
static const char *read_targets(struct follower *follower, struct control_request *request) {
    char text[TARGET_MAX];
    unsigned count = 0;

    for (; control_query(request, "target", count, text, sizeof text); count++) {
        if (count == TARGETS_MAX)
            return "at most 16 targets can be followed at once";
        memcpy(follower->texts[count], text, sizeof text);
        if (target_init(&follower->targets[count], follower->texts[count]) < 0)
            return "a target is no regular expression";
        follower->target_count = count + 1;
    }
    return NULL;
}

static bool is_set(const struct control_request *request, const char *name) {
    char value[8];

    return control_query(request, name, 0, value, sizeof value) && strcmp(value, "0") != 0;
}

static struct follower *open_follower(struct daemon *daemon, struct control_request *request) {
    struct follower *follower = calloc(1, sizeof *follower);
    const char *wrong;

    if (!follower) {
        control_reply_json(request->connection, 503, NULL);
        return NULL;
    }
    list_init(&follower->node);
    follower->daemon = daemon;
    wrong = read_targets(follower, request);
    if (wrong) {
        control_reply_error(request->connection, 400, "bad_request", "%s", wrong);
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
    fleet_follow(&follower->daemon->fleet, true);
}

/* --- events --- */

/* False after answering that log lines are not for everybody. */
static bool may_read_lines(const struct control_request *request) {
    if (request->is_stranger)
        control_reply_unauthorized(request->connection);
    return !request->is_stranger;
}

void daemon_on_events(void *owner, struct control_request *request) {
    bool lines = is_set(request, "logs");
    struct follower *follower;

    if (lines && !may_read_lines(request))
        return;
    follower = open_follower(owner, request);
    if (!follower)
        return;
    follower->processes = true;
    if (lines)
        follow_lines(follower);
}

static bool wants(const struct follower *follower, const struct record *record, uint32_t pm_id) {
    const struct settings *settings = record->settings;

    for (unsigned i = 0; i < follower->target_count; i++)
        if (target_fit(&follower->targets[i], pm_id, settings->name, settings->namespace) > 0)
            return true;
    return follower->target_count == 0;
}

/* To everybody who wants it. Steals `data`; NULL: memory was out. */
static void announce_process(struct daemon *daemon, const struct record *record, uint32_t pm_id,
                             json_t *data) {
    LIST_EACH(node, following, &daemon->followers) {
        struct follower *follower = LIST_ENTRY(node, struct follower, node);

        if (!follower->processes || !wants(follower, record, pm_id))
            continue;
        if (data)
            event_stream_send(follower->stream, "process", data);
        else
            event_stream_lose(follower->stream);
    }
    json_decref(data);
}

static json_t *draw_change(const struct record *record, uint32_t pm_id, const char *status,
                           int pid) {
    return json_pack("{s:I, s:s, s:s, s:i}", "pm_id", (json_int_t)pm_id, "name",
                     record->settings->name, "status", status, "pid", pid);
}

void daemon_announce_process(struct daemon *daemon, struct record *record, uint32_t slot) {
    struct app_slot_status status;
    uint32_t pm_id;

    if (list_empty(&daemon->followers) || !record_pm_id(record, slot, &pm_id) ||
        app_slot_status(record->app, slot, &status) < 0)
        return;
    announce_process(daemon, record, pm_id,
                     draw_change(record, pm_id, app_status_name(status.status), (int)status.pid));
}

void daemon_announce_removed(struct daemon *daemon, struct record *record, uint32_t pm_id) {
    if (!list_empty(&daemon->followers))
        announce_process(daemon, record, pm_id, draw_change(record, pm_id, "deleted", 0));
}

static bool wants_line(const struct follower *follower, bool error) {
    return follower->lines && !(follower->only_out && error) && !(follower->only_error && !error);
}

/* A line on its way to everybody who wants it. */
struct announcement {
    json_t *data;
    struct buffer text; /* formatted for the first that is sent it */
};

static void announce_to(struct follower *follower, struct announcement *line) {
    if (recall_take(follower->recall, line->data))
        return;
    if (buffer_length(&line->text) == 0)
        event_stream_format(&line->text, "log", line->data);
    if (buffer_length(&line->text) > 0)
        event_stream_send_text(follower->stream, buffer_data(&line->text),
                               buffer_length(&line->text));
    else
        event_stream_lose(follower->stream);
}

void daemon_announce_line(struct daemon *daemon, struct record *record,
                          const struct log_line *line) {
    struct recall_file origin = {.name = record->settings->name, .error = line->error};
    struct announcement announced = {.data = NULL};

    if (!record_pm_id(record, line->slot, &origin.pm_id))
        return;
    buffer_init(&announced.text);
    LIST_EACH(node, following, &daemon->followers) {
        struct follower *follower = LIST_ENTRY(node, struct follower, node);

        if (!wants_line(follower, line->error) || !wants(follower, record, origin.pm_id))
            continue;
        if (!announced.data)
            announced.data = recall_draw(&origin, line->time_ms, line->text, line->length);
        if (announced.data)
            announce_to(follower, &announced);
        else
            event_stream_lose(follower->stream);
    }
    buffer_clear(&announced.text);
    json_decref(announced.data);
}

/* --- the last lines --- */

static void on_recalled(void *owner) {
    struct follower *follower = owner;

    if (!follower->lines)
        end(follower);
}

static void on_room(void *owner) {
    const struct follower *follower = owner;

    recall_go_on(follower->recall);
}

static int add_file(struct follower *follower, const struct fleet_process *process, bool error) {
    char path[PATH_MAX];
    struct recall_file file = {.path = path,
                               .pm_id = process->pm_id,
                               .name = process->record->settings->name,
                               .error = error};

    record_log_path(process->record, process->slot, error ? LOG_PATH_ERROR : LOG_PATH_OUT, path);
    return path[0] == '\0' ? 0 : recall_add(follower->recall, &file);
}

/* Begins to follow, if it shall, at the moment at which the files' ends are noted. */
static int begin_logs(struct follower *follower, const struct fleet_selection *selection,
                      size_t lines, bool follow) {
    struct recall_options options = {.loop = &follower->daemon->loop,
                                     .stream = follower->stream,
                                     .held = &follower->daemon->recalls_held,
                                     .lines = lines,
                                     .follows = follow,
                                     .on_done = on_recalled,
                                     .on_room = on_room,
                                     .owner = follower};
    int result = 0;

    follower->recall = recall_create(&options);
    if (!follower->recall)
        return UV_ENOMEM;
    for (size_t i = 0; i < selection->count && lines > 0 && result == 0; i++) {
        if (!follower->only_error)
            result = add_file(follower, &selection->processes[i], false);
        if (!follower->only_out && result == 0)
            result = add_file(follower, &selection->processes[i], true);
    }
    if (follow)
        follow_lines(follower);
    return result;
}

struct log_query {
    size_t lines;
    bool follow;
    bool only_out;
    bool only_error;
};

static bool read_log_query(struct control_request *request, struct log_query *query) {
    char value[16];
    int64_t number = LINES_DEFAULT;

    *query = (struct log_query){.follow = is_set(request, "follow")};
    if (control_query(request, "lines", 0, value, sizeof value) &&
        text_to_number(value, 0, LINES_MAX, &number) < 0) {
        control_reply_error(request->connection, 400, "bad_request",
                            "\"lines\" must be a number from 0 to %d", LINES_MAX);
        return false;
    }
    query->lines = (size_t)number;
    if (!control_query(request, "stream", 0, value, sizeof value))
        return true;
    query->only_out = strcmp(value, "out") == 0;
    query->only_error = strcmp(value, "err") == 0;
    if (query->only_out || query->only_error)
        return true;
    control_reply_error(request->connection, 400, "bad_request", "\"stream\" must be out or err");
    return false;
}

void daemon_on_logs(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    struct fleet_selection selection;
    struct log_query query;
    struct follower *follower;

    if (!may_read_lines(request) || !read_log_query(request, &query) ||
        !daemon_select(daemon, request, true, &selection))
        return;
    follower = open_follower(daemon, request);
    if (follower) {
        follower->only_out = query.only_out;
        follower->only_error = query.only_error;
        if (begin_logs(follower, &selection, query.lines, query.follow) < 0)
            end(follower);
        else
            recall_start(follower->recall);
    }
    fleet_selection_clear(&selection);
}
