#include "daemon/log_format.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* --- dates --- */

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

enum style {
    NUMBER,     /* `field` in at least `width` digits */
    ORDINAL,    /* 1st */
    MONTH_NAME, /* its first `width` letters; 0: all */
    DAY_NAME,
    UPPER_HALF, /* AM */
    LOWER_HALF,
    ZONE,      /* +0100; with a width: +01:00 */
    EXPANSION, /* stands for another format */
};

enum field {
    NO_FIELD,
    YEAR,
    YEAR_OF_CENTURY,
    QUARTER,
    MONTH,
    DAY,
    DAY_OF_YEAR,
    DAY_OF_WEEK,
    ISO_DAY_OF_WEEK,
    HOUR,
    HOUR_OF_HALF,
    HOUR_FROM_ONE,
    MINUTE,
    SECOND,
    TENTHS,
    HUNDREDTHS,
    MILLISECONDS,
    UNIX_SECONDS,
    UNIX_MILLISECONDS,
};

struct token {
    const char *text;
    enum style style;
    enum field field;
    int width;
    const char *expansion;
};

/* Of those that begin alike the longest comes first. */
static const struct token tokens[] = {
    {"YYYY", NUMBER, YEAR, 4, NULL},
    {"YY", NUMBER, YEAR_OF_CENTURY, 2, NULL},
    {"Q", NUMBER, QUARTER, 1, NULL},
    {"MMMM", MONTH_NAME, NO_FIELD, 0, NULL},
    {"MMM", MONTH_NAME, NO_FIELD, 3, NULL},
    {"MM", NUMBER, MONTH, 2, NULL},
    {"Mo", ORDINAL, MONTH, 0, NULL},
    {"M", NUMBER, MONTH, 1, NULL},
    {"DDDD", NUMBER, DAY_OF_YEAR, 3, NULL},
    {"DDD", NUMBER, DAY_OF_YEAR, 1, NULL},
    {"DD", NUMBER, DAY, 2, NULL},
    {"Do", ORDINAL, DAY, 0, NULL},
    {"D", NUMBER, DAY, 1, NULL},
    {"dddd", DAY_NAME, NO_FIELD, 0, NULL},
    {"ddd", DAY_NAME, NO_FIELD, 3, NULL},
    {"dd", DAY_NAME, NO_FIELD, 2, NULL},
    {"d", NUMBER, DAY_OF_WEEK, 1, NULL},
    {"E", NUMBER, ISO_DAY_OF_WEEK, 1, NULL},
    {"HH", NUMBER, HOUR, 2, NULL},
    {"H", NUMBER, HOUR, 1, NULL},
    {"hh", NUMBER, HOUR_OF_HALF, 2, NULL},
    {"h", NUMBER, HOUR_OF_HALF, 1, NULL},
    {"kk", NUMBER, HOUR_FROM_ONE, 2, NULL},
    {"k", NUMBER, HOUR_FROM_ONE, 1, NULL},
    {"A", UPPER_HALF, NO_FIELD, 0, NULL},
    {"a", LOWER_HALF, NO_FIELD, 0, NULL},
    {"mm", NUMBER, MINUTE, 2, NULL},
    {"m", NUMBER, MINUTE, 1, NULL},
    {"ss", NUMBER, SECOND, 2, NULL},
    {"s", NUMBER, SECOND, 1, NULL},
    {"SSS", NUMBER, MILLISECONDS, 3, NULL},
    {"SS", NUMBER, HUNDREDTHS, 2, NULL},
    {"S", NUMBER, TENTHS, 1, NULL},
    {"ZZ", ZONE, NO_FIELD, 0, NULL},
    {"Z", ZONE, NO_FIELD, 1, NULL},
    {"X", NUMBER, UNIX_SECONDS, 1, NULL},
    {"x", NUMBER, UNIX_MILLISECONDS, 1, NULL},
    {"LTS", EXPANSION, NO_FIELD, 0, "h:mm:ss A"},
    {"LT", EXPANSION, NO_FIELD, 0, "h:mm A"},
    {"LLLL", EXPANSION, NO_FIELD, 0, "dddd, MMMM D, YYYY h:mm A"},
    {"LLL", EXPANSION, NO_FIELD, 0, "MMMM D, YYYY h:mm A"},
    {"LL", EXPANSION, NO_FIELD, 0, "MMMM D, YYYY"},
    {"L", EXPANSION, NO_FIELD, 0, "MM/DD/YYYY"},
};
#define TOKEN_COUNT (sizeof tokens / sizeof tokens[0])

