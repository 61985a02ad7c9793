/* What apps of one host share, and what becomes of their workers when it is killed. */
#include "base/clock.h"

#include "component/app_rig.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SLEEPS "exec sleep 60\n"

static bool other_closed;

static void on_other_closed(void *owner) {
    (void)owner;
    other_closed = true;
}

/* A second app beside the rig's own, of whose announcements nothing is wanted. */
static void on_other_changed(void *owner, struct app *app, uint32_t slot) {
    (void)owner;
    (void)app;
    (void)slot;
}

static struct app *create_other(struct settings *settings) {
    static const struct app_events events = {.slot_changed = on_other_changed};
    struct app_options options = {.host = &rig.host, .settings = settings, .events = &events};
    char error[SETTINGS_ERROR_MAX];
    struct app *app;

    rig_check(settings);
    assert_int_equal(app_create(&app, &options, error), 0);
    settings_unref(settings);
    return app;
}

static void close_other(struct app *app) {
    other_closed = false;
    app_close(app, on_other_closed, NULL);
    LOOP_UNTIL(other_closed);
}

static void test_a_death_is_known_to_the_app_whose_worker_it_was(void **state) {
    struct app_slot_status status;
    struct app *other;
    pid_t pid;

    (void)state;
    rig_create(rig_shell(SLEEPS, 2));
    other = create_other(rig_shell(SLEEPS, 1));
    app_start(rig.app);
    app_start(other);
    pid = rig_status(1).pid;
    app_slot_status(other, 0, &status);
    kill(status.pid, SIGKILL);
    LOOP_UNTIL(app_slot(other, 0)->history.restarts == 1);
    assert_int_equal(rig_status(1).pid, pid);
    assert_int_equal(rig_status(1).restart_time, 0);
    kill(pid, SIGKILL);
    LOOP_UNTIL(rig_status(1).restart_time == 1);
    assert_int_equal(app_slot(other, 0)->history.restarts, 1);
    close_other(other);
    assert_true(rig_is(0, APP_ONLINE) && rig_is(1, APP_ONLINE));
}

static void test_nothing_ticks_while_there_is_no_worker(void **state) {
    (void)state;
    rig_create(rig_shell(SLEEPS, 1));
    assert_false(uv_is_active((uv_handle_t *)&rig.host.tick));
    app_start(rig.app);
    assert_true(uv_is_active((uv_handle_t *)&rig.host.tick));
    app_stop(rig.app);
    LOOP_UNTIL(rig.host.workers == 0);
    assert_false(uv_is_active((uv_handle_t *)&rig.host.tick));
}

static void test_figures_are_read_when_somebody_asks(void **state) {
    (void)state;
    rig_create(rig_shell("while :; do :; done\n", 1));
    app_start(rig.app);
    assert_int_equal(rig_status(0).memory, 0);
    LOOP_UNTIL(rig_status(0).up_ms < clock_wall_ms() - 20); /* until it is there at all */
    host_sample_now(&rig.host);
    assert_true(rig_status(0).memory > 0);
    assert_true(rig_status(0).cpu_percent < 1e-9); /* it takes two looks */
    loop_run(HOST_SAMPLE_MS + 50);
    host_sample_now(&rig.host);
    assert_true(rig_status(0).cpu_percent > 0);
}

static void test_the_watch_is_started_for_the_first_policy_that_needs_it(void **state) {
    struct settings *settings = rig_shell(SLEEPS, 1);

    (void)state;
    rig_create(rig_shell(SLEEPS, 1));
    assert_int_equal(rig.host.watch_part, HOST_PART_UNTRIED);
    assert_int_equal(settings_set_text(&settings->policy, "least"), 0);
    rig_change(settings);
    assert_int_not_equal(rig.host.watch_part, HOST_PART_UNTRIED);
    assert_true(rig.app->watch ==
                (rig.host.watch_part == HOST_PART_READY ? &rig.host.watch : NULL));
}

