#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct record {
    int count;
    char last[4096];
};

static void on_line(void *owner, const char *line) {
    struct record *record = owner;

    record->count++;
    snprintf(record->last, sizeof record->last, "%s", line);
}

static int restore(void **state) {
    (void)state;
    log_set_level(LOG_LEVEL_INFO);
    log_set_sink(NULL, NULL);
    return 0;
}

static void test_each_level_has_its_mark(void **state) {
    struct record record = {.count = 0};

    (void)state;
    log_set_sink(on_line, &record);
    log_set_level(LOG_LEVEL_DEBUG);
    log_error("one %d", 1);
    assert_string_equal(record.last, "[baton] error: one 1");
    log_warning("two %s", "2");
    assert_string_equal(record.last, "[baton] warning: two 2");
    log_info("three");
    assert_string_equal(record.last, "[baton] three");
    log_debug("four");
    assert_string_equal(record.last, "[baton] debug: four");
    assert_int_equal(record.count, 4);
}

static void test_lines_above_the_level_are_dropped(void **state) {
    static const int written[] = {1, 2, 3, 4};

    (void)state;
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        struct record record = {.count = 0};

        log_set_sink(on_line, &record);
        log_set_level((enum log_level)level);
        log_error("x");
        log_warning("x");
        log_info("x");
        log_debug("x");
        assert_int_equal(record.count, written[level]);
    }
}

static void test_info_is_the_level_at_the_start(void **state) {
    struct record record = {.count = 0};

    (void)state;
    log_set_sink(on_line, &record);
    log_debug("x");
    assert_int_equal(record.count, 0);
    log_info("x");
    assert_int_equal(record.count, 1);
}

static void test_a_long_line_is_cut(void **state) {
    struct record record = {.count = 0};
    char text[4000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_set_sink(on_line, &record);
    log_error("%s", text);
    assert_int_equal(record.count, 1);
    assert_in_range(strlen(record.last), 2000, 2047);
    assert_int_equal(strspn(record.last + strlen("[baton] error: "), "x"),
                     strlen(record.last) - strlen("[baton] error: "));
}

/* Runs `write` with standard error in a pipe; what came through it is in `text`. */
static void capture(void (*write_line)(void), char *text, size_t size) {
    int saved = dup(STDERR_FILENO);
    int ends[2];
    ssize_t length;

    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    write_line();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[1]);
    length = read(ends[0], text, size - 1);
    close(ends[0]);
    assert_true(length >= 0);
    text[length] = '\0';
}

static void write_short(void) {
    log_warning("mind the %s", "gap");
}

static void write_long(void) {
    log_info("%4000d", 1);
}

static void test_without_a_sink_it_goes_to_standard_error(void **state) {
    char text[4096];

    (void)state;
    capture(write_short, text, sizeof text);
    assert_string_equal(text, "[baton] warning: mind the gap\n");
    capture(write_long, text, sizeof text);
    assert_in_range(strlen(text), 2000, 2048);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_info_is_the_level_at_the_start, restore),
        cmocka_unit_test_teardown(test_each_level_has_its_mark, restore),
        cmocka_unit_test_teardown(test_lines_above_the_level_are_dropped, restore),
        cmocka_unit_test_teardown(test_a_long_line_is_cut, restore),
        cmocka_unit_test_teardown(test_without_a_sink_it_goes_to_standard_error, restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
