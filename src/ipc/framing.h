/* Cuts a stream of bytes into lines (one JSON value a line, "\n" ends it, lines glued or
 * split at any byte).
 *
 * Memory is bounded whatever the peer sends: of a line longer than FRAMING_LINE_MAX only the first
 * FRAMING_LINE_MAX bytes are kept and handed out, marked as cut; a line longer than
 * FRAMING_LINE_HARD_MAX ends the conversation. Such lines do occur: a program may process.send() a
 * large object, which is none of the master's business. Pure: no socket, no clock. init/clear. */
#ifndef BATON_IPC_FRAMING_H
#define BATON_IPC_FRAMING_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#define FRAMING_LINE_MAX      65536
#define FRAMING_LINE_HARD_MAX ((size_t)64 << 20)

struct framing {
    struct buffer pending; /* the unfinished line, at most FRAMING_LINE_MAX bytes */
    size_t skipped;        /* bytes of the unfinished line that were not kept */
};

struct framing_line {
    const char *bytes; /* not NUL-terminated; holds until the callback returns */
    size_t length;     /* without the newline; 0 is an empty line */
    bool cut;          /* the line was longer than what is here */
};

void framing_init(struct framing *framing);
void framing_clear(struct framing *framing);

/* Feeds `length` bytes; `on_line` is called for each line that they finish, in order. A line that
 * lies whole within the bytes is handed out without being copied. When on_line returns other than
 * 0, feeding stops there and that value is returned (the rest of the bytes is dropped: the caller
 * ends the conversation). on_line must not touch the framing itself. Otherwise 0, UV_ENOMEM, or
 * UV_EMSGSIZE past FRAMING_LINE_HARD_MAX. */
int framing_feed(struct framing *framing, const char *bytes, size_t length,
                 int (*on_line)(void *owner, const struct framing_line *line), void *owner);

#endif
