#include "cli/command.h"

#include "unit/cli/capture.h"

static struct settings settings;
static struct capture capture;

static enum cli_verdict parse(struct arguments arguments) {
    enum cli_verdict verdict;

    capture_start(&capture);
    verdict = cli_parse_run(arguments.count, arguments.words, &settings);
    capture_end(&capture);
    arguments_clear(&arguments);
    return verdict;
}

static void test_a_program_with_arguments(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("run", "sh", "-i", "2", "--", "-c", "exit")), CLI_GO);
    assert_int_equal(settings.instances, 2);
    assert_int_equal(settings.args.count, 2);
    assert_string_equal(settings.args.items[0], "-c");
    assert_string_equal(settings.args.items[1], "exit");
    assert_string_equal(capture.text, "");
    settings_clear(&settings);
}

static void test_help(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("run", "--help", "nothing")), CLI_SHOWN);
    assert_non_null(strstr(capture.text, "Usage: baton run"));
    assert_non_null(strstr(capture.text, "\nPolicies:\n  node "));
    settings_clear(&settings);
}

static void check_wrong(struct arguments arguments, const char *part) {
    assert_int_equal(parse(arguments), CLI_WRONG);
    assert_non_null(strstr(capture.text, part));
    assert_ptr_equal(strchr(capture.text, '\n'), capture.text + strlen(capture.text) - 1);
    settings_clear(&settings);
}

static void test_mistakes_are_one_sentence(void **state) {
    (void)state;
    check_wrong(ARGUMENTS("run"), "needs a script");
    check_wrong(ARGUMENTS("run", "--", "sh"), "needs a script");
    check_wrong(ARGUMENTS("run", "sh", "extra"), "behind --");
    check_wrong(ARGUMENTS("run", "sh", "--policy", "fair"), "there is no policy 'fair'");
    check_wrong(ARGUMENTS("run", "./none.js"), "there is no file './none.js'");
    check_wrong(ARGUMENTS("run", "sh", "--instances", "many"), "--instances takes");
    check_wrong(ARGUMENTS("run", "sh", "--cwd", "/nonexistent"), "/nonexistent");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_with_arguments),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_mistakes_are_one_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
