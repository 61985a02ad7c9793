#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

static void test_shared_settings_live_as_long_as_anyone_holds_them(void **state) {
    struct settings *settings = settings_create();

    (void)state;
    assert_non_null(settings);
    assert_true(settings->autorestart && settings->autostart && settings->treekill);
    assert_int_equal(settings_set_text(&settings->name, "api"), 0);
    assert_ptr_equal(settings_ref(settings), settings);
    settings_unref(settings);
    assert_string_equal(settings->name, "api");
    settings_unref(settings);
    settings_unref(NULL);
}

static void test_clearing_shared_settings_keeps_who_holds_them(void **state) {
    struct settings *settings = settings_create();

    (void)state;
    assert_non_null(settings);
    settings_ref(settings);
    assert_int_equal(settings_set_text(&settings->health.path, "/"), 0);
    settings_clear(settings);
    assert_null(settings->health.path);
    settings_unref(settings);
    assert_int_equal(settings_set_text(&settings->name, "api"), 0);
    settings_unref(settings);
}

static void test_a_variable_is_there_once(void **state) {
    struct text_list list = {.items = NULL};

    (void)state;
    assert_null(text_list_variable(&list, "A"));
    assert_int_equal(text_list_set_variable(&list, "A", "1"), 0);
    assert_int_equal(text_list_set_variable(&list, "AB", "x=y"), 0);
    assert_int_equal(text_list_set_variable(&list, "A", ""), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "A=");
    assert_null(list.items[2]);
    assert_string_equal(text_list_variable(&list, "A"), "");
    assert_string_equal(text_list_variable(&list, "AB"), "x=y");
    assert_null(text_list_variable(&list, "B"));
    text_list_clear(&list);
}

static void test_every_kind_has_a_name(void **state) {
    (void)state;
    for (int i = SETTINGS_INTERCEPT_AUTO; i <= SETTINGS_INTERCEPT_NONE; i++) {
        enum settings_intercept kind = SETTINGS_INTERCEPT_AUTO;
        const char *name = settings_intercept_name((enum settings_intercept)i);

        assert_int_equal(settings_intercept_by_name(name, &kind), 0);
        assert_int_equal(kind, i);
    }
}

static void test_an_unknown_kind(void **state) {
    enum settings_intercept kind = SETTINGS_INTERCEPT_NATIVE;

    (void)state;
    assert_int_equal(settings_intercept_by_name("magic", &kind), UV_EINVAL);
    assert_int_equal(kind, SETTINGS_INTERCEPT_NATIVE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_settings_live_as_long_as_anyone_holds_them),
        cmocka_unit_test(test_clearing_shared_settings_keeps_who_holds_them),
        cmocka_unit_test(test_a_variable_is_there_once),
        cmocka_unit_test(test_every_kind_has_a_name),
        cmocka_unit_test(test_an_unknown_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
