#include "cli/command.h"

#include "unit/cli/capture.h"

static struct cli_serve serve;
static struct capture capture;
static struct arguments given;

static enum cli_verdict parse(struct arguments arguments) {
    enum cli_verdict verdict;

    given = arguments; /* serve.directory points into it */
    capture_start(&capture);
    verdict = cli_parse_serve(given.count, given.words, &serve);
    capture_end(&capture);
    return verdict;
}

static void clear(void) {
    settings_clear(&serve.settings);
    arguments_clear(&given);
}

static void test_defaults(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("serve")), CLI_GO);
    assert_string_equal(serve.directory, ".");
    assert_int_equal(serve.port, 8080);
    assert_false(serve.balanced);
    clear();
}

static void test_directory_and_port(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("serve", "/tmp", "0")), CLI_GO);
    assert_string_equal(serve.directory, "/tmp");
    assert_int_equal(serve.port, 0);
    clear();
}

static void test_with_i_it_is_an_app_of_this_binary(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("serve", "-i", "3", "/tmp", "81")), CLI_GO);
    assert_true(serve.balanced);
    assert_int_equal(serve.settings.instances, 3);
    assert_string_equal(serve.settings.name, "serve");
    assert_string_equal(serve.settings.policy, "node");
    assert_string_equal(serve.settings.interpreter, "none");
    assert_int_equal(serve.settings.intercept, SETTINGS_INTERCEPT_NATIVE);
    assert_int_equal(serve.settings.args.count, 3);
    assert_string_equal(serve.settings.args.items[0], "serve");
    assert_string_equal(serve.settings.args.items[1], "/tmp");
    assert_string_equal(serve.settings.args.items[2], "81");
    assert_non_null(strstr(serve.settings.script, "unit_cli_test_serve"));
    clear();
}

static void test_what_was_given_stays(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("serve", "-i", "1", "--policy", "least", "-n", "www")),
                     CLI_GO);
    assert_string_equal(serve.settings.name, "www");
    assert_string_equal(serve.settings.policy, "least");
    clear();
    assert_int_equal(parse(ARGUMENTS("serve", "-i", "1", "-x")), CLI_GO);
    assert_int_equal(serve.settings.intercept, SETTINGS_INTERCEPT_NONE);
    clear();
}

static void check_wrong(struct arguments arguments, const char *part) {
    assert_int_equal(parse(arguments), CLI_WRONG);
    assert_non_null(strstr(capture.text, part));
    assert_ptr_equal(strchr(capture.text, '\n'), capture.text + strlen(capture.text) - 1);
    clear();
}

static void test_mistakes_are_one_sentence(void **state) {
    (void)state;
    check_wrong(ARGUMENTS("serve", "/nonexistent"), "there is no directory '/nonexistent'");
    check_wrong(ARGUMENTS("serve", "/etc/passwd"), "there is no directory '/etc/passwd'");
    check_wrong(ARGUMENTS("serve", "/tmp", "65536"), "not '65536'");
    check_wrong(ARGUMENTS("serve", "/tmp", "http"), "not 'http'");
    check_wrong(ARGUMENTS("serve", "/tmp", "80", "more"), "a directory and a port");
    check_wrong(ARGUMENTS("serve", "-i", "2", "--policy", "fair"), "no policy 'fair'");
    check_wrong(ARGUMENTS("serve", "--colour"), "no option --colour");
}

static void test_help(void **state) {
    (void)state;
    assert_int_equal(parse(ARGUMENTS("serve", "-h")), CLI_SHOWN);
    assert_non_null(strstr(capture.text, "Usage: baton serve"));
    clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_directory_and_port),
        cmocka_unit_test(test_with_i_it_is_an_app_of_this_binary),
        cmocka_unit_test(test_what_was_given_stays),
        cmocka_unit_test(test_mistakes_are_one_sentence),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
