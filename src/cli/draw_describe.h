/* `describe`: everything about the processes that were meant.
 *
 * Pure: from the JSON of GET /v1/processes?target=…. */
#ifndef BATON_CLI_DRAW_DESCRIBE_H
#define BATON_CLI_DRAW_DESCRIBE_H

#include "cli/draw_text.h"

struct draw_describe_options {
    struct draw_style style;
    int64_t now_ms;           /* since 1970 */
    char *const *environment; /* the caller's, NULL-terminated: what differs from it is shown; NULL:
                                 nothing of environments is */
};

/* Appends a section for each process. Variables of a process that the caller does not have, or has
 * with another value, are listed with their values, except those whose name or value looks like a
 * secret: of them the name alone. 0, -EINVAL (no array) or -ENOMEM. */
int draw_describe(struct buffer *out, const json_t *processes,
                  const struct draw_describe_options *options);

/* Whether the value of a variable is not to be shown: its name speaks of a key, secret, token,
 * password or the like, or its value is an address with a password in it. */
bool draw_describe_is_secret(const char *name, const char *value);

#endif
