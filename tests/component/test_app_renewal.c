/* Renewals: one slot after the other, reload and restart, and what becomes of failed ones. */
#include "component/app_rig.h"

#define SLEEPS "exec sleep 60\n"

static pid_t pids[RIG_SLOTS];

static void note_pids(uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        pids[i] = rig_status(i).pid;
}

static bool all_online(uint32_t count) {
    return rig_count_ready(rig.app) == count;
}

/* Started and ready; from now on the worst moment is looked for. */
static void start(struct settings *settings, uint32_t count) {
    rig_create(settings);
    app_start(rig.app);
    LOOP_UNTIL(all_online(count));
    note_pids(count);
    rig.least_ready = count;
}

static unsigned count_changed(uint32_t count) {
    unsigned changed = 0;

    for (uint32_t i = 0; i < count; i++)
        changed += rig_status(i).pid != pids[i];
    return changed;
}

static bool is_gone(pid_t pid) {
    return kill(pid, 0) < 0;
}

static void test_a_reload_starts_the_new_ones_first(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 3), 3);
    rig_renew_all(APP_RELOAD, 1);
    assert_true(app_is_renewing(rig.app));
    LOOP_UNTIL(rig.renewal_count == 3);
    assert_false(app_is_renewing(rig.app));
    assert_int_equal(rig.least_ready, 3);
    assert_int_equal(count_changed(3), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(rig.renewals[i].slot, i);
        assert_int_equal(rig.renewals[i].request, 1);
        assert_int_equal(rig.renewals[i].error, 0);
        assert_int_equal(rig_status(i).restart_time, 1);
        LOOP_UNTIL(is_gone(pids[i]));
    }
    assert_int_equal(rig.app->reloads, 1);
}

static void test_a_restart_of_all_leaves_all_but_one(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 3), 3);
    rig_renew_all(APP_RESTART, 1);
    assert_false(is_gone(pids[0]));
    assert_true(rig_is(0, APP_STOPPING));
    LOOP_UNTIL(rig.renewal_count == 3);
    assert_int_equal(rig.least_ready, 2);
    assert_int_equal(count_changed(3), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(is_gone(pids[i]));
}

/* The listener is the app's: whoever comes while there is no worker waits. */
static void test_who_comes_during_the_restart_of_the_only_one_is_served(void **state) {
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    char answer[512] = "";
    char expected[16];
    int client;

    (void)state;
    start(rig_node("server.js", RIG_SERVER, 1), 1);
    app_renew_slot(rig.app, 0, APP_RESTART, 1);
    LOOP_UNTIL(is_gone(pids[0]));
    assert_int_equal(rig.renewal_count, 0);
    client = rig_connect();
    assert_true(client >= 0);
    assert_int_equal(write(client, request, sizeof request - 1), sizeof request - 1);
    LOOP_UNTIL(rig.renewal_count == 1);
    LOOP_UNTIL(recv(client, answer, sizeof answer - 1, MSG_DONTWAIT) > 0);
    snprintf(expected, sizeof expected, "\r\n\r\n%d", (int)rig_status(0).pid);
    assert_non_null(strstr(answer, expected));
    close(client);
}

/* It listens by itself, so that two at a time would be in each other's way. */
static void test_a_reload_of_what_is_only_supervised_ends_the_old_one_first(void **state) {
    (void)state;
    start(rig_shell(SLEEPS, 2), 2);
    rig_renew_all(APP_RELOAD, 1);
    assert_true(rig_is(0, APP_STOPPING));
    LOOP_UNTIL(rig.renewal_count == 2);
    assert_int_equal(rig.least_ready, 1);
    assert_true(is_gone(pids[0]) && is_gone(pids[1]));
    assert_int_equal(count_changed(2), 2);
}

static void expect_old_ones(uint32_t count, const char *reason) {
    LOOP_UNTIL(rig.renewal_count == count);
    assert_int_equal(rig.renewals[0].slot, 0);
    assert_int_not_equal(rig.renewals[0].error, 0);
    if (!strstr(rig.renewals[0].reason, reason))
        fail_msg("'%s' does not say '%s'", rig.renewals[0].reason, reason);
    assert_int_equal(rig_status(0).restart_time, 0); /* nothing was replaced */
    for (uint32_t i = 1; i < count; i++) {
        assert_int_equal(rig.renewals[i].slot, i);
        assert_int_equal(rig.renewals[i].error, UV_ECANCELED);
    }
    assert_false(app_is_renewing(rig.app));
    assert_int_equal(count_changed(count), 0);
    assert_int_equal(rig.least_ready, count);
    assert_int_equal(rig.app->reloads, 0);
}

static void test_a_version_that_throws_leaves_the_old_one(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    rig_change(rig_node("broken.js", "process.exit(9);\n", 2));
    rig_renew_all(APP_RELOAD, 5);
    expect_old_ones(2, "exited with code 9");
    LOOP_UNTIL(rig.app->child_count == 2);
}

