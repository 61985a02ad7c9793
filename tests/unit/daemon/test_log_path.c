#include "daemon/log_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <uv.h>

static char text[] = "own.log";
static char absolute[] = "/var/log/own.log";
static char cwd[] = "/srv/app";
static char none[] = "/dev/null";
static char null[] = "NULL";

static void expect(const struct settings *settings, enum log_path_kind kind, const char *expected) {
    char path[PATH_MAX] = "";

    assert_int_equal(log_path(settings, "/home", "my app", kind, path), 0);
    assert_string_equal(path, expected);
}

static void expect_none(const struct settings *settings, enum log_path_kind kind) {
    char path[PATH_MAX];

    assert_int_equal(log_path(settings, "/home", "my app", kind, path), UV_ENOENT);
}

static void test_the_home_has_what_nobody_names(void **state) {
    struct settings settings = {.cwd = cwd};

    (void)state;
    expect(&settings, LOG_PATH_OUT, "/home/logs/my-app-out.log");
    expect(&settings, LOG_PATH_ERROR, "/home/logs/my-app-error.log");
    expect_none(&settings, LOG_PATH_COMBINED);
    assert_false(log_path_is_given(&settings, LOG_PATH_OUT));
}

static void test_a_given_path_counts_from_the_working_directory(void **state) {
    struct settings settings = {.cwd = cwd, .out_file = text, .log_file = absolute};

    (void)state;
    expect(&settings, LOG_PATH_OUT, "/srv/app/own.log");
    expect(&settings, LOG_PATH_COMBINED, "/var/log/own.log");
    assert_true(log_path_is_given(&settings, LOG_PATH_OUT));
    settings.cwd = NULL;
    expect(&settings, LOG_PATH_OUT, "/home/own.log");
}

static void test_there_may_be_no_file(void **state) {
    struct settings settings = {.out_file = none, .error_file = null};

    (void)state;
    expect_none(&settings, LOG_PATH_OUT);
    expect_none(&settings, LOG_PATH_ERROR);
    settings = (struct settings){.disable_logs = true, .log_file = absolute};
    expect_none(&settings, LOG_PATH_OUT);
    expect_none(&settings, LOG_PATH_COMBINED);
}

static void test_a_path_may_be_too_long(void **state) {
    static char long_path[PATH_MAX + 1];
    struct settings settings = {.out_file = long_path};
    char path[PATH_MAX];

    (void)state;
    memset(long_path, 'x', PATH_MAX);
    assert_int_equal(log_path(&settings, "/home", "app", LOG_PATH_OUT, path), UV_ENAMETOOLONG);
    long_path[0] = '/';
    assert_int_equal(log_path(&settings, "/home", "app", LOG_PATH_OUT, path), UV_ENAMETOOLONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_home_has_what_nobody_names),
        cmocka_unit_test(test_a_given_path_counts_from_the_working_directory),
        cmocka_unit_test(test_there_may_be_no_file),
        cmocka_unit_test(test_a_path_may_be_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
