#include "cli/draw_describe.h"

#include "unit/cli/drawing.h"

#include <errno.h>

static const char one[] =
    "[{'pid': 4711, 'name': 'api', 'pm_id': 3, 'monit': {'memory': 52428800, 'cpu': 0.3},"
    "  'pm2_env': {'status': 'online', 'name': 'api', 'namespace': 'default', 'pm_id': 3,"
    "    'version': '1.2.0', 'restart_time': 2, 'unstable_restarts': 1, 'pm_uptime': 1789999700000,"
    "    'created_at': 1790000000000, 'pm_exec_path': '/srv/api.js', 'args': ['--port', '3000'],"
    "    'node_args': [], 'exec_interpreter': 'node', 'pm_cwd': '/srv', 'node_version': '20.20.2',"
    "    'exec_mode': 'cluster_mode', 'pm_out_log_path': '/home/me/.baton/logs/api-out-3.log',"
    "    'pm_err_log_path': '/home/me/.baton/logs/api-error-3.log', 'pm_pid_path': '/p/api-3.pid',"
    "    'cron_restart': '0 4 * * *', 'max_memory_restart': 209715200, 'watch': ['src', 'lib'], "
    "'health': {'path': '/health', 'interval_ms': 5000,"
    "    'timeout_ms': 2000, 'failures': 3}, 'env': {'NODE_ENV': 'production', 'SAME': 'x',"
    "    'API_TOKEN': 'hunter2', 'URL': 'postgres://me:hunter2@db/x', 'SHLVL': '7',"
    "    'OTHER': 'theirs', 'EVIL': '\\u001b[2J'}},"
    "  'baton': {'app': 'api', 'slot': 3, 'kind': 'node', 'policy': 'p2c', 'window': 8,"
    "    'handed': 12, 'acknowledged': 11, 'refused': 1, 'returned': 2, 'waiting': 5, 'open': 6,"
    "    'stuck': 0, 'exit_signal': 9, 'max_log_size': 10485760, 'log_keep': 3, 'reason': 'exited "
    "with code 1 after 80 ms', 'listeners': ["
    "    {'address': '0.0.0.0:3000', 'accepted': 48, 'waiting': 9}]}}]";

static char *const environment[] = {(char[]){"SAME=x"}, (char[]){"OTHER=ours"},
                                    (char[]){"ONLY=here"}, NULL};

static void draw(struct buffer *out, const char *json,
                 const struct draw_describe_options *options) {
    json_t *processes = json_of(json);

    buffer_init(out);
    assert_int_equal(draw_describe(out, processes, options), 0);
    json_decref(processes);
}

static void test_rows_that_pm2_users_know(void **state) {
    struct draw_describe_options options = {.style = in_pipe, .now_ms = NOW_MS};
    static const char *const rows[] = {
        "Describing process with id 3 - name api",
        "│ status            │ online  ",
        "│ restarts          │ 2  ",
        "│ uptime            │ 5m  ",
        "│ script path       │ /srv/api.js  ",
        "│ script args       │ --port 3000  ",
        "│ error log path    │ /home/me/.baton/logs/api-error-3.log  ",
        "│ interpreter args  │ N/A  ",
        "│ script id         │ 3  ",
        "│ node env          │ production  ",
        "│ last exit         │ signal SIGKILL  ",
        "│ watch & reload    │ src lib  ",
        "│ cron restart      │ 0 4 * * *, next 2026-09-",
        "│ memory limit      │ 200mb  ",
        "│ log size limit    │ 10mb, then rotated, 3 kept  ",
        "│ unstable restarts │ 1  ",
        "│ created at        │ 2026-09-21T14:13:20.000Z  "};
    struct buffer out;

    (void)state;
    draw(&out, one, &options);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_contains(&out, rows[i]);
    buffer_clear(&out);
}

static void test_what_only_baton_knows(void **state) {
    struct draw_describe_options options = {.style = in_pipe, .now_ms = NOW_MS};
    static const char *const rows[] = {
        "│ worker           │ pid 4711, cpu 0.3%, memory 50mb  ",
        "│ last end          │ exited with code 1 after 80 ms  ",
        "│ health check     │ /health every 5000 ms, at most 2000 ms each, 3 failures in a row │",
        "│ policy           │ p2c  ",
        "│ window           │ 8  ",
        "│ open connections │ 6  ",
        "│ waiting for it   │ 5  ",
        "│ handed over      │ 12  ",
        "│ returned         │ 2  ",
        "│ listens on       │ 0.0.0.0:3000, 48 accepted, 9 waiting  "};
    struct buffer out;

    (void)state;
    draw(&out, one, &options);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_contains(&out, rows[i]);
    buffer_clear(&out);
}

