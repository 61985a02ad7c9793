/* An app's slots: started, stopped, ended, given up, added and removed, each alone. */
#include "component/app_rig.h"

#include <sys/wait.h>

#define SLEEPS "exec sleep 60\n"

static void test_each_slot_is_started_and_stopped_alone(void **state) {
    pid_t pid;

    (void)state;
    rig_create(rig_shell(SLEEPS, 2));
    assert_true(rig_is(0, APP_STOPPED) && rig_is(1, APP_STOPPED));
    assert_int_equal(rig_status(0).up_ms, 0);
    app_start_slot(rig.app, 1);
    assert_true(rig_is(1, APP_ONLINE) && rig_is(0, APP_STOPPED));
    pid = rig_status(1).pid;
    assert_int_equal(kill(pid, 0), 0);
    assert_true(rig_status(1).up_ms >= rig_status(1).created_ms);
    app_start_slot(rig.app, 1); /* it runs */
    assert_int_equal(rig_status(1).pid, pid);
    app_start_slot(rig.app, 0);
    app_stop_slot(rig.app, 1);
    assert_true(rig_is(1, APP_STOPPING));
    LOOP_UNTIL(rig_is(1, APP_STOPPED));
    assert_int_equal(rig.seen[1], APP_STOPPED);
    assert_int_equal(kill(pid, 0), -1);
    assert_true(rig_is(0, APP_ONLINE));
    assert_int_equal(rig_status(1).exit_signal, SIGINT);
    assert_int_equal(rig_status(1).restart_time, 0);
    assert_int_equal(app_slot_status(rig.app, 2, &(struct app_slot_status){.pid = 0}), UV_ENOENT);
}

static void test_a_slot_that_is_started_while_it_stops_starts_when_it_has(void **state) {
    struct settings *settings = rig_shell("trap 'sleep 0.2; exit 3' INT\n: > trapped\n"
                                          "while :; do sleep 0.05; done\n",
                                          1);
    pid_t pid;

    (void)state;
    settings->treekill = false;
    rig_create(settings);
    app_start_slot(rig.app, 0);
    pid = rig_status(0).pid;
    LOOP_UNTIL(rig_has("trapped"));
    app_stop_slot(rig.app, 0);
    app_start_slot(rig.app, 0);
    assert_true(rig_is(0, APP_STOPPING));
    LOOP_UNTIL(rig_is(0, APP_ONLINE));
    assert_int_not_equal(rig_status(0).pid, pid);
    assert_int_equal(rig_status(0).exit_code, 3);
}

static void test_a_crash_loop_ends_in_errored_and_can_be_started_again(void **state) {
    struct settings *settings = rig_shell("exit 7\n", 1);

    (void)state;
    settings->max_restarts = 3;
    settings->min_uptime_ms = 600000;
    settings->backoff_ms = 20;
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ERRORED));
    assert_true(rig.seen_as[APP_WAITING_RESTART] > 0);
    assert_int_equal(rig_status(0).restart_time, 2); /* three runs in all */
    assert_int_equal(rig_status(0).unstable_restarts, 3);
    assert_int_equal(rig_status(0).exit_code, 7);
    assert_non_null(strstr(rig_status(0).reason, "3 times in a row"));
    assert_non_null(strstr(rig_status(0).reason, "exited with code 7"));
    assert_int_equal(rig_status(0).pid, 0);
    app_reset_slot(rig.app, 0);
    assert_int_equal(rig_status(0).restart_time, 0);
    app_start_slot(rig.app, 0);
    assert_true(rig_is(0, APP_ONLINE));
    LOOP_UNTIL(rig_is(0, APP_ERRORED));
    app_stop_slot(rig.app, 0);
    assert_true(rig_is(0, APP_STOPPED));
}

static void test_a_stop_code_or_no_autorestart_ends_in_stopped(void **state) {
    struct settings *settings = rig_shell("exit $((BATON_SLOT + 5))\n", 2);

    (void)state;
    settings->stop_codes[0] = 5;
    settings->stop_code_count = 1;
    settings->max_restarts = 0;
    settings->min_uptime_ms = 600000;
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED) && rig_is(1, APP_ERRORED));
    assert_int_equal(rig_status(0).exit_code, 5);
    settings = rig_shell("exit 6\n", 2);
    settings->autorestart = false;
    rig_change(settings);
    app_start_slot(rig.app, 1);
    LOOP_UNTIL(rig_is(1, APP_STOPPED));
    assert_int_equal(rig_status(1).exit_code, 6);
}

