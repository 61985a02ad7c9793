#include "cli/table.h"

#include "unit/cli/drawing.h"

static const struct cli_table_column columns[] = {
    {"id", 0, false}, {"name", 0, false}, {"user", 1, false}, {NULL, 0, false}};

/* A table of rows of three cells, the last one NULL. */
static void draw(struct buffer *out, const struct draw_style *style, const char *const *cells) {
    struct cli_table table;

    cli_table_init(&table, columns, style);
    for (; *cells; cells++)
        cli_table_add(&table, *cells, DRAW_PLAIN);
    assert_int_equal(cli_table_draw(&table, out), 0);
    cli_table_clear(&table);
}

static void test_a_box_is_as_wide_as_what_is_in_it(void **state) {
    static const char *const cells[] = {"0", "api", "root", "12", "日本", "x", NULL};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &in_pipe, cells);
    expect_text(&out, "┌────┬──────┬──────┐\n"
                      "│ id │ name │ user │\n"
                      "├────┼──────┼──────┤\n"
                      "│ 0  │ api  │ root │\n"
                      "│ 12 │ 日本 │ x    │\n"
                      "└────┴──────┴──────┘\n");
}

static void test_ascii_where_there_is_no_utf8(void **state) {
    static const char *const cells[] = {"0", "ü", "root", NULL};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &in_ascii, cells);
    expect_text(&out, "+----+----------+------+\n"
                      "| id | name     | user |\n"
                      "+----+----------+------+\n"
                      "| 0  | \\xc3\\xbc | root |\n"
                      "+----+----------+------+\n");
}

static void test_a_table_without_rows_has_heads(void **state) {
    static const char *const cells[] = {NULL};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &in_pipe, cells);
    expect_text(&out, "┌────┬──────┬──────┐\n"
                      "│ id │ name │ user │\n"
                      "├────┼──────┼──────┤\n"
                      "└────┴──────┴──────┘\n");
}

static void test_the_highest_rank_goes_first(void **state) {
    static const char *const cells[] = {"0", "api", "root", NULL};
    struct draw_style style = columns_wide(19);
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &style, cells);
    expect_text(&out, "┌────┬──────┐\n"
                      "│ id │ name │\n"
                      "├────┼──────┤\n"
                      "│ 0  │ api  │\n"
                      "└────┴──────┘\n");
}

static void test_then_the_widest_is_cut(void **state) {
    static const char *const cells[] = {"0", "日本日本", "root", NULL};
    struct draw_style style = columns_wide(13);
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &style, cells);
    expect_text(&out, "┌────┬──────┐\n"
                      "│ id │ name │\n"
                      "├────┼──────┤\n"
                      "│ 0  │ 日…  │\n"
                      "└────┴──────┘\n");
}

static void test_a_long_name_does_not_cost_others_their_place(void **state) {
    const char *cells[] = {"0", "", "root", NULL};
    struct draw_style style = columns_wide(60);
    char name[201];
    struct buffer out;

    (void)state;
    memset(name, 'n', 200);
    name[200] = '\0';
    cells[1] = name;
    buffer_init(&out);
    draw(&out, &style, cells);
    expect_contains(&out, "…");
    expect_contains(&out, "root");
    assert_int_equal(draw_width(buffer_data(&out), strcspn(buffer_data(&out), "\n")), 60);
    buffer_clear(&out);
}

/* Whatever the width, no line is wider, down to where nothing can be cut any more. */
static void test_every_line_fits(void **state) {
    static const char *const cells[] = {"100", "wörker-日本-with-a-name", "somebody", NULL};

    (void)state;
    for (unsigned width = 13; width < 60; width++) {
        struct draw_style style = columns_wide(width);
        struct buffer out;
        const char *line;

        buffer_init(&out);
        draw(&out, &style, cells);
        for (line = text_of(&out); *line != '\0'; line += strcspn(line, "\n") + 1)
            assert_in_range(draw_width(line, strcspn(line, "\n")), 1, width);
        buffer_clear(&out);
    }
}

static void test_escape_sequences_stay_text(void **state) {
    static const char *const cells[] = {"0", "\033[2J\nx", "root", NULL};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &in_pipe, cells);
    expect_contains(&out, "│ \\x1b[2J\\nx │");
    expect_lacks(&out, "\033");
    buffer_clear(&out);
}

static void test_colours_do_not_count_as_width(void **state) {
    struct cli_table table;
    struct buffer out;

    (void)state;
    buffer_init(&out);
    cli_table_init(&table, columns, &in_colour);
    cli_table_add(&table, "0", DRAW_PLAIN);
    cli_table_add(&table, "api", DRAW_GREEN);
    cli_table_add(&table, "root", DRAW_PLAIN);
    assert_int_equal(cli_table_draw(&table, &out), 0);
    cli_table_clear(&table);
    expect_contains(&out, "\033[32mapi\033[0m  \033[90m│");
    buffer_clear(&out);
}

static void test_a_row_that_is_not_complete_is_left_out(void **state) {
    static const char *const cells[] = {"0", "api", "root", "1", "half", NULL};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    draw(&out, &in_pipe, cells);
    expect_contains(&out, "api");
    expect_lacks(&out, "half");
    buffer_clear(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_box_is_as_wide_as_what_is_in_it),
        cmocka_unit_test(test_ascii_where_there_is_no_utf8),
        cmocka_unit_test(test_a_table_without_rows_has_heads),
        cmocka_unit_test(test_the_highest_rank_goes_first),
        cmocka_unit_test(test_then_the_widest_is_cut),
        cmocka_unit_test(test_a_long_name_does_not_cost_others_their_place),
        cmocka_unit_test(test_every_line_fits),
        cmocka_unit_test(test_escape_sequences_stay_text),
        cmocka_unit_test(test_colours_do_not_count_as_width),
        cmocka_unit_test(test_a_row_that_is_not_complete_is_left_out),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
