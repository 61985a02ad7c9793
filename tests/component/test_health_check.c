#include "daemon/health_check.h"

#include "component/loop.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHORT_MS 200 /* for what has to pass */

static struct settings *settings;
static struct health_check *check;
static int connect_error;
static unsigned attempts;
static uint64_t returned;
static unsigned results;
static unsigned lost;
static unsigned impossible;
static const char *reply; /* what the worker says, or NULL: it closes */

static int on_connect(void *owner, uint32_t slot, unsigned attempt, int *ret_descriptor) {
    int ends[2];

    assert_ptr_equal(owner, &check);
    assert_int_equal(slot, 3);
    if (attempt > 0)
        attempts++;
    if (connect_error)
        return connect_error;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (reply)
        assert_int_equal(send(ends[1], reply, strlen(reply), MSG_NOSIGNAL), strlen(reply));
    close(ends[1]);
    *ret_descriptor = ends[0];
    return 0;
}

static uint64_t on_returned(void *owner, uint32_t slot) {
    (void)owner;
    (void)slot;
    return returned++;
}

static uint64_t none_returned(void *owner, uint32_t slot) {
    (void)owner;
    (void)slot;
    return 0;
}

static void on_result(void *owner, uint32_t slot, enum health_change change) {
    (void)owner;
    (void)slot;
    results++;
    lost += change == HEALTH_LOST;
}

static void stop_at_result(void *owner, uint32_t slot, enum health_change change) {
    on_result(owner, slot, change);
    health_check_stop(check);
    check = NULL;
}

static void on_impossible(void *owner, uint32_t slot) {
    (void)owner;
    (void)slot;
    impossible++;
}

static const struct health_check_events usual = {.connect = on_connect,
                                                 .returned = none_returned,
                                                 .result = on_result,
                                                 .impossible = on_impossible};

static int set_up(void **state) {
    int result = loop_set_up(state);

    settings = settings_create();
    settings_set_text(&settings->health.path, "/health");
    settings->health.interval_ms = 10;
    settings->health.timeout_ms = LOOP_WAIT_MS;
    settings->health.failures = 2;
    connect_error = 0;
    attempts = results = lost = impossible = 0;
    reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    return result;
}

static int tear_down(void **state) {
    health_check_stop(check);
    check = NULL;
    settings_unref(settings);
    loop_run(20);
    return loop_tear_down(state);
}

static void start(const struct health_check_events *events) {
    struct health_check_options options = {
        .loop = &loop, .settings = settings, .slot = 3, .events = events, .owner = &check};

    check = health_check_start(&options);
    assert_non_null(check);
}

static void test_a_healthy_worker_is_asked_again_and_again(void **state) {
    (void)state;
    start(&usual);
    LOOP_UNTIL(results >= 3);
    assert_int_equal(lost, 0);
    assert_int_equal(check->health.failed, 0);
    assert_string_equal(check->last.reason, "status 200");
}

static void test_failures_in_a_row_are_announced_once(void **state) {
    (void)state;
    reply = "HTTP/1.1 503 No\r\n\r\n";
    start(&usual);
    LOOP_UNTIL(results >= 4);
    assert_int_equal(lost, 1);
    assert_string_equal(check->last.reason, "status 503");
    health_check_again(check);
    LOOP_UNTIL(lost == 2);
}

static void test_a_closed_connection_is_tried_again(void **state) {
    (void)state;
    reply = NULL;
    settings->health.timeout_ms = SHORT_MS;
    start(&usual);
    LOOP_UNTIL(results == 1);
    settings->health.timeout_ms = LOOP_WAIT_MS;
    assert_true(attempts >= 1);
    assert_int_equal(check->health.failed, 1);
    assert_non_null(strstr(check->last.reason, "closed"));
    reply = "HTTP/1.1 204 No Content\r\n\r\n";
    LOOP_UNTIL(results == 2);
    assert_int_equal(check->health.failed, 0);
}

static void test_a_worker_that_takes_no_connection_fails(void **state) {
    (void)state;
    connect_error = UV_EAGAIN;
    settings->health.timeout_ms = SHORT_MS;
    start(&usual);
    LOOP_UNTIL(lost == 1);
    assert_true(attempts >= 2);
    assert_string_equal(check->last.reason, "it takes no connection");
}

/* Another one may have answered what this one did not accept. */
static void test_an_answer_of_another_worker_does_not_count(void **state) {
    struct health_check_events events = usual;

    (void)state;
    events.returned = on_returned;
    settings->health.timeout_ms = SHORT_MS;
    start(&events);
    LOOP_UNTIL(results == 1);
    assert_int_equal(check->health.failed, 1);
    assert_string_equal(check->last.reason, "it takes no connection");
}

static void test_what_fails_for_us_counts_as_nothing(void **state) {
    (void)state;
    connect_error = UV_EMFILE;
    start(&usual);
    loop_run(60);
    assert_int_equal(results, 0);
    connect_error = 0;
    LOOP_UNTIL(results == 1);
    assert_int_equal(check->health.failed, 0);
}

static void test_without_a_listener_there_are_no_checks(void **state) {
    (void)state;
    connect_error = UV_ENOTSUP;
    start(&usual);
    LOOP_UNTIL(impossible == 1);
    loop_run(60);
    assert_int_equal(impossible, 1);
    assert_int_equal(results, 0);
}

static void test_it_may_be_stopped_in_its_result(void **state) {
    struct health_check_events events = usual;

    (void)state;
    events.result = stop_at_result;
    start(&events);
    LOOP_UNTIL(results == 1);
    loop_run(60);
    assert_int_equal(results, 1);
}

static void test_it_may_be_stopped_while_a_probe_is_under_way(void **state) {
    (void)state;
    reply = "HTTP/1.1 ";
    settings->health.timeout_ms = 5000;
    start(&usual);
    LOOP_UNTIL(check->probing);
    health_check_stop(check);
    check = NULL;
    loop_run(60);
    assert_int_equal(results, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_healthy_worker_is_asked_again_and_again),
        TEST(failures_in_a_row_are_announced_once),
        TEST(a_closed_connection_is_tried_again),
        TEST(a_worker_that_takes_no_connection_fails),
        TEST(an_answer_of_another_worker_does_not_count),
        TEST(what_fails_for_us_counts_as_nothing),
        TEST(without_a_listener_there_are_no_checks),
        TEST(it_may_be_stopped_in_its_result),
        TEST(it_may_be_stopped_while_a_probe_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