static int milliseconds_of(const struct log_time *time) {
    int milliseconds = (int)(time->unix_ms % 1000);

    return milliseconds < 0 ? milliseconds + 1000 : milliseconds;
}

static int64_t seconds_of(const struct log_time *time) {
    return (time->unix_ms - milliseconds_of(time)) / 1000;
}

static int64_t field_value(enum field field, const struct log_time *time) {
    const struct tm *parts = &time->parts;

    switch (field) {
    case NO_FIELD:
        break;
    case YEAR:
        return parts->tm_year + 1900;
    case YEAR_OF_CENTURY:
        return (parts->tm_year + 1900) % 100;
    case QUARTER:
        return parts->tm_mon / 3 + 1;
    case MONTH:
        return parts->tm_mon + 1;
    case DAY:
        return parts->tm_mday;
    case DAY_OF_YEAR:
        return parts->tm_yday + 1;
    case DAY_OF_WEEK:
        return parts->tm_wday;
    case ISO_DAY_OF_WEEK:
        return parts->tm_wday == 0 ? 7 : parts->tm_wday;
    case HOUR:
        return parts->tm_hour;
    case HOUR_OF_HALF:
        return parts->tm_hour % 12 == 0 ? 12 : parts->tm_hour % 12;
    case HOUR_FROM_ONE:
        return parts->tm_hour == 0 ? 24 : parts->tm_hour;
    case MINUTE:
        return parts->tm_min;
    case SECOND:
        return parts->tm_sec;
    case TENTHS:
        return milliseconds_of(time) / 100;
    case HUNDREDTHS:
        return milliseconds_of(time) / 10;
    case MILLISECONDS:
        return milliseconds_of(time);
    case UNIX_SECONDS:
        return seconds_of(time);
    case UNIX_MILLISECONDS:
        return time->unix_ms;
    }
    return 0;
}

static const char *ordinal_ending(int64_t number) {
    if (number % 100 >= 11 && number % 100 <= 13)
        return "th";
    switch (number % 10) {
    case 1:
        return "st";
    case 2:
        return "nd";
    case 3:
        return "rd";
    default:
        return "th";
    }
}

/* A date that is being written. */
struct date {
    char *text;
    size_t length; /* at most LOG_DATE_MAX - 1 */
};

static void add(struct date *date, const char *bytes, size_t length) {
    size_t room = LOG_DATE_MAX - 1 - date->length;

    if (length > room)
        length = room;
    memcpy(date->text + date->length, bytes, length);
    date->length += length;
}

static void add_text(struct date *date, const char *text) {
    add(date, text, strlen(text));
}

static void add_number(struct date *date, int64_t number, int width) {
    char text[32];

    snprintf(text, sizeof text, "%0*lld", width, (long long)number);
    add_text(date, text);
}

static void add_name(struct date *date, const char *name, int width) {
    add(date, name, width ? (size_t)width : strlen(name));
}

static void add_zone(struct date *date, const struct log_time *time, bool colon) {
    long minutes = time->parts.tm_gmtoff / 60;
    long size = minutes < 0 ? -minutes : minutes;
    char text[32];

    snprintf(text, sizeof text, "%c%02ld%s%02ld", minutes < 0 ? '-' : '+', size / 60,
             colon ? ":" : "", size % 60);
    add_text(date, text);
}

