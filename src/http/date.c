#include "http/date.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct moment {
    int64_t year;
    int month; /* 0 to 11 */
    int day;   /* 1 to 31 */
    int hour;
    int minute;
    int second; /* up to 60, a leap second */
};

/* Days from 1970-01-01 to the first of March of `year`: years are counted from March, so that the
 * leap day is their last. */
static int64_t days_to_march(int64_t year) {
    return year * 365 + year / 4 - year / 100 + year / 400 - 719468;
}

/* Days of the year before `month`, both counted from March. */
static int days_before_month(int month) {
    return (153 * month + 2) / 5;
}

static int64_t to_seconds(const struct moment *moment) {
    int month = (moment->month + 10) % 12;
    int64_t year = moment->month < 2 ? moment->year - 1 : moment->year;
    int64_t days = days_to_march(year) + days_before_month(month) + moment->day - 1;

    return ((days * 24 + moment->hour) * 60 + moment->minute) * 60 + moment->second;
}

static struct moment from_seconds(int64_t seconds) {
    int64_t days = seconds / 86400;
    int rest = (int)(seconds % 86400);
    int64_t year = 1970 + days / 365;
    int month = 11;
    int day;

    while (days_to_march(year) > days)
        year--;
    day = (int)(days - days_to_march(year));
    while (days_before_month(month) > day)
        month--;
    return (struct moment){
        .year = month >= 10 ? year + 1 : year,
        .month = (month + 2) % 12,
        .day = day - days_before_month(month) + 1,
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
    };
}

static void put_number(char *text, int64_t value, int width) {
    for (int i = width - 1; i >= 0; i--, value /= 10)
        text[i] = (char)('0' + value % 10);
}

void http_date_format(char text[HTTP_DATE_SIZE], int64_t seconds) {
    struct moment moment = from_seconds(seconds);

    memcpy(text, "Day, 00 Mon 0000 00:00:00 GMT", HTTP_DATE_SIZE);
    memcpy(text, day_names + (seconds / 86400 + 4) % 7 * 3, 3);
    put_number(text + 5, moment.day, 2);
    memcpy(text + 8, month_names + (ptrdiff_t)moment.month * 3, 3);
    put_number(text + 12, moment.year, 4);
    put_number(text + 17, moment.hour, 2);
    put_number(text + 20, moment.minute, 2);
    put_number(text + 23, moment.second, 2);
}

static bool read_number(const char **text, int width, int *ret_value) {
    int value = 0;

    for (int i = 0; i < width; i++, (*text)++) {
        char digit = **text;

        if (digit == ' ' && i == 0 && width == 2) /* asctime pads the day with a blank */
            digit = '0';
        if (digit < '0' || digit > '9')
            return false;
        value = value * 10 + (digit - '0');
    }
    *ret_value = value;
    return true;
}

static bool read_month(const char **text, int *ret_month) {
    for (int month = 0; month < 12; month++) {
        if (strncmp(*text, month_names + (ptrdiff_t)month * 3, 3) != 0)
            continue;
        *ret_month = month;
        *text += 3;
        return true;
    }
    return false;
}

/* Reads `text` as `form` says: d day, m month, y and Y year of two and four digits, h i s time; any
 * other character stands for itself. */
static bool read_form(const char *text, const char *form, struct moment *moment) {
    int year = 0;
    bool fine = true;

    for (; *form && fine; form++) {
        switch (*form) {
        case 'd':
            fine = read_number(&text, 2, &moment->day);
            break;
        case 'm':
            fine = read_month(&text, &moment->month);
            break;
        case 'y':
            fine = read_number(&text, 2, &year);
            moment->year = year < 70 ? 2000 + year : 1900 + year;
            break;
        case 'Y':
            fine = read_number(&text, 4, &year);
            moment->year = year;
            break;
        case 'h':
            fine = read_number(&text, 2, &moment->hour);
            break;
        case 'i':
            fine = read_number(&text, 2, &moment->minute);
            break;
        case 's':
            fine = read_number(&text, 2, &moment->second);
            break;
        default:
            fine = *text++ == *form;
        }
    }
    return fine && *text == '\0';
}

static bool in_range(const struct moment *moment) {
    return moment->year >= 1970 && moment->day >= 1 && moment->day <= 31 && moment->hour <= 23 &&
           moment->minute <= 59 && moment->second <= 60;
}

/* The name of the day carries no information, so it is only skipped. */
static const char *after_day_name(const char *text) {
    size_t length = strcspn(text, ", ");

    if (length < 3 || length > 9)
        return NULL;
    for (const char *day = day_names; *day; day += 3)
        if (strncmp(day, text, 3) == 0)
            return text + length;
    return NULL;
}

int http_date_parse(const char *text, int64_t *ret_seconds) {
    static const char *const forms[] = {
        ", d m Y h:i:s GMT", /* RFC 5322, fixed length */
        ", d-m-y h:i:s GMT", /* RFC 850 */
        " m d h:i:s Y",      /* asctime */
    };
    const char *rest = after_day_name(text);

    for (size_t i = 0; rest && i < sizeof forms / sizeof forms[0]; i++) {
        struct moment moment = {.year = 0};

        if (!read_form(rest, forms[i], &moment) || !in_range(&moment))
            continue;
        *ret_seconds = to_seconds(&moment);
        return 0;
    }
    return -EINVAL;
}