static void test_another_policy_is_the_listeners_at_once(void **state) {
    struct settings *settings;
    const struct listener *listener;

    (void)state;
    rig_create(rig_node("server.js", RIG_SERVER, 2));
    app_start(rig.app);
    LOOP_UNTIL(rig_count_ready(rig.app) == 2);
    listener = LIST_ENTRY(rig.app->listeners.listeners.next, struct listener, in_set);
    assert_string_equal(listener->dispatcher.policy->type->name, "node");
    settings = rig_settings("server.js", 2);
    assert_int_equal(settings_set_text(&settings->policy, "least"), 0);
    rig_change(settings);
    assert_string_equal(listener->dispatcher.policy->type->name, "least");
    close(rig_connect());
    rig_renew_all(APP_RELOAD, 1);
    LOOP_UNTIL(rig.renewal_count == 2);
    settings = rig_settings("server.js", 2);
    assert_int_equal(settings_set_text(&settings->policy, "random"), 0);
    rig_change(settings);
    assert_string_equal(listener->dispatcher.policy->type->name, "random");
    close(rig_connect());
    rig_renew_all(APP_RELOAD, 2);
    LOOP_UNTIL(rig.renewal_count == 4);
}

static int set_up_inputs(void **state) {
    return rig_set_up_with(state, (struct host_options){.open_inputs = true});
}

static void test_a_line_reaches_the_workers_standard_input(void **state) {
    char large[PIPE_BUF + 1];
    int result = 0;

    (void)state;
    rig_create(rig_shell("read code\nexit $code\n", 1));
    assert_int_equal(app_send(rig.app, 0, "7\n", 2), UV_ESRCH);
    assert_int_equal(app_send(rig.app, 1, "7\n", 2), UV_ENOENT);
    app_start(rig.app);
    assert_int_equal(app_send(rig.app, 0, "7\n", 2), 0);
    LOOP_UNTIL(rig_status(0).exit_code == 7);
    rig_change(rig_shell(SLEEPS, 1));
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    app_start(rig.app);
    memset(large, 'x', sizeof large);
    assert_int_equal(app_send(rig.app, 0, large, sizeof large), UV_E2BIG);
    while (result == 0) /* it does not read */
        result = app_send(rig.app, 0, large, PIPE_BUF);
    assert_int_equal(result, UV_EAGAIN);
}

static void test_without_that_option_there_is_no_input(void **state) {
    (void)state;
    rig_create(rig_shell(SLEEPS, 1));
    app_start(rig.app);
    assert_int_equal(app_send(rig.app, 0, "7\n", 2), UV_ENOTSUP);
}

/* --- what a worker leaves behind --- */

/* As a shell does it, the one in the background does not heed SIGINT, nor here SIGTERM. */
#define LEAVES_ONE "(trap '' INT TERM; : > left; exec sleep 60) &\n" SLEEPS

static void wait_left(void) {
    LOOP_UNTIL(rig_has("left"));
    assert_int_equal(unlink(rig_path("left")), 0);
}

static int set_up_groups(void **state) {
    return rig_set_up_with(state, (struct host_options){.end_groups = true});
}

static void test_a_worker_has_ended_when_all_of_its_group_have(void **state) {
    struct settings *settings = rig_shell(LEAVES_ONE, 1);
    pid_t pid;

    (void)state;
    settings->kill_timeout_ms = 1000;
    rig_create(settings);
    app_start(rig.app);
    pid = rig_status(0).pid;
    wait_left();
    kill(pid, SIGKILL);
    LOOP_UNTIL(kill(-pid, 0) == 0 && rig_is(0, APP_STOPPING));
    LOOP_UNTIL(rig_is(0, APP_ONLINE)); /* the next one */
    assert_int_not_equal(rig_status(0).pid, pid);
    assert_int_equal(kill(-pid, 0), -1);
    pid = rig_status(0).pid;
    wait_left();
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    assert_int_equal(kill(-pid, 0), -1);
}

static void test_whoever_wants_no_treekill_keeps_what_is_left(void **state) {
    struct settings *settings = rig_shell(LEAVES_ONE, 1);
    pid_t pid;

    (void)state;
    settings->treekill = false;
    rig_create(settings);
    app_start(rig.app);
    pid = rig_status(0).pid;
    wait_left();
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    assert_int_equal(kill(-pid, 0), 0);
    kill(-pid, SIGKILL);
}

/* --- Node programs that are only supervised --- */

static int set_up_channels(void **state) {
    return rig_set_up_with(state,
                           (struct host_options){.open_channels = true, .keep_channels = true});
}

