#include "cli/app_options.h"
#include "cli/run_options.h"
#include "config/attribute.h"

#include "unit/cli/capture.h"

#include <uv.h>

static struct cli_option options[OPTIONS_MAX + 1];
static struct run_flags flags;
static struct settings given; /* what the flags so far come to */
static struct capture capture;

static int set_up(void **state) {
    (void)state;
    run_options(options);
    settings_init(&given);
    return run_flags_init(&flags);
}

static int tear_down(void **state) {
    (void)state;
    settings_clear(&given);
    run_flags_clear(&flags);
    return 0;
}

/* Applies one option with its value. */
static int give(const char *option, const char *value) {
    struct arguments arguments = {.count = 0};
    struct cli_words words = {.of_program = true, .apply = app_options_apply};
    char error[SETTINGS_ERROR_MAX];
    int result;

    arguments = value ? ARGUMENTS("run", option, value) : ARGUMENTS("run", option);
    capture_start(&capture);
    result = options_parse(arguments.count, arguments.words, options, &flags, &words);
    capture_end(&capture);
    assert_int_equal(result < 0, capture.text[0] != '\0');
    arguments_clear(&arguments);
    if (result < 0)
        return result;
    settings_clear(&given);
    assert_int_equal(run_flags_apply(&flags, &given, error), 0);
    return 0;
}

static void test_instances(void **state) {
    (void)state;
    assert_int_equal(give("-i", "4"), 0);
    assert_int_equal(given.instances, 4);
    assert_true(given.instances_given);
    assert_int_equal(give("-i", "max"), 0);
    assert_int_equal(given.instances + (uint32_t)given.instances_less, 0);
    assert_int_equal(give("-i", "-1"), 0);
    assert_int_equal(given.instances, 0);
    assert_int_equal(given.instances_less, 1);
    assert_int_equal(give("-i", "0"), 0);
    assert_int_equal(given.instances + (uint32_t)given.instances_less, 0);
    assert_int_equal(give("-i", "4096"), 0);
    assert_int_equal(give("-i", "4097"), UV_EINVAL);
    assert_int_equal(give("-i", "2x"), UV_EINVAL);
    assert_int_equal(give("-i", ""), UV_EINVAL);
    assert_int_equal(give("-i", "99999999999999999999"), UV_EINVAL);
}

static void test_every_time_goes_to_its_own_field(void **state) {
    struct settings *settings = &given;
    const struct {
        const char *option;
        const uint64_t *field;
    } times[] = {
        {"--listen-timeout", &settings->listen_timeout_ms},
        {"--drain-timeout", &settings->drain_timeout_ms},
        {"--kill-timeout", &settings->kill_timeout_ms},
        {"--slow-after", &settings->slow_after_ms},
        {"--kill-stuck-after", &settings->kill_stuck_after_ms},
        {"--min-uptime", &settings->min_uptime_ms},
        {"--restart-delay", &settings->restart_delay_ms},
        {"--exp-backoff-restart-delay", &settings->backoff_ms},
    };
    size_t count = sizeof times / sizeof *times;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        char value[16];

        snprintf(value, sizeof value, "%zus", i + 1);
        assert_int_equal(give(times[i].option, value), 0);
        assert_int_equal(give(times[i].option, "soon"), UV_EINVAL);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(*times[i].field, 1000 * (i + 1));
    assert_int_equal(give("--slow-after", "0"), UV_EINVAL);
    assert_int_equal(give("--kill-stuck-after", "0"), 0);
}

static void test_flags(void **state) {
    struct settings *settings = &given;

    (void)state;
    assert_int_equal(give("-x", NULL) + give("--wait-ready", NULL) + give("--time", NULL) +
                         give("--shutdown-with-message", NULL) + give("--no-autorestart", NULL) +
                         give("--trace", NULL) + give("-s", NULL) + give("--no-color", NULL) +
                         give("-h", NULL) + give("--no-pmx", NULL),
                     0);
    assert_true(settings->fork_mode && settings->wait_ready && settings->time &&
                settings->shutdown_with_message && settings->trace && settings->silent &&
                settings->no_color && flags.common.help);
    assert_false(settings->autorestart);
}

static void test_status(void **state) {
    (void)state;
    assert_int_equal(give("--status", NULL), 0);
    assert_true(given.status && !given.status_json);
    assert_int_equal(give("--status=json", NULL), 0);
    assert_true(!given.status && given.status_json);
    assert_int_equal(give("--status=xml", NULL), UV_EINVAL);
}

static void test_window_and_restarts(void **state) {
    (void)state;
    assert_int_equal(give("--window", "1024"), 0);
    assert_int_equal(given.window, 1024);
    assert_int_equal(give("--window", "0"), UV_EINVAL);
    assert_int_equal(give("--window", "1025"), UV_EINVAL);
    assert_int_equal(give("--max-restarts", "0"), 0);
    assert_int_equal(given.max_restarts, 0);
    assert_int_equal(give("--max-restarts", "-1"), UV_EINVAL);
    assert_int_equal(give("--max-memory-restart", "200M"), 0);
    assert_int_equal(given.max_memory, 200 << 20);
    assert_int_equal(give("--max-memory-restart", "much"), UV_EINVAL);
}

