#include "config/check.h"
#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static struct settings settings;
static char error[SETTINGS_ERROR_MAX];
static char directory[] = "/tmp/test_settings_XXXXXX";

static int create_directory(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

static int set_up(void **state) {
    (void)state;
    settings_init(&settings);
    error[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    settings_clear(&settings);
    return 0;
}

static void set(char **field, const char *text) {
    assert_int_equal(settings_set_text(field, text), 0);
}

static void test_lists_end_with_null(void **state) {
    struct text_list list = {.items = NULL};

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(text_list_add(&list, i % 2 ? "odd" : ""), 0);
        assert_int_equal(list.count, i + 1);
        assert_null(list.items[list.count]);
    }
    assert_string_equal(list.items[99], "odd");
    text_list_clear(&list);
    assert_null(list.items);
    assert_int_equal(list.count, 0);
    text_list_clear(&list);
}

static void test_defaults_are_completed(void **state) {
    (void)state;
    set(&settings.script, "sh");
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.instances, 1);
    assert_string_equal(settings.name, "sh");
    assert_string_equal(settings.policy, "node");
    assert_string_equal(settings.interpreter, "none");
    assert_int_equal(settings.intercept, SETTINGS_INTERCEPT_PRELOAD);
    assert_true(settings.script[0] == '/');
}

static void test_names_that_pm2_gives(void **state) {
    (void)state;
    set(&settings.script, "sh");
    assert_int_equal(settings_check(&settings, error), 0);
    assert_string_equal(settings.namespace, "default");
    assert_string_equal(settings.instance_var, "NODE_APP_INSTANCE");
    set(&settings.namespace, "web");
    set(&settings.instance_var, "I");
    assert_int_equal(settings_check(&settings, error), 0);
    assert_string_equal(settings.namespace, "web");
    assert_string_equal(settings.instance_var, "I");
}

static void test_an_app_has_a_script(void **state) {
    (void)state;
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_string_equal(error, "a script is missing");
}

static void test_health_needs_a_port_in_fork_mode(void **state) {
    (void)state;
    set(&settings.script, "sh");
    set(&settings.health.path, "/");
    settings.fork_mode = true;
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_non_null(strstr(error, "health needs a port"));
    settings.port = 3000;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.health.port, 3000);
    settings.port = 4000;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.health.port, 3000);
    settings.instances = 2;
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_non_null(strstr(error, "one instance"));
    set(&settings.increment_var, "PORT");
    assert_int_equal(settings_check(&settings, error), 0);
}

static void test_health_goes_to_the_listener_in_cluster_mode(void **state) {
    (void)state;
    set(&settings.script, "sh");
    set(&settings.health.path, "/");
    settings.instances = 2;
    settings.port = 3000;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.health.port, 0);
    set(&settings.health.path, "health");
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_non_null(strstr(error, "slash"));
}

static void test_nothing_depends_on_itself(void **state) {
    (void)state;
    set(&settings.script, "sh");
    assert_int_equal(text_list_add(&settings.depends_on, "db"), 0);
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(text_list_add(&settings.depends_on, "sh"), 0);
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_string_equal(error, "'sh' cannot depend on itself");
}

static void test_what_was_given_stays(void **state) {
    (void)state;
    set(&settings.script, "sh");
    set(&settings.name, "my app");
    set(&settings.policy, "least");
    settings.instances = 7;
    settings.instances_given = true;
    settings.intercept = SETTINGS_INTERCEPT_NODE;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.instances, 7);
    assert_string_equal(settings.name, "my app");
    assert_string_equal(settings.policy, "least");
    assert_int_equal(settings.intercept, SETTINGS_INTERCEPT_NODE);
}

static uint32_t usable_cpus(void) {
    cpu_set_t cpus;

    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    return (uint32_t)CPU_COUNT(&cpus);
}

static uint32_t count_with(int32_t less) {
    settings_clear(&settings);
    set(&settings.script, "sh");
    settings.instances_given = true;
    settings.instances_less = less;
    assert_int_equal(settings_check(&settings, error), 0);
    return settings.instances;
}

