#include "cli/draw_logs.h"

#include "unit/cli/drawing.h"

static void expect_line(struct draw_logs *logs, const char *event, const char *expected) {
    json_t *data = json_of(event);
    struct buffer out;

    buffer_init(&out);
    assert_int_equal(draw_logs_line(&out, logs, data), 0);
    json_decref(data);
    expect_text(&out, expected);
}

static void test_names_are_padded_to_the_longest_known(void **state) {
    struct draw_logs logs = {.style = in_pipe};
    json_t *processes =
        json_of("[{'pm_id': 0, 'name': 'api'}, {'pm_id': 10, 'name': 'wörker'}, 7]");

    (void)state;
    draw_logs_learn(&logs, processes);
    json_decref(processes);
    expect_line(&logs, "{'pm_id': 0, 'name': 'api', 'stream': 'out', 'line': 'x'}",
                "0|api      | x\n");
    expect_line(&logs, "{'pm_id': 10, 'name': 'wörker', 'stream': 'err', 'line': 'x'}",
                "10|wörker  | x\n");
    expect_line(&logs, "{'pm_id': 11, 'name': 'longer-one', 'line': 'x'}", "11|longer-one  | x\n");
    expect_line(&logs, "{'pm_id': 0, 'name': 'api', 'line': ''}", "0|api          | \n");
}

static void test_one_long_name_does_not_push_all_lines_away(void **state) {
    struct draw_logs logs = {.style = in_pipe};
    json_t *processes =
        json_pack("[{siso}]", "pm_id", 0, "name",
                  json_stringn("nnnnnnnnnn"
                               "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
                               60));

    (void)state;
    draw_logs_learn(&logs, processes);
    assert_in_range(logs.prefix_width, 30, 50);
    json_decref(processes);
}

static void test_a_colour_for_each_process_and_red_for_errors(void **state) {
    struct draw_logs logs = {.style = in_colour};

    (void)state;
    expect_line(&logs, "{'pm_id': 0, 'name': 'a', 'stream': 'out', 'line': 'x'}",
                "\033[32m0|a \033[0m | x\n");
    expect_line(&logs, "{'pm_id': 1, 'name': 'a', 'stream': 'err', 'line': 'x'}",
                "\033[36m1|a \033[0m \033[31m|\033[0m x\n");
}

static void test_colours_of_the_program_pass_and_nothing_else(void **state) {
    struct draw_logs coloured = {.style = in_colour, .form = DRAW_LOGS_RAW};
    struct draw_logs plain = {.style = in_pipe};
    static const char event[] =
        "{'pm_id': 0, 'name': 'a', 'line': '\\u001b[1;32mgreen\\u001b[2J\\ttab\\u0007\\u001b'}";

    (void)state;
    expect_line(&coloured, event, "\033[1;32mgreen\\x1b[2J\ttab\\x07\\x1b\033[0m\n");
    expect_line(&plain, event, "0|a  | green\\x1b[2J\ttab\\x07\\x1b\n");
}

static void test_raw_in_a_pipe_is_as_it_was_printed(void **state) {
    struct draw_logs logs = {.style = in_pipe, .form = DRAW_LOGS_RAW};

    (void)state;
    expect_line(&logs, "{'pm_id': 0, 'name': 'a', 'line': '\\u001b[2Jx'}", "\033[2Jx\n");
}

static void test_json_has_the_fields_of_pm2(void **state) {
    struct draw_logs logs = {.style = in_colour, .form = DRAW_LOGS_JSON};

    (void)state;
    expect_line(&logs,
                "{'pm_id': 3, 'name': 'a', 'stream': 'err', 'time': 1790000000007, 'line': 'x'}",
                "{\"message\":\"x\",\"timestamp\":\"2026-09-21T14:13:20.007Z\",\"type\":\"err\","
                "\"process_id\":3,\"app_name\":\"a\"}\n");
}

static void test_no_time_is_invented_for_a_line_of_a_file(void **state) {
    struct draw_logs json = {.style = in_pipe, .form = DRAW_LOGS_JSON};
    struct draw_logs text = {.style = in_pipe, .time_format = "%Y"};
    static const char event[] = "{'pm_id': 0, 'name': 'a', 'time': 0, 'line': 'x'}";

    (void)state;
    expect_line(&json, event,
                "{\"message\":\"x\",\"timestamp\":null,\"type\":\"out\","
                "\"process_id\":0,\"app_name\":\"a\"}\n");
    expect_line(&text, event, "     0|a  | x\n");
}

static void test_the_time_stands_first(void **state) {
    struct draw_logs logs = {.style = in_pipe, .time_format = DRAW_LOGS_TIME};
    struct draw_logs empty = {.style = in_pipe, .time_format = ""};
    static const char event[] = "{'pm_id': 0, 'name': 'a', 'time': 1790000000007, 'line': 'x'}";

    (void)state;
    setenv("TZ", "UTC", 1);
    expect_line(&logs, event, "2026-09-21-14:13:20 0|a  | x\n");
    expect_line(&empty, event, "0|a  | x\n");
}

static void test_a_word_is_highlighted_where_there_are_colours(void **state) {
    struct draw_logs logs = {.style = in_colour, .form = DRAW_LOGS_RAW, .highlight = "err"};
    struct draw_logs plain = {.style = in_pipe, .form = DRAW_LOGS_RAW, .highlight = "err"};
    struct draw_logs empty = {.style = in_colour, .form = DRAW_LOGS_RAW, .highlight = ""};
    static const char event[] = "{'pm_id': 0, 'name': 'a', 'line': 'an error, err'}";

    (void)state;
    expect_line(&logs, event, "an \033[7merr\033[27mor, \033[7merr\033[27m\n");
    expect_line(&plain, event, "an error, err\n");
    expect_line(&empty, event, "an error, err\n");
}

static void test_what_is_no_line_is_passed_over(void **state) {
    struct draw_logs logs = {.style = in_pipe};

    (void)state;
    expect_line(&logs, "{}", "");
    expect_line(&logs, "[]", "");
    expect_line(&logs, "{'line': 7}", "");
    expect_line(&logs, "{'line': 'x', 'name': 7, 'pm_id': 'y'}", "-1|  | x\n");
}

static void test_lost_lines_are_told(void **state) {
    struct draw_logs logs = {.style = in_pipe};
    json_t *event = json_of("{'lines': 120}");
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(draw_logs_lost(&out, &logs, event), 0);
    expect_contains(&out, "120 lines are missing here");
    buffer_clear(&out);
    logs.form = DRAW_LOGS_JSON;
    assert_int_equal(draw_logs_lost(&out, &logs, event), 0);
    assert_int_equal(buffer_length(&out), 0);
    json_decref(event);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_padded_to_the_longest_known),
        cmocka_unit_test(test_one_long_name_does_not_push_all_lines_away),
        cmocka_unit_test(test_a_colour_for_each_process_and_red_for_errors),
        cmocka_unit_test(test_colours_of_the_program_pass_and_nothing_else),
        cmocka_unit_test(test_raw_in_a_pipe_is_as_it_was_printed),
        cmocka_unit_test(test_json_has_the_fields_of_pm2),
        cmocka_unit_test(test_no_time_is_invented_for_a_line_of_a_file),
        cmocka_unit_test(test_the_time_stands_first),
        cmocka_unit_test(test_a_word_is_highlighted_where_there_are_colours),
        cmocka_unit_test(test_what_is_no_line_is_passed_over),
        cmocka_unit_test(test_lost_lines_are_told),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
