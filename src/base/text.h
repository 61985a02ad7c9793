/* Reading numbers that people type, and printing bytes that strangers sent. */
#ifndef BATON_BASE_TEXT_H
#define BATON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole decimal number within [low, high], nothing before or after it. 0 with *ret_value set, or
 * -EINVAL, or -ERANGE; *ret_value is untouched on failure. */
int text_to_number(const char *text, int64_t low, int64_t high, int64_t *ret_value);

/* A signal's number, of "SIGUSR2", "USR2" or "12". 0 or -EINVAL. */
int text_to_signal(const char *text, int *ret_number);

/* A time in milliseconds: "1500", "1500ms", "1.5s", "2m", "1h". 0 or -EINVAL. */
int text_to_milliseconds(const char *text, uint64_t *ret_ms);

/* A size in bytes: "1048576", "200K", "200M", "2G" (powers of 1024, a trailing b or B allowed). 0
 * or -EINVAL. */
int text_to_bytes(const char *text, uint64_t *ret_bytes);

/* Copies `length` bytes so that they are safe on a terminal and in a one-line log: control bytes,
 * DEL and every byte above 0x7e become \xHH, newline \n, tab \t, carriage return \r, backslash
 * stays. Always ends with NUL; when the room is short the text ends in "...". Returns the length
 * written. */
size_t text_escape(char *destination, size_t size, const void *bytes, size_t length);

/* As text_escape(), but well-formed UTF-8 above 0x9f stays readable. */
size_t text_escape_utf8(char *destination, size_t size, const void *bytes, size_t length);

/* The length of the well-formed UTF-8 sequence of several bytes at `bytes`, 2 to 4, or 0: overlong
 * forms, surrogates and what is past U+10FFFF are not well formed (Unicode 15, table 3-7). */
size_t text_utf8_sequence(const unsigned char *bytes, size_t length);

/* Whether `text` ends in `suffix`. */
bool text_ends_with(const char *text, const char *suffix);

/* Whether a list of names that are parted by commas, blanks around them, has this one. */
bool text_lists(const char *names, const char *name);

/* Levenshtein distance of two short words (at most 63 bytes each; longer ones count as far away):
 * for "did you mean". */
unsigned text_distance(const char *one, const char *other);

#endif
