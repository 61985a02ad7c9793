#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_number(const char *text, int error, int64_t expected) {
    int64_t value = 12345;

    assert_int_equal(text_to_number(text, -100, 1000, &value), error);
    assert_int_equal(value, error ? 12345 : expected);
}

static void test_numbers(void **state) {
    int64_t value;

    (void)state;
    check_number("0", 0, 0);
    check_number("007", 0, 7);
    check_number("-100", 0, -100);
    check_number("1000", 0, 1000);
    check_number("1001", -ERANGE, 0);
    check_number("-101", -ERANGE, 0);
    check_number("99999999999999999999", -ERANGE, 0);
    check_number("-99999999999999999999", -ERANGE, 0);
    assert_int_equal(text_to_number("9223372036854775807", 0, INT64_MAX, &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(text_to_number("9223372036854775808", 0, INT64_MAX, &value), -ERANGE);
}

static void test_what_is_no_number(void **state) {
    static const char *const texts[] = {"",     "-",   "+1",  " 1",  "1 ",  "1x", "x",
                                        "0x10", "1.5", "--1", "1e3", "1\n", "- 1"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_number(texts[i], -EINVAL, 0);
}

static void test_signals(void **state) {
    static const char *const none[] = {"", "SIG", "SIGNONE", "sigterm", "0", "65", "-1", "15 "};
    int number = 77;

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(text_to_signal(none[i], &number), -EINVAL);
    assert_int_equal(number, 77);
    assert_int_equal(text_to_signal("SIGTERM", &number), 0);
    assert_int_equal(number, 15);
    assert_int_equal(text_to_signal("USR2", &number), 0);
    assert_int_equal(number, 12);
    assert_int_equal(text_to_signal("2", &number), 0);
    assert_int_equal(number, 2);
}

static void check_unit(int (*convert)(const char *, uint64_t *), const char *text,
                       uint64_t expected) {
    uint64_t value = 0;

    assert_int_equal(convert(text, &value), 0);
    assert_int_equal(value, expected);
}

static void check_no_unit(int (*convert)(const char *, uint64_t *), const char *text) {
    uint64_t value = 12345;

    assert_int_equal(convert(text, &value), -EINVAL);
    assert_int_equal(value, 12345);
}

static void test_milliseconds(void **state) {
    (void)state;
    check_unit(text_to_milliseconds, "0", 0);
    check_unit(text_to_milliseconds, "1500", 1500);
    check_unit(text_to_milliseconds, "1500ms", 1500);
    check_unit(text_to_milliseconds, "1.5s", 1500);
    check_unit(text_to_milliseconds, ".5s", 500);
    check_unit(text_to_milliseconds, "0.1s", 100);
    check_unit(text_to_milliseconds, "2m", 120000);
    check_unit(text_to_milliseconds, "1h", 3600000);
    check_unit(text_to_milliseconds, "2S", 2000);
    check_no_unit(text_to_milliseconds, "");
    check_no_unit(text_to_milliseconds, ".");
    check_no_unit(text_to_milliseconds, "s");
    check_no_unit(text_to_milliseconds, "-1s");
    check_no_unit(text_to_milliseconds, "+1s");
    check_no_unit(text_to_milliseconds, " 1s");
    check_no_unit(text_to_milliseconds, "1 s");
    check_no_unit(text_to_milliseconds, "1d");
    check_no_unit(text_to_milliseconds, "1s2");
    check_no_unit(text_to_milliseconds, "inf");
    check_no_unit(text_to_milliseconds, "nan");
    check_no_unit(text_to_milliseconds, "0x10");
    check_no_unit(text_to_milliseconds, "1e400");
    check_no_unit(text_to_milliseconds, "1e300h");
    check_no_unit(text_to_milliseconds, "99999999999999999999");
}

static void test_bytes(void **state) {
    (void)state;
    check_unit(text_to_bytes, "1048576", 1048576);
    check_unit(text_to_bytes, "200K", 204800);
    check_unit(text_to_bytes, "200kb", 204800);
    check_unit(text_to_bytes, "200M", 209715200);
    check_unit(text_to_bytes, "1.5G", 1610612736);
    check_unit(text_to_bytes, "2GB", 2147483648);
    check_unit(text_to_bytes, "7b", 7);
    check_unit(text_to_bytes, "9007199254740992", 9007199254740992);
    check_no_unit(text_to_bytes, "9007199254740994");
    check_no_unit(text_to_bytes, "K");
    check_no_unit(text_to_bytes, "1KK");
    check_no_unit(text_to_bytes, "1KiB");
    check_no_unit(text_to_bytes, "1T");
    check_no_unit(text_to_bytes, "-1");
}

static void check_escape(const char *bytes, size_t length, const char *expected) {
    char text[256];

    assert_int_equal(text_escape(text, sizeof text, bytes, length), strlen(expected));
    assert_string_equal(text, expected);
}

static void test_escape(void **state) {
    (void)state;
    check_escape("", 0, "");
    check_escape("plain ~ \\ \"text\"", 16, "plain ~ \\ \"text\"");
    check_escape("a\nb\tc\rd", 7, "a\\nb\\tc\\rd");
    check_escape("\0\x1b[31m\x7f\x80\xff", 9, "\\x00\\x1b[31m\\x7f\\x80\\xff");
    check_escape("\xc3\xa9", 2, "\\xc3\\xa9");
}

static void check_utf8(const char *bytes, const char *expected) {
    char text[256];

    assert_int_equal(text_escape_utf8(text, sizeof text, bytes, strlen(bytes)), strlen(expected));
    assert_string_equal(text, expected);
}

static void test_escape_keeps_well_formed_utf8(void **state) {
    (void)state;
    check_utf8("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check_utf8("\xc2\xa0", "\xc2\xa0");
    check_utf8("\xc2\x9b", "\\xc2\\x9b");                   /* a C1 control: CSI */
    check_utf8("\xc0\xaf", "\\xc0\\xaf");                   /* overlong */
    check_utf8("\xe0\x80\xaf", "\\xe0\\x80\\xaf");          /* overlong */
    check_utf8("\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"); /* overlong */
    check_utf8("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
    check_utf8("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* past U+10FFFF */
    check_utf8("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"); /* no lead byte */
    check_utf8("\xc3", "\\xc3");                            /* cut off */
    check_utf8("\xe2\x82", "\\xe2\\x82");                   /* cut off */
    check_utf8("\xc3\xc3\xa9", "\\xc3\xc3\xa9");            /* resumes */
    check_utf8("\xc3"
               "A\n",
               "\\xc3"
               "A\\n");
}

static void test_escape_of_what_does_not_fit(void **state) {
    static const char *const expected[] = {"",     ".",     "..",     "...",
                                           "a...", "ab...", "abc...", "abcdefg"};
    char text[16];

    (void)state;
    for (size_t size = 1; size <= 8; size++) {
        size_t written = text_escape(text, size, "abcdefg", 7);

        assert_string_equal(text, expected[size - 1]);
        assert_int_equal(written, strlen(text));
    }
    text[0] = 'x';
    assert_int_equal(text_escape(text, 0, "a", 1), 0);
    assert_int_equal(text[0], 'x');
}

/* Whatever the size, it ends with NUL inside, nothing is cut in the middle of a form, and what does
 * not fit ends in dots. */
static void test_escape_never_cuts_a_form(void **state) {
    static const char bytes[] = "\x01\xe2\x82\xac\x02\n\xf0\x9f\x98\x80z";
    static const char whole[] = "\\x01\xe2\x82\xac\\x02\\n\xf0\x9f\x98\x80z";
    static const size_t borders[] = {0, 4, 7, 11, 13, 17};

    (void)state;
    for (size_t size = 1; size <= sizeof whole; size++) {
        char text[sizeof whole + 1];
        size_t kept = 0;
        size_t written;

        memset(text, 0x55, sizeof text);
        written = text_escape_utf8(text, size, bytes, sizeof bytes - 1);
        assert_true(written < size);
        assert_int_equal(text[written], '\0');
        assert_int_equal(text[size], 0x55);
        if (size == sizeof whole) {
            assert_string_equal(text, whole);
            continue;
        }
        for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
            if (borders[i] + 4 <= size)
                kept = borders[i];
        assert_memory_equal(text, whole, kept);
        assert_int_equal(strspn(text + kept, "."), written - kept);
    }
}

static void test_lists_of_names(void **state) {
    (void)state;
    assert_true(text_lists("a", "a"));
    assert_true(text_lists("b,a", "a"));
    assert_true(text_lists("b , a ,c", "a"));
    assert_false(text_lists("ab,ba", "a"));
    assert_false(text_lists("b,", "a"));
    assert_false(text_lists("", "a"));
}

static void test_endings(void **state) {
    (void)state;
    assert_true(text_ends_with("app.js", ".js"));
    assert_true(text_ends_with(".js", ".js"));
    assert_true(text_ends_with("x", ""));
    assert_true(text_ends_with("", ""));
    assert_false(text_ends_with("js", ".js"));
    assert_false(text_ends_with("app.js ", ".js"));
    assert_false(text_ends_with("app.mjs", ".js"));
}

static void test_distances(void **state) {
    char word[80];

    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("restart", "restart"), 0);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("sitting", "kitten"), 3);
    assert_int_equal(text_distance("saturday", "sunday"), 3);
    assert_int_equal(text_distance("ab", "ba"), 2);
    memset(word, 'a', sizeof word);
    word[63] = '\0';
    assert_int_equal(text_distance(word, ""), 63);
    assert_int_equal(text_distance(word, word), 0);
    word[63] = 'a';
    word[64] = '\0';
    assert_int_equal(text_distance(word, word), 63);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_milliseconds),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_keeps_well_formed_utf8),
        cmocka_unit_test(test_escape_of_what_does_not_fit),
        cmocka_unit_test(test_escape_never_cuts_a_form),
        cmocka_unit_test(test_lists_of_names),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_distances),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
