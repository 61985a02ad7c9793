#include "daemon/watch_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static void test_what_is_beneath_a_directory(void **state) {
    (void)state;
    assert_true(watch_path_is_beneath("/a/b", "/a"));
    assert_true(watch_path_is_beneath("/a/b/c", "/a"));
    assert_true(watch_path_is_beneath("/a", "/"));
    assert_false(watch_path_is_beneath("/", "/"));
    assert_false(watch_path_is_beneath("/a", "/a"));
    assert_false(watch_path_is_beneath("/ab", "/a"));
    assert_true(watch_path_is_at_or_beneath("/a", "/a"));
    assert_true(watch_path_is_at_or_beneath("/a/b", "/a"));
    assert_false(watch_path_is_at_or_beneath("/ab", "/a"));
}

static void test_a_name_is_joined_with_one_slash(void **state) {
    static char name[PATH_MAX];
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(watch_path_join("/a", "b", path), 0);
    assert_string_equal(path, "/a/b");
    assert_int_equal(watch_path_join("/", "b", path), 0);
    assert_string_equal(path, "/b");
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(watch_path_join("/a", name, path), UV_ENAMETOOLONG);
}

static void test_one_place_has_one_name(void **state) {
    char directory[] = "/tmp/watch_path.XXXXXX";
    char link[64];
    char path[PATH_MAX];

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(link, sizeof link, "%s/link", directory);
    assert_int_equal(symlink(directory, link), 0);
    assert_int_equal(watch_path_whole(directory, ".", path), 0);
    assert_string_equal(path, directory);
    assert_int_equal(watch_path_whole(directory, "./link//", path), 0);
    assert_string_equal(path, directory);
    assert_int_equal(watch_path_whole("/nowhere", link, path), 0);
    assert_string_equal(path, directory);
    unlink(link);
    rmdir(directory);
}

static void test_what_is_not_there_yet_keeps_its_name(void **state) {
    static char name[PATH_MAX + 1];
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(watch_path_whole("/nowhere", "./later/", path), 0);
    assert_string_equal(path, "/nowhere/later");
    memset(name, 'x', PATH_MAX);
    assert_int_equal(watch_path_whole("/nowhere", name, path), UV_ENAMETOOLONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_beneath_a_directory),
        cmocka_unit_test(test_a_name_is_joined_with_one_slash),
        cmocka_unit_test(test_one_place_has_one_name),
        cmocka_unit_test(test_what_is_not_there_yet_keeps_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
