#include "daemon/recent_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct recent_output recent;

static void add(pid_t pid, bool error, const char *text) {
    struct output_origin origin = {.pid = pid, .error = error};

    recent_output_add(&recent, &origin, text, strlen(text));
}

static void expect(pid_t pid, const char *expected) {
    struct buffer text;

    buffer_init(&text);
    assert_int_equal(recent_output_last_lines(&recent, pid, &text), 0);
    assert_int_equal(buffer_length(&text), strlen(expected));
    if (expected[0] != '\0')
        assert_memory_equal(buffer_data(&text), expected, strlen(expected));
    buffer_clear(&text);
}

static int tear_down(void **state) {
    (void)state;
    recent_output_clear(&recent);
    return 0;
}

static void test_nothing_is_known_at_first(void **state) {
    (void)state;
    expect(0, "");
    expect(1, "");
}

static void test_both_streams_keep_their_order(void **state) {
    (void)state;
    add(1, false, "one\ntw");
    add(1, false, "o\n");
    add(1, true, "three");
    expect(1, "one\ntwo\nthree\n");
    add(1, false, "four\n");
    expect(1, "one\ntwo\nthree\nfour\n");
}

static void test_two_workers_are_known_and_a_third_takes_the_place_of_the_first(void **state) {
    (void)state;
    add(1, false, "old\n");
    add(2, false, "new\n");
    expect(1, "old\n");
    expect(2, "new\n");
    expect(0, "new\n");
    add(3, false, "newer\n");
    expect(1, "");
    expect(2, "new\n");
    expect(0, "newer\n");
}

static void test_only_the_last_lines_are_shown(void **state) {
    char line[16];
    struct buffer expected;

    (void)state;
    buffer_init(&expected);
    for (int i = 0; i < RECENT_OUTPUT_LINES + 5; i++) {
        snprintf(line, sizeof line, "%d\n", i);
        add(1, false, line);
        if (i >= 5)
            assert_int_equal(buffer_append(&expected, line, strlen(line)), 0);
    }
    assert_int_equal(buffer_append(&expected, "", 1), 0);
    expect(1, buffer_data(&expected));
    buffer_clear(&expected);
}

static void test_a_line_that_has_lost_its_beginning_is_left_out(void **state) {
    char text[RECENT_OUTPUT_SIZE + 1];

    (void)state;
    memset(text, 'x', sizeof text);
    text[RECENT_OUTPUT_SIZE - 1] = '\n';
    text[RECENT_OUTPUT_SIZE] = '\0';
    add(1, false, text);
    expect(1, text);
    add(1, false, "end\n");
    expect(1, "end\n");
}

static void test_of_much_at_once_the_end_is_kept(void **state) {
    static char text[2 * RECENT_OUTPUT_SIZE + 1];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    add(1, false, text);
    assert_int_equal(recent.workers[recent.latest].length, RECENT_OUTPUT_SIZE);
}

static void test_what_is_no_utf8_is_replaced(void **state) {
    (void)state;
    add(1, false, "a\xff z\n");
    expect(1, "a\xef\xbf\xbd z\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_nothing_is_known_at_first, tear_down),
        cmocka_unit_test_teardown(test_both_streams_keep_their_order, tear_down),
        cmocka_unit_test_teardown(
            test_two_workers_are_known_and_a_third_takes_the_place_of_the_first, tear_down),
        cmocka_unit_test_teardown(test_only_the_last_lines_are_shown, tear_down),
        cmocka_unit_test_teardown(test_a_line_that_has_lost_its_beginning_is_left_out, tear_down),
        cmocka_unit_test_teardown(test_of_much_at_once_the_end_is_kept, tear_down),
        cmocka_unit_test_teardown(test_what_is_no_utf8_is_replaced, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
