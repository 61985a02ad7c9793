/* `monit`: the full-screen view. The edge of it: ncurses, the connections to the daemon, keys and
 * signals; what is shown where is decided in monit_view.h.
 *
 * It asks for GET /v1/processes once a second and follows /v1/events?logs=1; keys become
 * POST /v1/actions/…. It ends with `q`, and with SIGINT and SIGTERM; the terminal is always left as
 * it was found. When the daemon ends or does not answer this is said, and it is asked again. */
#ifndef BATON_CLI_MONIT_H
#define BATON_CLI_MONIT_H

#include "cli/draw_text.h"

struct monit_options {
    const char *socket_path; /* of the daemon that runs already; borrowed */
    struct draw_style style; /* as terminal_look() found it for standard output */
};

/* Runs until it is left. The exit code: 0; 1 after a sentence on standard error when standard input
 * or output is no terminal, or the daemon could not be asked at first. */
int monit_run(const struct monit_options *options);

#endif
