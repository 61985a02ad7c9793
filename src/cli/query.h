/* The target of a request with its query, percent-encoded. Pure. */
#ifndef BATON_CLI_QUERY_H
#define BATON_CLI_QUERY_H

#include "base/buffer.h"

/* Appends "?name=value", or "&name=value" when `target` has a query already. `name` needs no
 * encoding. 0 or -ENOMEM. The target is ended by a NUL that is not part of its length. */
int query_add(struct buffer *target, const char *name, const char *value);

#endif
