/* The rules and their numbers are those of lib/internal/util/inspect.js, of its default options
 * (compact 3, breakLength 80), as Node 12 to 24 have them. A container is printed in two steps: its
 * entries, each as a text, and then how they are joined: in columns, on one line, or one a line. */
#include "cli/draw_pretty.h"

#include "cli/js_literal.h"
#include "cli/pretty_columns.h"

#include <string.h>

#define LEVELS_IN_LINE 3     /* of nesting that may share a line */
#define GROUPED_FROM   7     /* so many items of an array are set in columns */
#define TEXT_MAX       10000 /* UTF-16 units */
#define UNBROKEN_MAX   16    /* shorter texts stay whole, whatever is in them */

struct inspector {
    size_t indentation;
    size_t deepest; /* level of the container that was begun last */
};

static int put_text(struct buffer *out, const char *text) {
    return buffer_append(out, text, strlen(text));
}

static int format_value(struct inspector *inspector, struct buffer *out, json_t *value,
                        size_t level);

/* --- texts --- */

/* How many bytes hold at most `units` UTF-16 units. */
static size_t bytes_of_units(const char *text, size_t length, size_t units) {
    size_t i = 0;

    while (i < length) {
        size_t size = js_character_size(text + i);
        size_t taken = size == 4 ? 2 : 1;

        if (taken > units)
            break;
        units -= taken;
        i += size;
    }
    return i;
}

/* A long text with newlines: a literal for each line, joined by "+". */
static int put_lines(const struct inspector *inspector, struct buffer *out, const char *text,
                     size_t length) {
    const char *end = text + length;
    int result = 0;

    while (result == 0 && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline ? newline + 1 : end;

        result = js_put_text(out, text, (size_t)(next - text));
        text = next;
        if (result == 0 && text < end) {
            result = put_text(out, " +\n");
            if (result == 0)
                result = pretty_put_blanks(out, inspector->indentation + 2);
        }
    }
    return result;
}

static int format_text(const struct inspector *inspector, struct buffer *out, const char *text,
                       size_t length) {
    size_t units = js_units(text, length);
    size_t more = units > TEXT_MAX ? units - TEXT_MAX : 0;
    int result;

    if (more > 0) {
        length = bytes_of_units(text, length, TEXT_MAX);
        units = TEXT_MAX;
    }
    if (units > UNBROKEN_MAX && units + inspector->indentation + 4 > PRETTY_LINE_MAX)
        result = put_lines(inspector, out, text, length);
    else
        result = js_put_text(out, text, length);
    if (result == 0 && more > 0)
        result = buffer_print(out, "... %zu more character%s", more, more > 1 ? "s" : "");
    return result;
}

/* --- containers --- */

static bool fits_in_line(const struct inspector *inspector, const struct pretty_entries *entries) {
    size_t count = pretty_entry_count(entries);
    size_t total = count + (count + inspector->indentation + 1 + 10);

    if (total + count > PRETTY_LINE_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        total += pretty_entry_at(entries, i)->units;
        if (total > PRETTY_LINE_MAX)
            return false;
    }
    return !memchr(buffer_data(&entries->texts), '\n', buffer_length(&entries->texts));
}

static int join(struct buffer *out, const struct pretty_entries *entries, const char *separator) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < pretty_entry_count(entries); i++) {
        if (i > 0)
            result = put_text(out, separator);
        if (result == 0)
            result = buffer_append(out, pretty_entry_text(entries, i),
                                   pretty_entry_at(entries, i)->length);
    }
    return result;
}

static int join_in_line(struct buffer *out, const struct pretty_entries *entries,
                        const char *braces) {
    int result = buffer_print(out, "%c ", braces[0]);

    if (result == 0)
        result = join(out, entries, ", ");
    return result == 0 ? buffer_print(out, " %c", braces[1]) : result;
}

