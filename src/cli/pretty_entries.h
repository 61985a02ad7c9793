/* The entries of a container that is printed: each a text, and how long it is. Pure.
 *
 * init/clear: an embedded value that owns two heap blocks. */
#ifndef BATON_CLI_PRETTY_ENTRIES_H
#define BATON_CLI_PRETTY_ENTRIES_H

#include "base/buffer.h"

#include <stddef.h>

#define PRETTY_LINE_MAX 80 /* breakLength: of a line */

struct pretty_entry {
    size_t start; /* in `texts` */
    size_t length;
    size_t units; /* length as JavaScript counts */
    size_t width; /* on a terminal */
};

struct pretty_entries {
    struct buffer texts;
    struct buffer list; /* struct pretty_entry */
};

void pretty_entries_init(struct pretty_entries *entries);
void pretty_entries_clear(struct pretty_entries *entries);

/* What was appended to `texts` since `start` is an entry. 0 or -ENOMEM. */
int pretty_entries_end(struct pretty_entries *entries, size_t start);

/* The entry and its text, which is not terminated, hold until the next one. */
size_t pretty_entry_count(const struct pretty_entries *entries);
const struct pretty_entry *pretty_entry_at(const struct pretty_entries *entries, size_t i);
const char *pretty_entry_text(const struct pretty_entries *entries, size_t i);

/* Appends blanks. 0 or -ENOMEM. */
int pretty_put_blanks(struct buffer *out, size_t count);

#endif