static void test_instances_are_counted_by_usable_cpus(void **state) {
    uint32_t cpus = usable_cpus();
    cpu_set_t all;
    cpu_set_t one;
    size_t first = 0;

    (void)state;
    assert_int_equal(count_with(0), cpus);
    assert_int_equal(count_with(1), cpus > 1 ? cpus - 1 : 1);
    assert_int_equal(count_with(4096), 1);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(count_with(0), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

static void check_name(const char *file, const char *name) {
    char path[128];
    FILE *created;

    snprintf(path, sizeof path, "%s/%s", directory, file);
    created = fopen(path, "w");
    assert_non_null(created);
    fclose(created);
    settings_clear(&settings);
    set(&settings.script, path);
    set(&settings.interpreter, "sh");
    assert_int_equal(settings_check(&settings, error), 0);
    assert_string_equal(settings.name, name);
    unlink(path);
}

static void test_the_name_is_the_scripts_without_its_ending(void **state) {
    (void)state;
    check_name("app.js", "app");
    check_name("app.server.js", "app.server");
    check_name("app", "app");
    check_name(".hidden", ".hidden");
    check_name("odd.", "odd");
}

static void test_fork_mode_is_never_intercepted(void **state) {
    (void)state;
    set(&settings.script, "sh");
    settings.fork_mode = true;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.intercept, SETTINGS_INTERCEPT_NONE);
    assert_int_equal(settings_check(&settings, error), 0); /* the same kind, named */
}

static void test_fork_mode_beside_another_kind_is_refused(void **state) {
    (void)state;
    set(&settings.script, "sh");
    settings.fork_mode = true;
    for (int kind = SETTINGS_INTERCEPT_AUTO + 1; kind < SETTINGS_INTERCEPT_NONE; kind++) {
        settings.intercept = (enum settings_intercept)kind;
        assert_int_equal(settings_check(&settings, error), UV_EINVAL);
        assert_non_null(strstr(error, "-x is the same as --intercept none"));
    }
}

/* One private port with a program, a kind and the rest as it is: what is said, or NULL. */
static void check_private_port(const char *script, enum settings_intercept kind,
                               const char *sentence) {
    set(&settings.script, script);
    settings.intercept = kind;
    settings.private_ports[0] = 9090;
    settings.private_port_count = 1;
    error[0] = '\0';
    assert_int_equal(settings_check(&settings, error), sentence ? UV_EINVAL : 0);
    if (sentence)
        assert_non_null(strstr(error, sentence));
    settings_clear(&settings);
    settings_init(&settings);
}

static void test_private_ports_are_for_kinds_that_share_ports(void **state) {
    (void)state;
    check_private_port("sh", SETTINGS_INTERCEPT_AUTO, NULL);
    check_private_port("sh", SETTINGS_INTERCEPT_PRELOAD, NULL);
    check_private_port("sh", SETTINGS_INTERCEPT_SECCOMP, NULL);
    check_private_port("sh", SETTINGS_INTERCEPT_NODE, "`exclusive: true`");
    check_private_port("sh", SETTINGS_INTERCEPT_NODE_FAST, "`exclusive: true`");
    check_private_port("sh", SETTINGS_INTERCEPT_NATIVE, "every port that the program binds");
    check_private_port("sh", SETTINGS_INTERCEPT_NONE, "every port that the program binds");
    set(&settings.listen, "8080");
    check_private_port("sh", SETTINGS_INTERCEPT_AUTO, "every port that the program binds");
    set(&settings.listen, "8080");
    check_private_port("sh", SETTINGS_INTERCEPT_LISTEN_FDS, "every port that the program binds");
    settings.fork_mode = true;
    check_private_port("sh", SETTINGS_INTERCEPT_AUTO, "every port that the program binds");
}

static void test_a_node_script_is_told_of_its_own_way_to_a_private_port(void **state) {
    char script[128];
    FILE *created;

    (void)state;
    snprintf(script, sizeof script, "%s/node", directory);
    created = fopen(script, "w");
    assert_non_null(created);
    fclose(created);
    assert_int_equal(chmod(script, 0755), 0);
    check_private_port(script, SETTINGS_INTERCEPT_AUTO, "`exclusive: true`");
    unlink(script);
}

static void test_a_working_directory_that_is_none_is_refused(void **state) {
    (void)state;
    set(&settings.script, "sh");
    set(&settings.cwd, "/nonexistent/here");
    assert_true(settings_check(&settings, error) < 0);
    assert_non_null(strstr(error, "/nonexistent/here"));
}

static void test_a_file_is_no_working_directory(void **state) {
    (void)state;
    set(&settings.script, "sh");
    set(&settings.cwd, "/bin/sh");
    assert_true(settings_check(&settings, error) < 0);
    assert_non_null(strstr(error, "/bin/sh"));
}

static void check_command(const char *const *expected) {
    char **command = settings_command(&settings);
    size_t i = 0;

    assert_non_null(command);
    for (; expected[i]; i++)
        assert_string_equal(command[i], expected[i]);
    assert_null(command[i]);
    free(command);
}

static void test_the_command(void **state) {
    (void)state;
    set(&settings.script, "/app/a");
    check_command((const char *[]){"/app/a", NULL});
    set(&settings.interpreter, "none");
    assert_int_equal(text_list_add(&settings.interpreter_args, "-u"), 0);
    assert_int_equal(text_list_add(&settings.args, "one"), 0);
    assert_int_equal(text_list_add(&settings.args, ""), 0);
    check_command((const char *[]){"/app/a", "one", "", NULL});
    set(&settings.interpreter, "/usr/bin/python3");
    check_command((const char *[]){"/usr/bin/python3", "-u", "/app/a", "one", "", NULL});
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

static void test_the_kind_is_chosen_by_the_program(void **state) {
    (void)state;
    set(&settings.script, "sh");
    set(&settings.listen, "8080");
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.intercept, SETTINGS_INTERCEPT_LISTEN_FDS);
    settings.intercept = SETTINGS_INTERCEPT_PRELOAD;
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_non_null(strstr(error, "--listen is for --intercept listen-fds"));
    free(settings.listen);
    settings.listen = NULL;
    settings.intercept = SETTINGS_INTERCEPT_LISTEN_FDS;
    assert_int_equal(settings_check(&settings, error), UV_EINVAL);
    assert_non_null(strstr(error, "needs --listen"));
}

static void check_hard_limit(enum settings_intercept intercept, uint64_t expected) {
    settings_clear(&settings);
    set(&settings.script, "sh");
    settings.intercept = intercept;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.kill_stuck_after_ms, expected);
}

