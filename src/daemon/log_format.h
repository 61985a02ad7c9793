/* What a line looks like in a log file, and in the hands of whoever follows it. Pure: time is a
 * parameter.
 *
 * Raw lines go to the file byte by byte. The dates' letters are moment.js's, which PM2's
 * log_date_format has; the JSON's fields are PM2's. */
#ifndef BATON_DAEMON_LOG_FORMAT_H
#define BATON_DAEMON_LOG_FORMAT_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LOG_DATE_MAX 256 /* room for a date, its NUL included; a longer one is cut */

/* A moment, broken down in whichever time zone is wanted. */
struct log_time {
    int64_t unix_ms;
    struct tm parts; /* tm_gmtoff counts */
};

/* What stands in a record of a JSON log besides the message; the texts are NUL-terminated. */
struct log_record {
    const char *timestamp;
    const char *type; /* "out" or "err" */
    uint32_t process_id;
    const char *app_name;
};

/* The local time. */
struct log_time log_time_local(int64_t unix_ms);

/* "YYYY-MM-DD HH:mm:ss Z" and the like. Years YYYY YY, quarter Q, months MMMM MMM MM M Mo, days of
 * the month DD D Do, of the year DDDD DDD, of the week dddd ddd dd d E, hours HH H hh h kk k, AM/PM
 * A a, minutes mm m, seconds ss s, fractions S SS SSS, zones Z ZZ, Unix time X x, and LT LTS L LL
 * LLL LLLL. [Text in brackets] and every other byte stands for itself. Names are English. Returns
 * the length written. */
size_t log_format_date(char text[LOG_DATE_MAX], const char *format, const struct log_time *time);

/* As JavaScript's toISOString(): UTC, with milliseconds. Returns the length. */
size_t log_format_iso_date(char text[LOG_DATE_MAX], int64_t unix_ms);

/* Appends the end of a record, which is the same for all lines of a moment:
 * ","timestamp":…,"type":…,"process_id":…,"app_name":…} and a newline. 0, or -ENOMEM with the
 * buffer as it was. */
int log_format_json_end(struct buffer *buffer, const struct log_record *record);

/* Appends {"message":"… and such an end. What is not UTF-8 in the texts becomes U+FFFD. 0, or
 * -ENOMEM with the buffer as it was. */
int log_format_json(struct buffer *buffer, const char *message, size_t length,
                    const struct buffer *end);

/* Appends the bytes as UTF-8: each that is part of no well-formed sequence becomes U+FFFD, NUL too.
 * 0, or -ENOMEM with the buffer as it was. */
int log_format_text(struct buffer *buffer, const char *bytes, size_t length);

#endif
