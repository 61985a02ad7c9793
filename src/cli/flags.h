/* What the flags of a command came to: one set for all commands, as PM2 has it, so that a flag
 * means the same wherever it is taken.
 *
 * Each command names the tables of flags that it takes (command.h); what no flag has set is 0 or
 * NULL. Texts are borrowed from argv. */
#ifndef BATON_CLI_FLAGS_H
#define BATON_CLI_FLAGS_H

#include "cli/options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* For `logs` and `attach`. */
struct cli_log_flags {
    uint32_t lines;
    bool lines_given;
    bool raw;
    bool prefixed; /* not raw, where that is the usual way */
    bool json;
    bool only_err;
    bool only_out;
    bool nostream;
    const char *time_format; /* for strftime(3), NULL: no time */
    const char *highlight;
};

struct cli_flags {
    bool help;
    bool silent;
    bool no_color;
    bool force;
    bool update_env;
    bool no_daemon;
    bool stays;       /* --no-auto-exit */
    bool foreground;  /* that daemon begins with no app, and leaves none */
    bool fresh;       /* a daemon that we start leaves what ran before a crash */
    bool until_down;  /* of the daemon that --no-daemon makes us */
    bool mini;        /* list -m */
    bool watch_list;  /* list --watch */
    bool single_page; /* serve --spa */
    const char *env_name;
    const char *only;  /* names, parted by commas */
    uint32_t parallel; /* apps that are restarted or reloaded at once; 0: the daemon decides */
    const char *sort;
    struct cli_log_flags logs;
    json_t *app; /* the attributes that app_options.h's flags give, an object */
};

/* -s, --no-color and -h: every command takes them. */
extern const struct cli_option cli_common_options[];

int cli_flags_init(struct cli_flags *flags); /* 0 or UV_ENOMEM; to be cleared in any case */
void cli_flags_clear(struct cli_flags *flags);

#endif