static struct settings *alone(const char *text) {
    struct settings *settings = rig_node("alone.js", text, 1);

    settings->fork_mode = true;
    settings->wait_ready = true;
    return settings;
}

static void test_a_supervised_node_program_says_when_it_is_ready(void **state) {
    struct settings *settings =
        alone("if (require('cluster').isWorker) process.exit(5);\n"
              "setInterval(() => {}, 1000);\n"
              "setTimeout(() => process.send('ready'), 100);\n"
              "process.on('SIGINT', () => process.exit(process.connected ? 6 : 7));\n"
              "process.on('disconnect', () => require('fs').writeFileSync('left', ''));\n"
              "process.on('SIGUSR2', () => process.disconnect());\n");

    (void)state;
    rig_create(settings);
    app_start(rig.app);
    assert_true(rig_is(0, APP_LAUNCHING));
    LOOP_UNTIL(rig_is(0, APP_ONLINE));
    kill(rig_status(0).pid, SIGUSR2);
    wait_left();
    loop_run(200);
    assert_true(rig_is(0, APP_ONLINE)); /* to leave the channel is not to leave */
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    assert_int_equal(rig_status(0).exit_code, 7);
}

static void test_a_supervised_node_program_is_told_to_shut_down(void **state) {
    struct settings *settings =
        alone("process.on('message', (m) => process.exit(m === 'shutdown' ? 8 : 9));\n"
              "process.send('ready');\n");

    (void)state;
    settings->shutdown_with_message = true;
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ONLINE));
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    assert_int_equal(rig_status(0).exit_code, 8);
}

static void test_who_does_not_heed_the_message_is_killed(void **state) {
    struct settings *settings = alone("process.on('message', () => {});\nprocess.send('ready');\n");

    (void)state;
    settings->shutdown_with_message = true;
    settings->kill_timeout_ms = 200;
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ONLINE));
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    assert_int_equal(rig_status(0).exit_signal, SIGKILL);
}

/* --- a host that is killed --- */

struct report {
    pid_t pid; /* the worker's */
    uint16_t port;
};

#define TALKATIVE                                                                                  \
    "const server = require('http').createServer((q, r) => {\n"                                    \
    "  process.stdout.write('served\\n');\n"                                                       \
    "  process.stderr.write('served\\n');\n"                                                       \
    "  r.end('served by ' + process.pid);\n"                                                       \
    "});\n"                                                                                        \
    "server.listen(0, '127.0.0.1');\n"

static struct output_taken take_all(struct output_sink *sink, const struct output_origin *origin,
                                    const char *bytes, size_t length, bool end) {
    (void)sink;
    (void)origin;
    (void)bytes;
    (void)end;
    return (struct output_taken){.length = length};
}

/* Never returns: another process, which is killed. */
static void be_master(bool keep_channels, int report_to) {
    struct settings *settings = rig_node("talkative.js", TALKATIVE, 1);
    struct host_options options = {.loop = &loop, .keep_channels = keep_channels};
    static struct output_sink sink;
    struct app_options wanted = {.host = &rig.host,
                                 .settings = settings,
                                 .sink = &sink,
                                 .events = &rig_events,
                                 .owner = &rig};
    char error[SETTINGS_ERROR_MAX];
    struct report report;

    output_sink_init(&sink, take_all);
    uv_loop_init(&loop);
    if (host_start(&rig.host, &options) < 0 || settings_check(settings, error) < 0 ||
        app_create(&rig.app, &wanted, error) < 0)
        _exit(1);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ONLINE));
    report = (struct report){.pid = rig_status(0).pid, .port = rig.port};
    if (write(report_to, &report, sizeof report) != sizeof report)
        _exit(1);
    for (;;)
        loop_run(1000);
}

static void ask(int client) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    assert_int_equal(send(client, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
}

/* Whether an answer comes, rather than the end. */
static bool is_answered(int client) {
    char answer[1024] = "";

    return read(client, answer, sizeof answer - 1) > 0 && strstr(answer, "served by");
}

struct killed {
    struct report report;
    int client; /* connected to the worker, which has answered it once */
};

static struct killed kill_master(bool keep_channels) {
    struct killed killed;
    int ends[2];
    pid_t master;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    master = fork();
    if (master == 0)
        be_master(keep_channels, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &killed.report, sizeof killed.report), sizeof killed.report);
    close(ends[0]);
    rig.port = killed.report.port;
    killed.client = rig_connect();
    ask(killed.client);
    assert_true(is_answered(killed.client));
    kill(master, SIGKILL);
    assert_int_equal(waitpid(master, NULL, 0), master);
    return killed;
}