static void add_format(struct date *date, const char *format, const struct log_time *time);

static void add_token(struct date *date, const struct token *token, const struct log_time *time) {
    int64_t value = field_value(token->field, time);
    bool afternoon = time->parts.tm_hour >= 12;

    switch (token->style) {
    case NUMBER:
        add_number(date, value, token->width);
        break;
    case ORDINAL:
        add_number(date, value, 1);
        add_text(date, ordinal_ending(value));
        break;
    case MONTH_NAME:
        add_name(date, months[time->parts.tm_mon % 12], token->width);
        break;
    case DAY_NAME:
        add_name(date, days[time->parts.tm_wday % 7], token->width);
        break;
    case UPPER_HALF:
        add_text(date, afternoon ? "PM" : "AM");
        break;
    case LOWER_HALF:
        add_text(date, afternoon ? "pm" : "am");
        break;
    case ZONE:
        add_zone(date, time, token->width > 0);
        break;
    case EXPANSION: /* has no expansions in it */
        add_format(date, token->expansion, time);
        break;
    }
}

static const struct token *find_token(const char *format) {
    for (size_t i = 0; i < TOKEN_COUNT; i++)
        if (strncmp(format, tokens[i].text, strlen(tokens[i].text)) == 0)
            return &tokens[i];
    return NULL;
}

static void add_format(struct date *date, const char *format, const struct log_time *time) {
    while (*format) {
        const char *bracket = *format == '[' ? strchr(format, ']') : NULL;
        const struct token *token = bracket ? NULL : find_token(format);

        if (bracket) {
            add(date, format + 1, (size_t)(bracket - format - 1));
            format = bracket + 1;
        } else if (token) {
            add_token(date, token, time);
            format += strlen(token->text);
        } else {
            add(date, format++, 1);
        }
    }
}

size_t log_format_date(char text[LOG_DATE_MAX], const char *format, const struct log_time *time) {
    struct date date = {.text = text};

    add_format(&date, format, time);
    text[date.length] = '\0';
    return date.length;
}

size_t log_format_iso_date(char text[LOG_DATE_MAX], int64_t unix_ms) {
    struct log_time time = {.unix_ms = unix_ms};
    time_t seconds = seconds_of(&time);

    gmtime_r(&seconds, &time.parts);
    return log_format_date(text, "YYYY-MM-DD[T]HH:mm:ss.SSS[Z]", &time);
}

struct log_time log_time_local(int64_t unix_ms) {
    struct log_time time = {.unix_ms = unix_ms};
    time_t seconds = seconds_of(&time);

    localtime_r(&seconds, &time.parts);
    return time;
}

/* --- texts --- */

static bool continues(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* The length of the well-formed sequence at the front (Unicode 15, table 3-7), or 0; `length` is
 * not 0. */
static size_t sequence_length(const unsigned char *bytes, size_t length) {
    unsigned char first = bytes[0];
    unsigned char second = length > 1 ? bytes[1] : 0;
    size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || length < size || !continues(bytes + 1, size - 1))
        return 0;
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return size;
}

#define EACH_BYTE(value) (UINT64_MAX / 255 * (value))

/* Whether one of the eight bytes is below `limit`, at most 0x80; of bytes that are all below 0x80.
 */
static bool has_below(uint64_t bytes, uint64_t limit) {
    return (bytes - EACH_BYTE(limit)) & ~bytes & EACH_BYTE(0x80);
}

static bool has_byte(uint64_t bytes, uint64_t value) {
    return has_below(bytes ^ EACH_BYTE(value), 1);
}

/* Whether eight bytes stand for themselves, looked at together: most do. */
static bool are_plain(const unsigned char *text, bool json) {
    uint64_t bytes;

    memcpy(&bytes, text, sizeof bytes);
    if (bytes & EACH_BYTE(0x80) || has_below(bytes, json ? 0x20 : 1))
        return false;
    return !json || !(has_byte(bytes, '"') || has_byte(bytes, '\\'));
}

