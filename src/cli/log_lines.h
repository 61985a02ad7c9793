/* Log events of the daemon, shown as they come. */
#ifndef BATON_CLI_LOG_LINES_H
#define BATON_CLI_LOG_LINES_H

#include "cli/client.h"
#include "cli/draw_logs.h"

struct cli_log_lines {
    const struct cli_call *call;
    struct draw_logs logs;
};

/* As the flags of the call say. */
void cli_log_lines_init(struct cli_log_lines *lines, const struct cli_call *call);

/* For cli_client_follow(); the owner is a struct cli_log_lines. UV_ECANCELED when nobody reads
 * standard output any more. */
int cli_log_lines_on_event(void *lines, const char *event, const char *data, size_t length);

/* Shows what all apps print until the daemon ends: of a daemon in the foreground. */
void cli_log_lines_follow_all(struct cli_client *client);

#endif
