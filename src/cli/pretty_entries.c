#include "cli/pretty_entries.h"

#include "cli/draw_text.h"
#include "cli/js_literal.h"

#define LONG_ENTRY (16 * PRETTY_LINE_MAX) /* bytes */

void pretty_entries_init(struct pretty_entries *entries) {
    buffer_init(&entries->texts);
    buffer_init(&entries->list);
}

void pretty_entries_clear(struct pretty_entries *entries) {
    buffer_clear(&entries->texts);
    buffer_clear(&entries->list);
}

size_t pretty_entry_count(const struct pretty_entries *entries) {
    return buffer_length(&entries->list) / sizeof(struct pretty_entry);
}

const struct pretty_entry *pretty_entry_at(const struct pretty_entries *entries, size_t i) {
    const void *list = buffer_data(&entries->list);

    return (const struct pretty_entry *)list + i;
}

const char *pretty_entry_text(const struct pretty_entries *entries, size_t i) {
    return buffer_data(&entries->texts) + pretty_entry_at(entries, i)->start;
}

static size_t visible_width(const char *text, size_t length) {
    size_t width = draw_width(text, length);

    for (size_t i = 0; i < length; i++)
        width -= (unsigned char)text[i] < 0x20;
    return width;
}

int pretty_entries_end(struct pretty_entries *entries, size_t start) {
    const char *text = buffer_data(&entries->texts) + start;
    struct pretty_entry entry = {.start = start, .length = buffer_length(&entries->texts) - start};

    /* Far too long for a line or a column: not counted again at every level of nesting. */
    if (entry.length > LONG_ENTRY) {
        entry.units = entry.length;
        entry.width = entry.length;
    } else {
        entry.units = js_units(text, entry.length);
        entry.width = visible_width(text, entry.length);
    }
    return buffer_append(&entries->list, &entry, sizeof(entry));
}

int pretty_put_blanks(struct buffer *out, size_t count) {
    return buffer_print(out, "%*s", (int)count, "");
}
