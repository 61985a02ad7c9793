#include "http/range.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define DIGITS_MAX 18 /* so that a number always fits; longer ones are no sizes of files */

/* Reads digits, at least one, and moves past them. */
static bool read_number(const char **text, uint64_t *ret_value) {
    uint64_t value = 0;
    size_t digits = 0;

    for (; isdigit((unsigned char)(*text)[digits]) && digits <= DIGITS_MAX; digits++)
        value = value * 10 + (uint64_t)((*text)[digits] - '0');
    if (digits == 0 || digits > DIGITS_MAX)
        return false;
    *text += digits;
    *ret_value = value;
    return true;
}

/* The last `wanted` bytes. */
static enum http_range_result suffix(uint64_t wanted, uint64_t size, uint64_t *ret_first,
                                     uint64_t *ret_length) {
    if (wanted == 0 || size == 0)
        return HTTP_RANGE_UNSATISFIABLE;
    *ret_length = wanted < size ? wanted : size;
    *ret_first = size - *ret_length;
    return HTTP_RANGE_PART;
}

enum http_range_result http_range_parse(const char *value, uint64_t size, uint64_t *ret_first,
                                        uint64_t *ret_length) {
    uint64_t first;
    uint64_t last = UINT64_MAX;

    if (strncasecmp(value, "bytes=", 6) != 0)
        return HTTP_RANGE_WHOLE;
    value += 6;
    if (*value == '-') {
        value++;
        if (!read_number(&value, &first) || *value != '\0')
            return HTTP_RANGE_WHOLE;
        return suffix(first, size, ret_first, ret_length);
    }
    if (!read_number(&value, &first) || *value++ != '-')
        return HTTP_RANGE_WHOLE;
    if (*value != '\0' && (!read_number(&value, &last) || *value != '\0'))
        return HTTP_RANGE_WHOLE;
    if (last < first)
        return HTTP_RANGE_WHOLE;
    if (first >= size)
        return HTTP_RANGE_UNSATISFIABLE;
    *ret_first = first;
    *ret_length = last < size ? last - first + 1 : size - first;
    return HTTP_RANGE_PART;
}
