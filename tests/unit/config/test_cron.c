#include "config/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>
#include <uv.h>

static char error[CRON_ERROR_MAX];

static void set_zone(const char *zone) {
    setenv("TZ", zone, 1);
    tzset();
}

/* The rules in full: no time zone files are needed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3" /* 2026: 29 March, 25 October */

static int set_up(void **state) {
    (void)state;
    set_zone("UTC0");
    error[0] = '\0';
    return 0;
}

static struct cron parse(const char *text) {
    struct cron cron;
    int result = cron_parse(&cron, text, error);

    if (result < 0)
        fail_msg("'%s' is refused: %s", text, error);
    return cron;
}

/* "2026-03-29 01:30:00", with the offset in hours that is in force. */
static int64_t moment(const char *text, int offset) {
    struct tm utc = {.tm_isdst = 0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &utc));
    return (int64_t)timegm(&utc) - offset * 3600;
}

static void check_next_at(const char *expression, const char *after, int offset,
                          const char *expected, int expected_offset) {
    struct cron cron = parse(expression);
    int64_t next = cron_next(&cron, moment(after, offset));
    time_t found = (time_t)next;
    char text[64];
    struct tm utc;

    found += expected_offset * 3600;
    gmtime_r(&found, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
    if (strcmp(text, expected) != 0)
        fail_msg("'%s' after %s: %s instead of %s", expression, after, text, expected);
}

static void check_next(const char *expression, const char *after, const char *expected) {
    check_next_at(expression, after, 0, expected, 0);
}

static void test_five_fields(void **state) {
    (void)state;
    check_next("* * * * *", "2026-01-01 00:00:00", "2026-01-01 00:01:00");
    check_next("* * * * *", "2026-01-01 00:00:59", "2026-01-01 00:01:00");
    check_next("30 4 * * *", "2026-01-01 04:29:59", "2026-01-01 04:30:00");
    check_next("30 4 * * *", "2026-01-01 04:30:00", "2026-01-02 04:30:00");
    check_next("0 0 1 * *", "2026-12-01 00:00:00", "2027-01-01 00:00:00");
    check_next("15 3 10 6 *", "2026-06-10 03:15:00", "2027-06-10 03:15:00");
    check_next("  5\t0   * * * ", "2026-01-01 00:05:00", "2026-01-02 00:05:00");
    check_next("0 0 ? * ?", "2026-01-01 00:00:00", "2026-01-02 00:00:00");
}

static void test_six_fields_begin_with_seconds(void **state) {
    (void)state;
    check_next("* * * * * *", "2026-01-01 00:00:00", "2026-01-01 00:00:01");
    check_next("*/20 * * * * *", "2026-01-01 00:00:40", "2026-01-01 00:01:00");
    check_next("59 59 23 31 12 *", "2026-01-01 00:00:00", "2026-12-31 23:59:59");
    check_next("10 0 0 * * *", "2026-01-01 00:00:10", "2026-01-02 00:00:10");
}

static void test_lists_ranges_and_steps(void **state) {
    (void)state;
    check_next("0,15,45 * * * *", "2026-01-01 00:15:00", "2026-01-01 00:45:00");
    check_next("10-12 8 * * *", "2026-01-01 08:12:00", "2026-01-02 08:10:00");
    check_next("10-30/10 8 * * *", "2026-01-01 08:10:00", "2026-01-01 08:20:00");
    check_next("10-29/10 8 * * *", "2026-01-01 08:20:00", "2026-01-02 08:10:00");
    check_next("5/20 * * * *", "2026-01-01 00:25:00", "2026-01-01 00:45:00");
    check_next("5/20 * * * *", "2026-01-01 00:45:00", "2026-01-01 01:05:00");
    check_next("1-3,50-55/5 * * * *", "2026-01-01 00:03:00", "2026-01-01 00:50:00");
    check_next("0 0 */10 * *", "2026-01-01 00:00:00", "2026-01-11 00:00:00");
}

static void test_names(void **state) {
    (void)state;
    check_next("0 0 1 FEB *", "2026-01-01 00:00:00", "2026-02-01 00:00:00");
    check_next("0 0 1 mar,Oct *", "2026-04-01 00:00:00", "2026-10-01 00:00:00");
    check_next("0 0 * * MON", "2026-01-01 00:00:00", "2026-01-05 00:00:00"); /* a Thursday */
    check_next("0 0 * * mon-fri", "2026-01-02 00:00:00", "2026-01-05 00:00:00");
    check_next("0 0 * * SAT-SUN", "2026-01-03 00:00:00", "2026-01-04 00:00:00");
}

static void test_sunday_is_0_and_7(void **state) {
    (void)state;
    check_next("0 0 * * 0", "2026-01-01 00:00:00", "2026-01-04 00:00:00");
    check_next("0 0 * * 7", "2026-01-01 00:00:00", "2026-01-04 00:00:00");
    check_next("0 0 * * 6-7", "2026-01-03 00:00:00", "2026-01-04 00:00:00");
    check_next("0 0 * * 5-7", "2026-01-04 00:00:00", "2026-01-09 00:00:00");
}

static void test_nicknames(void **state) {
    (void)state;
    check_next("@hourly", "2026-01-01 00:00:00", "2026-01-01 01:00:00");
    check_next("@daily", "2026-01-01 00:00:00", "2026-01-02 00:00:00");
    check_next("@midnight", "2026-01-01 00:00:00", "2026-01-02 00:00:00");
    check_next("@weekly", "2026-01-01 00:00:00", "2026-01-04 00:00:00");
    check_next("@monthly", "2026-01-01 00:00:00", "2026-02-01 00:00:00");
    check_next("@yearly", "2026-01-01 00:00:00", "2027-01-01 00:00:00");
    check_next("@Annually", "2026-01-01 00:00:00", "2027-01-01 00:00:00");
}

static void test_either_day_suffices_when_both_are_restricted(void **state) {
    (void)state;
    check_next("0 0 13 * FRI", "2026-01-01 00:00:00", "2026-01-02 00:00:00");
    check_next("0 0 13 * FRI", "2026-01-09 00:00:00", "2026-01-13 00:00:00");
    check_next("0 0 13 * *", "2026-01-02 00:00:00", "2026-01-13 00:00:00");
    check_next("0 0 31 2 FRI", "2026-01-01 00:00:00", "2026-02-06 00:00:00");
}

static void test_both_days_are_needed_beside_a_star(void **state) {
    (void)state;
    check_next("0 0 */2 * MON", "2026-01-01 00:00:00", "2026-01-05 00:00:00");
    check_next("0 0 */2 * MON", "2026-01-05 00:00:00", "2026-01-19 00:00:00");
}

static void test_the_leap_day(void **state) {
    (void)state;
    check_next("0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00");
    check_next("0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00");
    check_next("0 0 31 * *", "2026-04-01 00:00:00", "2026-05-31 00:00:00");
}

static void test_what_does_not_come_in_eight_years(void **state) {
    struct cron cron = parse("0 0 29 2 */7"); /* 29 February on a Sunday: 2032, 2060 */

    (void)state;
    assert_int_equal(cron_next(&cron, moment("2033-01-01 00:00:00", 0)), -1);
    check_next("0 0 29 2 */7", "2026-01-01 00:00:00", "2032-02-29 00:00:00");
}

static void test_times_at_the_ends(void **state) {
    struct cron cron = parse("* * * * *");

    (void)state;
    assert_int_equal(cron_next(&cron, INT64_MAX), -1);
    assert_int_equal(cron_next(&cron, INT64_MIN), -1);
    assert_int_equal(cron_next(&cron, INT64_MAX / 2), -1);
    assert_int_equal(cron_next(&cron, INT64_MIN / 2), -1);
    assert_int_equal(cron_next(&cron, -61), -60);
    assert_int_equal(cron_next(&cron, -1), 0);
}

static void test_local_time_is_meant(void **state) {
    (void)state;
    set_zone(BERLIN);
    check_next_at("30 4 * * *", "2026-01-01 00:00:00", 1, "2026-01-01 04:30:00", 1);
    check_next_at("30 4 * * *", "2026-07-01 00:00:00", 2, "2026-07-01 04:30:00", 2);
    set_zone("IST-5:30");
    check_next_at("0 * * * *", "2026-01-01 00:00:00", 0, "2026-01-01 00:30:00", 0);
}

static void test_a_time_that_is_left_out_is_moved(void **state) {
    (void)state;
    set_zone(BERLIN);
    check_next_at("30 2 * * *", "2026-03-28 02:30:00", 1, "2026-03-29 03:30:00", 2);
    check_next_at("30 2 * * *", "2026-03-29 03:30:00", 2, "2026-03-30 02:30:00", 2);
    check_next_at("0 1 * * *", "2026-03-29 00:00:00", 1, "2026-03-29 01:00:00", 1);
    check_next_at("0 3 * * *", "2026-03-29 00:00:00", 1, "2026-03-29 03:00:00", 2);
    check_next_at("0 4 * * *", "2026-03-29 03:30:00", 2, "2026-03-29 04:00:00", 2);
}

static void test_a_time_that_is_repeated_counts_once(void **state) {
    (void)state;
    set_zone(BERLIN);
    check_next_at("30 2 * * *", "2026-10-24 02:30:00", 2, "2026-10-25 02:30:00", 2);
    check_next_at("30 2 * * *", "2026-10-25 02:30:00", 2, "2026-10-26 02:30:00", 1);
    check_next_at("30 2 * * *", "2026-10-25 02:10:00", 1, "2026-10-26 02:30:00", 1);
    check_next_at("0 3 * * *", "2026-10-25 02:59:00", 2, "2026-10-25 03:00:00", 1);
}

static void test_what_comes_every_hour_goes_on(void **state) {
    (void)state;
    set_zone(BERLIN);
    check_next_at("*/30 * * * *", "2026-03-29 01:30:00", 1, "2026-03-29 03:00:00", 2);
    check_next_at("*/30 * * * *", "2026-10-25 02:30:00", 2, "2026-10-25 02:00:00", 1);
    check_next_at("*/30 * * * *", "2026-10-25 02:30:00", 1, "2026-10-25 03:00:00", 1);
}

/* As in Cuba: the day begins at one o'clock, or has two midnights. */
static void test_midnight_that_is_left_out_or_repeated(void **state) {
    (void)state;
    set_zone("CST5CDT,M3.2.0/0,M11.1.0/1"); /* 2026: 8 March, 1 November */
    check_next_at("0 0 * * *", "2026-03-07 00:00:00", -5, "2026-03-08 01:00:00", -4);
    check_next_at("0 0 * * SUN", "2026-03-07 00:00:00", -5, "2026-03-08 01:00:00", -4);
    check_next_at("0 12 8 3 *", "2026-01-01 00:00:00", -5, "2026-03-08 12:00:00", -4);
    check_next_at("0 0 1 11 *", "2026-07-01 00:00:00", -4, "2026-11-01 00:00:00", -4);
    check_next_at("0 0 1 * *", "2026-11-01 00:00:00", -4, "2026-12-01 00:00:00", -5);
}

/* Every minute of two years of changes, with a fixed time each day: it comes once on each. */
static void test_once_a_day_is_once_on_every_day(void **state) {
    static const char *const expressions[] = {"0 0 * * *", "30 1 * * *", "30 2 * * *",
                                              "59 23 * * *"};

    (void)state;
    set_zone(BERLIN);
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        struct cron cron = parse(expressions[i]);
        int64_t at = moment("2026-01-01 00:00:00", 1) - 1;
        int count = 0;

        while ((at = cron_next(&cron, at)) < moment("2028-01-01 00:00:00", 1))
            count++;
        assert_int_equal(count, 730);
    }
}

