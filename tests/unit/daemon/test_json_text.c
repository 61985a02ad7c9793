#include "daemon/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>

static struct buffer out;
static struct json_text text;

static int set_up(void **state) {
    (void)state;
    buffer_init(&out);
    json_text_init(&text, &out);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    buffer_clear(&out);
    return 0;
}

static void assert_written(const char *wanted) {
    assert_int_equal(json_text_result(&text), 0);
    assert_int_equal(buffer_length(&out), strlen(wanted));
    assert_memory_equal(buffer_data(&out), wanted, strlen(wanted));
}

static void test_values_are_separated(void **state) {
    (void)state;
    json_text_open(&text, NULL, '[');
    json_text_open(&text, NULL, '{');
    json_text_integer(&text, "a", -5);
    json_text_open(&text, "b", '[');
    json_text_string(&text, NULL, "x");
    json_text_null(&text, NULL);
    json_text_close(&text, ']');
    json_text_open(&text, "c", '{');
    json_text_close(&text, '}');
    json_text_boolean(&text, "d", true);
    json_text_boolean(&text, "e", false);
    json_text_close(&text, '}');
    json_text_integer(&text, NULL, INT64_MAX);
    json_text_close(&text, ']');
    assert_written("[{\"a\":-5,\"b\":[\"x\",null],\"c\":{},\"d\":true,\"e\":false},"
                   "9223372036854775807]");
}

static void test_hundredths_have_a_point(void **state) {
    (void)state;
    json_text_open(&text, NULL, '[');
    json_text_hundredths(&text, NULL, 0);
    json_text_hundredths(&text, NULL, 0.3);
    json_text_hundredths(&text, NULL, 12.345);
    json_text_hundredths(&text, NULL, 99.999);
    json_text_hundredths(&text, NULL, -1);
    json_text_hundredths(&text, NULL, (double)NAN);
    json_text_close(&text, ']');
    assert_written("[0.00,0.30,12.35,100.00,0.00,0.00]");
}

static void test_what_is_no_utf8_is_null(void **state) {
    static const char *const broken[] = {NULL,       "\x80",         "a\xff",           "\xc0\xaf",
                                         "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        buffer_consume(&out, buffer_length(&out));
        json_text_init(&text, &out);
        json_text_string(&text, NULL, broken[i]);
        assert_written("null");
    }
}

/* Read by others, every character that there is comes back. */
static void test_texts_come_back(void **state) {
    char all[0x80];
    json_t *value;

    (void)state;
    for (int byte = 1; byte < 0x80; byte++)
        all[byte - 1] = (char)byte;
    all[0x7f] = '\0';
    json_text_open(&text, NULL, '{');
    json_text_string(&text, "ascii", all);
    json_text_string(&text, "higher", "\xc2\x85\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    json_text_string(&text, "na\"me\n", "");
    json_text_close(&text, '}');
    value = json_loadb(buffer_data(&out), buffer_length(&out), 0, NULL);
    assert_non_null(value);
    assert_string_equal(json_string_value(json_object_get(value, "ascii")), all);
    assert_string_equal(json_string_value(json_object_get(value, "higher")),
                        "\xc2\x85\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_string_equal(json_string_value(json_object_get(value, "na\"me\n")), "");
    json_decref(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_are_separated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hundredths_have_a_point, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_utf8_is_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts_come_back, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