static void test_a_stopped_slot_waits_for_no_restart(void **state) {
    struct settings *settings = rig_shell("exit 1\n", 1);

    (void)state;
    settings->restart_delay_ms = 1000;
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_WAITING_RESTART));
    app_stop_slot(rig.app, 0);
    assert_true(rig_is(0, APP_STOPPED));
    loop_run(1200);
    assert_true(rig_is(0, APP_STOPPED));
    assert_int_equal(rig_status(0).restart_time, 1);
}

static void test_what_cannot_be_executed_is_errored_at_once(void **state) {
    struct settings *settings = rig_shell(SLEEPS, 2);

    (void)state;
    rig_create(settings);
    assert_int_equal(settings_set_text(&settings->interpreter, rig_path("nothing")), 0);
    app_start(rig.app);
    assert_true(rig_is(0, APP_ERRORED) && rig_is(1, APP_ERRORED));
    assert_int_equal(rig.failures, 2);
    assert_non_null(strstr(rig.failure, "cannot be started"));
    assert_string_equal(rig_status(0).reason, rig.failure);
}

static void test_a_user_that_is_not_known_is_refused(void **state) {
    struct settings *settings = rig_shell(SLEEPS, 1);
    struct app_options options = {
        .host = &rig.host, .settings = settings, .events = &rig_events, .owner = &rig};
    char error[SETTINGS_ERROR_MAX];

    (void)state;
    rig_check(settings);
    assert_int_equal(settings_set_text(&settings->uid, "nobody-of-that-name"), 0);
    assert_int_equal(app_create(&rig.app, &options, error), UV_ENOENT);
    assert_non_null(strstr(error, "user"));
    assert_null(rig.app);
    settings_unref(settings);
}

static void test_slots_are_added_and_removed(void **state) {
    (void)state;
    rig_create(rig_shell(SLEEPS, 1));
    app_start(rig.app);
    assert_int_equal(app_resize(rig.app, 3), 0);
    assert_int_equal(rig.app->slot_count, 3);
    app_start_slot(rig.app, 1);
    app_start_slot(rig.app, 2);
    assert_int_equal(app_remove_slot(rig.app, 1), UV_EBUSY);
    app_stop_slot(rig.app, 1);
    assert_int_equal(app_remove_slot(rig.app, 1), UV_EBUSY);
    LOOP_UNTIL(rig_is(1, APP_STOPPED));
    assert_int_equal(app_remove_slot(rig.app, 1), 0);
    assert_int_equal(app_remove_slot(rig.app, 1), UV_ENOENT);
    assert_null(app_slot(rig.app, 1));
    assert_true(rig_is(0, APP_ONLINE) && rig_is(2, APP_ONLINE));
    assert_int_equal(rig.app->slot_count, 2);
    assert_int_equal(app_resize(rig.app, 4), 0); /* the hole first, then the end */
    assert_true(rig_is(1, APP_STOPPED) && rig_is(3, APP_STOPPED));
    assert_int_equal(app_resize(rig.app, SETTINGS_INSTANCES_MAX + 1), UV_EINVAL);
}

static void read_environment(pid_t pid, char *text, size_t size) {
    char path[64];
    FILE *file;
    size_t length;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    length = fread(text, 1, size - 1, file);
    fclose(file);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = '\n';
    text[length] = '\0';
}

static void test_a_worker_has_the_environment_that_was_asked_for(void **state) {
    struct settings *settings = rig_shell(SLEEPS, 2);
    char text[8192];

    (void)state;
    assert_int_equal(text_list_add(&settings->environment, "PATH=/usr/bin:/bin"), 0);
    assert_int_equal(text_list_add(&settings->environment, "COLOR=red"), 0);
    assert_int_equal(text_list_add(&settings->env, "COLOR=blue"), 0);
    assert_int_equal(text_list_add(&settings->env, "PORT=3000"), 0);
    assert_int_equal(settings_set_text(&settings->increment_var, "PORT"), 0);
    rig_create(settings);
    app_start_slot(rig.app, 1);
    /* Before exec it would be ours. */
    LOOP_UNTIL((read_environment(rig_status(1).pid, text, sizeof text), strstr(text, "COLOR=")));
    assert_non_null(strstr(text, "COLOR=blue\n"));
    assert_null(strstr(text, "COLOR=red\n"));
    assert_non_null(strstr(text, "PORT=3001\n"));
    assert_non_null(strstr(text, "NODE_APP_INSTANCE=1\n"));
    assert_non_null(strstr(text, "pm_id=41\n"));
    assert_null(strstr(text, "HOME="));
}

