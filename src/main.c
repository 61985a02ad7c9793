/* The entry point: finds the command and calls the role that does it. The only file that knows all
 * roles. */
#include "base/text.h"
#include "cli/command.h"
#include "master/master.h"
#include "worker/serve.h"

#include <stdio.h>
#include <string.h>

static int run_run(int argc, char **argv) {
    struct settings settings;
    enum cli_verdict verdict = cli_parse_run(argc, argv, &settings);
    int code = verdict == CLI_GO ? master_run(&settings) : verdict == CLI_WRONG;

    settings_clear(&settings);
    return code;
}

static int run_serve(int argc, char **argv) {
    struct cli_serve serve;
    enum cli_verdict verdict = cli_parse_serve(argc, argv, &serve);
    struct serve_options options = {.directory = serve.directory, .port = serve.port};
    int code = verdict == CLI_WRONG;

    if (verdict == CLI_GO)
        code = serve.balanced ? master_run(&serve.settings) : serve_main(&options);
    settings_clear(&serve.settings);
    return code;
}

static int run_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    puts(BATON_VERSION);
    return 0;
}

static int run_help(int argc, char **argv);

static const struct cli_command commands[] = {
    {"run", "[OPTIONS] SCRIPT [-- ARGUMENTS]",
     "run a program as several workers, in the foreground", run_run},
    {"serve", "[OPTIONS] [DIR] [PORT]", "serve files and experiments with the built-in HTTP worker",
     run_serve},
    {"version", "", "print the version (also -v)", run_version},
    {"help", "", "print this text (also -h)", run_help},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int run_help(int argc, char **argv) {
    (void)argc;
    (void)argv;
    puts("Baton: a load balancer that hands clients over to worker processes.\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  baton %-8s %-32s %s\n", commands[i].name, commands[i].usage, commands[i].summary);
    puts("\nbaton COMMAND --help tells more.");
    return 0;
}

static const struct cli_command *find_command(const char *name) {
    if (strcmp(name, "-v") == 0 || strcmp(name, "--version") == 0)
        name = "version";
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void complain(const char *name) {
    const char *best = NULL;
    unsigned distance = 3; /* farther is no likeness */
    char word[64];

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned other = text_distance(commands[i].name, name);

        if (other < distance) {
            distance = other;
            best = commands[i].name;
        }
    }
    text_escape(word, sizeof word, name, strlen(name));
    if (best)
        fprintf(stderr, "baton: there is no command '%s'; did you mean '%s'?\n", word, best);
    else
        fprintf(stderr, "baton: there is no command '%s'; see baton --help\n", word);
}

int main(int argc, char **argv) {
    const struct cli_command *command;

    if (argc < 2) {
        run_help(argc, argv);
        return 1;
    }
    command = find_command(argv[1]);
    if (!command) {
        complain(argv[1]);
        return 1;
    }
    return command->run(argc - 1, argv + 1);
}
