#include "daemon/log_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

static void test_predecessors_are_numbered(void **state) {
    char name[64];

    (void)state;
    assert_int_equal(log_name_predecessor("/a/b.log", 1, false, name, sizeof name), 0);
    assert_string_equal(name, "/a/b.log.1");
    assert_int_equal(log_name_predecessor("/a/b.log", 12, true, name, sizeof name), 0);
    assert_string_equal(name, "/a/b.log.12.gz");
    assert_int_equal(log_name_predecessor("/a/b.log", 1, false, name, 10), UV_ENAMETOOLONG);
    assert_int_equal(log_name_predecessor("/a/b.log", 1, false, name, 11), 0);
}

static void check_id(const char *path, const char *expected) {
    char name[64];

    assert_int_equal(log_name_with_id(path, 7, name, sizeof name), 0);
    assert_string_equal(name, expected);
}

static void test_the_number_comes_before_the_ending(void **state) {
    char name[8];

    (void)state;
    check_id("/a/app-out.log", "/a/app-out-7.log");
    check_id("/a/app-out", "/a/app-out-7");
    check_id("/a.b/app", "/a.b/app-7");
    check_id("/a/.hidden", "/a/.hidden-7");
    check_id("/a/x.tar.gz", "/a/x.tar-7.gz");
    check_id("app.log", "app-7.log");
    assert_int_equal(log_name_with_id("/a/b.log", 7, name, sizeof name), UV_ENAMETOOLONG);
}

static void check_app(const char *app, const char *expected) {
    char name[16];

    log_name_of_app(app, name, sizeof name);
    assert_string_equal(name, expected);
}

static void test_an_app_cannot_name_another_directory(void **state) {
    (void)state;
    check_app("api", "api");
    check_app("my_app 2.0", "my-app-2.0");
    check_app("../../etc/x", "..-..-etc-x");
    check_app("\xc3\xa9t\xc3\xa9", "--t--");
    check_app("a-name-that-is-too-long", "a-name-that-is-");
    check_app("", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predecessors_are_numbered),
        cmocka_unit_test(test_the_number_comes_before_the_ending),
        cmocka_unit_test(test_an_app_cannot_name_another_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
