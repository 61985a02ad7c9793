/* serve, under the name pm2: the built-in HTTP worker as an app of the daemon. */
#include "cli/act.h"
#include "cli/action.h"
#include "cli/app_options.h"
#include "cli/apps.h"
#include "cli/message.h"
#include "cli/records.h"

#include "base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define PORT_DEFAULT "8080"

/* The words that this binary, as the app, is started with. */
static json_t *arguments_of(const struct cli_call *call, const char *port) {
    const char *directory = call->words.count > 0 ? call->words.words[0] : ".";
    json_t *arguments;
    char *path = realpath(directory, NULL);
    struct stat status;

    if (!path || stat(path, &status) < 0 || !S_ISDIR(status.st_mode)) {
        cli_fail(call, "there is no directory '%s'", directory);
        free(path);
        return NULL;
    }
    arguments = json_pack("[s, s, s]", "serve", path, port);
    if (arguments && call->flags.single_page)
        json_array_append_new(arguments, json_string("--spa"));
    if (!arguments)
        cli_fail(call, "a directory's name must be UTF-8");
    free(path);
    return arguments;
}

/* Fills the flags' description in, so that it is an app like any other. */
static int complete(struct cli_call *call, const char *port, json_t *arguments) {
    json_t *app = call->flags.app;
    char name[64];

    snprintf(name, sizeof name, "static-page-server-%s", port);
    if (json_object_set(app, "args", arguments) < 0 ||
        json_object_set_new(app, "interpreter", json_string("none")) < 0)
        return UV_ENOMEM;
    if (!json_object_get(app, "intercept") && !json_object_get(app, "exec_mode"))
        json_object_set_new(app, "intercept", json_string("native"));
    if (!json_object_get(app, "name"))
        json_object_set_new(app, "name", json_string(name));
    return 0;
}

static int start(struct cli_call *call) {
    struct cli_app_summary summary = {.script = NULL};
    json_t *apps = json_array();
    char program[PATH_MAX];
    size_t length = sizeof program;
    struct cli_client client;
    int code = 1;

    if (!apps || uv_exepath(program, &length) < 0 ||
        cli_apps_describe(call, program, apps, &summary) < 0 ||
        cli_client_open(&client, call, CLI_CLIENT_START) < 0)
        goto done;
    code = cli_action_post(&client, "/v1/apps",
                           json_pack("{s:O, s:s}", "apps", apps, "known", "refuse"), NULL);
    if (code == 0)
        cli_say(call, "Serving %s on port %s", call->words.count > 0 ? call->words.words[0] : ".",
                call->words.count > 1 ? call->words.words[1] : PORT_DEFAULT);
    code = cli_act_finish(&client, code);
    cli_client_close(&client);
done:
    free(summary.script);
    json_decref(apps);
    return code;
}

static int run_serve(struct cli_call *call) {
    const char *port = call->words.count > 1 ? call->words.words[1] : PORT_DEFAULT;
    json_t *arguments;
    int64_t number;
    int code = 1;

    if (call->words.count > 2)
        return cli_fail(call, "serve takes a directory and a port");
    if (text_to_number(port, 0, 65535, &number) < 0)
        return cli_fail(call, "the port must be a number from 0 to 65535, not '%s'", port);
    arguments = arguments_of(call, port);
    if (arguments && complete(call, port, arguments) == 0)
        code = start(call);
    json_decref(arguments);
    return code;
}

static int set_single_page(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->single_page = true;
    return 0;
}

static const struct cli_option serve_options[] = {
    {"spa", 0, NULL, NULL, "index.html for what is not there", set_single_page},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static const struct cli_option *const tables[] = {app_options, serve_options, NULL};

const struct cli_command command_serve_app = {
    .name = "serve",
    .usage = "[OPTIONS] [DIR] [PORT]",
    .summary = "serve files, as an app of the daemon",
    .options = tables,
    .completes = CLI_COMPLETES_FILES,
    .run = run_serve,
};
