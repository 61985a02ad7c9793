#include "cli/monit_view.h"

#include "unit/cli/drawing.h"

#include <errno.h>

#define PROCESS(id, name, status, cpu, memory, open)                                               \
    "{'pid': 4" #id ", 'name': '" name "', 'pm_id': " #id ", 'monit': {'memory': " #memory         \
    ", 'cpu': " #cpu "}, 'pm2_env': {'status': '" status "', 'restart_time': 1,"                   \
    " 'pm_uptime': 1789999940000, 'exec_mode': 'cluster_mode', 'version': '1.2.0',"                \
    " 'pm_exec_path': '/srv/app.js'}, 'baton': {'app': '" name "', 'slot': 0, 'open': " #open      \
    ", 'kind': 'node', 'policy': 'p2c', 'window': 1, 'handed': 7, 'listeners':"                    \
    " [{'address': '0.0.0.0:3000'}]}}"

/* Two apps; the second one has a single process. */
static const char two_apps[] = "[" PROCESS(0, "api", "online", 100, 1048576, 8) "," PROCESS(
    1, "api", "online", 50, 524288, 4) "," PROCESS(2, "web", "online", 0, 0, 0) "]";

static void update(struct monit_view *view, const char *json) {
    json_t *processes = json_of(json);

    assert_int_equal(monit_view_update(view, processes, NOW_MS), 0);
    json_decref(processes);
}

static int set_up(void **state) {
    struct monit_view *view = calloc(1, sizeof(*view));

    if (!view || monit_view_init(view) < 0)
        return -1;
    update(view, two_apps);
    *state = view;
    return 0;
}

static int tear_down(void **state) {
    monit_view_clear(*state);
    free(*state);
    return 0;
}

/* The screen as text. */
static void draw(struct buffer *out, struct monit_view *view, unsigned rows, unsigned columns) {
    struct monit_grid grid;

    assert_int_equal(monit_grid_init(&grid, rows, columns), 0);
    monit_view_draw(view, &grid, &in_ascii, NOW_MS);
    buffer_init(out);
    for (unsigned row = 0; row < rows; row++) {
        assert_int_equal(monit_grid_print(&grid, row, out), 0);
        assert_int_equal(buffer_append(out, "\n", 1), 0);
    }
    monit_grid_clear(&grid);
}

static void press(struct monit_view *view, int key) {
    struct monit_action action;

    assert_int_equal(monit_view_key(view, key, &action), MONIT_SHOW);
}

static void expect_action(struct monit_view *view, int key, const char *name, const char *body) {
    struct monit_action action;
    json_t *sent;
    json_t *expected = json_of(body);

    assert_int_equal(monit_view_key(view, key, &action), MONIT_ACT);
    assert_string_equal(action.name, name);
    sent = json_loads(action.body, 0, NULL);
    if (!json_equal(sent, expected))
        fail_msg("%s instead of %s", action.body, body);
    json_decref(sent);
    json_decref(expected);
    free(action.body);
}

static void test_list_output_and_details_side_by_side(void **state) {
    struct monit_view *view = *state;
    json_t *line = json_of("{'pm_id': 1, 'name': 'api', 'stream': 'out', 'line': 'hello'}");
    struct buffer out;

    assert_int_equal(monit_view_event(view, "log", line), 0);
    json_decref(line);
    draw(&out, view, 16, 80);
    expect_text(
        &out, "  app             clients      cpu          mem | output of api\n"
              "- api 2/2             12      150%        1.5mb | 1|hello\n"
              "    0        ####      8 #### 100% ####     1mb |\n"
              "    1        ##..      4 ##..  50% ##..   512kb |\n"
              "  web        ....      0 ....   0% ....      0b |\n"
              "                                                |\n"
              "                                                |\n"
              "                                                |\n"
              "                                                |\n"
              "                                                |\n"
              "                                                |\n"
              "                                                |\n"
              "--------------------------------------------------------------------------------\n"
              "api  2 processes, 2 online  clients 12  cpu 150%  mem 1.5mb  restarts 2\n"
              "kind node  policy p2c  window 1  listens on 0.0.0.0:3000\n"
              "arrows choose  / filter  r restart  l reload  + - scale  s stop  ? help  q quit\n");
}

