#include "cli/monit_log.h"

#include "unit/cli/drawing.h"

/* The last lines of some processes, joined by blanks. */
static void expect_last(const struct monit_log *log, const int64_t *pm_ids, size_t pm_id_count,
                        size_t count, const char *expected) {
    const struct monit_line *lines[64];
    char joined[512] = "";
    size_t found = monit_log_last(log, pm_ids, pm_id_count, lines, count);

    for (size_t i = 0; i < found; i++)
        snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s", i ? " " : "",
                 lines[i]->text);
    assert_string_equal(joined, expected);
}

static void test_lines_of_several_in_the_order_of_arrival(void **state) {
    static const int64_t both[] = {1, 2};
    static const int64_t second[] = {2};
    static const int64_t unknown[] = {3};
    struct monit_log log;

    (void)state;
    monit_log_init(&log);
    assert_int_equal(monit_log_add(&log, 1, "a", false), 0);
    assert_int_equal(monit_log_add(&log, 2, "b", true), 0);
    assert_int_equal(monit_log_add(&log, 1, "c", false), 0);
    assert_int_equal(monit_log_add(&log, 2, "d", false), 0);
    expect_last(&log, both, 2, 64, "a b c d");
    expect_last(&log, both, 2, 3, "b c d");
    expect_last(&log, second, 1, 64, "b d");
    expect_last(&log, unknown, 1, 64, "");
    expect_last(&log, both, 2, 0, "");
    monit_log_remove(&log, 1);
    monit_log_remove(&log, 1);
    expect_last(&log, both, 2, 64, "b d");
    monit_log_clear(&log);
}

static void test_whoever_prints_without_end_pushes_out_only_its_own(void **state) {
    static const int64_t quiet[] = {1};
    static const int64_t loud[] = {2};
    static const int64_t both[] = {1, 2};
    const struct monit_line *lines[2 * MONIT_LOG_LINES];
    struct monit_log log;
    char text[32];

    (void)state;
    monit_log_init(&log);
    assert_int_equal(monit_log_add(&log, 1, "quiet", false), 0);
    for (int i = 0; i < 5 * MONIT_LOG_LINES + 3; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(monit_log_add(&log, 2, text, false), 0);
    }
    expect_last(&log, quiet, 1, 64, "quiet");
    expect_last(&log, loud, 1, 2, "1001 1002");
    assert_int_equal(monit_log_last(&log, both, 2, lines, 2 * MONIT_LOG_LINES),
                     MONIT_LOG_LINES + 1);
    assert_string_equal(lines[0]->text, "quiet");
    assert_string_equal(lines[1]->text, "803");
    monit_log_clear(&log);
}

static void test_long_lines_are_cut(void **state) {
    static const int64_t pm_ids[] = {0};
    const struct monit_line *line;
    struct monit_log log;
    char text[5000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    monit_log_init(&log);
    assert_int_equal(monit_log_add(&log, 0, text, true), 0);
    assert_int_equal(monit_log_last(&log, pm_ids, 1, &line, 1), 1);
    assert_int_equal(strlen(line->text), MONIT_LOG_LINE_MAX);
    assert_true(line->error);
    monit_log_clear(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_several_in_the_order_of_arrival),
        cmocka_unit_test(test_whoever_prints_without_end_pushes_out_only_its_own),
        cmocka_unit_test(test_long_lines_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
