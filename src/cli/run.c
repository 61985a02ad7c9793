#include "cli/app_options.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/run_options.h"
#include "config/check.h"
#include "policy/policy.h"

#include <stdio.h>
#include <uv.h>

static void print_help(const struct cli_option *options) {
    puts("Usage: baton run [OPTIONS] SCRIPT [-- ARGUMENTS]\n"
         "\n"
         "Runs a program as several workers behind one master, in the foreground. The\n"
         "master alone accepts connections and hands each client to a worker; workers\n"
         "that end are started again.\n"
         "\n"
         "Options (times in milliseconds, or with a unit; defaults in brackets):");
    options_print(stdout, options);
    run_print_kinds();
    run_print_policies();
    puts("\nSignals: SIGINT or SIGTERM serves what has connected and ends, a second one\n"
         "ends at once; SIGHUP replaces the workers one by one without losing a client;\n"
         "SIGUSR1 prints the status.\n"
         "Exit code: 0 stopped as told, 1 could not be started, 2 every worker given up.");
}

static void complain_of_words(const struct cli_words *words) {
    if (words->count == 0)
        fprintf(stderr, "baton: run needs a script or a program; see baton run --help\n");
    else
        fprintf(stderr,
                "baton: run takes one script; its arguments stand behind --, as in: baton run "
                "%.64s -- %.64s\n",
                words->words[0], words->words[1]);
}

static int complete_settings(const struct run_flags *flags, const struct cli_words *words,
                             struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    int result = run_flags_apply(flags, settings, error);

    if (result == 0)
        result = settings_set_text(&settings->script, words->words[0]);
    for (int i = 0; i < words->rest_count && result == 0; i++)
        result = text_list_add(&settings->args, words->rest[i]);
    return result == 0 ? settings_check(settings, error) : result;
}

enum cli_verdict cli_parse_run(int argc, char **argv, struct settings *settings) {
    struct cli_words words = {.of_program = true, .apply = app_options_apply};
    char error[SETTINGS_ERROR_MAX] = "out of memory";
    struct cli_option options[OPTIONS_MAX + 1];
    enum cli_verdict verdict = CLI_WRONG;
    struct run_flags flags;
    const char *policy;

    settings_init(settings);
    run_options(options);
    if (run_flags_init(&flags) < 0 || options_parse(argc, argv, options, &flags, &words) < 0)
        goto done;
    verdict = CLI_SHOWN;
    if (flags.common.help) {
        print_help(options);
        goto done;
    }
    verdict = CLI_WRONG;
    if (words.count != 1) {
        complain_of_words(&words);
        goto done;
    }
    policy = json_string_value(json_object_get(flags.common.app, "policy"));
    if (policy && run_check_policy(policy) < 0)
        goto done;
    if (complete_settings(&flags, &words, settings, error) < 0) {
        fprintf(stderr, "baton: %s\n", error);
        goto done;
    }
    verdict = CLI_GO;
done:
    run_flags_clear(&flags);
    return verdict;
}