static void test_a_version_that_never_listens_leaves_the_old_one(void **state) {
    struct settings *settings;

    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    settings = rig_node("idle.js", "setInterval(() => {}, 1000);\n", 2);
    settings->listen_timeout_ms = 300;
    rig_change(settings);
    rig_renew_all(APP_RELOAD, 5);
    expect_old_ones(2, "listen-timeout");
    assert_int_equal(rig.renewals[0].error, UV_ETIMEDOUT);
    LOOP_UNTIL(rig.app->child_count == 2);
}

static int set_up_proving(void **state) {
    return rig_set_up_with(state, (struct host_options){.prove_reloads = true});
}

static void test_a_version_that_dies_young_leaves_the_old_one(void **state) {
    struct settings *settings;

    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    settings = rig_node("young.js", RIG_SERVER "setTimeout(() => process.exit(4), 300);\n", 2);
    settings->min_uptime_ms = 20000;
    rig_change(settings);
    rig_renew_all(APP_RELOAD, 5);
    expect_old_ones(2, "min-uptime");
}

/* Whoever takes longer than min_uptime to get ready has to serve for that long all the same. */
static void test_a_version_that_begins_slowly_and_dies_leaves_the_old_one(void **state) {
    struct settings *settings;

    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    settings = rig_node("young.js",
                        "setTimeout(() => {\n" RIG_SERVER
                        "server.on('listening', () => setTimeout(() => process.exit(4), 20));\n"
                        "}, 3200);\n",
                        2);
    settings->min_uptime_ms = 3000;
    rig_change(settings);
    rig_renew_all(APP_RELOAD, 5);
    expect_old_ones(2, "min-uptime");
}

static void test_only_the_first_new_one_has_to_prove_itself(void **state) {
    struct settings *settings = rig_node("server.js", RIG_SERVER, 2);
    uint64_t begun = uv_hrtime();

    (void)state;
    settings->min_uptime_ms = 1500;
    start(settings, 2);
    rig_renew_all(APP_RELOAD, 1);
    LOOP_UNTIL(rig.renewal_count == 1);
    assert_true(uv_hrtime() - begun > UINT64_C(1500000000));
    LOOP_UNTIL(rig.renewal_count == 2);
    assert_int_equal(rig.least_ready, 2);
    assert_int_equal(count_changed(2), 2);
    assert_true(rig.app->proven);
}

/* While the successor is on its way, or has to prove itself. */
static void test_an_old_one_that_dies_is_followed_by_its_successor(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 1), 1);
    app_renew_slot(rig.app, 0, APP_RELOAD, 1);
    kill(pids[0], SIGKILL);
    LOOP_UNTIL(rig.renewal_count == 1);
    assert_int_equal(rig.renewals[0].error, 0);
    LOOP_UNTIL(all_online(1));
    assert_int_equal(count_changed(1), 1);
    assert_int_equal(rig.app->child_count, 1);
}

static void test_a_failed_restart_is_told_and_goes_by_the_restart_rule(void **state) {
    struct settings *settings;

    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    settings = rig_node("broken.js", "process.exit(9);\n", 2);
    settings->max_restarts = 2;
    settings->backoff_ms = 10;
    rig_change(settings);
    rig_renew_all(APP_RESTART, 1);
    LOOP_UNTIL(rig.renewal_count == 2);
    assert_int_equal(rig.renewals[0].slot, 0);
    assert_non_null(strstr(rig.renewals[0].reason, "exited with code 9"));
    assert_false(rig.renewals[0].untried);
    assert_int_equal(rig.renewals[1].error, UV_ECANCELED);
    assert_true(rig.renewals[1].untried);
    LOOP_UNTIL(rig_is(0, APP_ERRORED));
    assert_int_equal(rig_status(1).pid, pids[1]);
    assert_true(rig_is(1, APP_ONLINE));
}

static void test_a_slot_marked_again_under_way_is_renewed_again(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    rig_renew_all(APP_RELOAD, 1);
    rig_renew_all(APP_RELOAD, 2);
    LOOP_UNTIL(!app_is_renewing(rig.app));
    /* The second slot had not begun: once is enough for both. */
    assert_int_equal(rig.renewal_count, 3);
    assert_int_equal(rig.renewals[0].slot, 0);
    assert_int_equal(rig.renewals[0].request, 1);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(rig.renewals[i].request, 2);
    assert_int_equal(rig_status(0).restart_time, 2);
    assert_int_equal(rig_status(1).restart_time, 1);
    assert_int_equal(rig.least_ready, 2);
}

