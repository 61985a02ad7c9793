#include "master/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check(struct trace_message message, uint32_t seconds, const char *expected) {
    char line[TRACE_LINE_MAX];

    message.text_length = strlen(message.text);
    message.length = message.text_length;
    assert_int_equal(trace_format(line, &message, seconds, 234567), strlen(expected));
    assert_string_equal(line, expected);
}

static void test_both_directions(void **state) {
    (void)state;
    check((struct trace_message){.slot = 0, .outgoing = true, .text = "{}\n", .descriptor = 17},
          43201, "12:00:01.234567 -> worker 0  3 bytes  fd 17  {}");
    check((struct trace_message){.slot = 12, .text = "{\"a\":1}", .descriptor = -1}, 86399,
          "23:59:59.234567 <- worker 12  7 bytes  {\"a\":1}");
    check((struct trace_message){.slot = 1, .text = "", .descriptor = 0}, 0,
          "00:00:00.234567 <- worker 1  0 bytes  fd 0  ");
}

static void test_bytes_of_strangers_are_escaped(void **state) {
    (void)state;
    check((struct trace_message){.text = "\x1b[2J\n\n", .descriptor = -1}, 0,
          "00:00:00.234567 <- worker 0  6 bytes  \\x1b[2J\\n");
}

static void test_a_long_line_is_cut(void **state) {
    static char text[100000];
    struct trace_message message = {.slot = UINT32_MAX,
                                    .text = text,
                                    .text_length = sizeof text,
                                    .length = SIZE_MAX,
                                    .descriptor = INT32_MAX};
    char line[TRACE_LINE_MAX];
    size_t length;

    (void)state;
    memset(text, 1, sizeof text);
    length = trace_format(line, &message, 86399, 999999);
    assert_true(length < sizeof line && length > sizeof line - 8);
    assert_int_equal(strlen(line), length);
    assert_string_equal(line + length - 3, "...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_directions),
        cmocka_unit_test(test_bytes_of_strangers_are_escaped),
        cmocka_unit_test(test_a_long_line_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
