#include "cli/js_literal.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX     (INT64_C(1) << 53)
#define JS_DECIMALS_MAX 21 /* from 1e21 on numbers have an exponent */

static int put_text(struct buffer *out, const char *text) {
    return buffer_append(out, text, strlen(text));
}

size_t js_units(const char *text, size_t length) {
    size_t units = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        units += (byte & 0xc0) != 0x80;
        units += byte >= 0xf0;
    }
    return units;
}

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

size_t js_character_size(const char *text) {
    unsigned char byte = (unsigned char)text[0];

    return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

int js_put_text(struct buffer *out, const char *text, size_t length) {
    char *copy = strndup(text, length);
    char quote;
    int result;

    if (!copy)
        return -ENOMEM;
    quote = choose_quote(copy);
    result = buffer_append(out, &quote, 1);
    for (size_t i = 0; result == 0 && i < length; i += js_character_size(copy + i))
        result = put_character(out, copy + i, js_character_size(copy + i), quote);
    if (result == 0)
        result = buffer_append(out, &quote, 1);
    free(copy);
    return result;
}

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

int js_put_real(struct buffer *out, double number) {
    int result = 0;

    if (signbit(number))
        result = put_text(out, "-");
    if (result < 0)
        return result;
    return number == 0 ? put_text(out, "0") : put_positive(out, fabs(number));
}

int js_put_integer(struct buffer *out, int64_t number) {
    if (number > INTEGER_MAX || number < -INTEGER_MAX)
        return js_put_real(out, (double)number);
    return buffer_print(out, "%lld", (long long)number);
}

static bool is_identifier(const char *key) {
    static const char characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    return key[0] != '\0' && !(key[0] >= '0' && key[0] <= '9') &&
           key[strspn(key, characters)] == '\0';
}

int js_put_key(struct buffer *out, const char *key) {
    int result;

    if (strcmp(key, "__proto__") == 0)
        return put_text(out, "['__proto__']: ");
    result = is_identifier(key) ? put_text(out, key) : js_put_text(out, key, strlen(key));
    return result == 0 ? put_text(out, ": ") : result;
}
