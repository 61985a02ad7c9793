/* What JSON values mean as an attribute: numbers and booleans may be texts, times and sizes bear
 * units, a list may be a single text.
 *
 * All return 0, UV_EINVAL for a value that cannot be (the output is untouched), or UV_ENOMEM. */
#ifndef BATON_CONFIG_ATTRIBUTE_VALUE_H
#define BATON_CONFIG_ATTRIBUTE_VALUE_H

#include "config/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* true, false, or one of them as a text. */
int attribute_value_bool(const json_t *value, bool *ret_bool);

/* A whole number within [low, high]. */
int attribute_value_number(const json_t *value, int64_t low, int64_t high, int64_t *ret_number);

/* A time in milliseconds: 1500, "1500", "1.5s". */
int attribute_value_milliseconds(const json_t *value, uint64_t *ret_ms);

/* A size in bytes: 1048576, "200M". */
int attribute_value_bytes(const json_t *value, uint64_t *ret_bytes);

/* A text or a number; a new text, the caller's to free(). */
int attribute_value_text(const json_t *value, char **ret_text);

/* Anything, as PM2 puts it into the environment: objects and arrays as JSON. */
int attribute_value_variable(const json_t *value, char **ret_text);

/* The items of an array, each a text or a number, or one text by itself. *list is replaced. */
int attribute_value_list(const json_t *value, struct text_list *list);

/* The same, but a text by itself is parted into words (words.h). */
int attribute_value_words(const json_t *value, struct text_list *list);

#endif