static void test_variables_that_differ_and_no_secrets(void **state) {
    struct draw_describe_options options = {
        .style = in_pipe, .now_ms = NOW_MS, .environment = environment};
    struct buffer out;

    (void)state;
    draw(&out, one, &options);
    expect_contains(&out, "│ NODE_ENV  │ production │");
    expect_contains(&out, "│ OTHER     │ theirs     │");
    expect_contains(&out, "│ API_TOKEN │ (hidden)   │");
    expect_contains(&out, "│ URL       │ (hidden)   │");
    expect_contains(&out, "│ EVIL      │ \\x1b[2J");
    expect_lacks(&out, "hunter2");
    expect_lacks(&out, "SAME");
    expect_lacks(&out, "SHLVL");
    expect_lacks(&out, "ONLY");
    buffer_clear(&out);
}

static void test_no_environment_unless_asked(void **state) {
    struct draw_describe_options options = {.style = in_pipe, .now_ms = NOW_MS};
    struct buffer out;

    (void)state;
    draw(&out, one, &options);
    expect_lacks(&out, "OTHER");
    expect_lacks(&out, "API_TOKEN");
    buffer_clear(&out);
}

static void test_names_and_values_that_look_like_secrets(void **state) {
    static const char *const secret[][2] = {{"API_TOKEN", "x"},
                                            {"aws_secret_access_key", "x"},
                                            {"STRIPE_KEY", "x"},
                                            {"DB_PASSWORD", "x"},
                                            {"DB_PASS", "x"},
                                            {"SENTRY_DSN", "x"},
                                            {"SESSION_SALT", "x"},
                                            {"HTTP_AUTH", "x"},
                                            {"KEY", "x"},
                                            {"X", "-----BEGIN RSA PRIVATE KEY-----"},
                                            {"REDIS", "redis://:pw@host:6379/0"}};
    static const char *const open[][2] = {
        {"NODE_ENV", "production"}, {"PORT", "3000"},   {"HOME_PAGE", "http://host:80/a@b"},
        {"PATH", "/usr/bin:/bin"},  {"KEYBOARD", "de"}, {"MAIL", "mailto://me@host"},
        {"URL", "redis://host/0"}};

    (void)state;
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        if (!draw_describe_is_secret(secret[i][0], secret[i][1]))
            fail_msg("%s is shown", secret[i][0]);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (draw_describe_is_secret(open[i][0], open[i][1]))
            fail_msg("%s is hidden", open[i][0]);
}

/* The path is whole when the second column is read downwards. */
static void test_values_are_folded_and_never_cut(void **state) {
    struct draw_describe_options options = {.style = columns_wide(50), .now_ms = NOW_MS};
    struct buffer out;

    (void)state;
    draw(&out, one, &options);
    expect_contains(&out, "│ error log path    │ /home/me/.baton/logs/api-e │\n"
                          "│                   │ rror-3.log                 │\n");
    expect_lacks(&out, "…");
    for (const char *line = text_of(&out); *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(draw_width(line, strcspn(line, "\n")), 1, 50);
    buffer_clear(&out);
}

static void test_hostile_processes_are_shown_as_far_as_possible(void **state) {
    struct draw_describe_options options = {
        .style = columns_wide(3), .now_ms = NOW_MS, .environment = environment};
    json_t *other = json_of("{}");
    struct buffer out;

    (void)state;
    draw(&out,
         "[null, {'name': '\\u001b]0;x', 'pm2_env': {'args': [null, {}], 'env': [1],"
         " 'health': {}, 'watch': 'x'}, 'baton': {'listeners': [7]}}]",
         &options);
    expect_lacks(&out, "\033");
    buffer_clear(&out);
    assert_int_equal(draw_describe(&out, other, &options), -EINVAL);
    json_decref(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_that_pm2_users_know),
        cmocka_unit_test(test_what_only_baton_knows),
        cmocka_unit_test(test_variables_that_differ_and_no_secrets),
        cmocka_unit_test(test_no_environment_unless_asked),
        cmocka_unit_test(test_names_and_values_that_look_like_secrets),
        cmocka_unit_test(test_values_are_folded_and_never_cut),
        cmocka_unit_test(test_hostile_processes_are_shown_as_far_as_possible),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
