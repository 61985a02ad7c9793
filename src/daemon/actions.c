/* What the daemon is told to do. */
#include "daemon/change.h"
#include "daemon/daemon_internal.h"
#include "daemon/dependency.h"
#include "daemon/home.h"

#include "base/log.h"
#include "base/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE HOME_FILE_MAX

static void bad_request(struct control_request *request, const char *sentence) {
    control_reply_error(request->connection, 400, "bad_request", "%s", sentence);
}

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

/* How many apps are to be renewed at once; 0: the daemon knows what the machine bears. */
static uint32_t read_parallel(const json_t *body) {
    json_int_t number = json_integer_value(json_object_get(body, "parallel"));

    return number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
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
            operation->parallel = read_parallel(request->body);
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
        bad_request(request, "\"instances\" must be a number of 1 or more, \"+N\" or \"-N\"");
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
        bad_request(request, "only one app at a time can be scaled");
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
        bad_request(request, "\"line\" must be a text");
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

/* "SIGUSR2", "USR2" or a number; 0 when there is none of that name. */
static int signal_number(const json_t *value) {
    const char *text = json_string_value(value);
    int64_t number;

    if (json_is_integer(value))
        return (int)json_integer_value(value);
    if (!text)
        return 0;
    if (text_to_number(text, 1, NSIG - 1, &number) == 0)
        return (int)number;
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (int candidate = 1; candidate < NSIG; candidate++)
        if (sigabbrev_np(candidate) && strcmp(sigabbrev_np(candidate), text) == 0)
            return candidate;
    return 0;
}

static void on_signal(struct daemon *daemon, struct control_request *request) {
    int number = signal_number(json_object_get(request->body, "signal"));
    struct fleet_selection selection;

    if (number < 1 || number >= NSIG) {
        bad_request(request,
                    "there is no such signal: a name such as \"SIGUSR2\" or a number is wanted");
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

/* --- new apps --- */

enum known { KNOWN_REFUSE, KNOWN_RESTART, KNOWN_RELOAD, KNOWN_DUPLICATE, KNOWN_NONE };

static enum known read_known(const json_t *body) {
    static const char *const names[] = {"refuse", "restart", "reload", "duplicate"};
    const char *text = json_string_value(json_object_get(body, "known"));

    for (int i = 0; text && i < KNOWN_NONE; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum known)i;
    return text ? KNOWN_NONE : KNOWN_REFUSE;
}

/* What is asked for, checked before anything is done. */
struct wanted {
    json_t *description; /* borrowed from the request */
    struct settings *settings;
    struct record *known; /* that has the name, or NULL */
};

struct wish {
    struct wanted *apps;
    size_t count;
    enum known known;
    struct text_list warnings;
};

static void clear_wish(struct wish *wish) {
    for (size_t i = 0; i < wish->count; i++)
        settings_unref(wish->apps[i].settings);
    free(wish->apps);
    text_list_clear(&wish->warnings);
}

static bool runs(const struct record *record) {
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1))
        if (app_slot(record->app, slot)->wish == SLOT_WANTED)
            return true;
    return false;
}

/* The app that is meant: of this name, and for somebody who has named a script and not an app also
 * of this script, as PM2 has it; another of the name is no reason then. */
static struct record *find_known(const struct fleet *fleet, enum known known,
                                 const struct settings *settings) {
    switch (known) {
    case KNOWN_DUPLICATE:
        return NULL;
    case KNOWN_REFUSE:
        return fleet_find_program(fleet, settings->name, settings->script);
    default:
        return fleet_find(fleet, settings->name);
    }
}

static bool check_one(struct daemon *daemon, struct control_request *request, struct wish *wish,
                      json_t *description) {
    struct wanted *wanted = &wish->apps[wish->count];
    char error[SETTINGS_ERROR_MAX];

    if (!json_is_object(description)) {
        bad_request(request, "an app is described by an object");
        return false;
    }
    wanted->description = description;
    if (record_check(description, &wanted->settings, &wish->warnings, error) < 0) {
        control_reply_error(request->connection, 400, "bad_app", "%s", error);
        return false;
    }
    wish->count++;
    wanted->known = find_known(&daemon->fleet, wish->known, wanted->settings);
    if (!wanted->known || wish->known != KNOWN_REFUSE || !runs(wanted->known))
        return true;
    control_reply_error(request->connection, 409, "exists", "the app '%s' runs already",
                        wanted->settings->name);
    return false;
}

static bool check_wish(struct daemon *daemon, struct control_request *request, struct wish *wish) {
    const json_t *apps = json_object_get(request->body, "apps");
    json_t *description;
    size_t index;

    wish->known = read_known(request->body);
    if (!json_is_array(apps) || wish->known == KNOWN_NONE) {
        bad_request(request, "\"apps\" must be an array, and \"known\" one of refuse, restart, "
                             "reload, duplicate");
        return false;
    }
    wish->apps = calloc(json_array_size(apps) + 1, sizeof *wish->apps);
    if (!wish->apps) {
        control_reply_json(request->connection, 503, NULL);
        return false;
    }
    json_array_foreach(apps, index, description) {
        if (!check_one(daemon, request, wish, description))
            return false;
    }
    return true;
}

/* As it will be: what is asked for goes before what is there. */
struct lookup {
    const struct fleet *fleet;
    const struct wish *wish;
};

static const struct settings *find_settings(void *owner, const char *name) {
    const struct lookup *lookup = owner;
    const struct record *record;

    for (size_t i = 0; i < lookup->wish->count; i++)
        if (strcmp(lookup->wish->apps[i].settings->name, name) == 0)
            return lookup->wish->apps[i].settings;
    record = fleet_find(lookup->fleet, name);
    return record ? record->settings : NULL;
}

static bool check_order(struct daemon *daemon, struct control_request *request,
                        const struct wish *wish) {
    struct lookup lookup = {.fleet = &daemon->fleet, .wish = wish};
    char path[SETTINGS_ERROR_MAX];

    for (size_t i = 0; i < wish->count; i++)
        if (dependency_cycle(wish->apps[i].settings, find_settings, &lookup, path, sizeof path)) {
            control_reply_error(request->connection, 400, "bad_app",
                                "depends_on goes round in a circle: %s", path);
            return false;
        }
    return true;
}

/* Adds or updates it; `selection` is what is to be started, or renewed if it was known. */
static int realise(struct daemon *daemon, struct wanted *wanted, struct fleet_selection *fresh,
                   struct fleet_selection *known, char error[SETTINGS_ERROR_MAX]) {
    struct settings *settings = settings_ref(wanted->settings);
    struct record *record = wanted->known;
    int result;

    if (record) {
        result = record_update(record, wanted->description, settings, error);
        return result < 0 ? result : fleet_select_record(record, known);
    }
    result = fleet_add(&daemon->fleet, wanted->description, settings, &record, error);
    if (result < 0 || !wanted->settings->autostart)
        return result;
    return fleet_select_record(record, fresh);
}

static void grant(struct daemon *daemon, struct control_request *request, struct wish *wish) {
    struct fleet_selection fresh = {.count = 0};
    struct fleet_selection known = {.count = 0};
    struct operation *operation = fleet_operation(&daemon->fleet, request);
    char error[SETTINGS_ERROR_MAX];

    if (!operation)
        return;
    operation->parallel = read_parallel(request->body);
    for (size_t i = 0; i < wish->warnings.count; i++)
        operation_warn(operation, wish->warnings.items[i]);
    for (size_t i = 0; i < wish->count; i++)
        if (realise(daemon, &wish->apps[i], &fresh, &known, error) < 0)
            operation_fail(operation, wish->apps[i].settings->name, error);
    fleet_act_both(&daemon->fleet, wish->known == KNOWN_RELOAD ? FLEET_RELOAD : FLEET_RESTART,
                   &known, &fresh, operation);
    fleet_selection_clear(&fresh);
    fleet_selection_clear(&known);
}

void daemon_on_apps(void *owner, struct control_request *request) {
    struct wish wish = {.count = 0};

    if (check_wish(owner, request, &wish) && check_order(owner, request, &wish))
        grant(owner, request, &wish);
    clear_wish(&wish);
}

/* --- the dump --- */

void daemon_on_save(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;

    saving_dump(&daemon->saving, request, json_is_true(json_object_get(request->body, "force")));
}

void daemon_on_resurrect(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    char error[STATE_FILE_ERROR_MAX];
    enum state_file_source source;
    struct operation *operation;
    json_t *saved = NULL;
    char path[PATH_SIZE];
    int result = home_file(daemon->home, HOME_DUMP, path, sizeof path);

    if (result == 0)
        result = state_file_read(path, &saved, &source, error);
    if (result < 0) {
        control_reply_error(request->connection, 500, "failed", "%s", error);
        return;
    }
    operation = fleet_operation(&daemon->fleet, request);
    if (operation)
        fleet_restore(&daemon->fleet, saved, operation);
    json_decref(saved);
}

void daemon_on_clear_dump(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    char path[PATH_SIZE];
    int result = home_file(daemon->home, HOME_DUMP, path, sizeof path);

    if (result == 0)
        result = state_file_remove(path);
    if (result < 0)
        control_reply_error(request->connection, 500, "failed", "cannot remove %s: %s", path,
                            uv_strerror(result));
    else
        control_reply_json(request->connection, 200, json_object());
}

void daemon_on_reopen_logs(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;

    daemon_reopen_logs(daemon);
    control_reply_json(request->connection, 200, json_object());
}

/* --- the end --- */

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
