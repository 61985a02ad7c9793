/* The rules and their numbers are those of lib/internal/util/inspect.js, of its default options
 * (compact 3, breakLength 80), as Node 12 to 24 have them. A container is printed in two steps: its
 * entries, each as a text, and then how they are joined: in columns, on one line, or one a line. */
#include "cli/draw_pretty.h"

#include "cli/draw_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BREAK_LENGTH    80
#define LONG_ENTRY      (16 * BREAK_LENGTH)
#define LEVELS_IN_LINE  3 /* of nesting that may share a line */
#define GROUPED_FROM    7 /* so many items of an array are set in columns */
#define COLUMNS_MAX     12
#define ITEMS_MAX       100
#define TEXT_MAX        10000 /* UTF-16 units */
#define UNBROKEN_MAX    16    /* shorter texts stay whole, whatever is in them */
#define INTEGER_MAX     (INT64_C(1) << 53)
#define JS_DECIMALS_MAX 21 /* from 1e21 on numbers have an exponent */

struct inspector {
    size_t indentation;
    size_t deepest; /* level of the container that was begun last */
};

struct entry {
    size_t start; /* in `texts` */
    size_t length;
    size_t units; /* length as JavaScript counts */
    size_t width; /* on a terminal */
};

struct entries {
    struct buffer texts;
    struct buffer list; /* struct entry */
};

static int format_value(struct inspector *inspector, struct buffer *out, json_t *value,
                        size_t level);

static void entries_init(struct entries *entries) {
    buffer_init(&entries->texts);
    buffer_init(&entries->list);
}

static void entries_clear(struct entries *entries) {
    buffer_clear(&entries->texts);
    buffer_clear(&entries->list);
}

static size_t entry_count(const struct entries *entries) {
    return buffer_length(&entries->list) / sizeof(struct entry);
}

static const struct entry *entry_at(const struct entries *entries, size_t i) {
    const void *list = buffer_data(&entries->list);

    return (const struct entry *)list + i;
}

static const char *entry_text(const struct entries *entries, size_t i) {
    return buffer_data(&entries->texts) + entry_at(entries, i)->start;
}

static size_t utf16_units(const char *text, size_t length) {
    size_t units = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        units += (byte & 0xc0) != 0x80;
        units += byte >= 0xf0;
    }
    return units;
}

static size_t visible_width(const char *text, size_t length) {
    size_t width = draw_width(text, length);

    for (size_t i = 0; i < length; i++)
        width -= (unsigned char)text[i] < 0x20;
    return width;
}

/* What was appended to the texts since `start` is an entry. */
static int entries_end(struct entries *entries, size_t start) {
    const char *text = buffer_data(&entries->texts) + start;
    struct entry entry = {.start = start, .length = buffer_length(&entries->texts) - start};

    /* Far too long for a line or a column: not counted again at every level of nesting. */
    if (entry.length > LONG_ENTRY) {
        entry.units = entry.length;
        entry.width = entry.length;
    } else {
        entry.units = utf16_units(text, entry.length);
        entry.width = visible_width(text, entry.length);
    }
    return buffer_append(&entries->list, &entry, sizeof(entry));
}

static int put_text(struct buffer *out, const char *text) {
    return buffer_append(out, text, strlen(text));
}

static int put_blanks(struct buffer *out, size_t count) {
    return buffer_print(out, "%*s", (int)count, "");
}

/* --- texts --- */

/* Single quotes, or those of the others that need no escape. */
static char choose_quote(const char *text) {
    if (!strchr(text, '\''))
        return '\'';
    if (!strchr(text, '"'))
        return '"';
    return strchr(text, '`') || strstr(text, "${") ? '\'' : '`';
}

static const char *known_escape(unsigned char byte) {
    switch (byte) {
    case '\b':
        return "\\b";
    case '\t':
        return "\\t";
    case '\n':
        return "\\n";
    case '\f':
        return "\\f";
    case '\r':
        return "\\r";
    case '\\':
        return "\\\\";
    default:
        return NULL;
    }
}