/* A later request is not the earlier one's to cancel. */
static void test_a_failure_cancels_only_its_own_request(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 3), 3);
    rig_change(rig_node("broken.js", "process.exit(9);\n", 3));
    rig_renew_all(APP_RELOAD, 1);
    rig_change(rig_node("good.js", RIG_SERVER, 3));
    app_renew_slot(rig.app, 2, APP_RELOAD, 2);
    LOOP_UNTIL(!app_is_renewing(rig.app));
    assert_int_equal(rig.renewal_count, 3);
    assert_int_not_equal(rig.renewals[0].error, 0);
    assert_int_equal(rig.renewals[1].slot, 1);
    assert_int_equal(rig.renewals[1].error, UV_ECANCELED);
    assert_int_equal(rig.renewals[2].slot, 2);
    assert_int_equal(rig.renewals[2].error, 0);
    assert_int_equal(count_changed(3), 1);
}

static void test_a_slot_that_serves_nobody_goes_first(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 3), 3);
    app_stop_slot(rig.app, 2);
    LOOP_UNTIL(rig_is(2, APP_STOPPED));
    rig.least_ready = 2;
    rig_renew_all(APP_RESTART, 1);
    LOOP_UNTIL(rig.renewal_count == 3);
    /* The first was the only one to be begun when it was marked. */
    assert_int_equal(rig.renewals[0].slot, 0);
    assert_int_equal(rig.renewals[1].slot, 2);
    assert_int_equal(rig.renewals[2].slot, 1);
    assert_true(all_online(3));
    assert_int_equal(rig.least_ready, 1);
}

static void test_a_stop_ends_a_renewal(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    rig_renew_all(APP_RELOAD, 1);
    app_stop_slot(rig.app, 0);
    assert_int_equal(rig.renewal_count, 1);
    assert_int_equal(rig.renewals[0].error, UV_ECANCELED);
    LOOP_UNTIL(rig_is(0, APP_STOPPED) && rig.renewal_count == 2);
    assert_int_equal(rig.renewals[1].slot, 1);
    assert_int_equal(rig.renewals[1].error, 0);
    assert_true(rig_is(1, APP_ONLINE));
    LOOP_UNTIL(is_gone(pids[1]) && rig.app->child_count == 1);
}

static void test_an_app_may_be_closed_in_the_middle_of_a_renewal(void **state) {
    (void)state;
    start(rig_node("server.js", RIG_SERVER, 2), 2);
    rig_renew_all(APP_RELOAD, 1);
    loop_run(5);
    app_close(rig.app, rig_on_app_closed, NULL);
    LOOP_UNTIL(rig.app_closed);
    assert_int_equal(rig.renewal_count, 2);
    assert_int_equal(rig.renewals[1].error, UV_ECANCELED);
    assert_true(is_gone(pids[0]) && is_gone(pids[1]));
}

/* Looked at by the host's tick, once a second. */
static void test_who_grows_too_large_is_replaced_as_in_a_reload(void **state) {
    struct settings *settings =
        rig_node("large.js",
                 "const fs = require('fs');\n" RIG_SERVER "if (!fs.existsSync('grown')) {\n"
                 "  fs.writeFileSync('grown', '');\n"
                 "  global.memory = Buffer.alloc(100 << 20, 1);\n"
                 "}\n",
                 1);

    (void)state;
    settings->max_memory = 100 << 20;
    start(settings, 1);
    LOOP_UNTIL(rig_status(0).pid != pids[0] && rig_status(0).pid > 0);
    assert_int_equal(rig_status(0).restart_time, 1);
    assert_int_equal(rig.least_ready, 1);
    assert_int_equal(rig.app->reloads, 0);
    LOOP_UNTIL(is_gone(pids[0]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_reload_starts_the_new_ones_first),
        RIG_TEST(a_restart_of_all_leaves_all_but_one),
        RIG_TEST(who_comes_during_the_restart_of_the_only_one_is_served),
        RIG_TEST(a_reload_of_what_is_only_supervised_ends_the_old_one_first),
        RIG_TEST(a_version_that_throws_leaves_the_old_one),
        RIG_TEST(a_version_that_never_listens_leaves_the_old_one),
        cmocka_unit_test_setup_teardown(test_a_version_that_dies_young_leaves_the_old_one,
                                        set_up_proving, rig_tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_version_that_begins_slowly_and_dies_leaves_the_old_one, set_up_proving,
            rig_tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_first_new_one_has_to_prove_itself,
                                        set_up_proving, rig_tear_down),
        RIG_TEST(an_old_one_that_dies_is_followed_by_its_successor),
        RIG_TEST(a_failed_restart_is_told_and_goes_by_the_restart_rule),
        RIG_TEST(a_slot_marked_again_under_way_is_renewed_again),
        RIG_TEST(a_failure_cancels_only_its_own_request),
        RIG_TEST(a_slot_that_serves_nobody_goes_first),
        RIG_TEST(a_stop_ends_a_renewal),
        RIG_TEST(an_app_may_be_closed_in_the_middle_of_a_renewal),
        RIG_TEST(who_grows_too_large_is_replaced_as_in_a_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
