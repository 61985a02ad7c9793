#include "cli/draw_list.h"

#include "unit/cli/drawing.h"

#include <errno.h>

/* Three processes, by pm_id, with only what the list shows. */
static const char three[] =
    "[{'pid': 4711, 'name': 'web', 'pm_id': 0, 'monit': {'memory': 55260000, 'cpu': 0.3},"
    "  'pm2_env': {'status': 'online', 'namespace': 'default', 'exec_mode': 'cluster_mode',"
    "    'version': '1.2.0', 'restart_time': 2, 'pm_uptime': 1789999988000, 'username': 'root',"
    "    'watch': false, 'pm_err_log_path': '/l/web-error.log', 'pm_pid_path': '/p/web-0.pid'},"
    "  'baton': {'open': 3, 'waiting': 0}},"
    " {'pid': 4712, 'name': 'api', 'pm_id': 1, 'monit': {'memory': 1024, 'cpu': 120},"
    "  'pm2_env': {'status': 'launching', 'namespace': 'jobs', 'exec_mode': 'cluster_mode',"
    "    'restart_time': 0, 'pm_uptime': 1789999700000, 'username': 'www', 'watch': ['src']},"
    "  'baton': {'open': 12, 'waiting': 4}},"
    " {'pid': 0, 'name': 'api', 'pm_id': 2, 'monit': {'memory': 0, 'cpu': 0},"
    "  'pm2_env': {'status': 'errored', 'namespace': 'jobs', 'exec_mode': 'fork_mode',"
    "    'restart_time': 16, 'pm_uptime': 1789999700000, 'username': 'www', 'watch': true}}]";

static void draw(struct buffer *out, const char *json, const struct draw_list_options *options) {
    json_t *processes = json_of(json);

    buffer_init(out);
    assert_int_equal(draw_list(out, processes, options), 0);
    json_decref(processes);
}

/* The ids in the order of the list. */
static void expect_order(const char *sort, const char *expected) {
    struct draw_list_options options = {.style = in_pipe, .now_ms = NOW_MS, .sort = sort};
    char order[16] = "";
    struct buffer out;
    const char *line;

    draw(&out, three, &options);
    for (line = text_of(&out); *line != '\0'; line += strcspn(line, "\n") + 1)
        if (strncmp(line, "│  ", strlen("│  ")) == 0)
            strncat(order, line + strlen("│  "), 1);
    assert_string_equal(order, expected);
    buffer_clear(&out);
}

static void test_all_columns_where_there_is_room(void **state) {
    struct draw_list_options options = {.style = in_pipe, .now_ms = NOW_MS};
    struct buffer out;

    (void)state;
    draw(&out, three, &options);
    expect_contains(&out, "│ id │ name │ namespace │ version │ mode    │  pid │ uptime │  ↺ │ "
                          "status    │  cpu │    mem │ user │ watching │  open │\n");
    expect_contains(&out, "│  0 │ web  │ default   │ 1.2.0   │ cluster │ 4711 │    12s │  2 │ "
                          "online    │ 0.3% │ 52.7mb │ root │ disabled │     3 │\n");
    expect_contains(&out, "│  1 │ api  │ jobs      │ N/A     │ cluster │ 4712 │      0 │  0 │ "
                          "launching │ 120% │    1kb │ www  │ enabled  │ 12 +4 │\n");
    expect_contains(&out, "│  2 │ api  │ jobs      │ N/A     │ fork    │    0 │      0 │ 16 │ "
                          "errored   │   0% │     0b │ www  │ enabled  │     - │\n");
    buffer_clear(&out);
}

