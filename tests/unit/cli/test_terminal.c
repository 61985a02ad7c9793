#include "cli/terminal.h"

#include "unit/cli/drawing.h"

static struct terminal decide(struct terminal_facts facts) {
    struct terminal terminal;

    terminal_decide(&terminal, &facts);
    return terminal;
}

static bool has_colour(struct terminal_facts facts) {
    return decide(facts).style.colour;
}

static bool has_utf8(struct terminal_facts facts) {
    return decide(facts).style.utf8;
}

static void test_colours_on_a_terminal_that_knows_them(void **state) {
    (void)state;
    assert_true(has_colour((struct terminal_facts){.is_terminal = true, .term = "xterm"}));
    assert_false(has_colour((struct terminal_facts){.term = "xterm"}));
    assert_false(has_colour((struct terminal_facts){.is_terminal = true, .term = "dumb"}));
    assert_false(has_colour((struct terminal_facts){.is_terminal = true, .term = ""}));
    assert_false(has_colour((struct terminal_facts){.is_terminal = true}));
}

static void test_whoever_says_no_has_no_colours(void **state) {
    (void)state;
    assert_false(has_colour((struct terminal_facts){
        .is_terminal = true, .term = "xterm", .no_color_option = true, .force_color = "1"}));
    assert_false(
        has_colour((struct terminal_facts){.is_terminal = true, .term = "xterm", .no_color = "1"}));
    assert_true(
        has_colour((struct terminal_facts){.is_terminal = true, .term = "xterm", .no_color = ""}));
    assert_false(has_colour(
        (struct terminal_facts){.is_terminal = true, .term = "xterm", .force_color = "0"}));
}

static void test_force_color_colours_a_pipe(void **state) {
    (void)state;
    assert_true(has_colour((struct terminal_facts){.force_color = "1"}));
    assert_false(has_colour((struct terminal_facts){.force_color = ""}));
    assert_false(decide((struct terminal_facts){.force_color = "1"}).style.terminal);
}

static void test_lines_are_redrawn_only_where_the_cursor_moves(void **state) {
    (void)state;
    assert_true(
        decide((struct terminal_facts){.is_terminal = true, .term = "vt100"}).style.redraws);
    assert_false(
        decide((struct terminal_facts){.is_terminal = true, .term = "dumb"}).style.redraws);
    assert_false(decide((struct terminal_facts){.term = "vt100"}).style.redraws);
}

static void test_utf8_by_the_first_locale_that_is_set(void **state) {
    (void)state;
    assert_true(has_utf8((struct terminal_facts){.lang = "en_US.UTF-8"}));
    assert_true(has_utf8((struct terminal_facts){.lang = "C.utf8"}));
    assert_true(has_utf8((struct terminal_facts){.lang = "de_DE.UTF-8@euro"}));
    assert_false(has_utf8((struct terminal_facts){.lang = "C"}));
    assert_false(has_utf8((struct terminal_facts){.lang = "de_DE.ISO-8859-1"}));
    assert_false(has_utf8((struct terminal_facts){.lc_all = "C", .lang = "en_US.UTF-8"}));
    assert_true(
        has_utf8((struct terminal_facts){.lc_all = "", .lc_ctype = "C.UTF-8", .lang = "C"}));
    assert_true(has_utf8((struct terminal_facts){.is_terminal = false}));
}

static void test_the_size_is_what_the_terminal_says(void **state) {
    struct terminal terminal = decide((struct terminal_facts){
        .size_columns = 100, .size_rows = 30, .columns = "80", .lines = "24"});

    (void)state;
    assert_int_equal(terminal.style.columns, 100);
    assert_int_equal(terminal.rows, 30);
    terminal = decide((struct terminal_facts){.columns = "80", .lines = "24"});
    assert_int_equal(terminal.style.columns, 80);
    assert_int_equal(terminal.rows, 24);
    terminal = decide((struct terminal_facts){.columns = "0", .lines = "many"});
    assert_int_equal(terminal.style.columns, 0);
    assert_int_equal(terminal.rows, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours_on_a_terminal_that_knows_them),
        cmocka_unit_test(test_whoever_says_no_has_no_colours),
        cmocka_unit_test(test_force_color_colours_a_pipe),
        cmocka_unit_test(test_lines_are_redrawn_only_where_the_cursor_moves),
        cmocka_unit_test(test_utf8_by_the_first_locale_that_is_set),
        cmocka_unit_test(test_the_size_is_what_the_terminal_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
