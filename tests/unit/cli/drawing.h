/* Drawing to a buffer in a test, and JSON that can be read in C: with single quotes. */
#ifndef BATON_TESTS_DRAWING_H
#define BATON_TESTS_DRAWING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "cli/draw_text.h"

#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1790000000000)

static const struct draw_style in_pipe = {.utf8 = true};
static const struct draw_style in_ascii = {.utf8 = false};
static const struct draw_style in_colour = {
    .terminal = true, .redraws = true, .colour = true, .utf8 = true};

static inline struct draw_style columns_wide(unsigned columns) {
    return (struct draw_style){.columns = columns, .utf8 = true};
}

static inline json_t *json_of(const char *text) {
    char *copy = strdup(text);
    json_error_t error;
    json_t *value;

    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    value = json_loads(copy, JSON_DECODE_ANY, &error);
    if (!value)
        fail_msg("%s: %s", error.text, copy);
    free(copy);
    return value;
}

/* Ends the buffer with NUL and answers it. */
static inline const char *text_of(struct buffer *buffer) {
    assert_int_equal(buffer_append(buffer, "", 1), 0);
    return buffer_data(buffer);
}

/* Compares and clears. */
static inline void expect_text(struct buffer *buffer, const char *expected) {
    assert_string_equal(text_of(buffer), expected);
    buffer_clear(buffer);
}

static inline void expect_contains(struct buffer *buffer, const char *expected) {
    if (!strstr(text_of(buffer), expected))
        fail_msg("'%s' is not in:\n%s", expected, buffer_data(buffer));
    buffer->end--; /* the NUL */
}

static inline void expect_lacks(struct buffer *buffer, const char *unexpected) {
    if (strstr(text_of(buffer), unexpected))
        fail_msg("'%s' is in:\n%s", unexpected, buffer_data(buffer));
    buffer->end--;
}

/* For wcwidth(3): a group setup. */
static inline int use_utf8(void **state) {
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

#endif
