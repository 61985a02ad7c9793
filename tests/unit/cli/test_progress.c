#include "cli/progress.h"

#include "unit/cli/drawing.h"

static const char half[] = "{'done': 2, 'of': 4, 'pm_id': 1, 'name': 'api', 'status': 'online'}";

static const struct draw_style bar_in_ascii = {.terminal = true, .redraws = true};

static void expect_drawn(const char *event, const struct draw_style *style, const char *expected) {
    json_t *data = json_of(event);
    struct buffer out;

    buffer_init(&out);
    assert_int_equal(progress_draw(&out, style, data), 0);
    json_decref(data);
    expect_text(&out, expected);
}

static void test_a_plain_line_in_a_pipe(void **state) {
    (void)state;
    expect_drawn(half, &in_pipe, "[2/4] api (1) online\n");
    expect_drawn("{'done': 1, 'of': 1, 'name': '\\u001b[2J'}", &in_pipe, "[1/1] \\x1b[2J\n");
}

static void test_a_bar_on_a_terminal(void **state) {
    (void)state;
    expect_drawn(half, &bar_in_ascii, "[=========>          ] 2/4 api (1) online");
    expect_drawn("{'done': 0, 'of': 4, 'name': 'a'}", &bar_in_ascii,
                 "[                    ] 0/4 a");
    expect_drawn("{'done': 4, 'of': 4, 'name': 'a'}", &bar_in_ascii,
                 "[====================] 4/4 a");
    expect_drawn(half, &in_colour, "\033[32m██████████\033[0m░░░░░░░░░░ 2/4 api (1) online");
}

/* A line that is broken by the terminal could not be taken back. */
static void test_the_bar_never_needs_a_second_line(void **state) {
    json_t *event = json_of("{'done': 3, 'of': 4, 'pm_id': 1, 'name': 'wörker-日本日本',"
                            " 'status': 'waiting restart'}");

    (void)state;
    for (unsigned columns = 1; columns < 100; columns++) {
        struct draw_style style = {
            .columns = columns, .terminal = true, .redraws = true, .utf8 = true};
        struct buffer out;

        buffer_init(&out);
        assert_int_equal(progress_draw(&out, &style, event), 0);
        text_of(&out);
        if (columns >= 10)
            assert_in_range(draw_width(buffer_data(&out), strlen(buffer_data(&out))), 1,
                            columns - 1);
        buffer_clear(&out);
    }
    json_decref(event);
}

static void test_nonsense_does_no_harm(void **state) {
    (void)state;
    expect_drawn("{'done': 9, 'of': 4}", &in_pipe, "[4/4] \n");
    expect_drawn("{'done': -1, 'of': 0}", &bar_in_ascii, "[                    ] 0/1 ");
    expect_drawn("7", &in_pipe, "[0/1] \n");
}

/* What a program that uses it prints, step by step. */
static void expect_printed(const struct draw_style *style, bool silent, const char *expected) {
    json_t *event = json_of(half);
    struct progress progress;
    char *printed = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&printed, &length);

    assert_non_null(file);
    progress_init(&progress, silent ? NULL : file, style);
    progress_step(&progress, event);
    progress_end(&progress);
    progress_end(&progress);
    fclose(file);
    assert_string_equal(printed, expected);
    free(printed);
    json_decref(event);
}

static void test_the_bar_is_taken_away_once(void **state) {
    (void)state;
    expect_printed(&bar_in_ascii, false,
                   "\r\033[K[=========>          ] 2/4 api (1) online\r\033[K");
    expect_printed(&in_pipe, false, "[2/4] api (1) online\n");
    expect_printed(&bar_in_ascii, true, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_line_in_a_pipe),
        cmocka_unit_test(test_a_bar_on_a_terminal),
        cmocka_unit_test(test_the_bar_never_needs_a_second_line),
        cmocka_unit_test(test_nonsense_does_no_harm),
        cmocka_unit_test(test_the_bar_is_taken_away_once),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