static void test_new_clients_a_second_where_open_ones_are_not_counted(void **state) {
    struct monit_view *view = *state;
    json_t *first = json_of("[{'name': 'node', 'pm_id': 1, 'pm2_env': {'status': 'online'},"
                            "  'baton': {'kind': 'node', 'handed': 10, 'open': null}}]");
    json_t *second = json_of("[{'name': 'node', 'pm_id': 1, 'pm2_env': {'status': 'online'},"
                             "  'baton': {'kind': 'node', 'handed': 90, 'open': null}}]");
    struct buffer out;

    assert_int_equal(monit_view_update(view, first, NOW_MS), 0);
    assert_int_equal(monit_view_update(view, second, NOW_MS + 2000), 0);
    draw(&out, view, 16, 80);
    expect_contains(&out, " 40/s ");
    buffer_clear(&out);
    /* Another worker in its place, which has had ten clients in five seconds. */
    assert_int_equal(monit_view_update(view, first, NOW_MS + 7000), 0);
    draw(&out, view, 16, 80);
    expect_contains(&out, " 2/s ");
    buffer_clear(&out);
    json_decref(first);
    json_decref(second);
}

static void test_a_daemon_that_is_silent_or_gone_is_said_to_be(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    view->silent_seconds = 12;
    draw(&out, view, 16, 80);
    expect_contains(&out, "no answer from the daemon for 12 s: old figures  q quit");
    buffer_clear(&out);
    view->gone = true;
    draw(&out, view, 16, 80);
    expect_contains(&out, "the daemon has ended; waiting for it  q quit");
    buffer_clear(&out);
}

static void test_a_filter_shows_some_apps(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    press(view, '/');
    press(view, 'w');
    press(view, 'x');
    draw(&out, view, 16, 80);
    expect_contains(&out, "no app of that name");
    expect_contains(&out, "type a part of a name");
    buffer_clear(&out);
    press(view, MONIT_KEY_RUBOUT);
    press(view, '\n');
    draw(&out, view, 16, 80);
    expect_contains(&out, "/ w ");
    expect_contains(&out, "  web ");
    expect_lacks(&out, "api");
    buffer_clear(&out);
    press(view, MONIT_KEY_ESCAPE);
    draw(&out, view, 16, 80);
    expect_contains(&out, "api 2/2");
    buffer_clear(&out);
}

static void test_older_output(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    for (int i = 0; i < 100; i++) {
        json_t *line = json_pack("{s:i, s:s, s:o}", "pm_id", 1, "stream", "out", "line",
                                 json_sprintf("number %d.", i));

        assert_int_equal(monit_view_event(view, "log", line), 0);
        json_decref(line);
    }
    draw(&out, view, 16, 80);
    expect_contains(&out, "number 99.");
    buffer_clear(&out);
    for (int i = 0; i < 4; i++)
        press(view, '[');
    draw(&out, view, 16, 80);
    expect_lacks(&out, "number 99.");
    expect_contains(&out, "number 7");
    expect_contains(&out, "older output of api");
    buffer_clear(&out);
    for (int i = 0; i < 4; i++)
        press(view, ']');
    draw(&out, view, 16, 80);
    expect_contains(&out, "number 99.");
    buffer_clear(&out);
    for (int i = 0; i < 1000; i++)
        press(view, '[');
    draw(&out, view, 16, 80);
    expect_contains(&out, "number 0.");
    buffer_clear(&out);
    press(view, ']');
    draw(&out, view, 16, 80);
    expect_lacks(&out, "number 0.");
    buffer_clear(&out);
}

static void test_output_below_on_a_narrow_screen(void **state) {
    struct buffer out;

    draw(&out, *state, 12, 40);
    expect_text(&out, "  app                clients cpu     mem\n"
                      "- api 2/2                12 150%   1.5mb\n"
                      "    0        #######      8 100%     1mb\n"
                      "    1        ####...      4  50%   512kb\n"
                      "  web        .......      0   0%      0b\n"
                      "\n"
                      "output of api\n"
                      "\n"
                      "\n"
                      "----------------------------------------\n"
                      "api  2 processes, 2 online  clients 12\n"
                      "? help  q quit\n");
}

/* Nothing is written outside of the grid, and nothing loops, whatever the size. */
static void test_every_size_can_be_drawn(void **state) {
    struct monit_view *view = *state;

    for (unsigned rows = 1; rows < 30; rows++)
        for (unsigned columns = 1; columns < 120; columns += 3) {
            struct buffer out;

            draw(&out, view, rows, columns);
            buffer_clear(&out);
        }
}

