/* The commands: what is typed after `baton`. One const record each, from which parsing, help and
 * completion are made, so that they cannot drift apart; commands.c has the list. */
#ifndef BATON_CLI_COMMAND_H
#define BATON_CLI_COMMAND_H

#include "cli/dialect.h"
#include "cli/draw_text.h"
#include "cli/flags.h"
#include "config/settings.h"

/* What every command may know. */
struct cli_context {
    const struct cli_dialect *dialect;
    const struct cli_command *const *roles; /* main.c's commands, NULL-terminated */
};

/* One use of a command, its flags parsed. */
struct cli_call {
    const struct cli_context *context;
    const struct cli_command *command;
    struct cli_flags flags;
    struct cli_words words; /* the command's own name is not among them */
};

/* What the words of a command are, for completion. */
enum cli_completes {
    CLI_COMPLETES_NOTHING,
    CLI_COMPLETES_TARGETS,  /* names, namespaces and numbers of apps; process files */
    CLI_COMPLETES_FILES,    /* files */
    CLI_COMPLETES_EITHER,   /* files, and apps */
    CLI_COMPLETES_SIGNALS,  /* a signal, then targets */
    CLI_COMPLETES_COMMANDS, /* commands of Baton */
    CLI_COMPLETES_SHELLS,   /* shells that completion is for */
};

struct cli_command {
    const char *name;
    const char *aliases;  /* parted by blanks, or NULL */
    const char *usage;    /* what follows the name */
    const char *summary;  /* one line, which begins with a small letter and ends without a stop */
    const char *examples; /* one in each line, without "baton ", or NULL */
    /* Tables of flags beside cli_common_options, NULL-terminated; NULL: none. */
    const struct cli_option *const *options;
    /* Of a command that parses its own: fills in all its flags; NULL: only the common ones. */
    void (*fill_options)(struct cli_option table[OPTIONS_MAX + 1]);
    enum cli_completes completes;
    bool takes_program; /* what stands behind "--" is for a program */
    /* The exit code. One of the two: */
    int (*run)(struct cli_call *call);
    /* parses its own; argv[0] is the command's name */
    int (*run_itself)(const struct cli_context *context, int argc, char **argv);
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
    bool single_page;         /* --spa */
    bool balanced;            /* -i was given: run it as an app of several workers … */
    struct settings settings; /* … with these; to be cleared by the caller */
};
enum cli_verdict cli_parse_serve(int argc, char **argv, struct cli_serve *serve);
void cli_serve_options(struct cli_option table[OPTIONS_MAX + 1]);

/* `daemon`. */
#define CLI_HOME_MAX 4096
struct cli_daemon {
    char home[CLI_HOME_MAX]; /* absolute */
    int ready_descriptor;    /* -1: none */
    bool background;
    bool resurrect;
    const char *api; /* where the API is served on TCP, too; NULL: nowhere */
    bool until_down;
    bool fresh;
    json_t *defaults; /* of apps: owned, or NULL */
};
enum cli_verdict cli_parse_daemon(const struct cli_dialect *dialect, int argc, char **argv,
                                  struct cli_daemon *daemon);
void cli_daemon_options(struct cli_option table[OPTIONS_MAX + 1]);

#endif
