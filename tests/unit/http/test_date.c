#include "http/date.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(int64_t seconds, const char *text) {
    char formatted[HTTP_DATE_SIZE];
    int64_t parsed = -1;

    http_date_format(formatted, seconds);
    assert_string_equal(formatted, text);
    assert_int_equal(http_date_parse(text, &parsed), 0);
    assert_int_equal(parsed, seconds);
}

static void test_both_ways(void **state) {
    (void)state;
    check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    check(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    check(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    check(1735689599, "Tue, 31 Dec 2024 23:59:59 GMT");
    check(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    check(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void test_every_day_comes_back(void **state) {
    (void)state;
    for (int64_t day = 0; day < 146400; day++) {
        char text[HTTP_DATE_SIZE];
        int64_t parsed = -1;

        http_date_format(text, day * 86400 + 45296);
        assert_int_equal(http_date_parse(text, &parsed), 0);
        assert_int_equal(parsed, day * 86400 + 45296);
    }
}

static void test_the_old_forms(void **state) {
    int64_t seconds = 0;

    (void)state;
    assert_int_equal(http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT", &seconds), 0);
    assert_int_equal(seconds, 784111777);
    seconds = 0;
    assert_int_equal(http_date_parse("Sun Nov  6 08:49:37 1994", &seconds), 0);
    assert_int_equal(seconds, 784111777);
    assert_int_equal(http_date_parse("Friday, 01-Jan-69 00:00:00 GMT", &seconds), 0);
    assert_int_equal(seconds, 3124224000);
}

static void test_what_is_no_date(void **state) {
    static const char *const bad[] = {
        "",
        "0",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "784111777",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t seconds = -7;

        assert_int_equal(http_date_parse(bad[i], &seconds), -EINVAL);
        assert_int_equal(seconds, -7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_every_day_comes_back),
        cmocka_unit_test(test_the_old_forms),
        cmocka_unit_test(test_what_is_no_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
