/* start: apps from process files, scripts and command lines, or what the daemon knows already.
 *
 * A word is, in this order: a process file or `-`; a name, number, namespace, `all` or expression
 * that the daemon knows (what is stopped of it is started, else it is restarted); a script or a
 * command line. */
#include "cli/act.h"
#include "cli/action.h"
#include "cli/app_options.h"
#include "cli/apps.h"
#include "cli/file_flags.h"
#include "cli/log_lines.h"
#include "cli/message.h"
#include "cli/records.h"
#include "config/process_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* Whether a word may be something that the daemon knows: paths and file names are not, so that
 * `start app.js` never means an app that somebody has called so. */
static bool may_be_known(const char *word) {
    size_t length = strlen(word);
    bool expression = length > 2 && word[0] == '/' && word[length - 1] == '/';

    return expression || (!strchr(word, '/') && access(word, F_OK) < 0);
}

static bool is_running(const json_t *processes) {
    const json_t *process;
    size_t index;

    json_array_foreach(processes, index, process) {
        const char *status = draw_member_text(json_object_get(process, "pm2_env"), "status", "");

        if (strcmp(status, "stopped") != 0 && strcmp(status, "errored") != 0)
            return true;
    }
    return false;
}

/* UV_ENOENT when the daemon knows no such thing; else 0 and the exit code. */
static int start_known(struct cli_client *client, const char *word, int *ret_code) {
    struct cli_targets targets = {.names = json_pack("[s]", word)};
    json_t *processes;
    json_t *changes;
    int error;

    if (!targets.names)
        return UV_ENOENT;
    error = cli_client_processes(client, targets.names, &processes);
    if (error == 0 && json_array_size(processes) == 0 && strcmp(word, "all") != 0)
        error = UV_ENOENT;
    else if (error == 0) {
        changes = cli_act_changes(client, &targets);
        *ret_code = cli_act(client, &targets,
                            is_running(processes) ? &cli_act_restart : &cli_act_start, changes);
        json_decref(changes);
    }
    if (error == 0 && *ret_code == 0)
        cli_say(client->call, "Process successfully started");
    if (error != UV_ENOENT && error < 0)
        *ret_code = 1;
    json_decref(error == 0 ? processes : NULL);
    json_decref(targets.names);
    return error == UV_ENOENT ? error : 0;
}

static int start_script(struct cli_client *client, const char *word) {
    const struct cli_call *call = client->call;
    struct cli_app_summary summary;
    json_t *apps = json_array();
    json_t *body;
    int code = 1;

    if (!apps || cli_apps_describe(call, word, apps, &summary) < 0)
        goto done;
    cli_say(call, "Starting %s in %s (%u instance%s)", summary.script,
            summary.cluster ? "cluster_mode" : "fork_mode", summary.instances,
            summary.instances == 1 ? "" : "s");
    free(summary.script);
    body =
        json_pack("{s:O, s:s}", "apps", apps, "known", call->flags.force ? "duplicate" : "refuse");
    code = cli_action_post(client, "/v1/apps", body, NULL);
    if (code == 0)
        cli_say(call, "Done.");
done:
    json_decref(apps);
    return code;
}

static int start_file(struct cli_client *client, const char *word) {
    json_t *apps = json_array();
    int code = 1;

    if (apps && cli_apps_load(client->call, word, apps) == 0 &&
        cli_apps_check(client->call, word, apps) == 0)
        code = cli_act_apps(client, apps, "restart");
    json_decref(apps);
    return code;
}

static bool is_file(const char *word) {
    return strcmp(word, "-") == 0 || process_file_is(word);
}

static int start_word(struct cli_client *client, const char *word) {
    int code = 1;

    if (is_file(word))
        return start_file(client, word);
    if (may_be_known(word) && start_known(client, word, &code) == 0)
        return code;
    return start_script(client, word);
}

/* Without a word: the process file that people have. */
static char *default_file(const struct cli_call *call) {
    static const char *const files[] = {"ecosystem.config.js", "ecosystem.config.cjs",
                                        "ecosystem.config.mjs", "ecosystem.json"};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (access(files[i], F_OK) == 0)
            return strdup(files[i]);
    cli_fail(call, "start needs a script, a command or a process file: there is no %s here",
             files[0]);
    return NULL;
}

static int start_words(struct cli_client *client, char **words, int count) {
    int code = 0;

    for (int i = 0; i < count && code == 0; i++)
        code = start_word(client, words[i]);
    return code;
}

static bool has_processes(struct cli_client *client) {
    json_t *processes;
    bool some;

    if (cli_client_processes(client, NULL, &processes) < 0)
        return false;
    some = json_array_size(processes) > 0;
    json_decref(processes);
    return some;
}

/* Beside the daemon that our parent has become: Ctrl-C is for it, and we end with it. */
static void leave_signals(void) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
}

