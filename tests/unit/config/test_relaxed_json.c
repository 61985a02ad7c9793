#include "config/relaxed_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

static char error[RELAXED_JSON_ERROR_MAX];

/* The value of a text of this exact length, on the heap, so that a sanitizer sees a read past it.
 */
static int parse_bytes(const char *bytes, size_t length, json_t **ret_value) {
    char *copy = malloc(length > 0 ? length : 1);
    int result;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    result = relaxed_json_parse(copy, length, ret_value, error);
    free(copy);
    return result;
}

static void check(const char *text, const char *strict) {
    json_t *expected = json_loads(strict, JSON_DECODE_ANY, NULL);
    json_t *value = NULL;

    assert_non_null(expected);
    if (parse_bytes(text, strlen(text), &value) < 0)
        fail_msg("%s: %s", text, error);
    if (!json_equal(value, expected))
        fail_msg("%s: %s instead of %s", text, json_dumps(value, JSON_ENCODE_ANY), strict);
    json_decref(value);
    json_decref(expected);
}

static void test_json_is_taken(void **state) {
    static const char *const texts[] = {
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-12",
        "1.5",
        "1e3",
        "-2.5E-3",
        "9223372036854775807",
        "\"\"",
        "\"a\\n\\\"\\\\\\/\\u00e9\\ud83d\\ude00\"",
        "{\"a\": {\"b\": [1, [2, {}], \"x\"]}, \"\": null}",
        " \t\r\n[ 1 , 2 ] \n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check(texts[i], texts[i]);
}

static void test_comments(void **state) {
    (void)state;
    check("// first\n{ /* a */ \"a\" /* b */ : /* c */ 1 // d\n /* e\n * / */ } // last",
          "{\"a\": 1}");
    check("/**/1/***/", "1");
    check("[1, // one\r\n2]", "[1, 2]");
    check("\"/* no */ // comment\"", "\"/* no */ // comment\"");
}

static void test_keys_need_no_quotes(void **state) {
    (void)state;
    check("{script: 1, $_a9: 2, 'b c': 3, 7: 4, true: 5}",
          "{\"script\": 1, \"$_a9\": 2, \"b c\": 3, \"7\": 4, \"true\": 5}");
    check("{gr\xc3\xb6\xc3\x9f"
          "e: 1}",
          "{\"gr\xc3\xb6\xc3\x9f"
          "e\": 1}");
    check("{`a`: 1, a: 2}", "{\"a\": 2}");
}

static void test_commas_at_the_end(void **state) {
    (void)state;
    check("[1, 2, ]", "[1, 2]");
    check("{a: 1,}", "{\"a\": 1}");
    check("{a: [1,],/**/}", "{\"a\": [1]}");
}

static void test_texts_in_other_quotes(void **state) {
    (void)state;
    check("'it\\'s \"so\"'", "\"it's \\\"so\\\"\"");
    check("`two\nlines $ {x}`", "\"two\\nlines $ {x}\"");
    check("'a\\\nb\\\r\nc'", "\"abc\"");
}

static void test_escapes_of_javascript(void **state) {
    (void)state;
    check("'\\x41\\v\\b\\f\\r\\t\\q\\`'", "\"A\\u000b\\b\\f\\r\\tq`\"");
    check("'\\u{1F600}\\u{41}\\u{7ff}\\u{ffff}'", "\"\\ud83d\\ude00A\\u07ff\\uffff\"");
}

static void test_numbers_of_javascript(void **state) {
    (void)state;
    check("[+1, .5, 5., 0x1F, -0x10, 1e+2]", "[1, 0.5, 5.0, 31, -16, 100.0]");
    check("9223372036854775808", "9223372036854775808.0");
}

static void test_undefined_is_null(void **state) {
    (void)state;
    check("{a: undefined}", "{\"a\": null}");
}

static void test_a_byte_order_mark_is_skipped(void **state) {
    (void)state;
    check("\xef\xbb\xbf{a:\xc2\xa0"
          "1}",
          "{\"a\": 1}");
}

static void check_refused_bytes(const char *bytes, size_t length, const char *sentence) {
    json_t *value = NULL;

    error[0] = '\0';
    if (parse_bytes(bytes, length, &value) != UV_EINVAL)
        fail_msg("%s is taken", bytes);
    assert_null(value);
    if (!strstr(error, sentence))
        fail_msg("%s: '%s' instead of '%s'", bytes, error, sentence);
}

static void check_refused(const char *text, const char *sentence) {
    check_refused_bytes(text, strlen(text), sentence);
}

static void test_mistakes_are_named_with_their_place(void **state) {
    (void)state;
    check_refused("", "line 1, column 1: a value is missing here");
    check_refused("{\n  a: 1\n  b: 2\n}", "line 3, column 3: a comma or } is missing here");
    check_refused("[1 2]", "line 1, column 4: a comma or ] is missing here");
    check_refused("{a 1}", "line 1, column 4: a colon is missing here");
    check_refused("{a: }", "line 1, column 5: a value is missing here");
    check_refused("{,}", "line 1, column 2: a name is missing here");
    check_refused("[,]", "line 1, column 2: a value is missing here");
    check_refused("[1,,2]", "line 1, column 4: a value is missing here");
    check_refused("{'\xc3\xa4': x}", "line 1, column 7: 'x' is no value");
    check_refused("{\n a: process.env.X}", "line 2, column 5: 'process' is no value");
    check_refused("1 2", "line 1, column 3: nothing may follow");
    check_refused("{} ]", "line 1, column 4: nothing may follow");
    check_refused("[1", "line 1, column 3: a comma or ] is missing here");
    check_refused("{a: 1", "line 1, column 6: a comma or } is missing here");
    check_refused("{a: 1,", "line 1, column 7: a name is missing here");
    check_refused("{a", "a colon is missing here");
    check_refused("[1]\n/* x", "line 2, column 1: this comment is never closed");
    check_refused("/*/", "line 1, column 1: this comment is never closed");
    check_refused("[/", "a value is missing here");
}

static void test_texts_that_cannot_be(void **state) {
    (void)state;
    check_refused("['a", "line 1, column 2: this text is never closed");
    check_refused("'a\n'", "line 1, column 1: this text is never closed");
    check_refused("'a\\", "this text is never closed");
    check_refused("`a${b}`", "line 1, column 3: ${…} is not evaluated here");
    check_refused("'\\0'", "line 1, column 2: this escape");
    check_refused("'\\17'", "this escape");
    check_refused("'\\x4'", "this escape");
    check_refused("'\\u12'", "this escape");
    check_refused("'\\u0000'", "this escape");
    check_refused("'\\ud800'", "this escape");
    check_refused("'\\ud800\\u0041'", "this escape");
    check_refused("'\\udc00'", "this escape");
    check_refused("'\\u{110000}'", "this escape");
    check_refused("'\\u{0000041}'", "this escape");
    check_refused("'\\u{}'", "this escape");
    check_refused("'\\u{41", "this escape");
    check_refused_bytes("'a\0b'", 5, "NUL byte");
    check_refused_bytes("'a\\\0b'", 6, "NUL byte");
    check_refused("'\xff'", "line 1, column 1: this text is not valid UTF-8");
    check_refused("{\xff: 1}", "this name is not valid UTF-8");
    check_refused_bytes("\0", 1, "a value is missing here");
}

static void test_numbers_that_cannot_be(void **state) {
    static const char *const texts[] = {"-",   "+",   "-a",    "01",    "0x", "0xg", "1.2.3", "1e",
                                        "1px", "--1", "0x1p3", "1_000", ".",  "-.",  "12n"};
    char long_number[200];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_refused(texts[i], texts[i][0] == '1' && texts[i][1] == '_' ? "nothing may follow"
                                                                         : "this is no number");
    check_refused("1e999", "this number is too large");
    check_refused("Infinity", "'Infinity' is no value");
    memset(long_number, '1', sizeof long_number);
    check_refused_bytes(long_number, sizeof long_number, "this is no number");
}

static void test_depth_is_bounded(void **state) {
    char text[2 * RELAXED_JSON_DEPTH_MAX + 2];
    json_t *value;

    (void)state;
    memset(text, '[', RELAXED_JSON_DEPTH_MAX);
    memset(text + RELAXED_JSON_DEPTH_MAX, ']', RELAXED_JSON_DEPTH_MAX);
    assert_int_equal(parse_bytes(text, sizeof text - 2, &value), 0);
    json_decref(value);
    memset(text, '[', RELAXED_JSON_DEPTH_MAX + 1);
    memset(text + RELAXED_JSON_DEPTH_MAX + 1, ']', RELAXED_JSON_DEPTH_MAX + 1);
    check_refused_bytes(text, sizeof text, "this is nested too deep");
    memset(text, '{', sizeof text);
    check_refused_bytes(text, sizeof text, "a name is missing here");
}

/* It is complete once the last brace is there, but for a lone slash behind it. */
static void test_every_beginning_of_a_text(void **state) {
    static const char text[] =
        "/*c*/{a: [1.5e3, 'x\\u{41}\\ud83d\\ude00\\x41', null], \"b\": {c: -0x1f,},} //";

    (void)state;
    for (size_t length = 0; length < sizeof text; length++) {
        json_t *value = NULL;
        int result = parse_bytes(text, length, &value);

        assert_int_equal(result == 0, length >= sizeof text - 4 && length != sizeof text - 2);
        json_decref(value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_is_taken),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_keys_need_no_quotes),
        cmocka_unit_test(test_commas_at_the_end),
        cmocka_unit_test(test_texts_in_other_quotes),
        cmocka_unit_test(test_escapes_of_javascript),
        cmocka_unit_test(test_numbers_of_javascript),
        cmocka_unit_test(test_undefined_is_null),
        cmocka_unit_test(test_a_byte_order_mark_is_skipped),
        cmocka_unit_test(test_mistakes_are_named_with_their_place),
        cmocka_unit_test(test_texts_that_cannot_be),
        cmocka_unit_test(test_numbers_that_cannot_be),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_every_beginning_of_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
