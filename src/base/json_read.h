/* Reads JSON, also when memory is out.
 *
 * jansson's parser does not notice when the buffer of a string cannot grow, and writes on behind
 * its end (2.14, strbuffer_append_byte() in lex_save()). So as long as a text is read, jansson is
 * given what it asks for: from a reserve where there is no memory, and then the text ends early and
 * nothing comes of it. */
#ifndef BATON_BASE_JSON_READ_H
#define BATON_BASE_JSON_READ_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* As json_loadb(), from any thread; a new reference. `text` may be NULL when `length` is 0. NULL
 * with the `error` (which may be NULL), whose code is json_error_out_of_memory when memory was. */
json_t *json_read(const char *text, size_t length, size_t flags, json_error_t *error);

/* The same of a file from where it stands. */
json_t *json_read_file(FILE *file, size_t flags, json_error_t *error);

#endif
