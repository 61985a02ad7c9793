/* What the daemon is told to do with the processes that it has, and with itself. */
#include "daemon/change.h"
#include "daemon/daemon_internal.h"

#include "base/text.h"

#include <signal.h>
#include <string.h>

/* --- start, stop, restart, reload, delete --- */

static void on_reload_over(void *owner) {
    struct daemon *daemon = owner;

    if (--daemon->reloads == 0 && !daemon->ending)
        notify_ready(&daemon->notify, "ready");
}

/* The service manager sees a reload from its first process to the last. */
static void tell_reload(struct daemon *daemon, struct operation *operation) {
    if (daemon->reloads++ == 0)
        notify_reloading(&daemon->notify);
    operation->on_over = on_reload_over;
    operation->over_owner = daemon;
}

static void begin(struct daemon *daemon, struct control_request *request,
                  enum fleet_action action) {
    struct text_list warnings = {.items = NULL};
    struct fleet_selection selection;
    struct operation *operation;
    char error[SETTINGS_ERROR_MAX];

    if (!daemon_select(daemon, request, false, &selection))
        return;
    if (change_apply(&daemon->fleet, &selection, request->body, &warnings, error) < 0) {
        control_reply_error(request->connection, 400, "bad_app", "%s", error);
    } else {
        operation = fleet_operation(&daemon->fleet, request);
        if (operation && action == FLEET_RELOAD)
            tell_reload(daemon, operation);
        for (size_t i = 0; i < warnings.count && operation; i++)
            operation_warn(operation, warnings.items[i]);
        if (operation) {
            operation->parallel = daemon_read_parallel(request->body);
            fleet_act(&daemon->fleet, action, &selection, operation);
        }
    }
    text_list_clear(&warnings);
    fleet_selection_clear(&selection);
}

static void on_start(struct daemon *daemon, struct control_request *request) {
    begin(daemon, request, FLEET_START);
}

static void on_stop(struct daemon *daemon, struct control_request *request) {
    begin(daemon, request, FLEET_STOP);
}

static void on_restart(struct daemon *daemon, struct control_request *request) {
    begin(daemon, request, FLEET_RESTART);
}

static void on_reload(struct daemon *daemon, struct control_request *request) {
    begin(daemon, request, FLEET_RELOAD);
}

static void on_delete(struct daemon *daemon, struct control_request *request) {
    begin(daemon, request, FLEET_DELETE);
}

/* --- scale --- */

/* "3", 3, "+1" or "-1": false when it is nothing of this. */
static bool read_count(const json_t *instances, uint32_t now, uint32_t *ret_count) {
    const char *text = json_string_value(instances);
    bool relative = text && (text[0] == '+' || text[0] == '-');
    int64_t number = json_integer_value(instances);

    if (text && text_to_number(text + (text[0] == '+'), -SETTINGS_INSTANCES_MAX,
                               SETTINGS_INSTANCES_MAX, &number) < 0)
        return false;
    if (!text && !json_is_integer(instances))
        return false;
    if (relative)
        number += now;
    if (number < 1 || number > SETTINGS_INSTANCES_MAX)
        return false;
    *ret_count = (uint32_t)number;
    return true;
}

/* The processes that are new, or those with the highest slots, which go. */
static int select_change(struct record *record, uint32_t before, uint32_t after,
                         struct fleet_selection *selection) {
    uint32_t place = 0;
    uint32_t first_new = *record->options.next_pm_id;
    int result = after > before ? record_grow(record, after) : 0;

    for (uint32_t slot = record_next(record, 0); result == 0 && slot != UINT32_MAX;
         slot = record_next(record, slot + 1), place++) {
        struct fleet_process process = {.record = record, .slot = slot};

        record_pm_id(record, slot, &process.pm_id);
        if (after > before ? process.pm_id >= first_new : place >= after)
            result = fleet_selection_add(selection, &process);
    }
    return result;
}

static void scale(struct daemon *daemon, struct control_request *request, struct record *record) {
    uint32_t before = record_count(record);
    struct fleet_selection selection = {.count = 0};
    struct operation *operation;
    uint32_t after;

    if (!read_count(json_object_get(request->body, "instances"), before, &after)) {
        daemon_bad_request(request,
                           "\"instances\" must be a number of 1 or more, \"+N\" or \"-N\"");
        return;
    }
    if (select_change(record, before, after, &selection) < 0) {
        control_reply_json(request->connection, 503, NULL);
    } else {
        operation = fleet_operation(&daemon->fleet, request);
        if (operation)
            fleet_act(&daemon->fleet, after > before ? FLEET_START : FLEET_DELETE, &selection,
                      operation);
    }
    fleet_selection_clear(&selection);
}