static int join_by_lines(const struct inspector *inspector, struct buffer *out,
                         const struct pretty_entries *entries, const char *braces) {
    int indentation = (int)inspector->indentation;
    struct buffer separator;
    int result;

    buffer_init(&separator);
    result = buffer_print(&separator, ",\n%*s", indentation + 2, "");
    if (result == 0)
        result = buffer_append(&separator, "", 1);
    if (result == 0)
        result = buffer_print(out, "%c%s", braces[0], buffer_data(&separator) + 1);
    if (result == 0)
        result = join(out, entries, buffer_data(&separator));
    if (result == 0)
        result = buffer_print(out, "\n%*s%c", indentation, "", braces[1]);
    buffer_clear(&separator);
    return result;
}

static int join_entries(const struct inspector *inspector, struct buffer *out,
                        const struct pretty_entries *entries, size_t level, const char *braces) {
    if (inspector->deepest - level < LEVELS_IN_LINE && fits_in_line(inspector, entries))
        return join_in_line(out, entries, braces);
    return join_by_lines(inspector, out, entries, braces);
}

/* `key` is NULL in an array. */
static int add_entry(struct inspector *inspector, struct pretty_entries *entries, const char *key,
                     json_t *value, size_t level) {
    size_t start = buffer_length(&entries->texts);
    int result = key ? js_put_key(&entries->texts, key) : 0;

    inspector->indentation += 2;
    if (result == 0)
        result = format_value(inspector, &entries->texts, value, level + 1);
    inspector->indentation -= 2;
    return result == 0 ? pretty_entries_end(entries, start) : result;
}

static int add_more(struct pretty_entries *entries, size_t more) {
    size_t start = buffer_length(&entries->texts);
    int result = buffer_print(&entries->texts, "... %zu more item%s", more, more > 1 ? "s" : "");

    return result == 0 ? pretty_entries_end(entries, start) : result;
}

static int format_array(struct inspector *inspector, struct buffer *out, const json_t *array,
                        size_t level) {
    size_t size = json_array_size(array);
    struct pretty_columns columns;
    struct pretty_entries entries;
    bool grouped = false;
    int result = 0;

    pretty_entries_init(&entries);
    inspector->deepest = level;
    for (size_t i = 0; result == 0 && i < size && i < PRETTY_ITEMS_MAX; i++)
        result = add_entry(inspector, &entries, NULL, json_array_get(array, i), level);
    if (result == 0 && size > PRETTY_ITEMS_MAX)
        result = add_more(&entries, size - PRETTY_ITEMS_MAX);
    if (result == 0 && pretty_entry_count(&entries) >= GROUPED_FROM)
        grouped = pretty_columns_plan(&columns, &entries, array, inspector->indentation);
    if (grouped)
        result = pretty_columns_apply(&entries, &columns);
    if (result == 0 && grouped)
        result = join_by_lines(inspector, out, &entries, "[]");
    else if (result == 0)
        result = join_entries(inspector, out, &entries, level, "[]");
    pretty_entries_clear(&entries);
    return result;
}

static int format_object(struct inspector *inspector, struct buffer *out, json_t *object,
                         size_t level) {
    struct pretty_entries entries;
    int result = 0;
    const char *key;
    json_t *value;

    pretty_entries_init(&entries);
    inspector->deepest = level;
    json_object_foreach(object, key, value) {
        if (result == 0)
            result = add_entry(inspector, &entries, key, value, level);
    }
    if (result == 0)
        result = join_entries(inspector, out, &entries, level, "{}");
    pretty_entries_clear(&entries);
    return result;
}

static int format_value(struct inspector *inspector, struct buffer *out, json_t *value,
                        size_t level) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        if (json_object_size(value) == 0)
            return put_text(out, "{}");
        return format_object(inspector, out, value, level);
    case JSON_ARRAY:
        if (json_array_size(value) == 0)
            return put_text(out, "[]");
        return format_array(inspector, out, value, level);
    case JSON_STRING:
        return format_text(inspector, out, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return js_put_integer(out, json_integer_value(value));
    case JSON_REAL:
        return js_put_real(out, json_real_value(value));
    default:
        return put_text(out, json_is_true(value)    ? "true"
                             : json_is_false(value) ? "false"
                                                    : "null");
    }
}

int draw_pretty(struct buffer *out, json_t *value) {
    struct inspector inspector = {.indentation = 0};
    int result = format_value(&inspector, out, value, 0);

    return result == 0 ? put_text(out, "\n") : result;
}