static void test_arrows_choose_and_stay_within(void **state) {
    struct monit_view *view = *state;

    press(view, MONIT_KEY_UP);
    assert_int_equal(view->chosen, 0);
    press(view, MONIT_KEY_DOWN);
    press(view, 'j');
    assert_int_equal(view->chosen, 2);
    press(view, 'k');
    assert_int_equal(view->chosen, 1);
    press(view, MONIT_KEY_LAST);
    press(view, 'j');
    assert_int_equal(view->chosen, 3);
    press(view, MONIT_KEY_PAGE_UP);
    press(view, 'g');
    assert_int_equal(view->chosen, 0);
    press(view, MONIT_KEY_PAGE_DOWN);
    assert_in_range(view->chosen, 1, 3);
}

static void test_what_is_chosen_is_marked_and_on_the_screen(void **state) {
    struct monit_view *view = *state;
    struct monit_grid grid;

    press(view, 'G');
    assert_int_equal(monit_grid_init(&grid, 6, 60), 0); /* room for four of five lines */
    monit_view_draw(view, &grid, &in_ascii, NOW_MS);
    assert_int_equal(view->top, 0);
    assert_true(grid.cells[4 * 60].reverse);
    assert_false(grid.cells[3 * 60].reverse);
    monit_grid_clear(&grid);
    assert_int_equal(monit_grid_init(&grid, 4, 60), 0);
    monit_view_draw(view, &grid, &in_ascii, NOW_MS);
    assert_int_equal(view->top, 2);
    assert_true(grid.cells[2 * 60].reverse);
    monit_grid_clear(&grid);
}

static void test_enter_folds_an_app(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    press(view, 'j');
    press(view, '\n');
    assert_int_equal(view->row_count, 2);
    assert_int_equal(view->chosen, 0);
    draw(&out, view, 8, 60);
    expect_contains(&out, "+ api 2/2");
    expect_lacks(&out, "\n    0  ");
    buffer_clear(&out);
    update(view, two_apps);
    assert_int_equal(view->row_count, 2);
    press(view, '\r');
    assert_int_equal(view->row_count, 4);
}

static void test_keys_become_actions(void **state) {
    struct monit_view *view = *state;

    expect_action(view, 'l', "reload", "{'targets': ['0', '1']}");
    expect_action(view, '+', "scale", "{'targets': ['api'], 'instances': '+1'}");
    press(view, 'j');
    expect_action(view, 'r', "restart", "{'targets': ['0']}");
    expect_action(view, '-', "scale", "{'targets': ['api'], 'instances': '-1'}");
}

static void test_stop_asks_first(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    press(view, 's');
    draw(&out, view, 8, 60);
    expect_contains(&out, "stop api? y or n");
    buffer_clear(&out);
    press(view, 'n');
    press(view, 'y');
    press(view, 's');
    expect_action(view, 'y', "stop", "{'targets': ['0', '1']}");
}

static void test_without_apps_keys_do_nothing(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    update(view, "[]");
    for (const char *key = "rls+-jkgG\n y"; *key != '\0'; key++)
        press(view, *key);
    draw(&out, view, 10, 60);
    expect_contains(&out, "no apps");
    buffer_clear(&out);
}

static void test_q_quits_and_help_is_left_with_any_key(void **state) {
    struct monit_view *view = *state;
    struct monit_action action;
    struct buffer out;

    press(view, '?');
    draw(&out, view, 12, 40);
    expect_contains(&out, "reload");
    expect_contains(&out, "quit; the apps go on");
    buffer_clear(&out);
    press(view, 'q');
    assert_false(view->help);
    assert_int_equal(monit_view_key(view, 'q', &action), MONIT_QUIT);
}

static void test_what_was_chosen_stays_chosen(void **state) {
    struct monit_view *view = *state;

    press(view, 'j');
    press(view, 'j');
    update(view, "[" PROCESS(7, "aaa", "online", 0, 0, 0) "," PROCESS(
                     0, "api", "online", 0, 0, 0) "," PROCESS(1, "api", "online", 0, 0, 0) "]");
    assert_int_equal(view->chosen, 3);
    update(view, "[" PROCESS(0, "api", "online", 0, 0, 0) "," PROCESS(
                     3, "api", "online", 0, 0, 0) "]"); /* 1 is gone: its app */
    assert_int_equal(view->chosen, 0);
    update(view, "[]");
    assert_int_equal(view->chosen, 0);
}

static void test_a_change_of_status_is_seen_at_once(void **state) {
    struct monit_view *view = *state;
    json_t *event = json_of("{'pm_id': 2, 'name': 'web', 'status': 'stopping', 'pid': 4}");
    struct buffer out;

    assert_int_equal(monit_view_event(view, "process", event), 0);
    assert_int_equal(monit_view_event(view, "unheard of", event), 0);
    json_decref(event);
    draw(&out, view, 10, 80);
    expect_contains(&out, "  web        stopping");
    buffer_clear(&out);
}