static void on_scale(struct daemon *daemon, struct control_request *request) {
    struct fleet_selection selection;

    if (!daemon_select(daemon, request, false, &selection))
        return;
    if (selection.processes[0].record != selection.processes[selection.count - 1].record)
        daemon_bad_request(request, "only one app at a time can be scaled");
    else
        scale(daemon, request, selection.processes[0].record);
    fleet_selection_clear(&selection);
}

/* --- what is done at once --- */

static void answer_selection(struct daemon *daemon, struct control_request *request,
                             const struct fleet_selection *selection) {
    struct operation *operation = fleet_operation(&daemon->fleet, request);

    if (operation)
        fleet_show(selection, operation);
}

static void on_reset(struct daemon *daemon, struct control_request *request) {
    struct fleet_selection selection;

    if (!daemon_select(daemon, request, false, &selection))
        return;
    for (size_t i = 0; i < selection.count; i++)
        app_reset_slot(selection.processes[i].record->app, selection.processes[i].slot);
    answer_selection(daemon, request, &selection);
    fleet_selection_clear(&selection);
}

static void on_flush(struct daemon *daemon, struct control_request *request) {
    struct fleet_selection selection;

    if (!daemon_select(daemon, request, false, &selection))
        return;
    for (size_t i = 0; i < selection.count; i++)
        if (i == 0 || selection.processes[i].record != selection.processes[i - 1].record)
            app_log_flush(&selection.processes[i].record->log);
    answer_selection(daemon, request, &selection);
    fleet_selection_clear(&selection);
}

static void on_send(struct daemon *daemon, struct control_request *request) {
    const char *line = json_string_value(json_object_get(request->body, "line"));
    struct fleet_selection selection;
    struct buffer text;
    int result;

    if (!line) {
        daemon_bad_request(request, "\"line\" must be a text");
        return;
    }
    if (!daemon_select(daemon, request, false, &selection))
        return;
    buffer_init(&text);
    result = buffer_print(&text, "%s\n", line);
    for (size_t i = 0; i < selection.count && result == 0; i++)
        result = app_send(selection.processes[i].record->app, selection.processes[i].slot,
                          buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
    if (result < 0)
        control_reply_error(request->connection, 409, "not_taken",
                            "the process does not take it: %s", uv_strerror(result));
    else
        answer_selection(daemon, request, &selection);
    fleet_selection_clear(&selection);
}

/* 0 when it is none. */
static int signal_number(const json_t *value) {
    const char *text = json_string_value(value);
    json_int_t given = json_integer_value(value);
    int number = 0;

    if (json_is_integer(value))
        return given > 0 && given < NSIG ? (int)given : 0;
    return text && text_to_signal(text, &number) == 0 ? number : 0;
}

static void on_signal(struct daemon *daemon, struct control_request *request) {
    int number = signal_number(json_object_get(request->body, "signal"));
    struct fleet_selection selection;

    if (number == 0) {
        daemon_bad_request(
            request, "there is no such signal: a name such as \"SIGUSR2\" or a number is wanted");
        return;
    }
    if (!daemon_select(daemon, request, false, &selection))
        return;
    for (size_t i = 0; i < selection.count; i++) {
        struct app_slot_status status;

        if (app_slot_status(selection.processes[i].record->app, selection.processes[i].slot,
                            &status) == 0 &&
            status.pid > 0)
            kill(status.pid, number);
    }
    answer_selection(daemon, request, &selection);
    fleet_selection_clear(&selection);
}

static const struct {
    const char *name;
    void (*handle)(struct daemon *daemon, struct control_request *request);
} actions[] = {
    {"start", on_start}, {"stop", on_stop},   {"restart", on_restart}, {"reload", on_reload},
    {"scale", on_scale}, {"reset", on_reset}, {"delete", on_delete},   {"signal", on_signal},
    {"flush", on_flush}, {"send", on_send},
};

void daemon_on_action(void *owner, struct control_request *request) {
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(actions[i].name, request->segment) == 0) {
            actions[i].handle(owner, request);
            return;
        }
    control_reply_error(request->connection, 404, "not_found", "there is no action '%s'",
                        request->segment);
}

/* --- its logs, its end --- */

void daemon_on_reopen_logs(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;

    daemon_reopen_logs(daemon);
    control_reply_json(request->connection, 200, json_object());
}

static void on_killer_gone(void *owner) {
    struct daemon *daemon = owner;

    daemon->kill_answer = NULL;
}

void daemon_on_kill(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    json_int_t code;

    if (daemon->kill_answer) {
        control_reply_error(request->connection, 503, "shutting_down", "the daemon ends already");
        return;
    }
    code = json_integer_value(json_object_get(request->body, "code"));
    if (code > 0 && code < 256)
        daemon->code = (int)code;
    daemon->kill_answer = control_answer_create(request, on_killer_gone, daemon);
    daemon_end(daemon, true);
}
