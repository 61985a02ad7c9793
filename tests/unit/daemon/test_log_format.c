#include "daemon/log_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* Friday, 2026-01-02 15:04:05.678 at +02:30. */
static struct log_time moment(void) {
    return (struct log_time){.unix_ms = 1767357245678,
                             .parts = {.tm_year = 126,
                                       .tm_mon = 0,
                                       .tm_mday = 2,
                                       .tm_hour = 15,
                                       .tm_min = 4,
                                       .tm_sec = 5,
                                       .tm_wday = 5,
                                       .tm_yday = 1,
                                       .tm_gmtoff = 9000}};
}

static void check_at(const struct log_time *time, const char *format, const char *expected) {
    char text[LOG_DATE_MAX];

    assert_int_equal(log_format_date(text, format, time), strlen(expected));
    assert_string_equal(text, expected);
}

static void check(const char *format, const char *expected) {
    struct log_time time = moment();

    check_at(&time, format, expected);
}

static void test_the_usual_dates(void **state) {
    (void)state;
    check("YYYY-MM-DD HH:mm:ss Z", "2026-01-02 15:04:05 +02:30");
    check("YYYY-MM-DDTHH:mm:ss", "2026-01-02T15:04:05");
    check("DD/MM/YY, h:mm:ss.SSS a", "02/01/26, 3:04:05.678 pm");
    check("dddd, MMMM Do YYYY", "Friday, January 2nd 2026");
    check("ddd MMM D dd d E", "Fri Jan 2 Fr 5 5");
    check("", "");
}

static void test_every_letter(void **state) {
    (void)state;
    check("YYYY YY Q M MM MMM MMMM Mo", "2026 26 1 1 01 Jan January 1st");
    check("D DD Do DDD DDDD", "2 02 2nd 2 002");
    check("H HH h hh k kk A a", "15 15 3 03 15 15 PM pm");
    check("m mm s ss S SS SSS", "4 04 5 05 6 67 678");
    check("Z ZZ X x", "+02:30 +0230 1767357245 1767357245678");
    check("LT|LTS|L|LL", "3:04 PM|3:04:05 PM|01/02/2026|January 2, 2026");
    check("LLL", "January 2, 2026 3:04 PM");
    check("LLLL", "Friday, January 2, 2026 3:04 PM");
}

static void test_brackets_keep_text_and_the_rest_stands_for_itself(void **state) {
    (void)state;
    check("[on] YYYY [at] HH", "on 2026 at 15");
    check("[] [YYYY]", " YYYY");
    check("[YYYY", "[2026");
    check("%n %s \\ \"", "%n %5 \\ \"");
}

static void test_midnight_noon_and_sunday(void **state) {
    struct log_time time = moment();

    (void)state;
    time.parts.tm_hour = 0;
    time.parts.tm_wday = 0;
    check_at(&time, "H h k a d E dddd", "0 12 24 am 0 7 Sunday");
    time.parts.tm_hour = 12;
    check_at(&time, "H h k A", "12 12 12 PM");
    time.parts.tm_gmtoff = -12600;
    check_at(&time, "Z ZZ", "-03:30 -0330");
}

static void test_ordinals(void **state) {
    static const char *const expected[] = {"1st",  "2nd",  "3rd",  "4th",  "11th", "12th",
                                           "13th", "21st", "22nd", "23rd", "30th", "31st"};

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct log_time time = moment();

        time.parts.tm_mday = atoi(expected[i]);
        check_at(&time, "Do", expected[i]);
    }
}

static void test_a_long_date_is_cut(void **state) {
    char format[2000];
    char text[LOG_DATE_MAX];
    struct log_time time = moment();

    (void)state;
    memset(format, 'L', sizeof format - 1);
    format[sizeof format - 1] = '\0';
    assert_int_equal(log_format_date(text, format, &time), LOG_DATE_MAX - 1);
    assert_int_equal(strlen(text), LOG_DATE_MAX - 1);
}