static void end_in_vain(struct cli_client *client) {
    cli_action_post(client, "/v1/kill", json_pack("{s:i}", "code", 1), NULL);
}

/* When nothing could be started it has nothing to do. */
static void stay(struct cli_client *client, int code) {
    leave_signals();
    if (code == 0)
        cli_log_lines_follow_all(client);
    else
        end_in_vain(client);
}

static int run_start(struct cli_call *call) {
    char *file = call->words.count == 0 ? default_file(call) : NULL;
    struct cli_client client;
    int code = 1;

    if (call->words.count == 0 && !file)
        return 1;
    if (cli_client_open(&client, call,
                        call->flags.no_daemon ? CLI_CLIENT_HERE : CLI_CLIENT_START) == 0) {
        code = file ? start_words(&client, &file, 1)
                    : start_words(&client, call->words.words, call->words.count);
        code = cli_act_finish(&client, code);
        if (call->flags.no_daemon)
            stay(&client, code);
        cli_client_close(&client);
    }
    free(file);
    return code;
}

static int set_no_daemon(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->no_daemon = true;
    return 0;
}

static const struct cli_option start_options[] = {
    {"no-daemon", 0, NULL, NULL, "the daemon stays in the foreground and ends with Ctrl-C",
     set_no_daemon},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int set_formatted(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->logs.prefixed = true;
    return 0;
}

static int set_json(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->logs.json = true;
    return 0;
}

static int set_no_auto_exit(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->stays = true;
    return 0;
}

static int set_raw(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->logs.prefixed = false;
    return 0;
}

/* --- run of a process file, pm2-runtime --- */

/* What crashes at once has printed before its start is over: so the start is begun when what is
 * printed is listened to already. */
static bool on_listening(void *owner) {
    struct cli_call *call = owner;
    char *file = call->words.count == 0 ? default_file(call) : NULL;
    struct cli_client client;
    int code = 1;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_RUNNING) < 0)
        goto done;
    if (file || call->words.count > 0)
        code = file ? start_words(&client, &file, 1)
                    : start_words(&client, call->words.words, call->words.count);
    if (code != 0 && !has_processes(&client))
        end_in_vain(&client);
    cli_client_close(&client);
done:
    free(file);
    return false; /* once */
}

/* A daemon in the foreground; what apps print is all that is on standard output, and the end of all
 * of them is its end. */
static int run_foreground(struct cli_call *call) {
    struct cli_client_beside beside = {.on_readable = on_listening, .owner = call};
    struct cli_flags *flags = &call->flags;
    struct cli_log_lines lines;
    struct cli_client client;
    int ends[2];

    flags->foreground = flags->silent = true;
    flags->until_down = !flags->stays;
    flags->logs.raw = !flags->logs.prefixed;
    if (cli_client_open(&client, call, CLI_CLIENT_HERE) < 0)
        return 1;
    leave_signals();
    cli_log_lines_init(&lines, call);
    if (pipe2(ends, O_CLOEXEC) == 0) {
        close(ends[1]); /* readable at once: its end is there */
        beside.descriptor = ends[0];
        cli_client_follow(&client, "/v1/events?logs=1", cli_log_lines_on_event, &lines, &beside);
        close(ends[0]);
    }
    cli_client_close(&client);
    return 0;
}

static const struct cli_option foreground_options[] = {
    {"raw", 0, NULL, NULL, "what apps print, as it is (the usual way)", set_raw},
    {"formatted", 0, NULL, NULL, "each line behind its app's number and name", set_formatted},
    {"json", 0, NULL, NULL, "each line as a JSON object", set_json},
    {"no-auto-exit", 0, NULL, NULL, "stay when every process is down", set_no_auto_exit},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static const struct cli_option *const foreground_tables[] = {app_options, cli_file_options,
                                                             foreground_options, NULL};

const struct cli_command command_foreground = {
    .name = "run",
    .usage = "[OPTIONS] SCRIPT|COMMAND|FILE [-- ARGUMENTS]",
    .summary = "run apps in the foreground; exits with 2 when all are down for good",
    .options = foreground_tables,
    .completes = CLI_COMPLETES_FILES,
    .takes_program = true,
    .run = run_foreground,
};

static const struct cli_option *const tables[] = {
    app_options, cli_file_options, cli_force_options, cli_update_env_options, start_options, NULL};

const struct cli_command command_start = {
    .name = "start",
    .usage = "[SCRIPT|COMMAND|FILE|TARGET...] [-- ARGUMENTS]",
    .summary = "start a program, the apps of a process file, or what is stopped",
    .examples = "start app.js -n api -i max\n"
                "start ecosystem.config.js --env production\n"
                "start \"python3 -m http.server 8000\" -n files\n"
                "start server.js -- --port 3000",
    .options = tables,
    .completes = CLI_COMPLETES_EITHER,
    .takes_program = true,
    .run = run_start,
};