/* How many bytes at the front stand for themselves. */
static size_t plain_run(const char *bytes, size_t length, bool json) {
    const unsigned char *text = (const unsigned char *)bytes;
    size_t run = 0;

    while (run < length) {
        size_t size;

        if (length - run >= 8 && are_plain(text + run, json)) {
            run += 8;
            continue;
        }
        size = sequence_length(text + run, length - run);
        if (size == 0 || text[run] == 0)
            break;
        if (json && (text[run] < 0x20 || text[run] == '"' || text[run] == '\\'))
            break;
        run += size;
    }
    return run;
}

/* What stands in JSON for a byte that is no plain one. */
static int add_escape(struct buffer *buffer, unsigned char byte) {
    switch (byte) {
    case '\n':
        return buffer_append(buffer, "\\n", 2);
    case '\r':
        return buffer_append(buffer, "\\r", 2);
    case '\t':
        return buffer_append(buffer, "\\t", 2);
    case '"':
        return buffer_append(buffer, "\\\"", 2);
    case '\\':
        return buffer_append(buffer, "\\\\", 2);
    default:
        if (byte < 0x20)
            return buffer_print(buffer, "\\u%04x", byte);
        return buffer_append(buffer, REPLACEMENT, 3);
    }
}

static int add_bytes(struct buffer *buffer, const char *bytes, size_t length, bool json) {
    int result = 0;

    while (length > 0 && result == 0) {
        size_t run = plain_run(bytes, length, json);

        result = buffer_append(buffer, bytes, run);
        bytes += run;
        length -= run;
        if (result < 0 || length == 0)
            break;
        result = json ? add_escape(buffer, (unsigned char)*bytes)
                      : buffer_append(buffer, REPLACEMENT, 3);
        bytes++;
        length--;
    }
    return result;
}

static int add_field(struct buffer *buffer, const char *before, const char *value) {
    int result = buffer_append(buffer, before, strlen(before));

    return result == 0 ? add_bytes(buffer, value, strlen(value), true) : result;
}

static int add_end(struct buffer *buffer, const struct log_record *record) {
    int result = add_field(buffer, "\",\"timestamp\":\"", record->timestamp);

    if (result == 0)
        result = add_field(buffer, "\",\"type\":\"", record->type);
    if (result == 0)
        result = buffer_print(buffer, "\",\"process_id\":%u,", record->process_id);
    if (result == 0)
        result = add_field(buffer, "\"app_name\":\"", record->app_name);
    return result == 0 ? buffer_append(buffer, "\"}\n", 3) : result;
}

static int add_record(struct buffer *buffer, const char *message, size_t length,
                      const struct buffer *end) {
    static const char start[] = "{\"message\":\"";
    int result = buffer_append(buffer, start, sizeof start - 1);

    if (result == 0)
        result = add_bytes(buffer, message, length, true);
    return result == 0 ? buffer_append(buffer, buffer_data(end), buffer_length(end)) : result;
}

/* What is half done is undone. */
static int done(struct buffer *buffer, size_t before, int result) {
    if (result < 0)
        buffer->end = buffer->start + before;
    return result;
}

int log_format_json_end(struct buffer *buffer, const struct log_record *record) {
    size_t before = buffer_length(buffer);

    return done(buffer, before, add_end(buffer, record));
}

int log_format_json(struct buffer *buffer, const char *message, size_t length,
                    const struct buffer *end) {
    size_t before = buffer_length(buffer);

    return done(buffer, before, add_record(buffer, message, length, end));
}

int log_format_text(struct buffer *buffer, const char *bytes, size_t length) {
    size_t before = buffer_length(buffer);

    return done(buffer, before, add_bytes(buffer, bytes, length, false));
}
