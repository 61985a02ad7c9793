/* The path within a request target, read and written. Pure. */
#ifndef BATON_HTTP_TARGET_H
#define BATON_HTTP_TARGET_H

#include "base/buffer.h"

#include <stddef.h>

/* Where the parts of a target are; they point into it. */
struct http_target {
    const char *path; /* begins with "/", or is "*"; still percent-encoded */
    size_t path_length;
    const char *query; /* what follows "?", up to the end of the target; NULL without one */
};

/* Finds the parts of a target in origin form ("/a?b"), absolute form ("http://host/a?b") or
 * asterisk form. 0 or -EINVAL; *ret_target is untouched on failure. */
int http_target_split(const char *target, struct http_target *ret_target);

/* Decodes the percent-encoding of a path and ends it with NUL; `decoded` has room for
 * path_length + 1 bytes. -EINVAL for an incomplete code, for %00, and for %2f, which would be a
 * slash to one reader and a letter to another. Dot segments stay as they are. */
int http_target_decode(const struct http_target *target, char *decoded);

/* Appends `text` as one part of a path or query: everything but letters, digits and "-._~" is
 * percent-encoded. 0 or -ENOMEM. */
int http_target_encode(struct buffer *out, const char *text);

#endif
