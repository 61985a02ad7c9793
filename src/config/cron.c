#include "config/cron.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define FIELD_COUNT    6
#define TEXT_MAX       256
#define SEARCHED_YEARS 8
#define HOUR           3600
#define DAY            (24 * HOUR)

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

/* In the order of an expression of six. */
enum { SECOND, MINUTE, HOUR_OF_DAY, DAY_OF_MONTH, MONTH, WEEKDAY };

static const struct field {
    const char *name;
    int64_t low;
    int64_t high;
    const char *const *names; /* of the values from `low` on, or NULL */
} fields[FIELD_COUNT] = {
    {"second", 0, 59, NULL},       {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},         {"day of month", 1, 31, NULL},
    {"month", 1, 12, month_names}, {"day of week", 0, 7, weekday_names},
};

static const struct {
    const char *name;
    const char *meaning;
} nicknames[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* ---- Reading an expression ---- */

static int complain(char error[CRON_ERROR_MAX], const struct field *field, const char *part) {
    char word[48];

    text_escape(word, sizeof word, part, strlen(part));
    snprintf(error, CRON_ERROR_MAX,
             "the %s cannot be '%s': it is %d to %d%s, *, or a list, range or step of these",
             field->name, word, (int)field->low, (int)field->high,
             field->names ? " or a name" : "");
    return UV_EINVAL;
}

static int read_value(const struct field *field, const char *text, int64_t *ret_value) {
    for (int i = 0; field->names && field->names[i]; i++)
        if (strcasecmp(field->names[i], text) == 0) {
            *ret_value = field->low + i;
            return 0;
        }
    return text_to_number(text, field->low, field->high, ret_value);
}

/* A week may end with Sunday: "sat-sun". */
static int64_t as_end(const struct field *field, int64_t value) {
    return field == &fields[WEEKDAY] && value == 0 ? 7 : value;
}

/* "*", "5", "1-5", "mon-fri"; takes `text` apart. */
static int read_range(const struct field *field, char *text, bool has_step, int64_t *ret_low,
                      int64_t *ret_high) {
    char *dash = strchr(text, '-');

    if (strcmp(text, "*") == 0 || strcmp(text, "?") == 0) {
        *ret_low = field->low;
        *ret_high = field->high;
        return 0;
    }
    if (dash)
        *dash = '\0';
    if (read_value(field, text, ret_low) < 0)
        return UV_EINVAL;
    *ret_high = has_step ? field->high : *ret_low; /* "5/10" goes on to the end */
    if (dash && read_value(field, dash + 1, ret_high) < 0)
        return UV_EINVAL;
    if (dash)
        *ret_high = as_end(field, *ret_high);
    return *ret_low <= *ret_high ? 0 : UV_EINVAL;
}

/* One part of a list, with its step; takes `part` apart. */
static int read_part(const struct field *field, char *part, uint64_t *bits) {
    char *slash = strchr(part, '/');
    int64_t step = 1;
    int64_t low;
    int64_t high;

    if (slash)
        *slash = '\0';
    if (slash && text_to_number(slash + 1, 1, field->high + 1, &step) < 0)
        return UV_EINVAL;
    if (read_range(field, part, slash != NULL, &low, &high) < 0)
        return UV_EINVAL;
    for (int64_t value = low; value <= high; value += step)
        *bits |= (uint64_t)1 << value;
    return 0;
}

static int read_field(const struct field *field, const char *text, uint64_t *ret_bits,
                      char error[CRON_ERROR_MAX]) {
    uint64_t bits = 0;

    for (const char *at = text; at; at = strchr(at, ',')) {
        char part[TEXT_MAX];

        if (*at == ',')
            at++;
        snprintf(part, sizeof part, "%.*s", (int)strcspn(at, ","), at);
        if (read_part(field, part, &bits) < 0)
            return complain(error, field, text);
    }
    *ret_bits = bits;
    return 0;
}

static bool is_any(const char *text) {
    return text[0] == '*' || text[0] == '?';
}

static int fill(struct cron *cron, char *const texts[FIELD_COUNT], char error[CRON_ERROR_MAX]) {
    uint64_t bits[FIELD_COUNT];

    for (int i = 0; i < FIELD_COUNT; i++)
        if (read_field(&fields[i], texts[i], &bits[i], error) < 0)
            return UV_EINVAL;
    *cron = (struct cron){
        .seconds = bits[SECOND],
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR_OF_DAY],
        .days = (uint32_t)bits[DAY_OF_MONTH],
        .months = (uint16_t)bits[MONTH],
        .weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f), /* 7 is Sunday, too */
        .any_day = is_any(texts[DAY_OF_MONTH]),
        .any_weekday = is_any(texts[WEEKDAY]),
        .any_hour = is_any(texts[HOUR_OF_DAY]),
    };
    return 0;
}