/* One character of `size` bytes. */
static int put_character(struct buffer *out, const char *character, size_t size, char quote) {
    unsigned char byte = (unsigned char)character[0];

    if (known_escape(byte))
        return put_text(out, known_escape(byte));
    if (byte == (unsigned char)quote)
        return buffer_print(out, "\\%c", quote);
    if (byte < 0x20 || byte == 0x7f)
        return buffer_print(out, "\\x%02X", byte);
    if (byte == 0xc2 && (unsigned char)character[1] < 0xa0)
        return buffer_print(out, "\\x%02X", (unsigned char)character[1]);
    return buffer_append(out, character, size);
}

static size_t character_size(const char *text) {
    unsigned char byte = (unsigned char)text[0];

    return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

/* `length` bytes of well-formed UTF-8 as a literal. */
static int put_literal(struct buffer *out, const char *text, size_t length) {
    char *copy = strndup(text, length);
    char quote;
    int result;

    if (!copy)
        return -ENOMEM;
    quote = choose_quote(copy);
    result = buffer_append(out, &quote, 1);
    for (size_t i = 0; result == 0 && i < length; i += character_size(copy + i))
        result = put_character(out, copy + i, character_size(copy + i), quote);
    if (result == 0)
        result = buffer_append(out, &quote, 1);
    free(copy);
    return result;
}

/* How many bytes hold at most `units` UTF-16 units. */
static size_t bytes_of_units(const char *text, size_t length, size_t units) {
    size_t i = 0;

    while (i < length) {
        size_t size = character_size(text + i);
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

        result = put_literal(out, text, (size_t)(next - text));
        text = next;
        if (result == 0 && text < end) {
            result = put_text(out, " +\n");
            if (result == 0)
                result = put_blanks(out, inspector->indentation + 2);
        }
    }
    return result;
}

static int format_text(const struct inspector *inspector, struct buffer *out, const char *text,
                       size_t length) {
    size_t units = utf16_units(text, length);
    size_t more = units > TEXT_MAX ? units - TEXT_MAX : 0;
    int result;

    if (more > 0) {
        length = bytes_of_units(text, length, TEXT_MAX);
        units = TEXT_MAX;
    }
    if (units > UNBROKEN_MAX && units + inspector->indentation + 4 > BREAK_LENGTH)
        result = put_lines(inspector, out, text, length);
    else
        result = put_literal(out, text, length);
    if (result == 0 && more > 0)
        result = buffer_print(out, "... %zu more character%s", more, more > 1 ? "s" : "");
    return result;
}

/* --- numbers --- */

/* The shortest digits that are this number again, and the power of ten behind the first. */
static size_t shortest_digits(double number, char digits[20], int *ret_exponent) {
    char text[40];
    size_t count = 0;

    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, number);
        if (strtod(text, NULL) == number)
            break;
    }
    for (const char *at = text; *at != 'e'; at++)
        if (*at != '.')
            digits[count++] = *at;
    digits[count] = '\0';
    *ret_exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    return count;
}

/* ECMA-262, Number::toString; `number` is positive. */
static int put_positive(struct buffer *out, double number) {
    char digits[20];
    int exponent;
    int count = (int)shortest_digits(number, digits, &exponent);
    int point = exponent + 1;

    if (point >= count && point <= JS_DECIMALS_MAX)
        return buffer_print(out, "%s%.*s", digits, point - count, "000000000000000000000");
    if (point > 0 && point <= JS_DECIMALS_MAX)
        return buffer_print(out, "%.*s.%s", point, digits, digits + point);
    if (point > -6 && point <= 0)
        return buffer_print(out, "0.%.*s%s", -point, "000000", digits);
    return buffer_print(out, "%c%s%se%+d", digits[0], count > 1 ? "." : "", digits + 1, exponent);
}

static int format_real(struct buffer *out, double number) {
    int result = 0;

    if (signbit(number))
        result = put_text(out, "-");
    if (result < 0)
        return result;
    return number == 0 ? put_text(out, "0") : put_positive(out, fabs(number));
}

static int format_integer(struct buffer *out, json_int_t number) {
    if (number > INTEGER_MAX || number < -INTEGER_MAX)
        return format_real(out, (double)number);
    return buffer_print(out, "%lld", (long long)number);
}

/* --- arrays in columns --- */

