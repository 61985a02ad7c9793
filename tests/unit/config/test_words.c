#include "config/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

/* The words, with a | between them. */
static void check(const char *text, const char *expected) {
    struct text_list words = {.items = NULL};
    char joined[256] = "";

    assert_int_equal(words_split(&words, text), 0);
    for (size_t i = 0; i < words.count; i++) {
        strcat(joined, i > 0 ? "|" : "");
        strcat(joined, words.items[i]);
    }
    assert_string_equal(joined, expected);
    text_list_clear(&words);
}

static void test_blanks_part_words(void **state) {
    (void)state;
    check("", "");
    check(" \t\r\n", "");
    check("one", "one");
    check("  --port 80\t-v \n", "--port|80|-v");
}

static void test_quotes_hold_words_together(void **state) {
    (void)state;
    check("'a b' \"c d\"", "a b|c d");
    check("--name='a b'c", "--name=a bc");
    check("'\"' \"'\"", "\"|'");
    check("a '' \"\" b", "a|||b");
}

static void test_backslashes(void **state) {
    (void)state;
    check("a\\ b \\'c \\\\", "a b|'c|\\");
    check("\"a\\\"b\\\\c\\nd\\$e\"", "a\"b\\c\\nd$e");
    check("'a\\'", "a\\");
    check("a\\", "a\\");
}

static void test_nothing_else_has_a_meaning(void **state) {
    (void)state;
    check("$HOME *.c `x` a;b >c ~ #d", "$HOME|*.c|`x`|a;b|>c|~|#d");
}

static void test_a_quote_that_is_not_closed(void **state) {
    static const char *const texts[] = {"'", "\"", "a 'b", "\"a\\\"", "it's"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct text_list words = {.items = NULL};

        assert_int_equal(words_split(&words, texts[i]), UV_EINVAL);
        text_list_clear(&words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks_part_words),
        cmocka_unit_test(test_quotes_hold_words_together),
        cmocka_unit_test(test_backslashes),
        cmocka_unit_test(test_nothing_else_has_a_meaning),
        cmocka_unit_test(test_a_quote_that_is_not_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
