#include "master/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

static const char *find(const struct text_list *list, const char *name) {
    size_t length = strlen(name);
    const char *value = NULL;

    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i], name, length) != 0 || list->items[i][length] != '=')
            continue;
        assert_null(value); /* twice */
        value = list->items[i] + length + 1;
    }
    assert_null(list->items[list->count]);
    return value;
}

static struct text_list create(const struct settings *settings, bool node_channel) {
    struct environment_options options = {.settings = settings,
                                          .socket_name = "baton-worker-1-abc",
                                          .token = "00112233445566778899aabbccddeeff",
                                          .slot = 3,
                                          .serial = 17,
                                          .node_channel = node_channel};
    struct text_list list;

    assert_int_equal(environment_create(&list, &options), 0);
    return list;
}

static void test_a_worker_learns_where_the_master_is(void **state) {
    struct settings settings = {.name = NULL};
    struct text_list list = create(&settings, false);

    (void)state;
    assert_string_equal(find(&list, "BATON_SOCKET"), "baton-worker-1-abc");
    assert_string_equal(find(&list, "BATON_TOKEN"), "00112233445566778899aabbccddeeff");
    assert_string_equal(find(&list, "BATON_SLOT"), "3");
    assert_string_equal(find(&list, "NODE_APP_INSTANCE"), "3");
    assert_null(find(&list, "NODE_CHANNEL_FD"));
    assert_null(find(&list, "NODE_UNIQUE_ID"));
    text_list_clear(&list);
}

static void test_a_node_worker_learns_of_its_channel(void **state) {
    struct settings settings = {.name = NULL};
    struct text_list list = create(&settings, true);

    (void)state;
    assert_string_equal(find(&list, "NODE_CHANNEL_FD"), "3");
    assert_string_equal(find(&list, "NODE_CHANNEL_SERIALIZATION_MODE"), "json");
    assert_string_equal(find(&list, "NODE_UNIQUE_ID"), "17");
    text_list_clear(&list);
}

static void test_a_node_program_that_is_alone_has_a_channel_and_no_number(void **state) {
    struct settings settings = {.name = NULL};
    struct environment_options options = {.settings = &settings,
                                          .socket_name = "s",
                                          .token = "t",
                                          .serial = 17,
                                          .node_channel = true,
                                          .node_alone = true};
    struct text_list list;

    (void)state;
    assert_int_equal(environment_create(&list, &options), 0);
    assert_string_equal(find(&list, "NODE_CHANNEL_FD"), "3");
    assert_null(find(&list, "NODE_UNIQUE_ID")); /* it would be a worker of a cluster */
    text_list_clear(&list);
}

static void test_what_our_own_parent_set_is_replaced(void **state) {
    static const char *const names[] = {"NODE_CHANNEL_FD",  "NODE_CHANNEL_SERIALIZATION_MODE",
                                        "NODE_UNIQUE_ID",   "BATON_SOCKET",
                                        "BATON_TOKEN",      "BATON_SLOT",
                                        "NODE_APP_INSTANCE"};
    struct settings settings = {.name = NULL};
    struct text_list list;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], "outer", 1);
    list = create(&settings, false);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = find(&list, names[i]);

        assert_true(!value || strcmp(value, "outer") != 0);
        unsetenv(names[i]);
    }
    text_list_clear(&list);
}

/* What a service manager has told whoever asked; what an app asks for itself it gets. */
static void test_what_is_said_to_one_process_is_not_passed_on(void **state) {
    static const char *const names[] = {"NOTIFY_SOCKET",    "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "SYSTEMD_EXEC_PID", "LISTEN_FDS",    "LISTEN_PID",
                                        "LISTEN_FDNAMES"};
    struct settings *settings = settings_create();
    struct text_list list;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        text_list_set_variable(&settings->environment, names[i], "callers");
    text_list_set_variable(&settings->env, "WATCHDOG_USEC", "asked");
    list = create(settings, false);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], "WATCHDOG_USEC") != 0)
            assert_null(find(&list, names[i]));
    assert_string_equal(find(&list, "WATCHDOG_USEC"), "asked");
    text_list_clear(&list);
    settings_unref(settings);
}

static void test_all_else_is_passed_on(void **state) {
    struct settings settings = {.name = NULL};
    struct text_list list;
    char *large = malloc(100001);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', 100000);
    large[100000] = '\0';
    setenv("TEST_LARGE", large, 1);
    setenv("TEST_EMPTY", "", 1);
    setenv("NODE_CHANNEL_FDX", "stays", 1);
    list = create(&settings, true);
    assert_string_equal(find(&list, "TEST_LARGE"), large);
    assert_string_equal(find(&list, "TEST_EMPTY"), "");
    assert_string_equal(find(&list, "NODE_CHANNEL_FDX"), "stays");
    text_list_clear(&list);
    unsetenv("TEST_LARGE");
    unsetenv("TEST_EMPTY");
    unsetenv("NODE_CHANNEL_FDX");
    free(large);
}

