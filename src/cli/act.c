#include "cli/act.h"

#include "base/text.h"
#include "cli/action.h"
#include "cli/app_options.h"
#include "cli/apps.h"
#include "cli/commands.h"
#include "cli/file_flags.h"
#include "cli/message.h"
#include "cli/records.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

const struct cli_act cli_act_start = {"/v1/actions/start", "restartProcessId"};
const struct cli_act cli_act_restart = {"/v1/actions/restart", "restartProcessId"};
const struct cli_act cli_act_reload = {"/v1/actions/reload", "reloadProcessId"};
static const struct cli_act act_stop = {"/v1/actions/stop", "stopProcessId"};
static const struct cli_act act_delete = {"/v1/actions/delete", "deleteProcessId"};
static const struct cli_act act_reset = {"/v1/actions/reset", "resetMetaProcessId"};
static const struct cli_act act_signal = {"/v1/actions/signal", "sendSignalToProcessId"};

/* "[ 0, 1 ]" */
static void write_ids(const json_t *processes, char *text, size_t size) {
    const json_t *process;
    size_t length = (size_t)snprintf(text, size, "[ ");
    size_t index;

    json_array_foreach(processes, index, process) {
        if (length + 24 < size)
            length +=
                (size_t)snprintf(text + length, size - length, "%s%lld", index > 0 ? ", " : "",
                                 (long long)draw_member_number(process, "pm_id", -1));
    }
    snprintf(text + length, size - length, " ]");
}

static void announce(const struct cli_call *call, const struct cli_targets *targets,
                     const struct cli_act *act, const json_t *processes) {
    char words[256];
    char ids[1024];

    cli_targets_words(targets, words, sizeof words);
    write_ids(processes, ids, sizeof ids);
    cli_say(call, "Applying action %s on app [%s](ids: %s)", act->word, words, ids);
}

/* How many of the processes belong to this app. */
static size_t count_of(const json_t *processes, const char *name) {
    const json_t *process;
    size_t count = 0;
    size_t index;

    json_array_foreach(processes, index, process) {
        count += strcmp(draw_member_text(process, "name", ""), name) == 0;
    }
    return count;
}

/* The names of processes, each once. */
static json_t *names_of(const json_t *processes) {
    json_t *names = json_object();
    const json_t *process;
    size_t index;

    json_array_foreach(processes, index, process) {
        json_object_set_new(names, draw_member_text(process, "name", ""), json_true());
    }
    return names;
}

/* -i of what runs already. */
static int scale(struct cli_client *client, const json_t *processes) {
    const struct cli_call *call = client->call;
    uint32_t count = cli_apps_instances(call);
    json_t *names = names_of(processes);
    const char *name;
    json_t *ignored;
    int code = 0;

    json_object_foreach(names, name, ignored) {
        if (code == 0 && count > 0 && count_of(processes, name) != count)
            code = cli_action_post(
                client, "/v1/actions/scale",
                json_pack("{s:[s], s:I}", "targets", name, "instances", (json_int_t)count), NULL);
    }
    json_decref(names);
    return code;
}

/* `--watch` alone turns it round, as PM2 has it: of several apps the first decides. */
static void turn_watch(const struct cli_call *call, struct cli_client *client,
                       const struct cli_targets *targets, json_t *app) {
    const json_t *first;
    json_t *processes;

    if (!json_is_true(json_object_get(call->flags.app, "watch")) ||
        cli_client_processes(client, targets->names, &processes) < 0)
        return;
    first = json_object_get(json_array_get(processes, 0), "pm2_env");
    if (first && !json_is_false(json_object_get(first, "watch")))
        json_object_set_new(app, "watch", json_false());
    json_decref(processes);
}

json_t *cli_act_changes(struct cli_client *client, const struct cli_targets *targets) {
    const struct cli_call *call = client->call;
    json_t *extra = json_object();
    json_t *app = cli_apps_flags(call, false);

    if (!extra || !app) {
        json_decref(extra);
        json_decref(app);
        return NULL;
    }
    if (call->command == &command_restart)
        turn_watch(call, client, targets, app);
    json_object_del(app, "instances"); /* their number is cli_act_scale()'s */
    if (call->flags.update_env)
        json_object_set_new(extra, "env", cli_environment());
    if (call->flags.parallel > 0)
        json_object_set_new(extra, "parallel", json_integer(call->flags.parallel));
    if (json_object_size(app) > 0)
        json_object_set(extra, "app", app);
    json_decref(app);
    return extra;
}

int cli_act(struct cli_client *client, const struct cli_targets *targets, const struct cli_act *act,
            json_t *extra) {
    json_t *processes;
    json_t *answer;
    json_t *body;
    int code;

    if (cli_targets_processes(targets, client, false, &processes) < 0)
        return 1;
    announce(client->call, targets, act, processes);
    body = json_pack("{s:O}", "targets", targets->names);
    if (body && extra && json_object_update(body, extra) < 0) {
        json_decref(body);
        body = NULL;
    }
    code = cli_action_post(client, act->target, body, &answer);
    if (answer)
        cli_action_show_done(client->call, processes, answer);
    if (code == 0 && extra)
        code = scale(client, json_object_get(answer, "processes"));
    json_decref(processes);
    json_decref(answer);
    return code;
}