static void test_why_a_process_has_ended(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    update(view, "[{'pm_id': 0, 'name': 'a', 'pm2_env': {'status': 'errored'}, 'baton': {"
                 "'app': 'a', 'reason': 'exited with code 1'}}]");
    draw(&out, view, 16, 80);
    expect_contains(&out, "errored: exited with code 1");
    expect_contains(&out, "last end: exited with code 1");
    buffer_clear(&out);
}

static void test_messages_stay_until_the_next_key(void **state) {
    struct monit_view *view = *state;
    struct buffer out;

    monit_view_say(view, true, "reload api: \033[2Jrefused");
    draw(&out, view, 8, 80);
    expect_contains(&out, "reload api: \\x1b[2Jrefused\n");
    buffer_clear(&out);
    press(view, 'j');
    draw(&out, view, 8, 80);
    expect_lacks(&out, "refused");
    buffer_clear(&out);
}

static void test_hostile_answers_and_events_do_no_harm(void **state) {
    struct monit_view *view = *state;
    json_t *other = json_of("{}");
    json_t *event = json_of("{'pm_id': 'x', 'line': '\\u001b[2J\\u0007\\ttab'}");
    struct buffer out;

    assert_int_equal(monit_view_update(view, other, NOW_MS), -EINVAL);
    assert_int_equal(view->listed_count, 3);
    assert_int_equal(monit_view_event(view, "log", other), 0);
    assert_int_equal(monit_view_event(view, "process", NULL), 0);
    update(view, "[null, 7, {'name': '\\u001b[31m', 'monit': {'cpu': 1e300, 'memory': 1e300},"
                 " 'pm2_env': {'status': 'online'}, 'baton': {'open': -7, 'listeners': 3}}]");
    assert_int_equal(monit_view_event(view, "log", event), 0);
    press(view, 'G');
    draw(&out, view, 20, 100);
    expect_lacks(&out, "\033");
    buffer_clear(&out);
    json_decref(event);
    json_decref(other);
}

static void test_wide_characters_take_two_cells(void **state) {
    struct monit_area area = {.rows = 1, .columns = 5};
    struct monit_grid grid;
    struct buffer out;

    (void)state;
    assert_int_equal(monit_grid_init(&grid, 1, 5), 0);
    assert_int_equal(monit_grid_put(&grid, &area, monit_at(0, 0), "日本語", (struct monit_look){0}),
                     4);
    assert_string_equal(grid.cells[0].text, "日");
    assert_string_equal(grid.cells[1].text, "");
    assert_string_equal(grid.cells[4].text, " ");
    assert_int_equal(
        monit_grid_put(&grid, &area, monit_at(0, 3), "e\xcc\x81x", (struct monit_look){0}), 2);
    assert_string_equal(grid.cells[3].text, "e\xcc\x81");
    assert_int_equal(monit_grid_put(&grid, &area, monit_at(1, 0), "x", (struct monit_look){0}), 0);
    buffer_init(&out);
    assert_int_equal(monit_grid_print(&grid, 0, &out), 0);
    buffer_clear(&out);
    monit_grid_clear(&grid);
}

#define WITH_VIEW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_VIEW(test_list_output_and_details_side_by_side),
        WITH_VIEW(test_new_clients_a_second_where_open_ones_are_not_counted),
        WITH_VIEW(test_a_daemon_that_is_silent_or_gone_is_said_to_be),
        WITH_VIEW(test_a_filter_shows_some_apps),
        WITH_VIEW(test_older_output),
        WITH_VIEW(test_output_below_on_a_narrow_screen),
        WITH_VIEW(test_every_size_can_be_drawn),
        WITH_VIEW(test_arrows_choose_and_stay_within),
        WITH_VIEW(test_what_is_chosen_is_marked_and_on_the_screen),
        WITH_VIEW(test_enter_folds_an_app),
        WITH_VIEW(test_keys_become_actions),
        WITH_VIEW(test_stop_asks_first),
        WITH_VIEW(test_without_apps_keys_do_nothing),
        WITH_VIEW(test_q_quits_and_help_is_left_with_any_key),
        WITH_VIEW(test_what_was_chosen_stays_chosen),
        WITH_VIEW(test_a_change_of_status_is_seen_at_once),
        WITH_VIEW(test_why_a_process_has_ended),
        WITH_VIEW(test_messages_stay_until_the_next_key),
        WITH_VIEW(test_hostile_answers_and_events_do_no_harm),
        cmocka_unit_test(test_wide_characters_take_two_cells),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
