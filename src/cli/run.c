#include "cli/command.h"
#include "cli/options.h"
#include "cli/run_options.h"
#include "config/check.h"
#include "policy/policy.h"

#include <stdio.h>
#include <uv.h>

static void print_help(void) {
    puts("Usage: baton run [OPTIONS] SCRIPT [-- ARGUMENTS]\n"
         "\n"
         "Runs a program as several workers behind one master, in the foreground. The master alone "
         "accepts\n"
         "connections and hands each client to a worker; workers that end are started again.\n"
         "\n"
         "Options (times are in milliseconds unless they bear a unit; defaults in brackets):");
    options_print(stdout, run_options);
    run_print_kinds();
    run_print_policies();
    puts("\nSignals: SIGINT or SIGTERM serves what has connected and ends, a second one ends at "
         "once; SIGHUP\n"
         "replaces the workers one by one without losing a client; SIGUSR1 prints the status.\n"
         "Exit code: 0 stopped as told, 1 could not be started, 2 every worker was given up.");
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

enum cli_verdict cli_parse_run(int argc, char **argv, struct settings *settings) {
    struct run_flags flags = {.help = false};
    struct cli_words words = {.of_program = true};
    char error[SETTINGS_ERROR_MAX];
    enum cli_verdict verdict = CLI_WRONG;

    settings_init(&flags.settings);
    if (options_parse(argc, argv, run_options, &flags, &words) < 0)
        goto done;
    verdict = CLI_SHOWN;
    if (flags.help) {
        print_help();
        goto done;
    }
    verdict = CLI_WRONG;
    if (words.count != 1) {
        complain_of_words(&words);
        goto done;
    }
    if (settings_set_text(&flags.settings.script, words.words[0]) < 0)
        goto done;
    for (int i = 0; i < words.rest_count; i++)
        if (text_list_add(&flags.settings.args, words.rest[i]) < 0)
            goto done;
    if (flags.settings.policy && run_check_policy(flags.settings.policy) < 0)
        goto done;
    if (settings_check(&flags.settings, error) < 0) {
        fprintf(stderr, "baton: %s\n", error);
        goto done;
    }
    verdict = CLI_GO;
done:
    *settings = flags.settings;
    return verdict;
}