/* --- apps of process files --- */

static bool is_down(const json_t *process) {
    const char *status = draw_member_text(json_object_get(process, "pm2_env"), "status", "");

    return strcmp(status, "stopped") == 0 || strcmp(status, "errored") == 0;
}

/* How many processes of this name there are that run, or are to. */
static size_t count_up(const json_t *processes, const char *name) {
    const json_t *process;
    size_t count = 0;
    size_t index;

    json_array_foreach(processes, index, process) {
        count += strcmp(draw_member_text(process, "name", ""), name) == 0 && !is_down(process);
    }
    return count;
}

/* What came of each of the apps; `done` is said of those that ran `before`. */
static void show_apps(const struct cli_call *call, const json_t *apps, const json_t *before,
                      const json_t *after, const char *done) {
    char name[CLI_APP_NAME_MAX];
    const json_t *app;
    size_t index;

    json_array_foreach(apps, index, app) {
        size_t count;

        cli_app_name(app, name);
        count = count_up(after, name);
        if (count > 0)
            cli_say(call, "App [%s] %s (%zu instance%s)", name,
                    count_up(before, name) > 0 ? done : "launched", count, count > 1 ? "s" : "");
    }
}

int cli_act_apps(struct cli_client *client, const json_t *apps, const char *known) {
    json_t *before;
    json_t *answer;
    int code;

    if (cli_client_table(client, &before) < 0)
        return 1;
    code = cli_action_post(client, "/v1/apps",
                           json_pack("{s:O, s:s, s:i}", "apps", apps, "known", known, "parallel",
                                     (int)client->call->flags.parallel),
                           &answer);
    show_apps(client->call, apps, before, json_object_get(answer, "processes"),
              strcmp(known, "reload") == 0 ? "reloaded" : "restarted");
    json_decref(before);
    json_decref(answer);
    return code;
}

int cli_act_finish(struct cli_client *client, int code) {
    return cli_show_list(client) != 0 ? 1 : code;
}

int cli_act_resurrect(struct cli_client *client) {
    json_t *answer;
    int code = cli_action_post(client, "/v1/resurrect", json_object(), &answer);

    cli_action_show_done(client->call, json_object_get(answer, "processes"), answer);
    json_decref(answer);
    return cli_act_finish(client, code);
}

/* --- stop, delete, reset: processes alone --- */

/* PM2 takes one target after the other, so that one that is unknown does not keep it from the
 * others; by our own name it is all or nothing. */
static int act_on_each(struct cli_client *client, const struct cli_targets *targets,
                       const struct cli_act *act, json_t *extra) {
    json_t *name;
    size_t index;
    int code = 0;

    if (!client->call->context->dialect->pm2 || json_array_size(targets->names) < 2)
        return cli_act(client, targets, act, extra);
    json_array_foreach(targets->names, index, name) {
        struct cli_targets one = {.names = json_pack("[O]", name)};

        if (!one.names || cli_act(client, &one, act, extra) != 0)
            code = 1;
        json_decref(one.names);
    }
    return code;
}

static int run_on_known(struct cli_call *call, const struct cli_act *act, json_t *extra) {
    struct cli_targets targets;
    struct cli_client client;
    int code = 1;

    if (cli_targets_read(&targets, call, false) < 0 ||
        cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0)
        goto done;
    if (cli_targets_name_apps(&targets, &client) == 0 &&
        cli_targets_name_scripts(&targets, &client) == 0)
        code = act_on_each(&client, &targets, act, extra);
    if (code == 0)
        code = cli_act_finish(&client, code);
    cli_client_close(&client);
done:
    cli_targets_clear(&targets);
    return code;
}

/* `stop --watch` also ends watching. */
static int run_stop(struct cli_call *call) {
    bool ends_watching = json_object_get(call->flags.app, "watch") != NULL;
    json_t *extra = ends_watching ? json_pack("{s:{s:b}}", "app", "watch", 0) : NULL;
    int code = run_on_known(call, &act_stop, extra);

    json_decref(extra);
    return code;
}

static int run_delete(struct cli_call *call) {
    return run_on_known(call, &act_delete, NULL);
}

static int run_reset(struct cli_call *call) {
    return run_on_known(call, &act_reset, NULL);
}

static int run_send_signal(struct cli_call *call) {
    json_t *extra;
    int number;
    int code;

    if (call->words.count < 2)
        return cli_fail(call, "sendSignal needs a signal and a target, as in: sendSignal SIGUSR2 "
                              "api");
    if (text_to_signal(call->words.words[0], &number) < 0)
        return cli_fail(call,
                        "there is no signal '%s': a name such as SIGUSR2 or a number is "
                        "wanted",
                        call->words.words[0]);
    extra = json_pack("{s:s}", "signal", call->words.words[0]);
    if (!extra)
        return cli_fail(call, "a signal is a name or a number");
    call->words.words++;
    call->words.count--;
    code = run_on_known(call, &act_signal, extra);
    json_decref(extra);
    return code;
}

