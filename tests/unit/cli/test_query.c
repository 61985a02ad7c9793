#include "cli/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_values_are_encoded(void **state) {
    struct buffer target;

    (void)state;
    buffer_init(&target);
    assert_int_equal(buffer_append(&target, "/v1/logs", 8), 0);
    assert_int_equal(query_add(&target, "target", "/^a+ b&c=\xc3\xa4%$/"), 0);
    assert_string_equal(buffer_data(&target),
                        "/v1/logs?target=%2F%5Ea%2B%20b%26c%3D%C3%A4%25%24%2F");
    buffer_clear(&target);
}

static void test_plain_characters_stay(void **state) {
    struct buffer target;

    (void)state;
    buffer_init(&target);
    assert_int_equal(buffer_append(&target, "/a", 2), 0);
    assert_int_equal(query_add(&target, "x", "aZ09-._~"), 0);
    assert_int_equal(query_add(&target, "y", ""), 0);
    assert_int_equal(query_add(&target, "x", "2"), 0);
    assert_string_equal(buffer_data(&target), "/a?x=aZ09-._~&y=&x=2");
    assert_int_equal(buffer_length(&target), strlen("/a?x=aZ09-._~&y=&x=2"));
    buffer_clear(&target);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_encoded),
        cmocka_unit_test(test_plain_characters_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
