#include "cli/apps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_an_app_without_a_name_is_called_like_its_script(void **state) {
    static const char *const cases[][2] = {
        {"{\"script\": \"/srv/api.js\"}", "api"},
        {"{\"script\": \"/srv/api.js\", \"name\": \"shop\"}", "shop"},
        {"{\"script\": \"lib/server.min.js\"}", "server.min"},
        {"{\"script\": \"npm run start\"}", "npm run start"},
        {"{\"script\": \"node a.js\"}", "node a"},
        {"{\"script\": \".hidden\"}", ".hidden"},
        {"{\"script\": \"ls\"}", "ls"},
        {"{\"script\": \"./\"}", "./"},
        {"{}", ""},
        {"{\"script\": 7, \"name\": []}", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *app = json_loads(cases[i][0], 0, NULL);
        char name[CLI_APP_NAME_MAX];

        assert_non_null(app);
        cli_app_name(app, name);
        assert_string_equal(name, cases[i][1]);
        json_decref(app);
    }
}

static void test_a_name_that_is_too_long_is_cut(void **state) {
    char script[600];
    char name[CLI_APP_NAME_MAX];
    json_t *app;

    (void)state;
    memset(script, 'x', sizeof script - 1);
    script[sizeof script - 1] = '\0';
    app = json_pack("{s:s}", "script", script);
    cli_app_name(app, name);
    assert_int_equal(strlen(name), CLI_APP_NAME_MAX - 1);
    json_decref(app);
}

static void test_the_environment_is_ours(void **state) {
    json_t *environment;

    (void)state;
    setenv("BATON_TEST_PLAIN", "a=b", 1);
    setenv("BATON_TEST_EMPTY", "", 1);
    setenv("BATON_TEST_BYTES", "\xff", 1);
    environment = cli_environment();
    assert_string_equal(json_string_value(json_object_get(environment, "BATON_TEST_PLAIN")), "a=b");
    assert_string_equal(json_string_value(json_object_get(environment, "BATON_TEST_EMPTY")), "");
    assert_null(json_object_get(environment, "BATON_TEST_BYTES"));
    json_decref(environment);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_app_without_a_name_is_called_like_its_script),
        cmocka_unit_test(test_a_name_that_is_too_long_is_cut),
        cmocka_unit_test(test_the_environment_is_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
