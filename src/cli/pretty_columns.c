#include "cli/pretty_columns.h"

#include <math.h>

static bool all_numbers(const json_t *array, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!json_is_number(json_array_get(array, i)))
            return false;
    return true;
}

static void measure(struct pretty_columns *columns, const struct pretty_entries *entries) {
    for (size_t i = 0; i < columns->items; i++) {
        size_t width = pretty_entry_at(entries, i)->width;

        columns->total += width + 2;
        if (width > columns->widest)
            columns->widest = width;
    }
}

static double smaller(double one, double other) {
    return one < other ? one : other;
}

/* A square is aimed at, with characters 2.5 times as high as wide. */
static size_t choose_columns(const struct pretty_columns *columns,
                             const struct pretty_entries *entries, size_t indentation) {
    double actual = (double)columns->widest + 2;
    double mean = (double)columns->total / (double)pretty_entry_count(entries);
    double tight = actual - 3 - sqrt(actual - mean);
    double biased = tight > 1 ? tight : 1;
    double square = floor(sqrt(2.5 * biased * (double)columns->items) / biased + 0.5);
    double fitting = floor((double)(PRETTY_LINE_MAX - indentation) / actual);

    return (size_t)smaller(smaller(square, fitting), PRETTY_COLUMNS_MAX);
}

bool pretty_columns_plan(struct pretty_columns *columns, const struct pretty_entries *entries,
                         const json_t *array, size_t indentation) {
    size_t count = pretty_entry_count(entries);
    size_t actual;

    *columns =
        (struct pretty_columns){.items = count > PRETTY_ITEMS_MAX ? PRETTY_ITEMS_MAX : count};
    measure(columns, entries);
    actual = columns->widest + 2;
    if (actual * 3 + indentation >= PRETTY_LINE_MAX ||
        !(columns->total > 5 * actual || columns->widest <= 6))
        return false;
    columns->count = choose_columns(columns, entries, indentation);
    if (columns->count <= 1)
        return false;
    for (size_t i = 0; i < columns->items; i++) {
        size_t *width = &columns->widths[i % columns->count];

        if (pretty_entry_at(entries, i)->width + 2 > *width)
            *width = pretty_entry_at(entries, i)->width + 2;
    }
    columns->right = all_numbers(array, count);
    return true;
}

static int put_item(struct buffer *out, const struct pretty_columns *columns,
                    const struct pretty_entries *entries, size_t i, bool last) {
    const struct pretty_entry *entry = pretty_entry_at(entries, i);
    size_t blanks = columns->widths[i % columns->count] - entry->width - 2;
    int result = columns->right ? pretty_put_blanks(out, blanks) : 0;

    if (result == 0)
        result = buffer_append(out, pretty_entry_text(entries, i), entry->length);
    if (result == 0 && !last)
        result = buffer_append(out, ", ", 2);
    if (result == 0 && !last && !columns->right)
        result = pretty_put_blanks(out, blanks);
    return result;
}

int pretty_columns_apply(struct pretty_entries *entries, const struct pretty_columns *columns) {
    struct pretty_entries lines;
    int result = 0;

    pretty_entries_init(&lines);
    for (size_t i = 0; result == 0 && i < columns->items; i += columns->count) {
        size_t start = buffer_length(&lines.texts);
        size_t end = i + columns->count < columns->items ? i + columns->count : columns->items;

        for (size_t j = i; result == 0 && j < end; j++)
            result = put_item(&lines.texts, columns, entries, j, j + 1 == end);
        if (result == 0)
            result = pretty_entries_end(&lines, start);
    }
    if (result == 0 && pretty_entry_count(entries) > columns->items) {
        size_t start = buffer_length(&lines.texts);
        size_t more = columns->items;

        result = buffer_append(&lines.texts, pretty_entry_text(entries, more),
                               pretty_entry_at(entries, more)->length);
        if (result == 0)
            result = pretty_entries_end(&lines, start);
    }
    if (result == 0) {
        struct pretty_entries items = *entries;

        *entries = lines;
        lines = items;
    }
    pretty_entries_clear(&lines);
    return result;
}