/* What is known of the items of an array, without the word on how many more there are. */
struct grouping {
    size_t count;
    size_t total; /* width of all, with a comma and a blank behind each */
    size_t widest;
    size_t columns;
    size_t widths[COLUMNS_MAX]; /* of the columns, with comma and blank */
    bool right;                 /* all are numbers: set to the right */
};

static bool all_numbers(const json_t *array, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!json_is_number(json_array_get(array, i)))
            return false;
    return true;
}

static void measure(struct grouping *grouping, const struct entries *entries) {
    for (size_t i = 0; i < grouping->count; i++) {
        size_t width = entry_at(entries, i)->width;

        grouping->total += width + 2;
        if (width > grouping->widest)
            grouping->widest = width;
    }
}

static double smaller(double one, double other) {
    return one < other ? one : other;
}

/* A square is aimed at, with characters 2.5 times as high as wide. */
static size_t choose_columns(const struct grouping *grouping, const struct entries *entries,
                             size_t indentation) {
    double actual = (double)grouping->widest + 2;
    double mean = (double)grouping->total / (double)entry_count(entries);
    double tight = actual - 3 - sqrt(actual - mean);
    double biased = tight > 1 ? tight : 1;
    double square = floor(sqrt(2.5 * biased * (double)grouping->count) / biased + 0.5);
    double fitting = floor((double)(BREAK_LENGTH - indentation) / actual);

    return (size_t)smaller(smaller(square, fitting), COLUMNS_MAX);
}

/* Whether the items are to be set in columns, and how. */
static bool plan_columns(struct grouping *grouping, const struct entries *entries,
                         const json_t *array, size_t indentation) {
    size_t count = entry_count(entries);
    size_t actual;

    *grouping = (struct grouping){.count = count > ITEMS_MAX ? ITEMS_MAX : count};
    measure(grouping, entries);
    actual = grouping->widest + 2;
    if (actual * 3 + indentation >= BREAK_LENGTH ||
        !(grouping->total > 5 * actual || grouping->widest <= 6))
        return false;
    grouping->columns = choose_columns(grouping, entries, indentation);
    if (grouping->columns <= 1)
        return false;
    for (size_t i = 0; i < grouping->count; i++) {
        size_t *width = &grouping->widths[i % grouping->columns];

        if (entry_at(entries, i)->width + 2 > *width)
            *width = entry_at(entries, i)->width + 2;
    }
    grouping->right = all_numbers(array, count);
    return true;
}

static int put_item(struct buffer *out, const struct grouping *grouping,
                    const struct entries *entries, size_t i, bool last) {
    const struct entry *entry = entry_at(entries, i);
    size_t blanks = grouping->widths[i % grouping->columns] - entry->width - 2;
    int result = grouping->right ? put_blanks(out, blanks) : 0;

    if (result == 0)
        result = buffer_append(out, entry_text(entries, i), entry->length);
    if (result == 0 && !last)
        result = put_text(out, ", ");
    if (result == 0 && !last && !grouping->right)
        result = put_blanks(out, blanks);
    return result;
}

/* Replaces the items by lines of them. */
static int group(struct entries *entries, const struct grouping *grouping) {
    struct entries lines;
    int result = 0;

    entries_init(&lines);
    for (size_t i = 0; result == 0 && i < grouping->count; i += grouping->columns) {
        size_t start = buffer_length(&lines.texts);
        size_t end =
            i + grouping->columns < grouping->count ? i + grouping->columns : grouping->count;

        for (size_t j = i; result == 0 && j < end; j++)
            result = put_item(&lines.texts, grouping, entries, j, j + 1 == end);
        if (result == 0)
            result = entries_end(&lines, start);
    }
    if (result == 0 && entry_count(entries) > grouping->count) {
        size_t start = buffer_length(&lines.texts);
        size_t more = grouping->count;

        result =
            buffer_append(&lines.texts, entry_text(entries, more), entry_at(entries, more)->length);
        if (result == 0)
            result = entries_end(&lines, start);
    }
    if (result == 0) {
        struct entries items = *entries;

        *entries = lines;
        lines = items;
    }
    entries_clear(&lines);
    return result;
}

/* --- containers --- */

