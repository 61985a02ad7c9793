#include "http/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_part(const char *value, uint64_t size, uint64_t first, uint64_t length) {
    uint64_t got_first;
    uint64_t got_length;

    assert_int_equal(http_range_parse(value, size, &got_first, &got_length), HTTP_RANGE_PART);
    assert_int_equal(got_first, first);
    assert_int_equal(got_length, length);
}

static void test_parts(void **state) {
    (void)state;
    check_part("bytes=0-0", 10, 0, 1);
    check_part("bytes=0-9", 10, 0, 10);
    check_part("bytes=0-10", 10, 0, 10);
    check_part("bytes=2-4", 10, 2, 3);
    check_part("bytes=9-", 10, 9, 1);
    check_part("bytes=-1", 10, 9, 1);
    check_part("bytes=-10", 10, 0, 10);
    check_part("bytes=-11", 10, 0, 10);
    check_part("Bytes=0-999999999999999999", 10, 0, 10);
}

static void check_result(const char *value, uint64_t size, enum http_range_result wanted) {
    uint64_t first = 77;
    uint64_t length = 78;

    assert_int_equal(http_range_parse(value, size, &first, &length), wanted);
    assert_int_equal(first, 77);
    assert_int_equal(length, 78);
}

static void test_unsatisfiable(void **state) {
    (void)state;
    check_result("bytes=10-", 10, HTTP_RANGE_UNSATISFIABLE);
    check_result("bytes=10-20", 10, HTTP_RANGE_UNSATISFIABLE);
    check_result("bytes=-0", 10, HTTP_RANGE_UNSATISFIABLE);
    check_result("bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE);
    check_result("bytes=-5", 0, HTTP_RANGE_UNSATISFIABLE);
}

static void test_the_rest_is_ignored(void **state) {
    static const char *const ignored[] = {
        "",          "bytes",      "bytes=",        "bytes=-",     "bytes=a-b",
        "bytes=1",   "bytes=5-4",  "bytes=0-1,3-4", "lines=0-1",   "bytes=0-1x",
        "bytes=-1-", "bytes= 0-1", "bytes=--1",     "bytes=0x1-2", "bytes=9999999999999999999-",
    };

    (void)state;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        check_result(ignored[i], 10, HTTP_RANGE_WHOLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_unsatisfiable),
        cmocka_unit_test(test_the_rest_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
