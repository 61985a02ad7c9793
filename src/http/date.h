/* Dates in HTTP headers, RFC 9110, 5.6.7. Pure, independent of locale and time zone. */
#ifndef BATON_HTTP_DATE_H
#define BATON_HTTP_DATE_H

#include <stdint.h>

#define HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

/* Writes the form that is sent today. `seconds` since 1970, years 1970 to 9999. */
void http_date_format(char text[HTTP_DATE_SIZE], int64_t seconds);

/* Reads any of the three forms that must be understood; a two-digit year is 1970 to 2069. 0 with
 * *ret_seconds set, or -EINVAL. */
int http_date_parse(const char *text, int64_t *ret_seconds);

#endif
