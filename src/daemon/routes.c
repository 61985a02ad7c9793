/* What the daemon reads out, and the table of all its routes. */
#include "daemon/daemon_internal.h"
#include "daemon/process_json.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TARGET_MAX 1024

static void on_version(void *owner, struct control_request *request) {
    const struct daemon *daemon = owner;
    const struct control *control = &daemon->control;

    control_reply_json(request->connection, 200,
                       json_pack("{s:s, s:s, s:i, s:i, s:s, s:I, s:s*, s:s*}", "name", "baton",
                                 "version", BATON_VERSION, "api", 1, "pid", (int)getpid(), "home",
                                 daemon->home, "uptime_ms",
                                 (json_int_t)(clock_ms() - daemon->started_ms), "tcp",
                                 control->has_tcp ? control->tcp_address.text : NULL, "lost",
                                 daemon->lost[0] ? daemon->lost : NULL));
}

/* --- what requests say --- */

void daemon_bad_request(struct control_request *request, const char *sentence) {
    control_reply_error(request->connection, 400, "bad_request", "%s", sentence);
}

uint32_t daemon_read_parallel(const json_t *body) {
    json_int_t number = json_integer_value(json_object_get(body, "parallel"));

    return number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

static bool complain(struct control_request *request, const char *target, int error) {
    if (error == UV_ENOENT)
        control_reply_error(request->connection, 404, "unknown_target",
                            "there is no app, namespace or process '%s'", target);
    else if (error == UV_EINVAL)
        control_reply_error(request->connection, 400, "bad_request",
                            "'%s' is no regular expression", target);
    else
        control_reply_json(request->connection, 503, NULL);
    return false;
}

static bool select_one(struct daemon *daemon, struct control_request *request, const char *target,
                       struct fleet_selection *selection) {
    int result = fleet_select(&daemon->fleet, target, selection);

    if (result == UV_ENOENT && strcmp(target, "all") == 0 && strcmp(request->method, "POST") != 0)
        return true; /* nothing is there to be shown */
    return result < 0 ? complain(request, target, result) : true;
}

static bool select_body(struct daemon *daemon, struct control_request *request,
                        struct fleet_selection *selection) {
    const json_t *targets = json_object_get(request->body, "targets");
    const json_t *target;
    size_t index;

    if (!json_is_array(targets) || json_array_size(targets) == 0) {
        daemon_bad_request(request, "\"targets\" must be an array of names or numbers");
        return false;
    }
    json_array_foreach(targets, index, target) {
        char number[24];
        const char *text = json_string_value(target);

        if (json_is_integer(target)) {
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(target));
            text = number;
        }
        if (!text) {
            daemon_bad_request(request, "a target is a text or a number");
            return false;
        }
        if (!select_one(daemon, request, text, selection))
            return false;
    }
    return true;
}

bool daemon_select(struct daemon *daemon, struct control_request *request, bool all_by_default,
                   struct fleet_selection *selection) {
    char target[TARGET_MAX];
    size_t index = 0;
    bool good = true;

    *selection = (struct fleet_selection){.count = 0};
    if (strcmp(request->method, "POST") == 0) {
        good = select_body(daemon, request, selection);
    } else {
        while (good && control_query(request, "target", index, target, sizeof target)) {
            good = select_one(daemon, request, target, selection);
            index++;
        }
        if (good && index == 0 && all_by_default)
            good = select_one(daemon, request, "all", selection);
    }
    if (!good)
        fleet_selection_clear(selection);
    return good;
}

static bool asks_for(const struct control_request *request, const char *name, const char *value) {
    char given[8];

    return control_query(request, name, 0, given, sizeof given) && strcmp(given, value) == 0;
}

/* Over TCP nobody is shown an environment, which may hold secrets. */
static enum process_detail read_detail(const struct control_request *request) {
    if (asks_for(request, "brief", "1"))
        return PROCESS_BRIEF;
    return request->is_tcp || asks_for(request, "env", "0") ? PROCESS_USUAL : PROCESS_WHOLE;
}

static void on_processes(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    enum process_detail detail = read_detail(request);
    struct fleet_selection selection;
    struct json_text text;
    struct buffer out;

    if (!daemon_select(daemon, request, true, &selection))
        return;
    host_sample_now(&daemon->host);
    buffer_init(&out);
    json_text_init(&text, &out);
    json_text_open(&text, NULL, '[');
    for (size_t i = 0; i < selection.count; i++)
        process_json_write(&text, selection.processes[i].record, selection.processes[i].slot,
                           detail);
    json_text_close(&text, ']');
    fleet_selection_clear(&selection);
    control_reply_text(request->connection, 200, json_text_result(&text) == 0 ? &out : NULL);
    buffer_clear(&out);
}

const struct control_route daemon_routes[] = {
    {"GET", "/v1", on_version},
    {"GET", "/v1/processes", on_processes},
    {"GET", "/v1/logs", daemon_on_logs},
    {"GET", "/v1/events", daemon_on_events},
    {"POST", "/v1/apps", daemon_on_apps},
    {"POST", "/v1/actions/*", daemon_on_action},
    {"POST", "/v1/save", daemon_on_save},
    {"POST", "/v1/resurrect", daemon_on_resurrect},
    {"POST", "/v1/cleardump", daemon_on_clear_dump},
    {"POST", "/v1/reopen-logs", daemon_on_reopen_logs},
    {"POST", "/v1/kill", daemon_on_kill},
    {NULL, NULL, NULL},
};
