/* Actions on processes that the daemon knows: says what is about to be done, does it, says what
 * came of it, and shows the list. */
#ifndef BATON_CLI_ACT_H
#define BATON_CLI_ACT_H

#include "cli/targets.h"

struct cli_act {
    const char *target; /* "/v1/actions/stop" */
    const char *word;   /* PM2's for it: "stopProcessId" */
};

extern const struct cli_act cli_act_start;
extern const struct cli_act cli_act_restart;
extern const struct cli_act cli_act_reload;

/* Acts on the names of `targets`; `extra` (may be NULL, borrowed) is what the body has besides.
 * With cli_act_changes() there are also as many processes then as -i says. The exit code. The list
 * is not shown. */
int cli_act(struct cli_client *client, const struct cli_targets *targets, const struct cli_act *act,
            json_t *extra);

/* What the flags change of the apps that are meant, for cli_act(): a new object, or NULL when
 * memory is out. */
json_t *cli_act_changes(struct cli_client *client, const struct cli_targets *targets);

/* POST /v1/apps: starts the apps of `targets`; `known` is what is done with those that run. The
 * exit code. */
int cli_act_apps(struct cli_client *client, const json_t *apps, const char *known);

/* POST /v1/resurrect: starts what was saved and is not there, and shows the list. The exit code. */
int cli_act_resurrect(struct cli_client *client);

/* The worse of an exit code and that of showing the list. */
int cli_act_finish(struct cli_client *client, int code);

#endif