static void check_refused(const char *text, const char *part) {
    struct cron cron;

    error[0] = '\0';
    if (cron_parse(&cron, text, error) != UV_EINVAL)
        fail_msg("'%s' is taken", text);
    if (!strstr(error, part))
        fail_msg("'%s': %s", text, error);
}

static void test_what_is_no_expression_is_refused(void **state) {
    char long_text[1000];

    (void)state;
    check_refused("", "five fields");
    check_refused("* * * *", "five fields");
    check_refused("* * * * * * *", "five fields");
    check_refused("@reboot", "five fields");
    check_refused("60 * * * *", "the minute cannot be '60'");
    check_refused("* 24 * * *", "the hour cannot be '24'");
    check_refused("* * 0 * *", "the day of month cannot be '0'");
    check_refused("* * 32 * *", "the day of month");
    check_refused("* * * 13 *", "the month");
    check_refused("* * * * 8", "the day of week");
    check_refused("60 * * * * *", "the second");
    check_refused("*/0 * * * *", "the minute");
    check_refused("*/ * * * *", "the minute");
    check_refused("*/61 * * * *", "the minute");
    check_refused("30-10 * * * *", "the minute");
    check_refused("1,,2 * * * *", "the minute");
    check_refused(", * * * *", "the minute");
    check_refused("1, * * * *", "the minute");
    check_refused("-1 * * * *", "the minute");
    check_refused("1- * * * *", "the minute");
    check_refused("1-2-3 * * * *", "the minute");
    check_refused("* * * JAM *", "'JAM'");
    check_refused("* * L * *", "'L'");
    check_refused("\x1b[2J * * * *", "\\x1b");
    memset(long_text, '*', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    check_refused(long_text, "five fields");
    memcpy(long_text, "1 1 1 1 ", 8);
    check_refused(long_text, "five fields");
}

static void test_what_never_comes_is_refused(void **state) {
    (void)state;
    check_refused("0 0 31 2 *", "no such day");
    check_refused("0 0 30 FEB *", "no such day");
    check_refused("0 0 31 4,6,9,11 *", "no such day");
    parse("0 0 29 2 *");
    parse("0 0 31 1,2 *");
    parse("0 0 31 2 MON");
}

#define TEST(name) cmocka_unit_test_setup(test_##name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(five_fields),
        TEST(six_fields_begin_with_seconds),
        TEST(lists_ranges_and_steps),
        TEST(names),
        TEST(sunday_is_0_and_7),
        TEST(nicknames),
        TEST(either_day_suffices_when_both_are_restricted),
        TEST(both_days_are_needed_beside_a_star),
        TEST(the_leap_day),
        TEST(what_does_not_come_in_eight_years),
        TEST(times_at_the_ends),
        TEST(local_time_is_meant),
        TEST(a_time_that_is_left_out_is_moved),
        TEST(a_time_that_is_repeated_counts_once),
        TEST(what_comes_every_hour_goes_on),
        TEST(midnight_that_is_left_out_or_repeated),
        TEST(once_a_day_is_once_on_every_day),
        TEST(what_is_no_expression_is_refused),
        TEST(what_never_comes_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
