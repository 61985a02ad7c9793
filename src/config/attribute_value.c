#include "config/attribute_value.h"

#include "base/text.h"
#include "config/words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53: whole numbers are exact up to here */

int attribute_value_bool(const json_t *value, bool *ret_bool) {
    const char *text = json_string_value(value);

    if (json_is_true(value) || (text && strcmp(text, "true") == 0))
        *ret_bool = true;
    else if (json_is_false(value) || (text && strcmp(text, "false") == 0))
        *ret_bool = false;
    else
        return UV_EINVAL;
    return 0;
}

/* 4.0 is 4: JavaScript knows no difference. */
static bool is_whole(double number) {
    return fabs(number) <= WHOLE_MAX && number == floor(number);
}

int attribute_value_number(const json_t *value, int64_t low, int64_t high, int64_t *ret_number) {
    int64_t number;

    if (json_is_string(value))
        return text_to_number(json_string_value(value), low, high, ret_number) < 0 ? UV_EINVAL : 0;
    if (json_is_integer(value))
        number = json_integer_value(value);
    else if (json_is_real(value) && is_whole(json_real_value(value)))
        number = (int64_t)json_real_value(value);
    else
        return UV_EINVAL;
    if (number < low || number > high)
        return UV_EINVAL;
    *ret_number = number;
    return 0;
}

/* A number that is no text, of which there may be a part: 1.5 of a unit. */
static int read_amount(const json_t *value, uint64_t *ret_amount) {
    double number = json_number_value(value);

    if (!json_is_number(value) || !(number >= 0 && number <= WHOLE_MAX))
        return UV_EINVAL;
    *ret_amount = (uint64_t)(number + 0.5);
    return 0;
}

int attribute_value_milliseconds(const json_t *value, uint64_t *ret_ms) {
    if (!json_is_string(value))
        return read_amount(value, ret_ms);
    return text_to_milliseconds(json_string_value(value), ret_ms) < 0 ? UV_EINVAL : 0;
}

int attribute_value_bytes(const json_t *value, uint64_t *ret_bytes) {
    if (!json_is_string(value))
        return read_amount(value, ret_bytes);
    return text_to_bytes(json_string_value(value), ret_bytes) < 0 ? UV_EINVAL : 0;
}

int attribute_value_text(const json_t *value, char **ret_text) {
    if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value))
        return UV_EINVAL; /* a NUL in it */
    if (!json_is_string(value) && !json_is_number(value))
        return UV_EINVAL;
    return attribute_value_variable(value, ret_text);
}

int attribute_value_variable(const json_t *value, char **ret_text) {
    double real = json_real_value(value);
    char *text;

    if (json_is_string(value))
        text = strdup(json_string_value(value));
    else if (json_is_real(value) && is_whole(real)) /* without its ".0" */
        return asprintf(ret_text, "%.0f", real) < 0 ? UV_ENOMEM : 0;
    else
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text)
        return UV_ENOMEM;
    *ret_text = text;
    return 0;
}

static int add_item(struct text_list *list, const json_t *value) {
    char *text;
    int result = attribute_value_text(value, &text);

    if (result < 0)
        return result;
    result = text_list_add(list, text);
    free(text);
    return result;
}

static int add_items(struct text_list *list, const json_t *values) {
    int result = 0;

    for (size_t i = 0; i < json_array_size(values) && result == 0; i++)
        result = add_item(list, json_array_get(values, i));
    return result;
}

/* Puts `items` in the place of `list`, unless they could not be read. */
static int replace(struct text_list *list, struct text_list *items, int result) {
    if (result == 0) {
        struct text_list old = *list;

        *list = *items;
        *items = old;
    }
    text_list_clear(items);
    return result;
}

int attribute_value_list(const json_t *value, struct text_list *list) {
    struct text_list items = {.items = NULL};

    return replace(list, &items,
                   json_is_array(value) ? add_items(&items, value) : add_item(&items, value));
}

int attribute_value_words(const json_t *value, struct text_list *list) {
    struct text_list items = {.items = NULL};

    if (!json_is_string(value))
        return attribute_value_list(value, list);
    return replace(list, &items, words_split(&items, json_string_value(value)));
}