static void test_iso_dates_are_utc(void **state) {
    char text[LOG_DATE_MAX];

    (void)state;
    log_format_iso_date(text, 1767357245678);
    assert_string_equal(text, "2026-01-02T12:34:05.678Z");
    log_format_iso_date(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    log_format_iso_date(text, -1);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void check_text(const char *bytes, size_t length, const char *expected) {
    struct buffer buffer;

    buffer_init(&buffer);
    assert_int_equal(log_format_text(&buffer, bytes, length), 0);
    assert_int_equal(buffer_length(&buffer), strlen(expected));
    if (length > 0)
        assert_memory_equal(buffer_data(&buffer), expected, strlen(expected));
    buffer_clear(&buffer);
}

#define BAD "\xef\xbf\xbd"

static void test_what_is_not_utf8_is_replaced(void **state) {
    (void)state;
    check_text("", 0, "");
    check_text("plain", 5, "plain");
    check_text("a\0b", 3, "a" BAD "b");
    check_text("\x80x", 2, BAD "x");
    check_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check_text("\xc0\xaf", 2, BAD BAD);                      /* overlong */
    check_text("\xe0\x80\xaf", 3, BAD BAD BAD);              /* overlong */
    check_text("\xed\xa0\x80", 3, BAD BAD BAD);              /* a surrogate */
    check_text("\xf4\x90\x80\x80", 4, BAD BAD BAD BAD);      /* past U+10FFFF */
    check_text("\xf5\x80\x80\x80x", 5, BAD BAD BAD BAD "x"); /* no such byte */
    check_text("\xe2\x82", 2, BAD BAD);                      /* cut off */
    check_text("\xe2\x82y", 3, BAD BAD "y");
    check_text("\x1b[31mred\x1b[0m\t", 13, "\x1b[31mred\x1b[0m\t"); /* it is the reader's matter */
}

/* Each one, two and three bytes: the result is always what jansson takes for UTF-8. */
static void test_the_result_is_always_utf8(void **state) {
    (void)state;
    for (unsigned value = 0; value < 1u << 24; value += value < 1u << 16 ? 1 : 257) {
        char bytes[3] = {(char)(value >> 16), (char)(value >> 8), (char)value};
        struct buffer buffer;
        json_t *text;

        buffer_init(&buffer);
        assert_int_equal(log_format_text(&buffer, bytes, sizeof bytes), 0);
        text = json_stringn(buffer_data(&buffer), buffer_length(&buffer));
        assert_non_null(text);
        json_decref(text);
        buffer_clear(&buffer);
    }
}

/* What comes out is read by somebody else's parser. */
static json_t *print_json(const char *message, size_t length, const char *app) {
    struct log_record record = {
        .timestamp = "2026-01-02T12:34:05.678Z", .type = "out", .process_id = 3, .app_name = app};
    struct buffer buffer;
    struct buffer end;
    json_t *json;

    buffer_init(&buffer);
    buffer_init(&end);
    assert_int_equal(log_format_json_end(&end, &record), 0);
    assert_int_equal(log_format_json(&buffer, message, length, &end), 0);
    buffer_clear(&end);
    assert_int_equal(buffer_data(&buffer)[buffer_length(&buffer) - 1], '\n');
    assert_ptr_equal(memchr(buffer_data(&buffer), '\n', buffer_length(&buffer)),
                     buffer_data(&buffer) + buffer_length(&buffer) - 1);
    json = json_loadb(buffer_data(&buffer), buffer_length(&buffer), JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    buffer_clear(&buffer);
    return json;
}

static void check_field(const json_t *json, const char *field, const char *expected) {
    assert_string_equal(json_string_value(json_object_get(json, field)), expected);
}

static void test_json_has_the_fields(void **state) {
    json_t *json = print_json("hello\n", 6, "api");

    (void)state;
    assert_int_equal(json_object_size(json), 5);
    check_field(json, "message", "hello\n");
    check_field(json, "timestamp", "2026-01-02T12:34:05.678Z");
    check_field(json, "type", "out");
    check_field(json, "app_name", "api");
    assert_int_equal(json_integer_value(json_object_get(json, "process_id")), 3);
    json_decref(json);
}

static void test_json_escapes_whatever_comes(void **state) {
    json_t *json = print_json("\"\\\b\x1b[0m\t\r\x7f\xff\xc3\xa9", 13, "a\"b\\c");

    (void)state;
    check_field(json, "message", "\"\\\b\x1b[0m\t\r\x7f" BAD "\xc3\xa9");
    check_field(json, "app_name", "a\"b\\c");
    json_decref(json);
    json = print_json("a\0b", 3, "x");
    assert_int_equal(json_string_length(json_object_get(json, "message")), 3);
    assert_memory_equal(json_string_value(json_object_get(json, "message")), "a\0b", 3);
    json_decref(json);
    json = print_json("", 0, "");
    check_field(json, "message", "");
    json_decref(json);
}

/* Eight bytes are looked at together: each byte in each place of them. */
static void test_each_byte_in_each_place(void **state) {
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t place = 0; place < 19; place++) {
            char message[] = "plain plain plain pl";
            json_t *record;
            json_t *json;

            message[place] = (char)byte;
            record = print_json(message, 20, "x");
            json = json_object_get(record, "message");
            if (byte < 0x80)
                assert_memory_equal(json_string_value(json), message, 20);
            else
                assert_memory_equal(json_string_value(json) + place, BAD, 3);
            assert_int_equal(json_string_length(json), byte < 0x80 ? 20 : 22);
            json_decref(record);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_dates),
        cmocka_unit_test(test_every_letter),
        cmocka_unit_test(test_brackets_keep_text_and_the_rest_stands_for_itself),
        cmocka_unit_test(test_midnight_noon_and_sunday),
        cmocka_unit_test(test_ordinals),
        cmocka_unit_test(test_a_long_date_is_cut),
        cmocka_unit_test(test_iso_dates_are_utc),
        cmocka_unit_test(test_what_is_not_utf8_is_replaced),
        cmocka_unit_test(test_the_result_is_always_utf8),
        cmocka_unit_test(test_json_has_the_fields),
        cmocka_unit_test(test_json_escapes_whatever_comes),
        cmocka_unit_test(test_each_byte_in_each_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