/* --- restart, reload: processes, and the apps of process files, which are started if need be ---
 */

static int act_on_both(struct cli_client *client, const struct cli_targets *targets,
                       const struct cli_act *act, const char *known) {
    const struct cli_call *call = client->call;
    int code = 0;

    if (json_array_size(targets->names) > 0) {
        json_t *extra = cli_act_changes(client, targets);

        if (call->context->dialect->pm2 && !call->flags.update_env && !call->flags.silent)
            puts("Use --update-env to update environment variables");
        code = extra ? act_on_each(client, targets, act, extra) : cli_fail_memory(call);
        json_decref(extra);
    }
    if (json_array_size(targets->apps) > 0 && cli_act_apps(client, targets->apps, known) != 0)
        code = 1;
    return code;
}

static int run_on_both(struct cli_call *call, const struct cli_act *act, const char *known) {
    struct cli_targets targets;
    struct cli_client client;
    int code = 1;

    if (cli_targets_read(&targets, call, true) < 0 ||
        cli_client_open(&client, call,
                        json_array_size(targets.apps) > 0 ? CLI_CLIENT_START
                                                          : CLI_CLIENT_IF_THERE) < 0)
        goto done;
    if (cli_targets_name_scripts(&targets, &client) == 0)
        code = act_on_both(&client, &targets, act, known);
    if (code == 0 || json_array_size(targets.apps) > 0)
        code = cli_act_finish(&client, code);
    cli_client_close(&client);
done:
    cli_targets_clear(&targets);
    return code;
}

static int run_restart(struct cli_call *call) {
    return run_on_both(call, &cli_act_restart, "restart");
}

static int run_reload(struct cli_call *call) {
    return run_on_both(call, &cli_act_reload, "reload");
}

static const struct cli_option *const file_tables[] = {cli_file_options, NULL};
static const struct cli_option *const stop_tables[] = {cli_file_options, cli_watch_options, NULL};
static const struct cli_option *const update_tables[] = {
    app_options, cli_file_options, cli_update_env_options, cli_force_options, NULL};

const struct cli_command command_stop = {
    .name = "stop",
    .usage = "TARGET...",
    .summary = "let open requests end, then stop; the list keeps it",
    .examples = "stop api\n"
                "stop all",
    .options = stop_tables,
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_stop,
};

const struct cli_command command_delete = {
    .name = "delete",
    .aliases = "del",
    .usage = "TARGET...",
    .summary = "stop, and forget",
    .examples = "delete api\n"
                "delete ecosystem.config.js",
    .options = file_tables,
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_delete,
};

const struct cli_command command_reset = {
    .name = "reset",
    .usage = "TARGET...",
    .summary = "set the counters of restarts to 0",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_reset,
};

const struct cli_command command_send_signal = {
    .name = "sendSignal",
    .usage = "SIGNAL TARGET...",
    .summary = "send a signal to processes",
    .examples = "sendSignal SIGUSR2 api",
    .completes = CLI_COMPLETES_SIGNALS,
    .run = run_send_signal,
};

const struct cli_command command_restart = {
    .name = "restart",
    .usage = "TARGET... [-- ARGUMENTS]",
    .summary = "stop and start, never more than one of an app at a time",
    .examples = "restart api --update-env\n"
                "restart /^api-/",
    .options = update_tables,
    .completes = CLI_COMPLETES_TARGETS,
    .takes_program = true,
    .run = run_restart,
};

const struct cli_command command_reload = {
    .name = "reload",
    .usage = "TARGET... [-- ARGUMENTS]",
    .summary = "the new one first, the old one ends once it is ready: no request is lost",
    .examples = "reload api\n"
                "reload ecosystem.config.js --env production",
    .options = update_tables,
    .completes = CLI_COMPLETES_TARGETS,
    .takes_program = true,
    .run = run_reload,
};

const struct cli_command command_start_or_restart = {
    .name = "startOrRestart",
    .usage = "FILE [-- ARGUMENTS]",
    .summary = "start what is missing of a process file, restart what runs",
    .examples = "startOrRestart ecosystem.config.js",
    .options = update_tables,
    .completes = CLI_COMPLETES_FILES,
    .takes_program = true,
    .run = run_restart,
};

const struct cli_command command_start_or_reload = {
    .name = "startOrReload",
    .aliases = "startOrGracefulReload",
    .usage = "FILE [-- ARGUMENTS]",
    .summary = "start what is missing of a process file, reload what runs",
    .examples = "startOrReload ecosystem.config.js --env production",
    .options = update_tables,
    .completes = CLI_COMPLETES_FILES,
    .takes_program = true,
    .run = run_reload,
};