/* --- what listens --- */

static void test_the_last_slot_that_stops_closes_the_listener(void **state) {
    int client;

    (void)state;
    rig_create(rig_node("server.js", RIG_SERVER, 2));
    app_start(rig.app);
    assert_true(rig_is(0, APP_LAUNCHING));
    LOOP_UNTIL(rig_is(0, APP_ONLINE) && rig_is(1, APP_ONLINE));
    assert_int_equal(rig.ready, 1);
    app_stop_slot(rig.app, 0);
    LOOP_UNTIL(rig_is(0, APP_STOPPED));
    client = rig_connect();
    assert_true(client >= 0);
    close(client);
    app_stop_slot(rig.app, 1);
    LOOP_UNTIL(rig_is(1, APP_STOPPED));
    assert_int_equal(rig_connect(), -1);
    app_start_slot(rig.app, 1);
    LOOP_UNTIL(rig_is(1, APP_ONLINE));
    client = rig_connect();
    assert_true(client >= 0);
    close(client);
    assert_int_equal(rig.failures, 0);
}

/* Who has connected is served, though nobody is left when it is. */
static void test_who_has_connected_is_served_before_all_stops(void **state) {
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    char answer[512] = "";
    int client;

    (void)state;
    rig_create(rig_node("server.js", RIG_SERVER, 2));
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ONLINE) && rig_is(1, APP_ONLINE));
    client = rig_connect();
    assert_int_equal(write(client, request, sizeof request - 1), sizeof request - 1);
    app_stop(rig.app);
    LOOP_UNTIL(rig_is(0, APP_STOPPED) && rig_is(1, APP_STOPPED));
    assert_true(read(client, answer, sizeof answer - 1) > 0);
    assert_non_null(strstr(answer, "200 OK"));
    close(client);
}

static void test_what_never_listens_is_errored(void **state) {
    struct settings *settings = rig_node("idle.js", "setInterval(() => {}, 1000);\n", 1);

    (void)state;
    settings->listen_timeout_ms = 300;
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(rig_is(0, APP_ERRORED));
    assert_int_equal(rig.failures, 1);
    assert_non_null(strstr(rig_status(0).reason, "did not start to listen within 300 ms"));
}

static void test_what_never_says_ready_is_errored_also_when_started_again(void **state) {
    struct settings *settings = rig_node("silent.js", RIG_SERVER, 1);

    (void)state;
    settings->listen_timeout_ms = 300;
    settings->wait_ready = true;
    rig_create(settings);
    for (unsigned i = 1; i <= 2; i++) {
        app_start(rig.app);
        assert_true(rig_is(0, APP_LAUNCHING));
        LOOP_UNTIL(rig_is(0, APP_ERRORED));
        assert_int_equal(rig.failures, i);
    }
    assert_int_equal(rig.seen_as[APP_ONLINE], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(each_slot_is_started_and_stopped_alone),
        RIG_TEST(a_slot_that_is_started_while_it_stops_starts_when_it_has),
        RIG_TEST(a_crash_loop_ends_in_errored_and_can_be_started_again),
        RIG_TEST(a_stop_code_or_no_autorestart_ends_in_stopped),
        RIG_TEST(a_stopped_slot_waits_for_no_restart),
        RIG_TEST(what_cannot_be_executed_is_errored_at_once),
        RIG_TEST(a_user_that_is_not_known_is_refused),
        RIG_TEST(slots_are_added_and_removed),
        RIG_TEST(a_worker_has_the_environment_that_was_asked_for),
        RIG_TEST(the_last_slot_that_stops_closes_the_listener),
        RIG_TEST(who_has_connected_is_served_before_all_stops),
        RIG_TEST(what_never_listens_is_errored),
        RIG_TEST(what_never_says_ready_is_errored_also_when_started_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