static void test_a_narrow_terminal_gets_fewer_columns(void **state) {
    static const struct {
        unsigned columns;
        const char *last; /* that is still there */
        const char *gone;
    } cases[] = {{110, "open", "watching"},
                 {80, "uptime", "namespace"},
                 {50, "mem", "pid"},
                 {28, "status", "cpu"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct draw_list_options options = {.style = columns_wide(cases[i].columns),
                                            .now_ms = NOW_MS};
        struct buffer out;

        draw(&out, three, &options);
        expect_contains(&out, "name");
        expect_contains(&out, "status");
        expect_contains(&out, cases[i].last);
        expect_lacks(&out, cases[i].gone);
        buffer_clear(&out);
    }
}

static void test_a_status_has_its_colour(void **state) {
    struct draw_list_options options = {.style = in_colour, .now_ms = NOW_MS};
    struct buffer out;

    (void)state;
    draw(&out, three, &options);
    expect_contains(&out, "\033[32monline\033[0m");
    expect_contains(&out, "\033[34mlaunching\033[0m");
    expect_contains(&out, "\033[31merrored\033[0m");
    buffer_clear(&out);
}

static void test_ascii_has_no_arrow(void **state) {
    struct draw_list_options options = {.style = in_ascii, .now_ms = NOW_MS};
    struct buffer out;

    (void)state;
    draw(&out, three, &options);
    for (const char *at = text_of(&out); *at != '\0'; at++)
        assert_in_range(*at, '\n', '~');
    buffer_clear(&out);
}

static void test_sorted_by_name_then_id_unless_told(void **state) {
    (void)state;
    expect_order(NULL, "120");
    expect_order("name:desc", "012");
    expect_order("id", "012");
    expect_order("id:desc", "210");
    expect_order("memory:desc", "012");
    expect_order("cpu", "201");
    expect_order("restarts:desc", "201");
    expect_order("status", "210");
    expect_order("uptime:desc", "012");
    expect_order("open:desc", "102");
    expect_order("namespace", "012");
}

static void test_what_nothing_is_sorted_by_is_refused(void **state) {
    struct draw_list_options options = {.style = in_pipe, .sort = "colour"};
    json_t *processes = json_array();
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(draw_list(&out, processes, &options), -EINVAL);
    assert_int_equal(buffer_length(&out), 0);
    assert_true(draw_list_sorts_by("mem:asc"));
    assert_false(draw_list_sorts_by("mem:up"));
    assert_false(draw_list_sorts_by(""));
    assert_false(draw_list_sorts_by("na"));
    json_decref(processes);
}

static void test_the_mini_form(void **state) {
    struct draw_list_options options = {.style = in_pipe, .now_ms = NOW_MS, .mini = true};
    struct buffer out;

    (void)state;
    draw(&out, three, &options);
    expect_contains(&out, "+--- web\n"
                          "namespace : default\n"
                          "version : 1.2.0\n"
                          "pid : 4711\n"
                          "pm2 id : 0\n"
                          "status : online\n"
                          "mode : cluster\n"
                          "restarted : 2\n"
                          "uptime : 12s\n"
                          "memory usage : 52.7mb\n"
                          "error log : /l/web-error.log\n"
                          "watching : no\n"
                          "PID file : /p/web-0.pid\n\n");
    buffer_clear(&out);
}

static void test_hostile_processes_are_shown_as_far_as_possible(void **state) {
    struct draw_list_options options = {.style = in_pipe, .now_ms = NOW_MS};
    struct buffer out;
    json_t *other = json_of("{'error': 'x'}");

    (void)state;
    draw(&out,
         "[null, 7, [], {'name': '\\u001b[31m', 'pm_id': 'x', 'monit': 3, 'pm2_env': {"
         "'status': 4, 'pm_uptime': -9e300, 'watch': {}}, 'baton': {'open': 'many'}},"
         " {'monit': {'cpu': 1e300, 'memory': -1}}]",
         &options);
    expect_contains(&out, "\\x1b[31m");
    expect_lacks(&out, "\033");
    buffer_clear(&out);
    assert_int_equal(draw_list(&out, other, &options), -EINVAL);
    json_decref(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_columns_where_there_is_room),
        cmocka_unit_test(test_a_narrow_terminal_gets_fewer_columns),
        cmocka_unit_test(test_a_status_has_its_colour),
        cmocka_unit_test(test_ascii_has_no_arrow),
        cmocka_unit_test(test_sorted_by_name_then_id_unless_told),
        cmocka_unit_test(test_what_nothing_is_sorted_by_is_refused),
        cmocka_unit_test(test_the_mini_form),
        cmocka_unit_test(test_hostile_processes_are_shown_as_far_as_possible),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
