#include "config/home.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

static void is(struct home_source source, const char *expected) {
    char path[64] = "untouched";

    assert_int_equal(home_path(&source, path, sizeof path), 0);
    assert_string_equal(path, expected);
}

static void fails(struct home_source source, int error) {
    char path[64] = "untouched";

    assert_int_equal(home_path(&source, path, sizeof path), error);
    assert_string_equal(path, "untouched");
}

static void test_a_directory_of_the_user(void **state) {
    (void)state;
    is((struct home_source){.user = "/home/ann"}, "/home/ann/.baton");
    is((struct home_source){.user = "/home/ann/"}, "/home/ann/.baton");
    is((struct home_source){.user = "/home/ann", .pm2 = true}, "/home/ann/.pm2");
    is((struct home_source){.user = "/", .given = ""}, "/.baton");
}

static void test_what_is_given_counts(void **state) {
    (void)state;
    is((struct home_source){.user = "/home/ann", .given = "/srv/b"}, "/srv/b");
    is((struct home_source){.user = "/home/ann", .given = "/srv/b//"}, "/srv/b");
    is((struct home_source){.given = "here/b", .cwd = "/srv"}, "/srv/here/b");
    is((struct home_source){.given = "/"}, "/");
}

static void test_nothing_says_where(void **state) {
    (void)state;
    fails((struct home_source){.cwd = "/srv"}, UV_ENOENT);
    fails((struct home_source){.user = "relative"}, UV_ENOENT);
    fails((struct home_source){.given = "here"}, UV_ENOENT);
}

static void test_a_path_that_is_too_long(void **state) {
    char long_path[PATH_MAX + 8];
    char path[16] = "untouched";

    (void)state;
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    fails((struct home_source){.given = long_path}, UV_ENAMETOOLONG);
    long_path[80] = '\0';
    fails((struct home_source){.given = long_path}, UV_ENAMETOOLONG);
    assert_int_equal(home_file("/home/ann/.baton", "pid", path, sizeof path), UV_ENAMETOOLONG);
}

static void test_a_file_of_the_home(void **state) {
    char path[64];

    (void)state;
    assert_int_equal(home_file("/srv/b", HOME_CONTROL_SOCKET, path, sizeof path), 0);
    assert_string_equal(path, "/srv/b/control.sock");
    assert_int_equal(home_file("/", "pid", path, sizeof path), 0);
    assert_string_equal(path, "/pid");
}

static void test_our_own_environment(void **state) {
    char path[PATH_MAX];

    (void)state;
    setenv("BATON_HOME", "/srv/own", 1);
    setenv("PM2_HOME", "/srv/pm2", 1);
    assert_int_equal(home_find(false, path, sizeof path), 0);
    assert_string_equal(path, "/srv/own");
    assert_int_equal(home_find(true, path, sizeof path), 0);
    assert_string_equal(path, "/srv/pm2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_directory_of_the_user),
        cmocka_unit_test(test_what_is_given_counts),
        cmocka_unit_test(test_nothing_says_where),
        cmocka_unit_test(test_a_path_that_is_too_long),
        cmocka_unit_test(test_a_file_of_the_home),
        cmocka_unit_test(test_our_own_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
