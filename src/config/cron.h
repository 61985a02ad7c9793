/* Cron expressions: when an app is restarted by the clock.
 *
 * Five fields (minute, hour, day of month, month, day of week) or six (seconds first), as
 * crontab(5) has them: numbers, names (jan, mon), lists, ranges, steps; `?` is `*`; Sunday is 0
 * or 7. Or
 * @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly. When both days are restricted,
 * either of them suffices (Vixie cron's rule).
 *
 * Times are local. A time that the change to summer time leaves out is moved by the hour that is
 * left out; one that the change back repeats counts once, unless the hour field is `*`. */
#ifndef BATON_CONFIG_CRON_H
#define BATON_CONFIG_CRON_H

#include <stdbool.h>
#include <stdint.h>

#define CRON_ERROR_MAX 160

struct cron {
    uint64_t seconds; /* bit n: second n */
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;    /* bits 1 to 31 */
    uint16_t months;  /* bits 1 to 12 */
    uint8_t weekdays; /* bits 0 to 6, Sunday first */
    bool any_day;     /* the day of month began with `*` */
    bool any_weekday;
    bool any_hour;
};

/* 0, or UV_EINVAL with a sentence in `error`; then *cron is undefined. Refuses what never comes,
 * such as 31 February. */
int cron_parse(struct cron *cron, const char *text, char error[CRON_ERROR_MAX]);

/* The first time that fits and is after `after`, both in seconds since 1970; -1 when there is none
 * in the next 8 years. Reads the time zone (TZ), but no clock. */
int64_t cron_next(const struct cron *cron, int64_t after);

#endif
