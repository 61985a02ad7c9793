#include "cli/options.h"

#include "unit/cli/capture.h"

#include <uv.h>

struct target {
    char text[64];
    int flags;
    int optional; /* how often without a value */
};

static int set_text(void *target, const char *value) {
    if (strcmp(value, "wrong") == 0)
        return UV_EINVAL;
    if (strcmp(value, "large") == 0)
        return UV_ENOMEM;
    snprintf(((struct target *)target)->text, sizeof((struct target *)target)->text, "%s", value);
    return 0;
}

static int set_flag(void *target, const char *value) {
    assert_null(value);
    ((struct target *)target)->flags++;
    return 0;
}

static int set_optional(void *target, const char *value) {
    if (value)
        return set_text(target, value);
    ((struct target *)target)->optional++;
    return 0;
}

static const struct cli_option options[] = {
    {"name", 'n', "NAME", "a name", "the name", set_text},
    {"flag", 'f', NULL, NULL, "a flag", set_flag},
    {"status", 0, "[json]", "nothing or 'json'", "the status", set_optional},
    {"quiet-habit", 0, NULL, NULL, NULL, set_flag},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static struct target target;
static struct capture capture;

static int parse(struct arguments *arguments, struct cli_words *words) {
    int result;

    target = (struct target){.flags = 0};
    capture_start(&capture);
    result = options_parse(arguments->count, arguments->words, options, &target, words);
    capture_end(&capture);
    return result;
}

static void test_options_stand_anywhere_before_the_dashes(void **state) {
    struct arguments arguments =
        ARGUMENTS("run", "a.js", "-n", "one", "-f", "b", "--flag", "--", "-f", "--name", "x");
    struct cli_words words = {.of_program = false};

    (void)state;
    assert_int_equal(parse(&arguments, &words), 0);
    assert_string_equal(target.text, "one");
    assert_int_equal(target.flags, 2);
    assert_int_equal(words.count, 2);
    assert_string_equal(words.words[0], "a.js");
    assert_string_equal(words.words[1], "b");
    assert_int_equal(words.rest_count, 3);
    assert_string_equal(words.rest[0], "-f");
    assert_string_equal(words.rest[2], "x");
    assert_string_equal(capture.text, "");
    arguments_clear(&arguments);
}

static void test_values_are_glued_or_apart(void **state) {
    struct arguments spellings[] = {
        ARGUMENTS("run", "-nvalue"),
        ARGUMENTS("run", "-n", "value"),
        ARGUMENTS("run", "--name=value"),
        ARGUMENTS("run", "--name", "value"),
        ARGUMENTS("run", "-fnvalue"),
        ARGUMENTS("run", "--status=value"),
        ARGUMENTS("run", "-n", "first", "--name=value"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        struct cli_words words = {.of_program = false};

        assert_int_equal(parse(&spellings[i], &words), 0);
        assert_string_equal(target.text, "value");
        assert_int_equal(words.count, 0);
        arguments_clear(&spellings[i]);
    }
}

static void test_a_value_may_begin_with_a_dash(void **state) {
    struct arguments arguments = ARGUMENTS("run", "-n", "-1", "a.js");
    struct cli_words words = {.of_program = false};

    (void)state;
    assert_int_equal(parse(&arguments, &words), 0);
    assert_string_equal(target.text, "-1");
    assert_int_equal(words.count, 1);
    arguments_clear(&arguments);
}

static void test_a_negative_number_is_a_word(void **state) {
    struct arguments arguments = ARGUMENTS("scale", "-f", "api", "-12", "-n", "x", "-3");
    struct cli_words words = {.of_program = false};

    (void)state;
    assert_int_equal(parse(&arguments, &words), 0);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.words[1], "-12");
    assert_string_equal(words.words[2], "-3");
    assert_string_equal(target.text, "x");
    assert_int_equal(target.flags, 1);
    arguments_clear(&arguments);
}

static void test_after_an_error_parsing_begins_anew(void **state) {
    struct arguments wrong = ARGUMENTS("run", "-Xf");
    struct arguments right = ARGUMENTS("run", "-f");
    struct cli_words words = {.of_program = false};

    (void)state;
    assert_int_equal(parse(&wrong, &words), UV_EINVAL);
    assert_int_equal(parse(&right, &words), 0);
    assert_int_equal(target.flags, 1);
    arguments_clear(&wrong);
    arguments_clear(&right);
}

static int apply_by_name(void *owner, const struct cli_option *option, const char *value) {
    snprintf(((struct target *)owner)->text, sizeof target.text, "%s=%s", option->name,
             value ? value : "");
    return 0;
}

static void test_options_without_a_function_are_applied_by_name(void **state) {
    static const struct cli_option unnamed[] = {
        {"plain", 'p', "VALUE", "a value", "something", NULL},
        {NULL, 0, NULL, NULL, NULL, NULL},
    };
    struct arguments arguments = ARGUMENTS("run", "-p", "7");
    struct cli_words words = {.apply = apply_by_name};

    (void)state;
    assert_int_equal(options_parse(arguments.count, arguments.words, unnamed, &target, &words), 0);
    assert_string_equal(target.text, "plain=7");
    arguments_clear(&arguments);
}

static void test_an_optional_value_is_only_a_glued_one(void **state) {
    struct arguments arguments = ARGUMENTS("run", "--status", "a.js");
    struct cli_words words = {.of_program = false};

    (void)state;
    assert_int_equal(parse(&arguments, &words), 0);
    assert_int_equal(target.optional, 1);
    assert_string_equal(words.words[0], "a.js");
    arguments_clear(&arguments);
}

static void test_nothing_at_all(void **state) {
    struct arguments arguments = ARGUMENTS("run");
    struct arguments dashes = ARGUMENTS("run", "--");
    struct cli_words words = {.of_program = false};

    (void)state;
    assert_int_equal(parse(&arguments, &words), 0);
    assert_int_equal(words.count + words.rest_count, 0);
    assert_int_equal(parse(&dashes, &words), 0);
    assert_int_equal(words.count + words.rest_count, 0);
    arguments_clear(&arguments);
    arguments_clear(&dashes);
}

static void check_wrong(struct arguments arguments, const char *sentence) {
    struct cli_words words = {.of_program = false};

    assert_int_equal(parse(&arguments, &words), UV_EINVAL);
    assert_string_equal(capture.text, sentence);
    arguments_clear(&arguments);
}

static void test_a_sentence_calls_baton_as_it_was_called(void **state) {
    struct arguments unknown = ARGUMENTS("run", "php", "-S");
    struct arguments wrong = ARGUMENTS("run", "-n", "wrong");
    struct cli_words words = {.called = "pm2", .of_program = true};

    (void)state;
    assert_int_equal(parse(&unknown, &words), UV_EINVAL);
    assert_string_equal(capture.text, "pm2: there is no option -S; if it is the program's own: "
                                      "pm2 run php -- -S\n");
    words = (struct cli_words){.called = "pm2"};
    assert_int_equal(parse(&wrong, &words), UV_EINVAL);
    assert_string_equal(capture.text, "pm2: --name takes a name, not 'wrong'\n");
    arguments_clear(&unknown);
    arguments_clear(&wrong);
}

static void test_mistakes_are_answered_with_one_sentence(void **state) {
    (void)state;
    check_wrong(ARGUMENTS("run", "--nmae", "x"),
                "baton: there is no option --nmae; did you mean --name?\n");
    check_wrong(ARGUMENTS("run", "--flga=3"),
                "baton: there is no option --flga=3; did you mean --flag?\n");
    check_wrong(ARGUMENTS("run", "--completely-else"),
                "baton: there is no option --completely-else\n");
    check_wrong(ARGUMENTS("run", "-z"), "baton: there is no option -z\n");
    check_wrong(ARGUMENTS("run", "-fz"), "baton: there is no option -z\n");
    check_wrong(ARGUMENTS("run", "--name"), "baton: --name needs a value: a name\n");
    check_wrong(ARGUMENTS("run", "-n", "--", "x"), "baton: -n needs a value: a name\n");
    check_wrong(ARGUMENTS("run", "-n", "wrong"), "baton: --name takes a name, not 'wrong'\n");
    check_wrong(ARGUMENTS("run", "-n", "large"), "baton: out of memory\n");
    check_wrong(ARGUMENTS("run", "--\x1b[2J"), "baton: there is no option --\\x1b[2J\n");
}

static void check_hint(struct arguments arguments, const char *sentence) {
    struct cli_words words = {.of_program = true};

    assert_int_equal(parse(&arguments, &words), UV_EINVAL);
    assert_string_equal(capture.text, sentence);
    arguments_clear(&arguments);
}

static void test_an_unknown_option_behind_a_program_may_be_its_own(void **state) {
    (void)state;
    check_hint(ARGUMENTS("run", "php", "-S", "0:80"), "baton: there is no option -S; if it is the "
                                                      "program's own: baton run php -- -S 0:80\n");
    check_hint(ARGUMENTS("run", "-n", "x", "java", "-f", "-jar", "a b", "-n", ""),
               "baton: there is no option -j; if it is the program's own: baton run java -n x -f "
               "-- -jar 'a b' -n ''\n");
    check_hint(ARGUMENTS("run", "a", "b", "-f", "--flga", "it's", "--", "c"),
               "baton: there is no option --flga; did you mean --flag? If it is the program's own: "
               "baton run a -f -- b --flga 'it'\\''s' c\n");
    check_hint(ARGUMENTS("run", "a", "-\x1b", "--"),
               "baton: there is no option -\\x1b; if it is the "
               "program's own: baton run a -- '-\\x1b'\n");
    check_hint(ARGUMENTS("run", "-S", "php"), "baton: there is no option -S\n");
    check_hint(ARGUMENTS("run", "-n", "php", "-S"), "baton: there is no option -S\n");
    check_hint(ARGUMENTS("run", "-S", "--", "php"), "baton: there is no option -S\n");
}

static void test_a_flag_with_a_value_is_told_so(void **state) {
    (void)state;
    check_wrong(ARGUMENTS("run", "--flag=3"), "baton: --flag takes no value\n");
}

static void test_an_abbreviation_of_several_is_no_option(void **state) {
    static const struct cli_option alike[] = {
        {"watch", 0, NULL, NULL, "one", set_flag},
        {"water", 0, NULL, NULL, "other", set_flag},
        {NULL, 0, NULL, NULL, NULL, NULL},
    };
    struct arguments arguments = ARGUMENTS("run", "--wat");
    struct cli_words words = {.of_program = false};
    int result;

    (void)state;
    capture_start(&capture);
    result = options_parse(arguments.count, arguments.words, alike, &target, &words);
    capture_end(&capture);
    assert_int_equal(result, UV_EINVAL);
    assert_non_null(strstr(capture.text, "there is no option --wat"));
    arguments_clear(&arguments);
}

static void test_the_help_lists_what_is_meant_for_people(void **state) {
    (void)state;
    capture_start(&capture);
    options_print(stdout, options);
    capture_end(&capture);
    assert_string_equal(capture.text, "  -n, --name NAME                 the name\n"
                                      "  -f, --flag                      a flag\n"
                                      "      --status[=json]             the status\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_stand_anywhere_before_the_dashes),
        cmocka_unit_test(test_values_are_glued_or_apart),
        cmocka_unit_test(test_a_value_may_begin_with_a_dash),
        cmocka_unit_test(test_a_negative_number_is_a_word),
        cmocka_unit_test(test_after_an_error_parsing_begins_anew),
        cmocka_unit_test(test_options_without_a_function_are_applied_by_name),
        cmocka_unit_test(test_an_optional_value_is_only_a_glued_one),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_a_sentence_calls_baton_as_it_was_called),
        cmocka_unit_test(test_mistakes_are_answered_with_one_sentence),
        cmocka_unit_test(test_an_unknown_option_behind_a_program_may_be_its_own),
        cmocka_unit_test(test_a_flag_with_a_value_is_told_so),
        cmocka_unit_test(test_an_abbreviation_of_several_is_no_option),
        cmocka_unit_test(test_the_help_lists_what_is_meant_for_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
