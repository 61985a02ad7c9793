#include "cli/js_literal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct buffer out;

static int set_up(void **state) {
    (void)state;
    buffer_init(&out);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    buffer_clear(&out);
    return 0;
}

static void expect(int result, const char *expected) {
    assert_int_equal(result, 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal(buffer_data(&out), expected);
    buffer_clear(&out);
}

static void expect_text(const char *text, const char *expected) {
    expect(js_put_text(&out, text, strlen(text)), expected);
}

static void test_a_text_has_the_quotes_that_need_no_escape(void **state) {
    (void)state;
    expect_text("", "''");
    expect_text("plain", "'plain'");
    expect_text("it's", "\"it's\"");
    expect_text("it's \"it\"", "`it's \"it\"`");
    expect_text("'\"`", "'\\'\"`'");
    expect_text("'\"${x}", "'\\'\"${x}'");
}

static void test_what_is_no_text_is_escaped(void **state) {
    (void)state;
    expect_text("a\tb\n\\", "'a\\tb\\n\\\\'");
    expect_text("\x1b[31m\x7f", "'\\x1B[31m\\x7F'");
    expect_text("\xc2\x9b", "'\\x9B'");
    expect_text("\xc3\xa9 \xf0\x9f\x98\x80", "'\xc3\xa9 \xf0\x9f\x98\x80'");
}

static void test_numbers_are_those_of_javascript(void **state) {
    (void)state;
    expect(js_put_real(&out, 0.0), "0");
    expect(js_put_real(&out, -0.0), "-0");
    expect(js_put_real(&out, 0.1), "0.1");
    expect(js_put_real(&out, -1234.5), "-1234.5");
    expect(js_put_real(&out, 1e-7), "1e-7");
    expect(js_put_real(&out, 0.000001), "0.000001");
    expect(js_put_real(&out, 1e21), "1e+21");
    expect(js_put_real(&out, 123456789012345680000.0), "123456789012345680000");
    expect(js_put_integer(&out, 42), "42");
    expect(js_put_integer(&out, INT64_MAX), "9223372036854776000");
}

static void test_a_key_has_quotes_where_it_needs_them(void **state) {
    (void)state;
    expect(js_put_key(&out, "name_1"), "name_1: ");
    expect(js_put_key(&out, "1name"), "'1name': ");
    expect(js_put_key(&out, "a-b"), "'a-b': ");
    expect(js_put_key(&out, ""), "'': ");
    expect(js_put_key(&out, "__proto__"), "['__proto__']: ");
}

static void test_javascript_counts_utf16(void **state) {
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";

    (void)state;
    assert_int_equal(js_units(text, strlen(text)), 5);
    assert_int_equal(js_character_size(text), 1);
    assert_int_equal(js_character_size(text + 1), 2);
    assert_int_equal(js_character_size(text + 3), 3);
    assert_int_equal(js_character_size(text + 6), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_text_has_the_quotes_that_need_no_escape, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_text_is_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_are_those_of_javascript, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_key_has_quotes_where_it_needs_them, set_up,
                                        tear_down),
        cmocka_unit_test(test_javascript_counts_utf16),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
