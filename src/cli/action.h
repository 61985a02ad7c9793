/* Asks the daemon to do something, shows how far it is, and what came of it.
 *
 * On a terminal there is a bar while it lasts. Then each process has a line, "[api](0) ✓"; one that
 * went wrong has the reason and the last lines that it printed, on standard error. */
#ifndef BATON_CLI_ACTION_H
#define BATON_CLI_ACTION_H

#include "cli/client.h"

/* POSTs `body` (stolen; NULL: out of memory, which is said). The exit code: 0 when all went well.
 * `ret_body` gets a new reference to the answer when it is 2xx, else NULL; it may be NULL. */
int cli_action_post(struct cli_client *client, const char *target, json_t *body, json_t **ret_body);

/* A line for each of the processes that nothing went wrong with, as the answer says. Those of the
 * answer itself are not always all: what was deleted is not among them. */
void cli_action_show_done(const struct cli_call *call, const json_t *processes,
                          const json_t *answer);

#endif
