#include "http/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct http_version version = {.etag = "\"abc\"", .modified = 784111777};

static void test_if_none_match(void **state) {
    (void)state;
    assert_true(http_condition_unchanged(&version, "\"abc\"", NULL));
    assert_true(http_condition_unchanged(&version, "W/\"abc\"", NULL));
    assert_true(http_condition_unchanged(&version, "\"x\", \"y,\" , \"abc\"", NULL));
    assert_true(http_condition_unchanged(&version, "*", NULL));
    assert_false(http_condition_unchanged(&version, "\"abcd\"", NULL));
    assert_false(http_condition_unchanged(&version, "\"ab\"", NULL));
    assert_false(http_condition_unchanged(&version, "abc", NULL));
    assert_false(http_condition_unchanged(&version, "", NULL));
    assert_false(http_condition_unchanged(&version, "\"abc", NULL));
}

static void test_if_modified_since(void **state) {
    (void)state;
    assert_true(http_condition_unchanged(&version, NULL, "Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_true(http_condition_unchanged(&version, NULL, "Sun, 06 Nov 1994 08:49:38 GMT"));
    assert_false(http_condition_unchanged(&version, NULL, "Sun, 06 Nov 1994 08:49:36 GMT"));
    assert_false(http_condition_unchanged(&version, NULL, "yesterday"));
    assert_false(http_condition_unchanged(&version, NULL, NULL));
    /* If-None-Match decides alone where it is there. */
    assert_false(http_condition_unchanged(&version, "\"x\"", "Sun, 06 Nov 1994 08:49:37 GMT"));
}

static void test_if_range(void **state) {
    (void)state;
    assert_true(http_condition_range_holds(&version, NULL));
    assert_true(http_condition_range_holds(&version, "\"abc\""));
    assert_false(http_condition_range_holds(&version, "W/\"abc\""));
    assert_false(http_condition_range_holds(&version, "\"x\""));
    assert_true(http_condition_range_holds(&version, "Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_false(http_condition_range_holds(&version, "Sun, 06 Nov 1994 08:49:38 GMT"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if_none_match),
        cmocka_unit_test(test_if_modified_since),
        cmocka_unit_test(test_if_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