/* Whether one of the months has one of the days. */
static bool comes(const struct cron *cron) {
    static const int lengths[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    for (int month = 1; month <= 12; month++)
        for (int day = 1; day <= lengths[month]; day++)
            if (cron->months >> month & 1 && cron->days >> day & 1)
                return true;
    return !cron->any_day && !cron->any_weekday; /* then the day of the week suffices */
}

static const char *look_up(const char *text) {
    for (size_t i = 0; i < sizeof nicknames / sizeof nicknames[0]; i++)
        if (strcasecmp(nicknames[i].name, text) == 0)
            return nicknames[i].meaning;
    return text;
}

/* Parts `text` at its blanks: how many words there are, FIELD_COUNT + 1 at most. */
static int split(char *text, char *words[FIELD_COUNT + 1]) {
    char *save = NULL;
    int count = 0;

    for (char *word = strtok_r(text, " \t\r\n", &save); word && count <= FIELD_COUNT;
         word = strtok_r(NULL, " \t\r\n", &save))
        words[count++] = word;
    return count;
}

int cron_parse(struct cron *cron, const char *text, char error[CRON_ERROR_MAX]) {
    char at_second_0[] = "0";
    char *words[FIELD_COUNT + 2] = {at_second_0};
    char copy[TEXT_MAX];
    int count;

    snprintf(copy, sizeof copy, "%s", look_up(text));
    count = split(copy, words + 1);
    if (strlen(text) >= TEXT_MAX || count < FIELD_COUNT - 1 || count > FIELD_COUNT) {
        snprintf(error, CRON_ERROR_MAX,
                 "a cron expression has five fields (minute, hour, day, month, weekday), six with "
                 "seconds before them, or is @hourly and the like");
        return UV_EINVAL;
    }
    if (fill(cron, count == FIELD_COUNT ? words + 1 : words, error) < 0)
        return UV_EINVAL;
    if (comes(cron))
        return 0;
    snprintf(error, CRON_ERROR_MAX, "there is no such day in that month");
    return UV_EINVAL;
}

/* ---- Searching ---- */

static bool has(uint64_t bits, int value) {
    return bits >> value & 1;
}

static bool fits_day(const struct cron *cron, const struct tm *local) {
    bool day = has(cron->days, local->tm_mday);
    bool weekday = has(cron->weekdays, local->tm_wday);

    return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* Whether the clocks have gone past the hour before this one: then its times are meant, too. */
static bool is_before_left_out(const struct tm *local, int64_t at) {
    time_t hour_ago = (time_t)(at - HOUR);
    struct tm before;

    return localtime_r(&hour_ago, &before) && (before.tm_hour + 2) % 24 == local->tm_hour;
}

static bool fits_hour(const struct cron *cron, const struct tm *local, int64_t at) {
    if (has(cron->hours, local->tm_hour))
        return true;
    return !cron->any_hour && has(cron->hours, (local->tm_hour + 23) % 24) &&
           is_before_left_out(local, at);
}

/* Whether the clocks have shown this time already, before they went back. */
static bool is_repeated(const struct tm *local, int64_t at) {
    time_t hour_ago = (time_t)(at - HOUR);
    struct tm before;

    return localtime_r(&hour_ago, &before) && before.tm_hour == local->tm_hour &&
           before.tm_min == local->tm_min;
}

/* The beginning of a day, or up to an hour sooner: it may be shown twice, or not at all. */
static int64_t day_begin(struct tm day) {
    struct tm other = day;
    time_t one;
    time_t two;

    day.tm_hour = other.tm_hour = 0;
    day.tm_min = other.tm_min = 0;
    day.tm_sec = other.tm_sec = 0;
    day.tm_isdst = 0;
    other.tm_isdst = 1;
    one = mktime(&day);
    two = mktime(&other);
    return one < two ? one : two;
}

/* The least time after `at` that may fit, where `at` does not. */
static int64_t skip(const struct cron *cron, const struct tm *local, int64_t at) {
    int64_t next_hour = at + HOUR - local->tm_min * 60 - local->tm_sec;
    struct tm day = *local;
    int64_t begin;

    if (has(cron->months, local->tm_mon + 1) && fits_day(cron, local)) {
        if (!fits_hour(cron, local, at))
            return next_hour;
        return has(cron->minutes, local->tm_min) ? at + 1 : at + 60 - local->tm_sec;
    }
    day.tm_mday++;
    if (!has(cron->months, local->tm_mon + 1)) {
        day.tm_mday = 1;
        day.tm_mon++;
    }
    begin = day_begin(day);
    return begin > next_hour ? begin : next_hour;
}

static bool fits(const struct cron *cron, const struct tm *local, int64_t at) {
    return has(cron->months, local->tm_mon + 1) && fits_day(cron, local) &&
           fits_hour(cron, local, at) && has(cron->minutes, local->tm_min) &&
           has(cron->seconds, local->tm_sec);
}

int64_t cron_next(const struct cron *cron, int64_t after) {
    const int64_t searched = (int64_t)SEARCHED_YEARS * 366 * DAY;
    int64_t at;
    int64_t end;

    if (after > INT64_MAX - searched - 62 * (int64_t)DAY || after < INT64_MIN + DAY)
        return -1;
    end = after + searched;
    for (at = after + 1; at <= end;) {
        time_t moment = (time_t)at;
        struct tm local;

        if (!localtime_r(&moment, &local))
            return -1;
        if (!fits(cron, &local, at))
            at = skip(cron, &local, at);
        else if (!cron->any_hour && is_repeated(&local, at))
            at++;
        else
            return at;
    }
    return -1;
}
