/* scale, send: what is done to one app, with a word more. */
#include "cli/act.h"
#include "cli/action.h"
#include "cli/message.h"
#include "cli/records.h"

#include "base/text.h"

#include <string.h>
#include <uv.h>

#define INSTANCES_MAX 4096

/* "3", "+1", "-2": how many there are to be, of the `count` that there are; -1 when it is none. */
static int64_t wanted(const char *text, int64_t count) {
    const char *digits = text + (text[0] == '+' || text[0] == '-' ? 1 : 0);
    int64_t number;

    if (text_to_number(digits, 0, INSTANCES_MAX, &number) < 0)
        return -1;
    if (text[0] == '+')
        return count + number;
    if (text[0] == '-')
        return number < count ? count - number : 0;
    return number;
}

/* The name of the one app that all the processes belong to, or NULL. */
static const char *only_app(const json_t *processes) {
    const char *name = NULL;
    const json_t *process;
    size_t index;

    json_array_foreach(processes, index, process) {
        const char *one = draw_member_text(process, "name", "");

        if (name && strcmp(name, one) != 0)
            return NULL;
        name = one;
    }
    return name;
}

/* How many processes the app has that is meant, by whatever it is called; -1 when that was said to
 * be wrong. */
static int64_t count_processes(struct cli_client *client, const struct cli_targets *targets) {
    struct cli_targets whole = {.names = NULL};
    json_t *processes;
    const char *name;
    int64_t count = -1;

    if (cli_targets_processes(targets, client, false, &processes) < 0)
        return -1;
    name = only_app(processes);
    whole.names = name ? json_pack("[s]", name) : NULL;
    if (!name)
        cli_fail(client->call, "only one app at a time can be scaled");
    json_decref(processes);
    if (whole.names && cli_targets_processes(&whole, client, false, &processes) == 0) {
        count = (int64_t)json_array_size(processes);
        json_decref(processes);
    }
    json_decref(whole.names);
    return count;
}

static int scale(struct cli_client *client, const struct cli_targets *targets, const char *text) {
    const struct cli_call *call = client->call;
    int64_t before = count_processes(client, targets);
    json_t *answer;
    json_t *number;
    int64_t after;
    int code;

    if (before < 0)
        return 1;
    after = wanted(text, before);
    if (after < 0)
        return cli_fail(call, "scale takes a number from 1 to %d, or +N or -N, not '%s'",
                        INSTANCES_MAX, text);
    if (after == before)
        return cli_fail(call, "Nothing to do");
    if (after < 1)
        return cli_fail(call,
                        "an app has at least one process, and %s has %lld; stop or delete ends "
                        "all of them",
                        call->words.words[0], (long long)before);
    cli_say(call, "Scaling %s application", after > before ? "up" : "down");
    number = text[0] == '+' || text[0] == '-' ? json_string(text) : json_integer(after);
    code = cli_action_post(client, "/v1/actions/scale",
                           json_pack("{s:O, s:o}", "targets", targets->names, "instances", number),
                           &answer);
    cli_action_show_done(call, json_object_get(answer, "processes"), answer);
    json_decref(answer);
    return code == 0 ? cli_act_finish(client, code) : code;
}

static int run_scale(struct cli_call *call) {
    struct cli_targets targets = {.names = NULL};
    struct cli_client client;
    int code = 1;

    if (call->words.count != 2)
        return cli_fail(call, "scale needs a name and a number, as in: scale api +1");
    targets.names = json_pack("[s]", call->words.words[0]);
    if (targets.names && cli_client_open(&client, call, CLI_CLIENT_IF_THERE) == 0) {
        code = scale(&client, &targets, call->words.words[1]);
        cli_client_close(&client);
    }
    json_decref(targets.names);
    return code;
}

static int run_send(struct cli_call *call) {
    struct cli_client client;
    json_t *body;
    int code = 1;

    if (call->words.count != 2)
        return cli_fail(call, "send needs a process and a line, as in: send 0 'reload config'");
    body = json_pack("{s:[s], s:s}", "targets", call->words.words[0], "line", call->words.words[1]);
    if (!body)
        return cli_fail(call, "a line must be UTF-8");
    if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0) {
        json_decref(body);
        return 1;
    }
    code = cli_action_post(&client, "/v1/actions/send", body, NULL);
    cli_client_close(&client);
    return code;
}

const struct cli_command command_scale = {
    .name = "scale",
    .usage = "NAME N|+N|-N",
    .summary = "more or fewer processes of an app",
    .examples = "scale api 4\n"
                "scale api +2",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_scale,
};

const struct cli_command command_send = {
    .name = "send",
    .usage = "TARGET LINE",
    .summary = "write a line to the standard input of a process",
    .examples = "send 0 'reload config'",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_send,
};
