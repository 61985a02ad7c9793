/* The entry point: the commands that are roles of their own, beside those that ask the daemon. The
 * only file that knows all roles. */
#include "cli/cli.h"
#include "cli/run_options.h"
#include "daemon/daemon.h"
#include "master/master.h"
#include "worker/serve.h"

#include <stddef.h>

static int run_run(const struct cli_context *context, int argc, char **argv) {
    struct settings settings;
    enum cli_verdict verdict = cli_parse_run(argc, argv, &settings);
    int code = verdict == CLI_GO ? master_run(&settings) : verdict == CLI_WRONG;

    (void)context;
    settings_clear(&settings);
    return code;
}

static int run_serve(const struct cli_context *context, int argc, char **argv) {
    struct cli_serve serve;
    enum cli_verdict verdict = cli_parse_serve(argc, argv, &serve);
    struct serve_options options = {
        .directory = serve.directory, .port = serve.port, .single_page = serve.single_page};
    int code = verdict == CLI_WRONG;

    (void)context;
    if (verdict == CLI_GO)
        code = serve.balanced ? master_run(&serve.settings) : serve_main(&options);
    settings_clear(&serve.settings);
    return code;
}

static int run_daemon(const struct cli_context *context, int argc, char **argv) {
    struct cli_daemon daemon;
    enum cli_verdict verdict = cli_parse_daemon(context->dialect, argc, argv, &daemon);
    struct daemon_options options = {
        .home = daemon.home,
        .ready_descriptor = daemon.ready_descriptor,
        .background = daemon.background,
        .resurrect = daemon.resurrect,
        .api = daemon.api,
        .defaults = daemon.defaults,
        .until_down = daemon.until_down,
        .fresh = daemon.fresh,
    };
    int code = verdict == CLI_WRONG;

    if (verdict == CLI_GO)
        code = daemon_run(&options);
    json_decref(daemon.defaults);
    return code;
}

static const struct cli_command command_run = {
    .name = "run",
    .usage = "[OPTIONS] SCRIPT|FILE [-- ARGUMENTS]",
    .summary = "run a program as several workers, in the foreground",
    .completes = CLI_COMPLETES_FILES,
    .fill_options = run_options,
    .run_itself = run_run,
};

static const struct cli_command command_serve = {
    .name = "serve",
    .usage = "[OPTIONS] [DIR] [PORT]",
    .summary = "serve files and experiments with the built-in HTTP worker",
    .completes = CLI_COMPLETES_FILES,
    .fill_options = cli_serve_options,
    .run_itself = run_serve,
};

static const struct cli_command command_daemon = {
    .name = "daemon",
    .usage = "[OPTIONS]",
    .summary = "the daemon in the foreground, for service managers",
    .fill_options = cli_daemon_options,
    .run_itself = run_daemon,
};

static const struct cli_command *const roles[] = {&command_run, &command_serve, &command_daemon,
                                                  NULL};

int main(int argc, char **argv) {
    return cli_main(argc, argv, roles);
}
