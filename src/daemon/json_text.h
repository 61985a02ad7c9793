/* JSON written straight into a buffer, for answers that are long and asked for often: no values are
 * made of them first.
 *
 * An embedded value that borrows its buffer. Whoever calls opens and closes objects and arrays in
 * pairs, and names members of objects and nothing else: within an array `name` is NULL. A text that
 * is no UTF-8 becomes null, as one does that is NULL. When memory is out the rest is not written;
 * json_text_result() tells. */
#ifndef BATON_DAEMON_JSON_TEXT_H
#define BATON_DAEMON_JSON_TEXT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_text {
    struct buffer *out;
    bool follows; /* a value is there before the next one: a comma goes between */
    int result;
};

void json_text_init(struct json_text *text, struct buffer *out);

/* '{' or '[', … */
void json_text_open(struct json_text *text, const char *name, char bracket);
/* … '}' or ']'. */
void json_text_close(struct json_text *text, char bracket);

void json_text_string(struct json_text *text, const char *name, const char *value);
void json_text_integer(struct json_text *text, const char *name, int64_t value);
void json_text_hundredths(struct json_text *text, const char *name, double value); /* 12.34 */
void json_text_boolean(struct json_text *text, const char *name, bool value);
void json_text_null(struct json_text *text, const char *name);

/* 0, or -ENOMEM when something is missing. */
int json_text_result(const struct json_text *text);

#endif