static void test_filtered_prefixes_are_left_out(void **state) {
    struct settings settings;
    struct text_list list;

    (void)state;
    settings_init(&settings);
    assert_int_equal(text_list_add(&settings.filter_env, "TEST_SECRET"), 0);
    assert_int_equal(text_list_add(&settings.filter_env, "TEST_B"), 0);
    setenv("TEST_SECRET", "1", 1);
    setenv("TEST_SECRET_2", "1", 1);
    setenv("TEST_B", "1", 1);
    setenv("TEST_C", "1", 1);
    list = create(&settings, false);
    assert_null(find(&list, "TEST_SECRET"));
    assert_null(find(&list, "TEST_SECRET_2"));
    assert_null(find(&list, "TEST_B"));
    assert_string_equal(find(&list, "TEST_C"), "1");
    text_list_clear(&list);
    settings_clear(&settings);
    unsetenv("TEST_SECRET");
    unsetenv("TEST_SECRET_2");
    unsetenv("TEST_B");
    unsetenv("TEST_C");
}

static void set(struct text_list *list, const char *name, const char *value) {
    assert_int_equal(text_list_set_variable(list, name, value), 0);
}

/* The base, then the settings' variables, then the owner's, and what the master says last. */
static void test_what_is_nearer_to_the_worker_goes_over_the_rest(void **state) {
    struct text_list variables = {.items = NULL};
    struct environment_options options = {
        .variables = &variables, .socket_name = "s", .token = "t", .slot = 2, .serial = 1};
    struct settings settings;
    struct text_list list;

    (void)state;
    settings_init(&settings);
    options.settings = &settings;
    set(&settings.environment, "COLOR", "red");
    set(&settings.environment, "SHAPE", "round");
    set(&settings.environment, "SIZE", "large");
    set(&settings.env, "SHAPE", "square");
    set(&settings.env, "SIZE", "small");
    set(&settings.env, "BATON_SLOT", "7");
    set(&variables, "SIZE", "none");
    setenv("TEST_OURS", "1", 1);
    assert_int_equal(environment_create(&list, &options), 0);
    assert_string_equal(find(&list, "COLOR"), "red");
    assert_string_equal(find(&list, "SHAPE"), "square");
    assert_string_equal(find(&list, "SIZE"), "none");
    assert_string_equal(find(&list, "BATON_SLOT"), "2");
    assert_null(find(&list, "TEST_OURS"));
    unsetenv("TEST_OURS");
    text_list_clear(&list);
    text_list_clear(&variables);
    settings_clear(&settings);
}

static void test_the_slot_is_told_by_the_names_that_were_asked_for(void **state) {
    struct settings settings;
    struct text_list list;

    (void)state;
    settings_init(&settings);
    settings.port = 3000;
    assert_int_equal(settings_set_text(&settings.instance_var, "WHICH"), 0);
    assert_int_equal(settings_set_text(&settings.increment_var, "PORT"), 0);
    list = create(&settings, false);
    assert_string_equal(find(&list, "WHICH"), "3");
    assert_null(find(&list, "NODE_APP_INSTANCE"));
    assert_string_equal(find(&list, "PORT"), "3003");
    text_list_clear(&list);
    set(&settings.env, "COLOR", "red");
    assert_int_equal(settings_set_text(&settings.increment_var, "COLOR"), 0);
    list = create(&settings, false);
    assert_string_equal(find(&list, "COLOR"), "red"); /* no number */
    assert_string_equal(find(&list, "PORT"), "3000");
    text_list_clear(&list);
    settings_clear(&settings);
}

/* Of all that is inherited nothing, but what is asked for by name. */
static void test_an_empty_prefix_filters_the_base_alone(void **state) {
    struct settings settings;
    struct text_list list;

    (void)state;
    settings_init(&settings);
    assert_int_equal(text_list_add(&settings.filter_env, ""), 0);
    set(&settings.env, "TEST_ASKED", "1");
    setenv("TEST_INHERITED", "1", 1);
    list = create(&settings, false);
    assert_null(find(&list, "TEST_INHERITED"));
    assert_null(find(&list, "PATH"));
    assert_string_equal(find(&list, "TEST_ASKED"), "1");
    unsetenv("TEST_INHERITED");
    text_list_clear(&list);
    settings_clear(&settings);
}

static void test_the_preload_library_stands_behind_the_apps_own(void **state) {
    struct environment_options options = {
        .socket_name = "s", .token = "t", .preload = "/lib/ours.so"};
    struct settings settings;
    struct text_list list;

    (void)state;
    settings_init(&settings);
    options.settings = &settings;
    set(&settings.environment, "LD_PRELOAD", "/lib/one.so");
    set(&settings.env, "LD_PRELOAD", "/lib/two.so");
    assert_int_equal(environment_create(&list, &options), 0);
    assert_string_equal(find(&list, "LD_PRELOAD"), "/lib/two.so:/lib/ours.so");
    text_list_clear(&list);
    settings_clear(&settings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_learns_where_the_master_is),
        cmocka_unit_test(test_a_node_worker_learns_of_its_channel),
        cmocka_unit_test(test_a_node_program_that_is_alone_has_a_channel_and_no_number),
        cmocka_unit_test(test_what_our_own_parent_set_is_replaced),
        cmocka_unit_test(test_what_is_said_to_one_process_is_not_passed_on),
        cmocka_unit_test(test_all_else_is_passed_on),
        cmocka_unit_test(test_filtered_prefixes_are_left_out),
        cmocka_unit_test(test_what_is_nearer_to_the_worker_goes_over_the_rest),
        cmocka_unit_test(test_the_slot_is_told_by_the_names_that_were_asked_for),
        cmocka_unit_test(test_an_empty_prefix_filters_the_base_alone),
        cmocka_unit_test(test_the_preload_library_stands_behind_the_apps_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
