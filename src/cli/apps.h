/* Descriptions of apps, as POST /v1/apps takes them: of process files, standard input, scripts and
 * command lines, each with the environment that we were called in.
 *
 * What fails has been said in one sentence; the result then is a UV_E*. */
#ifndef BATON_CLI_APPS_H
#define BATON_CLI_APPS_H

#include "cli/command.h"

#include <jansson.h>

/* Our environment as an object of texts; variables that are no UTF-8 are left out, for JSON has no
 * way to write them. A new reference, or NULL when memory is out. */
json_t *cli_environment(void);

/* Appends the apps of a process file, or of standard input ("-"), under --env, without those that
 * --only does not name. */
int cli_apps_load(const struct cli_call *call, const char *file, json_t *apps);

/* Whether each of the apps that a file has given can work, as `validate` checks it; the first that
 * cannot is said, with the file's name. 0 or a UV_E*. */
int cli_apps_check(const struct cli_call *call, const char *file, const json_t *apps);

/* What the flags, and the arguments behind "--", say of an app: a new description without a script,
 * its paths absolute; `cwd` is ours if it was not given and `with_cwd`. NULL when memory is out. */
json_t *cli_apps_flags(const struct cli_call *call, bool with_cwd);

/* The number that -i asks for; 0: none does. */
uint32_t cli_apps_instances(const struct cli_call *call);

/* Appends the app that a script or a command line and the flags describe. It is checked as far as
 * the daemon would check it, so that what is said before it starts is true: */
struct cli_app_summary {
    char *script;         /* absolute; owned by the caller */
    bool is_command_line; /* `script` is the shell that runs it */
    bool cluster;         /* the master deals its connections */
    uint32_t instances;
};
int cli_apps_describe(const struct cli_call *call, const char *word, json_t *apps,
                      struct cli_app_summary *ret_summary);

/* The name of an app: its own, or what it is called without one. Written to `name`. */
#define CLI_APP_NAME_MAX 256
void cli_app_name(const json_t *app, char name[CLI_APP_NAME_MAX]);

#endif
