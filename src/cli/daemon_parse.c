#include "cli/command.h"

#include "base/text.h"
#include "cli/pm2_variables.h"
#include "config/home.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct daemon_flags {
    struct cli_daemon *daemon;
    bool help;
};

static int set_background(void *target, const char *value) {
    (void)value;
    ((struct daemon_flags *)target)->daemon->background = true;
    return 0;
}

static int set_resurrect(void *target, const char *value) {
    (void)value;
    ((struct daemon_flags *)target)->daemon->resurrect = true;
    return 0;
}

static int set_api(void *target, const char *value) {
    ((struct daemon_flags *)target)->daemon->api = value;
    return 0;
}

static int set_fresh(void *target, const char *value) {
    (void)value;
    ((struct daemon_flags *)target)->daemon->fresh = true;
    return 0;
}

static int set_until_down(void *target, const char *value) {
    (void)value;
    ((struct daemon_flags *)target)->daemon->until_down = true;
    return 0;
}

static int set_ready_descriptor(void *target, const char *value) {
    int64_t number;

    if (text_to_number(value, 3, 1023, &number) < 0 || fcntl((int)number, F_GETFD) < 0)
        return UV_EINVAL;
    ((struct daemon_flags *)target)->daemon->ready_descriptor = (int)number;
    return 0;
}

static int set_help(void *target, const char *value) {
    (void)value;
    ((struct daemon_flags *)target)->help = true;
    return 0;
}

static const struct cli_option daemon_options[] = {
    {"background", 0, NULL, NULL, "keep nothing of the terminal; say everything in the log",
     set_background},
    {"resurrect", 0, NULL, NULL, "start what was saved", set_resurrect},
    {"api", 0, "ADDRESS", "a port, 127.0.0.1:PORT or [::1]:PORT",
     "serve the API there, too ($BATON_API)", set_api},
    {"fresh", 0, NULL, NULL, "without the apps that ran before, and leaving none for the next",
     set_fresh},
    {"until-down", 0, NULL, NULL, "end, with 2, once every process is down for good",
     set_until_down},
    {"ready-descriptor", 0, "N", "an open descriptor from 3 to 1023",
     "write \"ready\" there once it serves, or why it cannot", set_ready_descriptor},
    {"help", 'h', NULL, NULL, "this text", set_help},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static void print_help(const struct cli_dialect *dialect) {
    printf("Usage: %s daemon [OPTIONS]\n\n"
           "The daemon itself, in the foreground: for service managers and containers. The\n"
           "first command that needs one starts it otherwise. Its home is $%s,\n"
           "or %s.\n\nOptions:\n",
           dialect->name, dialect->home_variable, dialect->home_default);
    options_print(stdout, daemon_options);
}

void cli_daemon_options(struct cli_option table[OPTIONS_MAX + 1]) {
    memcpy(table, daemon_options, sizeof daemon_options);
}

enum cli_verdict cli_parse_daemon(const struct cli_dialect *dialect, int argc, char **argv,
                                  struct cli_daemon *daemon) {
    struct daemon_flags flags = {.daemon = daemon};
    struct cli_words words = {.called = dialect->name};

    *daemon = (struct cli_daemon){.ready_descriptor = -1, .api = getenv("BATON_API")};
    if (daemon->api && daemon->api[0] == '\0')
        daemon->api = NULL;
    if (options_parse(argc, argv, daemon_options, &flags, &words) < 0)
        return CLI_WRONG;
    if (flags.help) {
        print_help(dialect);
        return CLI_SHOWN;
    }
    if (words.count + words.rest_count > 0) {
        fprintf(stderr, "%s: daemon takes no words\n", dialect->name);
        return CLI_WRONG;
    }
    if (home_find(dialect->pm2, daemon->home, sizeof daemon->home) < 0) {
        fprintf(stderr, "%s: where the daemon's home is cannot be told: set %s\n", dialect->name,
                dialect->home_variable);
        return CLI_WRONG;
    }
    if (dialect->pm2)
        daemon->defaults = pm2_variables_defaults();
    return CLI_GO;
}
