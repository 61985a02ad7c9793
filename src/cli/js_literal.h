/* Values as JavaScript literals: texts in quotes that need the fewest escapes, numbers as
 * Number::toString (ECMA-262) has them, keys without quotes where that is allowed. Pure; texts are
 * well-formed UTF-8. What is appended holds nothing below 0x20, and none of 0x7f to 0x9f. */
#ifndef BATON_CLI_JS_LITERAL_H
#define BATON_CLI_JS_LITERAL_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

/* How long a text is to JavaScript, which counts UTF-16. */
size_t js_units(const char *text, size_t length);

/* Bytes of the first character, one of 4 being two units. */
size_t js_character_size(const char *text);

/* Each appends one literal: 0 or -ENOMEM. An integer beyond 2^53 is shown as JavaScript would round
 * it. A key comes with ": ". */
int js_put_text(struct buffer *out, const char *text, size_t length);
int js_put_real(struct buffer *out, double number);
int js_put_integer(struct buffer *out, int64_t number);
int js_put_key(struct buffer *out, const char *key);

#endif
