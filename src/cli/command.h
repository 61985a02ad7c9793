/* The commands: what is typed after `baton`. One const record each; main.c holds the list of those
 * that exist. */
#ifndef BATON_CLI_COMMAND_H
#define BATON_CLI_COMMAND_H

#include "config/settings.h"

struct cli_command {
    const char *name;
    const char *usage;                 /* what follows the name */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; the exit code */
};

/* What a command line of `run` or `serve` came to. */
enum cli_verdict {
    CLI_GO,    /* do it */
    CLI_SHOWN, /* the help text was printed: exit 0 */
    CLI_WRONG, /* one sentence was printed: exit 1 */
};

/* `run SCRIPT [-- ARGS]`: fills in *settings, which the caller clears whatever the verdict. */
enum cli_verdict cli_parse_run(int argc, char **argv, struct settings *settings);

/* `serve [DIR] [PORT]`. */
struct cli_serve {
    const char *directory; /* borrowed from argv */
    uint16_t port;
    bool balanced;            /* -i was given: run it as an app of several workers … */
    struct settings settings; /* … with these; to be cleared by the caller */
};
enum cli_verdict cli_parse_serve(int argc, char **argv, struct cli_serve *serve);

#endif