static bool fits_in_line(const struct inspector *inspector, const struct entries *entries) {
    size_t count = entry_count(entries);
    size_t total = count + (count + inspector->indentation + 1 + 10);

    if (total + count > BREAK_LENGTH)
        return false;
    for (size_t i = 0; i < count; i++) {
        total += entry_at(entries, i)->units;
        if (total > BREAK_LENGTH)
            return false;
    }
    return !memchr(buffer_data(&entries->texts), '\n', buffer_length(&entries->texts));
}

static int join(struct buffer *out, const struct entries *entries, const char *separator) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < entry_count(entries); i++) {
        if (i > 0)
            result = put_text(out, separator);
        if (result == 0)
            result = buffer_append(out, entry_text(entries, i), entry_at(entries, i)->length);
    }
    return result;
}

static int join_in_line(struct buffer *out, const struct entries *entries, const char *braces) {
    int result = buffer_print(out, "%c ", braces[0]);

    if (result == 0)
        result = join(out, entries, ", ");
    return result == 0 ? buffer_print(out, " %c", braces[1]) : result;
}

static int join_by_lines(const struct inspector *inspector, struct buffer *out,
                         const struct entries *entries, const char *braces) {
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

static bool is_identifier(const char *key) {
    static const char characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    return key[0] != '\0' && !(key[0] >= '0' && key[0] <= '9') &&
           key[strspn(key, characters)] == '\0';
}

static int put_key(struct buffer *out, const char *key) {
    int result;

    if (strcmp(key, "__proto__") == 0)
        return put_text(out, "['__proto__']: ");
    result = is_identifier(key) ? put_text(out, key) : put_literal(out, key, strlen(key));
    return result == 0 ? put_text(out, ": ") : result;
}

/* `key` is NULL in an array. */
static int add_entry(struct inspector *inspector, struct entries *entries, const char *key,
                     json_t *value, size_t level) {
    size_t start = buffer_length(&entries->texts);
    int result = key ? put_key(&entries->texts, key) : 0;

    inspector->indentation += 2;
    if (result == 0)
        result = format_value(inspector, &entries->texts, value, level + 1);
    inspector->indentation -= 2;
    return result == 0 ? entries_end(entries, start) : result;
}

static int add_more(struct entries *entries, size_t more) {
    size_t start = buffer_length(&entries->texts);
    int result = buffer_print(&entries->texts, "... %zu more item%s", more, more > 1 ? "s" : "");

    return result == 0 ? entries_end(entries, start) : result;
}

static int format_array(struct inspector *inspector, struct buffer *out, const json_t *array,
                        size_t level) {
    size_t size = json_array_size(array);
    struct grouping grouping;
    struct entries entries;
    bool grouped = false;
    int result = 0;

    entries_init(&entries);
    inspector->deepest = level;
    for (size_t i = 0; result == 0 && i < size && i < ITEMS_MAX; i++)
        result = add_entry(inspector, &entries, NULL, json_array_get(array, i), level);
    if (result == 0 && size > ITEMS_MAX)
        result = add_more(&entries, size - ITEMS_MAX);
    if (result == 0 && entry_count(&entries) >= GROUPED_FROM)
        grouped = plan_columns(&grouping, &entries, array, inspector->indentation);
    if (grouped)
        result = group(&entries, &grouping);
    if (result == 0 && !grouped && inspector->deepest - level < LEVELS_IN_LINE &&
        fits_in_line(inspector, &entries))
        result = join_in_line(out, &entries, "[]");
    else if (result == 0)
        result = join_by_lines(inspector, out, &entries, "[]");
    entries_clear(&entries);
    return result;
}

static int format_object(struct inspector *inspector, struct buffer *out, json_t *object,
                         size_t level) {
    struct entries entries;
    int result = 0;
    const char *key;
    json_t *value;

    entries_init(&entries);
    inspector->deepest = level;
    json_object_foreach(object, key, value) {
        if (result == 0)
            result = add_entry(inspector, &entries, key, value, level);
    }
    if (result == 0 && inspector->deepest - level < LEVELS_IN_LINE &&
        fits_in_line(inspector, &entries))
        result = join_in_line(out, &entries, "{}");
    else if (result == 0)
        result = join_by_lines(inspector, out, &entries, "{}");
    entries_clear(&entries);
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
        return format_integer(out, json_integer_value(value));
    case JSON_REAL:
        return format_real(out, json_real_value(value));
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
