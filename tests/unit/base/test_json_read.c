#include "base/json_read.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "unit/failing_memory.h"

#define TEXT_MAX 40000

#if HAS_FAILING_MEMORY

/* Strings of many lengths, keys in great number, and what is nested. */
static size_t write_text(char text[TEXT_MAX]) {
    size_t length = (size_t)snprintf(text, TEXT_MAX, "{");

    for (int i = 0; i < 100; i++)
        length += (size_t)snprintf(text + length, TEXT_MAX - length, "\"key%d\":\"%0*d\",", i,
                                   i * 3 + 1, i);
    return length + (size_t)snprintf(text + length, TEXT_MAX - length,
                                     "\"last\":[[[[[[]]]]],[[],[],[],{},{},true,1.5,-7]]}");
}

/* How many allocations it takes. */
static long fail_each(const char *text, size_t length) {
    json_t *value = NULL;
    json_error_t error;
    long number = 0;

    while (!value) {
        memory_left = ++number;
        value = json_read(text, length, JSON_REJECT_DUPLICATES, &error);
        memory_left = 0;
        if (!value)
            assert_int_equal(json_error_code(&error), json_error_out_of_memory);
        assert_true(number < 10000);
    }
    json_decref(value);
    return number;
}

static void test_each_allocation_fails(void **state) {
    char text[TEXT_MAX];

    (void)state;
    assert_true(fail_each(text, write_text(text)) > 200);
}

/* What stands in the parser's buffer when memory goes is read from the reserve alone, which is the
 * smaller the shorter the text. */
static void test_each_allocation_fails_of_what_is_small_and_deep(void **state) {
    char text[2000];

    (void)state;
    for (size_t depth = 1; depth < 1000; depth += 37) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_true(fail_each(text, 2 * depth) > (long)depth);
    }
}

#endif

static void test_it_reads_what_jansson_reads(void **state) {
    static const char *const texts[] = {"{}", "[1,2]", "{\"a\":1,\"a\":2}",  "",
                                        "{",  "[] x",  "{\"a\":\"\\u00e4\"}"};
    json_error_t error;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t length = strlen(texts[i]);
        json_t *expected = json_loadb(texts[i], length, JSON_REJECT_DUPLICATES, NULL);
        json_t *value = json_read(texts[i], length, JSON_REJECT_DUPLICATES, &error);

        assert_int_equal(value != NULL, expected != NULL);
        assert_true(!value || json_equal(value, expected));
        assert_true(value || error.text[0]);
        json_decref(expected);
        json_decref(value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_reads_what_jansson_reads),
#if HAS_FAILING_MEMORY
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_each_allocation_fails_of_what_is_small_and_deep),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
