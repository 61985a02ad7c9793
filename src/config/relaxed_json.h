/* JSON as people write it in process files: a JavaScript literal.
 *
 * Besides JSON (RFC 8259): comments, single quotes, backquotes without ${…}, unquoted keys, commas
 * at the end, JavaScript's escapes, hexadecimal numbers, a leading + or point; a byte order mark.
 * Expressions are not evaluated. No Debian library takes all of this. */
#ifndef BATON_CONFIG_RELAXED_JSON_H
#define BATON_CONFIG_RELAXED_JSON_H

#include <jansson.h>
#include <stddef.h>

#define RELAXED_JSON_DEPTH_MAX 64
#define RELAXED_JSON_ERROR_MAX 192

/* Reads one value and nothing but blanks and comments after it; `text` needs no NUL at its end. 0
 * with a new reference, or UV_EINVAL or UV_ENOMEM with a sentence that begins "line 3, column 7: ".
 * Of a key that stands twice the last value counts, as in JavaScript. Texts hold no NUL. */
int relaxed_json_parse(const char *text, size_t length, json_t **ret_value,
                       char error[RELAXED_JSON_ERROR_MAX]);

#endif
