/* describe, env, pid, id: what is known of some processes. */
#include "cli/draw_describe.h"

#include "cli/client.h"
#include "cli/draw_pretty.h"
#include "cli/message.h"
#include "cli/records.h"
#include "cli/show.h"
#include "cli/targets.h"

#include <string.h>
#include <unistd.h>
#include <uv.h>

extern char **environ;

/* The processes of the call's words, which have to be some. */
static int get_known(struct cli_call *call, json_t **ret_processes) {
    struct cli_targets targets;
    struct cli_client client;
    int error = cli_targets_read(&targets, call, false);

    if (error == 0)
        error = cli_client_open(&client, call, CLI_CLIENT_IF_THERE);
    if (error == 0) {
        error = cli_targets_name_apps(&targets, &client);
        if (error == 0)
            error = cli_targets_processes(&targets, &client, true, ret_processes);
        cli_client_close(&client);
    }
    cli_targets_clear(&targets);
    return error;
}

/* Those of a word, or of none: all; an empty array when there are none. */
static int get_any(struct cli_call *call, json_t **ret_processes) {
    json_t *targets = json_array();
    struct cli_client client;
    int error;

    for (int i = 0; i < call->words.count; i++)
        json_array_append_new(targets, json_string(call->words.words[i]));
    error = cli_client_open(&client, call, CLI_CLIENT_IF_THERE);
    if (error == 0) {
        error = cli_client_processes(&client, targets, ret_processes);
        cli_client_close(&client);
    }
    if (error == UV_ENOENT) {
        *ret_processes = json_array();
        error = *ret_processes ? 0 : UV_ENOMEM;
    }
    json_decref(targets);
    return error;
}

static int run_describe(struct cli_call *call) {
    struct draw_describe_options options = {
        .style = cli_show_style(call), .now_ms = cli_show_now(), .environment = environ};
    json_t *processes = NULL;
    struct buffer out;
    int drawn;

    if (get_known(call, &processes) < 0)
        return 1;
    buffer_init(&out);
    drawn = draw_describe(&out, processes, &options);
    json_decref(processes);
    return cli_show(call, &out, drawn);
}

static int draw_environment(struct buffer *out, const struct draw_style *style, json_t *process) {
    json_t *variables = json_object_get(json_object_get(process, "pm2_env"), "env");
    const char *name;
    json_t *value;
    int drawn = 0;

    json_object_foreach(variables, name, value) {
        const char *text = json_string_value(value);

        if (drawn == 0)
            drawn = draw_escaped(out, style, name);
        if (drawn == 0)
            drawn = buffer_append(out, ": ", 2);
        if (drawn == 0 && text)
            drawn = draw_escaped(out, style, text);
        if (drawn == 0)
            drawn = buffer_append(out, "\n", 1);
    }
    return drawn;
}

static int run_env(struct cli_call *call) {
    struct draw_style style = cli_show_style(call);
    json_t *processes = NULL;
    json_t *process;
    struct buffer out;
    size_t index;
    int drawn = 0;

    if (get_known(call, &processes) < 0)
        return 1;
    buffer_init(&out);
    json_array_foreach(processes, index, process) {
        if (drawn == 0)
            drawn = draw_environment(&out, &style, process);
    }
    json_decref(processes);
    return cli_show(call, &out, drawn);
}

static int run_pid(struct cli_call *call) {
    json_t *processes = NULL;
    json_t *process;
    struct buffer out;
    size_t index;
    int drawn = 0;

    if (get_any(call, &processes) < 0)
        return 1;
    buffer_init(&out);
    json_array_foreach(processes, index, process) {
        if (drawn == 0)
            drawn = buffer_print(&out, "%lld\n", (long long)draw_member_number(process, "pid", 0));
    }
    if (drawn == 0 && json_array_size(processes) == 0)
        drawn = buffer_append(&out, "\n", 1); /* a line, as PM2 has it */
    json_decref(processes);
    return cli_show(call, &out, drawn);
}

static int run_id(struct cli_call *call) {
    json_t *ids = json_array();
    json_t *processes = NULL;
    json_t *process;
    struct buffer out;
    size_t index;
    int drawn;

    if (call->words.count == 0 || !ids || get_any(call, &processes) < 0) {
        json_decref(ids);
        return call->words.count == 0 ? cli_fail(call, "id needs a name") : 1;
    }
    json_array_foreach(processes, index, process) {
        json_array_append(ids, json_object_get(process, "pm_id"));
    }
    buffer_init(&out);
    drawn = draw_pretty(&out, ids);
    json_decref(ids);
    json_decref(processes);
    return cli_show(call, &out, drawn);
}

const struct cli_command command_describe = {
    .name = "describe",
    .aliases = "desc info show",
    .usage = "TARGET...",
    .summary = "everything about processes",
    .examples = "describe api\n"
                "describe 0",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_describe,
};

const struct cli_command command_env = {
    .name = "env",
    .usage = "TARGET",
    .summary = "the variables that a process was asked to have",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_env,
};

const struct cli_command command_pid = {
    .name = "pid",
    .usage = "[NAME]",
    .summary = "process numbers, one a line",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_pid,
};

const struct cli_command command_id = {
    .name = "id",
    .usage = "NAME",
    .summary = "the numbers in the list that belong to a name",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_id,
};
