#include "cli/commands.h"
#include "cli/completion.h"

#include "config/attribute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cli_command role = {
    .name = "walk", .usage = "", .summary = "the first: it's so", .completes = CLI_COMPLETES_FILES};
static const struct cli_command hidden = {.name = "inner", .usage = ""};
static const struct cli_command *const roles[] = {&role, &hidden, NULL};

static void test_names_and_aliases(void **state) {
    (void)state;
    assert_ptr_equal(cli_command_find(roles, "walk"), &role);
    assert_ptr_equal(cli_command_find(roles, "inner"), &hidden);
    assert_ptr_equal(cli_command_find(roles, "ls"), cli_command_find(roles, "list"));
    assert_ptr_equal(cli_command_find(roles, "show"), cli_command_find(roles, "describe"));
    assert_ptr_equal(cli_command_find(roles, "del"), cli_command_find(roles, "delete"));
    assert_null(cli_command_find(roles, "lis"));
    assert_null(cli_command_find(roles, "ls l"));
    assert_null(cli_command_find(roles, ""));
}

static void test_no_name_is_taken_twice(void **state) {
    const struct cli_command *command;

    (void)state;
    for (size_t i = 0; (command = cli_command_at(roles, i)); i++)
        assert_ptr_equal(cli_command_find(roles, command->name), command);
}

static void nearest_is(const char *typed, const char *expected) {
    char name[CLI_COMMAND_NAME_MAX] = "untouched";

    assert_int_equal(cli_command_nearest(roles, typed, name), expected != NULL);
    if (expected)
        assert_string_equal(name, expected);
}

static void test_the_nearest(void **state) {
    (void)state;
    nearest_is("walc", "walk");
    nearest_is("strat", "start");
    nearest_is("stopp", "stop");
    nearest_is("retsart", "restart");
    nearest_is("inne", NULL);
    nearest_is("frobnicate", NULL);
    nearest_is("xyz", NULL);
}

/* Every record can be parsed: a letter or name that two flags share would be one too many. */
static void test_flags_are_told_apart(void **state) {
    const struct cli_command *command;

    (void)state;
    for (size_t i = 0; (command = cli_command_at(roles, i)); i++) {
        struct cli_option options[OPTIONS_MAX + 1];

        cli_command_options(command, options);
        for (size_t j = 0; options[j].name; j++)
            for (size_t k = 0; k < j; k++) {
                assert_string_not_equal(options[j].name, options[k].name);
                if (options[j].letter)
                    assert_int_not_equal(options[j].letter, options[k].letter);
            }
    }
}

/* A flag that has no function of its own is an attribute of an app. */
static void test_flags_by_name_are_attributes(void **state) {
    struct cli_option options[OPTIONS_MAX + 1];
    size_t count = 0;

    (void)state;
    cli_command_options(cli_command_find(roles, "start"), options);
    for (size_t i = 0; options[i].name; i++) {
        const char *name = options[i].name;
        char attribute[64];

        if (options[i].apply)
            continue;
        snprintf(attribute, sizeof attribute, "%s", strncmp(name, "no-", 3) == 0 ? name + 3 : name);
        for (char *at = attribute; *at; at++)
            *at = (char)(*at == '-' ? '_' : *at);
        assert_non_null(attribute_canonical_name(attribute));
        count++;
    }
    assert_true(count > 30);
}

static const struct cli_context context = {.dialect = &(const struct cli_dialect){.name = "baton"},
                                           .roles = roles};

static void script_has(enum completion_shell shell, const char *const *parts) {
    struct buffer out;

    buffer_init(&out);
    assert_int_equal(completion_write(&out, &context, shell), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    for (; *parts; parts++)
        if (!strstr(buffer_data(&out), *parts))
            fail_msg("no %s", *parts);
    assert_null(strstr(buffer_data(&out), "inner"));
    buffer_clear(&out);
}

static void test_completion_scripts(void **state) {
    static const char *const bash[] = {
        "    list|ls|l|ps|status) kind=nothing flags='--sort ",
        "    walk) kind=files flags='--silent --no-color --help ' ;;",
        "    commands) words=(start stop ",
        "complete -F _baton baton\n",
        "    --policy) kind=policies ;;\n",
        NULL};
    static const char *const zsh[] = {"#compdef baton\n", "'walk:the first\\: it'\\''s so'\n",
                                      "    delete|del) kind=targets flags=(\n", NULL};

    (void)state;
    script_has(COMPLETION_BASH, bash);
    script_has(COMPLETION_ZSH, zsh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_aliases),
        cmocka_unit_test(test_no_name_is_taken_twice),
        cmocka_unit_test(test_the_nearest),
        cmocka_unit_test(test_flags_are_told_apart),
        cmocka_unit_test(test_flags_by_name_are_attributes),
        cmocka_unit_test(test_completion_scripts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
