#include "cli/app_options.h"

#include "cli/flags.h"

#include "unit/cli/capture.h"

#include <jansson.h>
#include <uv.h>

static struct capture capture;

/* What the flags came to, as JSON with sorted keys; NULL when they are refused. */
static char *app_of(struct arguments arguments) {
    struct cli_words words = {.apply = app_options_apply};
    struct cli_flags flags;
    char *text = NULL;

    assert_int_equal(cli_flags_init(&flags), 0);
    capture_start(&capture);
    if (options_parse(arguments.count, arguments.words, app_options, &flags, &words) == 0)
        text = json_dumps(flags.app, JSON_COMPACT | JSON_SORT_KEYS);
    capture_end(&capture);
    cli_flags_clear(&flags);
    arguments_clear(&arguments);
    return text;
}

#define IS(expected, ...)                                                                          \
    do {                                                                                           \
        char *text = app_of(ARGUMENTS("start", __VA_ARGS__));                                      \
        assert_non_null(text);                                                                     \
        assert_string_equal(text, expected);                                                       \
        free(text);                                                                                \
    } while (0)

#define REFUSED(part, ...)                                                                         \
    do {                                                                                           \
        assert_null(app_of(ARGUMENTS("start", __VA_ARGS__)));                                      \
        assert_non_null(strstr(capture.text, part));                                               \
    } while (0)

static void test_flags_are_attributes(void **state) {
    (void)state;
    IS("{}", "a.js");
    IS("{\"instances\":\"max\",\"name\":\"api\"}", "-i", "max", "-n", "api");
    IS("{\"error_file\":\"e\",\"log_file\":\"NULL\",\"out_file\":\"o\"}", "-o", "o", "-e", "e",
       "-l", "NULL");
    IS("{\"interpreter_args\":\"--expose-gc -r x\"}", "--node-args", "--expose-gc -r x");
    IS("{\"max_memory_restart\":\"200M\"}", "--max-memory-restart", "200M");
    IS("{\"cron_restart\":\"0 4 * * *\"}", "-c", "0 4 * * *");
    IS("{\"kill_timeout\":\"1.5s\"}", "-k", "1.5s");
}

static void test_flags_without_a_value(void **state) {
    (void)state;
    IS("{\"merge_logs\":true,\"time\":true,\"wait_ready\":true}", "--merge-logs", "--time",
       "--wait-ready");
    IS("{\"autorestart\":false,\"treekill\":false}", "--no-autorestart", "--no-treekill");
    IS("{\"exec_mode\":\"fork\"}", "-x");
    IS("{\"watch\":true}", "--watch");
    IS("{\"watch\":\"lib\"}", "--watch=lib");
}

static void test_lists_grow(void **state) {
    (void)state;
    IS("{\"private_ports\":[\"81\",\"82\"]}", "--private-port", "81", "--private-port", "82");
    IS("{\"filter_env\":[\"AWS_\"]}", "--filter-env", "AWS_");
}

static void test_old_habits_are_accepted(void **state) {
    (void)state;
    IS("{}", "--source-map-support", "--no-vizion", "--no-pmx", "--no-automation", "--trace",
       "--deep-monitoring");
}

static void test_values_that_cannot_be(void **state) {
    (void)state;
    REFUSED("--instances takes", "-i", "two");
    REFUSED("--kill-timeout takes", "--kill-timeout", "-1");
    REFUSED("--max-memory-restart takes", "--max-memory-restart", "much");
    REFUSED("--cron-restart takes", "--cron-restart", "nonsense");
    REFUSED("--private-port takes", "--private-port", "70000");
    REFUSED("--intercept takes", "--intercept", "magic");
    REFUSED("--name takes", "--name=");
    REFUSED("--name takes", "--name", "\xff");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_are_attributes),
        cmocka_unit_test(test_flags_without_a_value),
        cmocka_unit_test(test_lists_grow),
        cmocka_unit_test(test_old_habits_are_accepted),
        cmocka_unit_test(test_values_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
