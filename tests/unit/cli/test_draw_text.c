#include "unit/cli/drawing.h"

static void test_durations_are_whole_units(void **state) {
    static const struct {
        int64_t milliseconds;
        const char *text;
    } cases[] = {{-5, "0s"},        {0, "0s"},          {999, "0s"},          {12000, "12s"},
                 {59999, "59s"},    {60000, "1m"},      {300000, "5m"},       {3599999, "59m"},
                 {3600000, "1h"},   {10800000, "3h"},   {86399999, "23h"},    {86400000, "1D"},
                 {172800000, "2D"}, {2592000000, "1M"}, {31535999999, "12M"}, {31536000000, "1Y"}};
    char text[DRAW_NUMBER_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        draw_duration(text, cases[i].milliseconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_sizes_have_one_decimal(void **state) {
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{0, "0b"},        {1023, "1023b"},       {1024, "1kb"},
                 {1536, "1.5kb"},  {55260000, "52.7mb"},  {1048576, "1mb"},
                 {1048575, "1mb"}, {1288490189, "1.2gb"}, {INT64_MAX, "8388608tb"}};
    char text[DRAW_NUMBER_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        draw_bytes(text, cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_times_are_utc_with_milliseconds(void **state) {
    char text[DRAW_NUMBER_MAX];

    (void)state;
    draw_time(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    draw_time(text, NOW_MS + 7);
    assert_string_equal(text, "2026-09-21T14:13:20.007Z");
    draw_time(text, -1);
    assert_string_equal(text, "N/A");
}

static void test_widths_are_those_of_the_terminal(void **state) {
    (void)state;
    assert_int_equal(draw_width("", 0), 0);
    assert_int_equal(draw_width("name", 4), 4);
    assert_int_equal(draw_width("wörker", strlen("wörker")), 6);
    assert_int_equal(draw_width("日本", strlen("日本")), 4);
    assert_int_equal(draw_width("e\xcc\x81", 3), 1); /* e and a combining acute accent */
    assert_int_equal(draw_width("\xe6\x97", 2), 2);  /* cut off within a character */
}

static void test_what_fits_ends_between_characters(void **state) {
    (void)state;
    assert_int_equal(draw_fitting("name", 4, 10), 4);
    assert_int_equal(draw_fitting("name", 4, 2), 2);
    assert_int_equal(draw_fitting("日本", 6, 3), 3);
    assert_int_equal(draw_fitting("日本", 6, 1), 0);
    assert_int_equal(draw_fitting("e\xcc\x81x", 4, 1), 3);
}

static void test_text_from_outside_is_escaped(void **state) {
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(draw_escaped(&out, &in_pipe, "ü\x1b[2J\n\xff"), 0);
    expect_text(&out, "ü\\x1b[2J\\n\\xff");
    assert_int_equal(draw_escaped(&out, &in_ascii, "ü"), 0);
    expect_text(&out, "\\xc3\\xbc");
}

static void test_colours_only_where_the_style_has_them(void **state) {
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(draw_coloured(&out, &in_colour, DRAW_RED, "x"), 0);
    expect_text(&out, "\033[31mx\033[0m");
    assert_int_equal(draw_coloured(&out, &in_colour, DRAW_PLAIN, "x"), 0);
    expect_text(&out, "x");
    assert_int_equal(draw_coloured(&out, &in_pipe, DRAW_RED, "x"), 0);
    expect_text(&out, "x");
    assert_int_equal(draw_status_colour("online"), DRAW_GREEN);
    assert_int_equal(draw_status_colour("launching"), DRAW_BLUE);
    assert_int_equal(draw_status_colour("waiting restart"), DRAW_RED);
}

static void test_members_of_another_type_are_as_if_absent(void **state) {
    json_t *object = json_of("{'a': 'text', 'n': 7, 'r': 1.9, 'huge': 1e300, 'z': null}");

    (void)state;
    assert_string_equal(draw_member_text(object, "a", "-"), "text");
    assert_string_equal(draw_member_text(object, "n", "-"), "-");
    assert_string_equal(draw_member_text(NULL, "a", "-"), "-");
    assert_int_equal(draw_member_number(object, "n", -1), 7);
    assert_int_equal(draw_member_number(object, "r", -1), 1);
    assert_int_equal(draw_member_number(object, "huge", -1), -1);
    assert_int_equal(draw_member_number(object, "a", -1), -1);
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_are_whole_units),
        cmocka_unit_test(test_sizes_have_one_decimal),
        cmocka_unit_test(test_times_are_utc_with_milliseconds),
        cmocka_unit_test(test_widths_are_those_of_the_terminal),
        cmocka_unit_test(test_what_fits_ends_between_characters),
        cmocka_unit_test(test_text_from_outside_is_escaped),
        cmocka_unit_test(test_colours_only_where_the_style_has_them),
        cmocka_unit_test(test_members_of_another_type_are_as_if_absent),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
