/* Standard output of a command: what was drawn, in the terminal's style. */
#ifndef BATON_CLI_SHOW_H
#define BATON_CLI_SHOW_H

#include "base/buffer.h"
#include "cli/client.h"

/* The style of standard output, for whatever is drawn. */
struct draw_style cli_show_style(const struct cli_call *call);

/* Milliseconds since 1970, for drawings. */
int64_t cli_show_now(void);

/* Writes and clears the buffer. The exit code: 0, or 1 when `drawn`, the result of the drawing, is
 * negative or standard output takes no more; said, unless its reader has left (EPIPE). */
int cli_show(const struct cli_call *call, struct buffer *out, int drawn);

/* The list of all processes, after an action; nothing with --silent. The exit code. */
int cli_show_list(struct cli_client *client);

#endif