static void test_only_event_loops_are_killed_for_being_stuck(void **state) {
    (void)state;
    check_hard_limit(SETTINGS_INTERCEPT_NODE, 60000);
    check_hard_limit(SETTINGS_INTERCEPT_NODE_FAST, 60000);
    check_hard_limit(SETTINGS_INTERCEPT_NATIVE, 60000);
    check_hard_limit(SETTINGS_INTERCEPT_PRELOAD, 0);
    check_hard_limit(SETTINGS_INTERCEPT_NONE, 0);
    settings.kill_stuck_after_ms = 5000;
    assert_int_equal(settings_check(&settings, error), 0);
    assert_int_equal(settings.kill_stuck_after_ms, 5000);
}

static int check_target_name(const char *name, struct text_list *warnings) {
    set(&settings.name, name);
    return settings_check_name(&settings, warnings, error);
}

static void test_a_name_must_be_one_that_targets_can_mean(void **state) {
    static const char *const wrong[] = {"all", "-", "api.json", "a.config.cjs", "/api/"};
    static const char *const right[] = {"api", "All", "/",   "//",     "a/b", "/a",
                                        "a/",  "--",  "12a", "api.js", "json"};
    struct text_list warnings = {.items = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(check_target_name(wrong[i], &warnings), UV_EINVAL);
    assert_string_equal(error, "an app cannot be called '/api/', for as a target that means an "
                               "expression over names: give it another name");
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_int_equal(check_target_name(right[i], &warnings), 0);
    assert_int_equal(warnings.count, 0);
    assert_int_equal(check_target_name("12", NULL), 0);
    assert_int_equal(check_target_name("12", &warnings), 0);
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.items[0], "the name '12' is a number, too: as a target it means "
                                           "the process of that id first");
    text_list_clear(&warnings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lists_end_with_null),
        TEST(defaults_are_completed),
        TEST(names_that_pm2_gives),
        TEST(an_app_has_a_script),
        TEST(health_needs_a_port_in_fork_mode),
        TEST(health_goes_to_the_listener_in_cluster_mode),
        TEST(nothing_depends_on_itself),
        TEST(what_was_given_stays),
        TEST(instances_are_counted_by_usable_cpus),
        TEST(the_name_is_the_scripts_without_its_ending),
        TEST(a_name_must_be_one_that_targets_can_mean),
        TEST(fork_mode_is_never_intercepted),
        TEST(fork_mode_beside_another_kind_is_refused),
        TEST(private_ports_are_for_kinds_that_share_ports),
        TEST(a_node_script_is_told_of_its_own_way_to_a_private_port),
        TEST(a_working_directory_that_is_none_is_refused),
        TEST(a_file_is_no_working_directory),
        TEST(the_command),
        TEST(the_kind_is_chosen_by_the_program),
        TEST(only_event_loops_are_killed_for_being_stuck),
    };

    return cmocka_run_group_tests(tests, create_directory, remove_directory);
}
