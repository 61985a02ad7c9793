/* logs, flush, reloadLogs: what apps have printed. */
#include "cli/action.h"
#include "cli/log_lines.h"
#include "cli/message.h"
#include "cli/query.h"
#include "cli/records.h"
#include "cli/show.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define LINES_DEFAULT 15
#define LINES_MAX     1000000

static int logs_target(const struct cli_call *call, struct buffer *target) {
    const struct cli_log_flags *flags = &call->flags.logs;
    char lines[16];
    int result = buffer_append(target, "/v1/logs", 8);

    if (result == 0 && call->words.count == 0)
        result = query_add(target, "target", "all");
    for (int i = 0; i < call->words.count && result == 0; i++)
        result = query_add(target, "target", call->words.words[i]);
    snprintf(lines, sizeof lines, "%u", flags->lines_given ? flags->lines : LINES_DEFAULT);
    if (result == 0)
        result = query_add(target, "lines", lines);
    if (result == 0 && !flags->nostream)
        result = query_add(target, "follow", "1");
    if (result == 0 && flags->only_err != flags->only_out)
        result = query_add(target, "stream", flags->only_err ? "err" : "out");
    return result;
}

static json_t *targets_of(const struct cli_call *call) {
    json_t *targets = json_array();

    for (int i = 0; i < call->words.count; i++)
        json_array_append_new(targets, json_string(call->words.words[i]));
    if (call->words.count == 0)
        json_array_append_new(targets, json_string("all"));
    return targets;
}

/* So that the names of those that are followed stand below each other from the first line on. */
static void learn_names(struct cli_client *client, struct cli_log_lines *lines) {
    json_t *targets = targets_of(client->call);
    json_t *processes;

    if (cli_client_processes(client, targets, &processes) == 0) {
        draw_logs_learn(&lines->logs, processes);
        json_decref(processes);
    }
    json_decref(targets);
}

static int show_logs(struct cli_client *client, const char *target) {
    const struct cli_call *call = client->call;
    struct cli_log_lines lines;
    int error;

    cli_log_lines_init(&lines, call);
    if (lines.logs.form == DRAW_LOGS_PREFIXED)
        learn_names(client, &lines);
    error = cli_client_follow(client, target, cli_log_lines_on_event, &lines, NULL);
    if (error == UV_ECONNRESET || (error == 0 && !call->flags.logs.nostream))
        return cli_fail(call, "the daemon has ended");
    return error < 0;
}

static int run_logs(struct cli_call *call) {
    struct cli_client client;
    struct buffer target;
    int code = 1;

    buffer_init(&target);
    if (logs_target(call, &target) < 0)
        cli_fail_memory(call);
    else if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) == 0) {
        if (client.there)
            code = show_logs(&client, buffer_data(&target));
        else
            code = call->flags.logs.nostream && call->words.count == 0
                       ? 0
                       : cli_fail(call, "no daemon runs, so there are no logs to follow");
        cli_client_close(&client);
    }
    buffer_clear(&target);
    return code;
}

/* A name that is not known has no logs, which is no failure (PM2's scripts rely on it). */
static int run_flush(struct cli_call *call) {
    json_t *targets = targets_of(call);
    struct cli_client client;
    json_t *processes = NULL;
    int error;
    int code = 1;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0)
        goto done;
    error = client.there ? cli_client_processes(&client, targets, &processes) : UV_ENOENT;
    if (error == UV_ENOENT || (error == 0 && json_array_size(processes) == 0))
        code = 0;
    else if (error == 0)
        code = cli_action_post(&client, "/v1/actions/flush", json_pack("{s:O}", "targets", targets),
                               NULL);
    if (code == 0)
        cli_say(call, "Logs flushed");
    json_decref(processes);
    cli_client_close(&client);
done:
    json_decref(targets);
    return code;
}

static int run_reload_logs(struct cli_call *call) {
    struct cli_client client;
    int code = 0;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0)
        return 1;
    if (client.there)
        code = cli_action_post(&client, "/v1/reopen-logs", json_object(), NULL);
    if (code == 0)
        cli_say(call, "All logs reloaded");
    cli_client_close(&client);
    return code;
}

#define LOGS(target) (&((struct cli_flags *)(target))->logs)

static int set_lines(void *target, const char *value) {
    int64_t number;

    if (text_to_number(value, 0, LINES_MAX, &number) < 0)
        return UV_EINVAL;
    LOGS(target)->lines = (uint32_t)number;
    LOGS(target)->lines_given = true;
    return 0;
}

static int set_raw(void *target, const char *value) {
    (void)value;
    LOGS(target)->raw = true;
    return 0;
}

static int set_json(void *target, const char *value) {
    (void)value;
    LOGS(target)->json = true;
    return 0;
}

static int set_err(void *target, const char *value) {
    (void)value;
    LOGS(target)->only_err = true;
    return 0;
}

static int set_out(void *target, const char *value) {
    (void)value;
    LOGS(target)->only_out = true;
    return 0;
}

static int set_nostream(void *target, const char *value) {
    (void)value;
    LOGS(target)->nostream = true;
    return 0;
}

static int set_timestamp(void *target, const char *value) {
    LOGS(target)->time_format = value ? value : DRAW_LOGS_TIME;
    return 0;
}

static int set_highlight(void *target, const char *value) {
    LOGS(target)->highlight = value;
    return value && value[0] ? 0 : UV_EINVAL;
}

static const struct cli_option log_options[] = {
    {"lines", 0, "N", "a number from 0 to 1000000", "how many of the last ones at first (15)",
     set_lines},
    {"raw", 0, NULL, NULL, "without the names in front", set_raw},
    {"json", 0, NULL, NULL, "each line as a JSON object", set_json},
    {"err", 0, NULL, NULL, "standard error alone", set_err},
    {"out", 0, NULL, NULL, "standard output alone", set_out},
    {"nostream", 0, NULL, NULL, "the last lines, and no more", set_nostream},
    {"timestamp", 0, "[FORMAT]", "a format of strftime(3)", "the time in front of each line",
     set_timestamp},
    {"highlight", 0, "WORD", "a word", "show it in reverse", set_highlight},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static const struct cli_option *const tables[] = {log_options, NULL};

const struct cli_command command_logs = {
    .name = "logs",
    .aliases = "log",
    .usage = "[TARGET...]",
    .summary = "the last lines that apps have printed, and what follows",
    .examples = "logs api --lines 100\n"
                "logs --err --timestamp\n"
                "logs api --nostream --json",
    .options = tables,
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_logs,
};

const struct cli_command command_flush = {
    .name = "flush",
    .usage = "[TARGET...]",
    .summary = "empty the log files",
    .examples = "flush api",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_flush,
};

const struct cli_command command_reload_logs = {
    .name = "reloadLogs",
    .usage = "",
    .summary = "open the log files anew, after somebody has moved them",
    .run = run_reload_logs,
};