static int set_up_directory(void **state) {
    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.least_ready = RIG_SLOTS;
    log_set_sink(rig_silent, NULL);
    snprintf(rig.directory, sizeof rig.directory, "/tmp/baton-host-XXXXXX");
    return mkdtemp(rig.directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    return nftw(rig.directory, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_a_worker_finishes_its_connections_when_its_master_is_killed(void **state) {
    struct killed killed = kill_master(true);

    (void)state;
    for (int i = 0; i < 200; i++) {
        ask(killed.client);
        assert_true(is_answered(killed.client));
        if (i == 0)
            usleep(200000); /* for an end that is noticed late */
    }
    assert_int_equal(kill(killed.report.pid, SIGKILL), 0);
    assert_int_equal(waitpid(killed.report.pid, NULL, 0), killed.report.pid);
    close(killed.client);
}

/* What that test would see if it were not so. */
static void test_a_worker_whose_channel_is_not_kept_ends_with_its_master(void **state) {
    struct killed killed = kill_master(false);

    (void)state;
    assert_int_equal(waitpid(killed.report.pid, NULL, 0), killed.report.pid);
    close(killed.client);
}

static int set_up_keeping(void **state) {
    return rig_set_up_with(state, (struct host_options){.keep_channels = true});
}

/* The master still learns of each end, for a worker holds no copy of its own end. */
static void test_a_kept_channel_hides_no_end(void **state) {
    pid_t pid;

    (void)state;
    rig_create(rig_node("leaving.js",
                        RIG_SERVER "process.on('SIGUSR2', () => process.disconnect());\n", 1));
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ONLINE));
    pid = rig_status(0).pid;
    kill(pid, SIGUSR2);
    LOOP_UNTIL(rig_status(0).pid != pid && rig_is(0, APP_ONLINE));
    LOOP_UNTIL(kill(pid, 0) < 0);
    pid = rig_status(0).pid;
    kill(pid, SIGKILL);
    LOOP_UNTIL(rig_status(0).pid != pid && rig_is(0, APP_ONLINE));
    pid = rig_status(0).pid;
    app_renew_slot(rig.app, 0, APP_RELOAD, 1);
    LOOP_UNTIL(rig.renewal_count == 1);
    LOOP_UNTIL(kill(pid, 0) < 0);
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    assert_int_equal(rig_status(0).exit_code, 0);
    assert_int_equal(rig_status(0).exit_signal, 0); /* it went when it was asked to */
}

#define KILLED_TEST(name)                                                                          \
    cmocka_unit_test_setup_teardown(test_##name, set_up_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_death_is_known_to_the_app_whose_worker_it_was),
        RIG_TEST(nothing_ticks_while_there_is_no_worker),
        RIG_TEST(figures_are_read_when_somebody_asks),
        RIG_TEST(the_watch_is_started_for_the_first_policy_that_needs_it),
        RIG_TEST(another_policy_is_the_listeners_at_once),
        cmocka_unit_test_setup_teardown(test_a_line_reaches_the_workers_standard_input,
                                        set_up_inputs, rig_tear_down),
        RIG_TEST(without_that_option_there_is_no_input),
        cmocka_unit_test_setup_teardown(test_a_worker_has_ended_when_all_of_its_group_have,
                                        set_up_groups, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_whoever_wants_no_treekill_keeps_what_is_left,
                                        set_up_groups, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_a_supervised_node_program_says_when_it_is_ready,
                                        set_up_channels, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_a_supervised_node_program_is_told_to_shut_down,
                                        set_up_channels, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_who_does_not_heed_the_message_is_killed,
                                        set_up_channels, rig_tear_down),
        KILLED_TEST(a_worker_finishes_its_connections_when_its_master_is_killed),
        KILLED_TEST(a_worker_whose_channel_is_not_kept_ends_with_its_master),
        cmocka_unit_test_setup_teardown(test_a_kept_channel_hides_no_end, set_up_keeping,
                                        rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