static void test_stop_codes(void **state) {
    (void)state;
    assert_int_equal(give("--stop-exit-codes", "0,42 255"), 0);
    assert_int_equal(given.stop_code_count, 3);
    assert_int_equal(given.stop_codes[1], 42);
    assert_int_equal(given.stop_codes[2], 255);
    assert_int_equal(give("--stop-exit-codes", "1"), 0);
    assert_int_equal(given.stop_code_count, 1);
    assert_int_equal(give("--stop-exit-codes", "256"), UV_EINVAL);
    assert_int_equal(give("--stop-exit-codes", ""), UV_EINVAL);
    assert_int_equal(give("--stop-exit-codes", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"), 0);
    assert_int_equal(give("--stop-exit-codes", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"),
                     UV_EINVAL);
}

static void test_intercept(void **state) {
    static const struct {
        const char *name;
        enum settings_intercept intercept;
    } kinds[] = {{"node", SETTINGS_INTERCEPT_NODE},
                 {"node-fast", SETTINGS_INTERCEPT_NODE_FAST},
                 {"preload", SETTINGS_INTERCEPT_PRELOAD},
                 {"seccomp", SETTINGS_INTERCEPT_SECCOMP},
                 {"listen-fds", SETTINGS_INTERCEPT_LISTEN_FDS},
                 {"native", SETTINGS_INTERCEPT_NATIVE},
                 {"none", SETTINGS_INTERCEPT_NONE},
                 {"auto", SETTINGS_INTERCEPT_AUTO}};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(give("--intercept", kinds[i].name), 0);
        assert_int_equal(given.intercept, kinds[i].intercept);
    }
    assert_int_equal(give("--intercept", "all"), UV_EINVAL);
}

static void test_texts_and_lists(void **state) {
    struct settings *settings = &given;

    (void)state;
    assert_int_equal(give("-n", "first"), 0);
    assert_int_equal(give("-n", "shop"), 0);
    assert_string_equal(settings->name, "shop");
    assert_int_equal(give("-n", ""), UV_EINVAL);
    assert_int_equal(give("--interpreter", "bun"), 0);
    assert_string_equal(settings->interpreter, "bun");
    assert_int_equal(give("--node-args", "--max-old-space-size=100  --trace-gc"), 0);
    assert_int_equal(give("--interpreter-args", "-u"), 0);
    assert_int_equal(settings->interpreter_args.count, 3);
    assert_string_equal(settings->interpreter_args.items[1], "--trace-gc");
    assert_int_equal(give("--filter-env", "AWS_"), 0);
    assert_int_equal(give("--filter-env", "SECRET"), 0);
    assert_int_equal(settings->filter_env.count, 2);
    assert_int_equal(give("--filter-env", ""), UV_EINVAL);
    assert_int_equal(give("--uid", "nobody") + give("--gid", "7") + give("--cwd", "/tmp"), 0);
    assert_string_equal(settings->uid, "nobody");
    assert_string_equal(settings->gid, "7");
    assert_string_equal(settings->cwd, "/tmp");
}

/* One without a function of its own is an attribute's name. */
static bool is_attribute(const struct cli_option *option) {
    char name[64];

    snprintf(name, sizeof name, "%s", option->name + (strncmp(option->name, "no-", 3) ? 0 : 3));
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : *at;
    return attribute_canonical_name(name) != NULL;
}

/* Every option that is listed says what it takes, and there is room for all in getopt's tables. */
static void test_the_table_is_complete(void **state) {
    size_t count = 0;

    (void)state;
    for (const struct cli_option *option = options; option->name; option++, count++) {
        assert_true(option->apply || is_attribute(option));
        assert_int_equal(option->value != NULL, option->expects != NULL);
        for (const struct cli_option *other = options; other < option; other++) {
            assert_string_not_equal(option->name, other->name);
            assert_true(!option->letter || option->letter != other->letter);
        }
    }
    assert_true(count > 30 && count < OPTIONS_MAX);
}

/* What would be accepted and do nothing is refused. */
static void test_what_only_the_daemon_serves_is_refused(void **state) {
    (void)state;
    assert_int_equal(give("--watch", NULL), UV_EINVAL);
    assert_int_equal(give("--cron-restart", "@daily"), UV_EINVAL);
    assert_int_equal(give("--output", "file"), UV_EINVAL);
}

static void test_policies_are_checked(void **state) {
    (void)state;
    capture_start(&capture);
    assert_int_equal(run_check_policy("node"), 0);
    assert_int_equal(run_check_policy("hash"), 0);
    capture_end(&capture);
    assert_string_equal(capture.text, "");
    capture_start(&capture);
    assert_int_equal(run_check_policy("fair\x1b"), UV_EINVAL);
    capture_end(&capture);
    assert_non_null(strstr(capture.text, "no policy 'fair\\x1b'; there are node, "));
    capture_start(&capture);
    assert_int_equal(run_check_policy("node:3"), UV_EINVAL);
    capture_end(&capture);
    assert_non_null(strstr(capture.text, "'node:3' takes no such argument\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(instances),
        TEST(every_time_goes_to_its_own_field),
        TEST(flags),
        TEST(status),
        TEST(window_and_restarts),
        TEST(stop_codes),
        TEST(intercept),
        TEST(texts_and_lists),
        TEST(the_table_is_complete),
        TEST(what_only_the_daemon_serves_is_refused),
        TEST(policies_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
