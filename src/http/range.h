/* The Range header, RFC 9110, 14. Pure. */
#ifndef BATON_HTTP_RANGE_H
#define BATON_HTTP_RANGE_H

#include <stdint.h>

enum http_range_result {
    HTTP_RANGE_WHOLE,         /* nothing to heed: another unit, several ranges, not well formed */
    HTTP_RANGE_PART,          /* 206 with the part */
    HTTP_RANGE_UNSATISFIABLE, /* 416 */
};

/* Which part of `size` bytes `value` (never NULL) asks for. *ret_first and *ret_length are set for
 * PART only; the length is at least 1 and the part lies within `size`. */
enum http_range_result http_range_parse(const char *value, uint64_t size, uint64_t *ret_first,
                                        uint64_t *ret_length);

#endif
