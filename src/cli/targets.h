/* What the words of a command mean: processes that the daemon knows, and apps of process files. */
#ifndef BATON_CLI_TARGETS_H
#define BATON_CLI_TARGETS_H

#include "cli/client.h"

struct cli_targets {
    json_t *names; /* texts for the API: names, numbers, namespaces, all, /expressions/ */
    json_t *apps;  /* descriptions */
};

/* Sorts the words. With `starts` the apps of files may be started, so they are checked. `targets`
 * is to be cleared in any case. 0, or a UV_E* after one sentence; UV_EINVAL when there is no word.
 */
int cli_targets_read(struct cli_targets *targets, const struct cli_call *call, bool starts);
void cli_targets_clear(struct cli_targets *targets);

/* Puts the apps' names in the place of the apps, for actions on what is there; names of apps that
 * the daemon does not know are warned of and left out. */
int cli_targets_name_apps(struct cli_targets *targets, struct cli_client *client);

/* Puts the names of the apps that run it in the place of each name that is a file's path and that
 * the daemon does not know: PM2's users say `restart app.js`. */
int cli_targets_name_scripts(struct cli_targets *targets, struct cli_client *client);

/* The words, as a person would say them: "a b". Written to `text`. */
void cli_targets_words(const struct cli_targets *targets, char *text, size_t size);

/* The processes that the names mean, with their environments if `whole`; an unknown target is said.
 * The result of cli_client_processes(), or UV_ENOENT, said, when there is none at all. */
int cli_targets_processes(const struct cli_targets *targets, struct cli_client *client, bool whole,
                          json_t **ret_processes);

#endif
