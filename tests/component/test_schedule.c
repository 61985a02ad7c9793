#include "daemon/schedule.h"

#include "component/loop.h"

#include <stdio.h>

#define NOON INT64_C(1790251200) /* 2026-09-24 12:00:00 UTC */

static struct schedule schedule;
static int64_t now_ms; /* what the clock says */
static bool closed;

/* An app, and what is to happen when its time has come. */
struct job {
    struct schedule_entry entry;
    int runs;
    struct job *removes;
    bool closes;
};

static struct job jobs[3];

static int64_t read_clock(void *clock) {
    assert_ptr_equal(clock, &now_ms);
    return now_ms;
}

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &schedule);
    closed = true;
}

static int set_up(void **state) {
    int result = loop_set_up(state);

    setenv("TZ", "UTC", 1);
    now_ms = NOON * 1000;
    closed = false;
    memset(jobs, 0, sizeof jobs);
    return result < 0 ? result : schedule_start(&schedule, &loop, read_clock, &now_ms);
}

static int tear_down(void **state) {
    if (!uv_is_closing((uv_handle_t *)&schedule.timer))
        schedule_close(&schedule, on_closed, &schedule);
    LOOP_UNTIL(closed);
    return loop_tear_down(state);
}

static void on_due(void *owner) {
    struct job *job = owner;

    job->runs++;
    if (job->removes)
        schedule_remove(&job->removes->entry);
    if (job->closes)
        schedule_close(&schedule, on_closed, &schedule);
}

static void add(struct job *job, const char *expression) {
    char error[CRON_ERROR_MAX];
    struct cron cron;

    assert_int_equal(cron_parse(&cron, expression, error), 0);
    schedule_add(&schedule, &job->entry, &cron, on_due, job);
}

/* How long the timer would wait, as from when it was started. */
static uint64_t wait_ms(void) {
    return uv_timer_get_due_in(&schedule.timer);
}

/* The clock says this much more, whatever libuv's says, and is looked at. */
static void pass(int64_t ms) {
    now_ms += ms;
    uv_timer_start(&schedule.timer, schedule.timer.timer_cb, 0, 0);
    loop_run(1);
}

static void test_the_decision(void **state) {
    (void)state;
    assert_int_equal(schedule_decide(100, 90, 99), SCHEDULE_WAIT);
    assert_int_equal(schedule_decide(100, 90, 100), SCHEDULE_RUN);
    assert_int_equal(schedule_decide(100, 90, 100 + SCHEDULE_LATE_S), SCHEDULE_RUN);
    assert_int_equal(schedule_decide(100, 90, 101 + SCHEDULE_LATE_S), SCHEDULE_SKIP);
    assert_int_equal(schedule_decide(-1, 90, 100), SCHEDULE_WAIT); /* never */
    assert_int_equal(schedule_decide(10000, 9999, 9939), SCHEDULE_WAIT);
    assert_int_equal(schedule_decide(10000, 9999, 9938), SCHEDULE_SKIP);
}

static void test_the_timer_waits_for_the_next_and_a_minute_at_most(void **state) {
    struct job *daily = &jobs[0];
    struct job *soon = &jobs[1];

    (void)state;
    assert_false(uv_is_active((uv_handle_t *)&schedule.timer));
    add(daily, "0 3 * * *");
    assert_in_range(wait_ms(), SCHEDULE_LOOK_MS - 1000, SCHEDULE_LOOK_MS);
    add(soon, "*/20 * * * * *");
    assert_in_range(wait_ms(), 19000, 20000);
    pass(19999);
    assert_int_equal(soon->runs, 0);
    assert_in_range(wait_ms(), 0, 1);
    pass(1);
    assert_int_equal(soon->runs, 1);
    pass(0);
    assert_int_equal(soon->runs, 1);
    schedule_remove(&soon->entry);
    schedule_remove(&soon->entry); /* harmless */
    pass(20000);
    assert_int_equal(soon->runs, 1);
    assert_int_equal(daily->runs, 0);
    schedule_remove(&daily->entry);
    assert_false(uv_is_active((uv_handle_t *)&schedule.timer));
}

static void test_it_happens_by_itself(void **state) {
    struct job *job = &jobs[0];

    (void)state;
    now_ms = NOON * 1000 + 990;
    add(job, "* * * * * *");
    while (job->runs == 0) {
        loop_run(2);
        now_ms += 5;
        assert_true(now_ms < NOON * 1000 + 3000);
    }
    assert_int_equal(job->runs, 1);
}

static void test_many_that_were_slept_over_are_one(void **state) {
    struct job *job = &jobs[0];

    (void)state;
    add(job, "*/5 * * * *");
    pass(1800 * 1000);
    assert_int_equal(job->runs, 1);
    assert_int_equal(job->entry.due, NOON + 2100);
}

static void test_what_is_hours_late_is_dropped(void **state) {
    struct job *job = &jobs[0];

    (void)state;
    add(job, "0 13 * * *");
    pass((int64_t)5 * 3600 * 1000);
    assert_int_equal(job->runs, 0);
    assert_int_equal(job->entry.due, NOON + 25 * 3600);
}

static void test_a_clock_that_is_set_back(void **state) {
    struct job *job = &jobs[0];

    (void)state;
    add(job, "*/10 * * * *");
    pass(600 * 1000);
    assert_int_equal(job->runs, 1);
    pass(-2000); /* by two seconds: the same time does not come twice */
    pass(2000);
    assert_int_equal(job->runs, 1);
    pass((int64_t)-24 * 3600 * 1000); /* by a day: it does not wait for a day */
    assert_int_equal(job->runs, 1);
    assert_int_equal(job->entry.due, NOON - 24 * 3600 + 1200);
    pass(600 * 1000);
    assert_int_equal(job->runs, 2);
}

static void test_one_may_remove_another_and_itself(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        add(&jobs[i], "* * * * *");
    jobs[0].removes = &jobs[1];
    jobs[2].removes = &jobs[2];
    pass(60 * 1000);
    assert_int_equal(jobs[0].runs, 1);
    assert_int_equal(jobs[1].runs, 0);
    assert_int_equal(jobs[2].runs, 1);
    pass(60 * 1000);
    assert_int_equal(jobs[0].runs, 2);
    assert_int_equal(jobs[2].runs, 1);
}

static void test_closed_in_the_middle(void **state) {
    (void)state;
    jobs[0].closes = true;
    add(&jobs[0], "* * * * *");
    add(&jobs[1], "* * * * *");
    now_ms += 60 * 1000;
    uv_timer_start(&schedule.timer, schedule.timer.timer_cb, 0, 0);
    LOOP_UNTIL(closed);
    assert_int_equal(jobs[0].runs, 1);
    assert_int_equal(jobs[1].runs, 0);
    assert_null(jobs[1].entry.schedule);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_decision),
        TEST(the_timer_waits_for_the_next_and_a_minute_at_most),
        TEST(it_happens_by_itself),
        TEST(many_that_were_slept_over_are_one),
        TEST(what_is_hours_late_is_dropped),
        TEST(a_clock_that_is_set_back),
        TEST(one_may_remove_another_and_itself),
        TEST(closed_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
