/* `prettylist`: JSON as Node's util.inspect(value, {depth: null}) prints it.
 *
 * Two spaces a level, keys unquoted where JavaScript allows it, single quotes; what holds at most
 * three further levels and fits into a line stands on one; arrays of more than six short items are
 * set in columns; arrays end after 100 items and texts after 10000 characters, with a word on how
 * many more there are. Pure. Texts from outside are escaped as JavaScript literals, which leaves
 * nothing below 0x20 and none of 0x7f to 0x9f. */
#ifndef BATON_CLI_DRAW_PRETTY_H
#define BATON_CLI_DRAW_PRETTY_H

#include "base/buffer.h"

#include <jansson.h>

/* Appends it, with "\n" at the end, never coloured, as in PM2. `value` stays as it is; jansson's
 * iterator alone wants it writable. 0 or -ENOMEM. */
int draw_pretty(struct buffer *out, json_t *value);

#endif
