#include "master/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

static const int failure = 1 << 8; /* waitpid(2): exit code 1 */
static uint64_t now_ms = 1000000;

static struct settings defaults(void) {
    struct settings settings;

    settings_init(&settings);
    return settings;
}

static struct restart_decision end(struct restart_history *history, const struct settings *settings,
                                   uint64_t lifetime_ms, int status) {
    struct restart_death death = {.lifetime_ms = lifetime_ms, .status = status, .now_ms = now_ms};

    return restart_decide(history, settings, &death);
}

/* It starts when the delay has passed, lives and fails. */
static struct restart_decision die(struct restart_history *history, const struct settings *settings,
                                   uint64_t lifetime_ms) {
    struct restart_decision decision;

    now_ms += lifetime_ms;
    decision = end(history, settings, lifetime_ms, failure);
    now_ms += decision.delay_ms;
    return decision;
}

static void test_a_worker_that_lived_is_replaced_at_once(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    for (uint32_t i = 1; i <= settings.max_restarts; i++) {
        struct restart_decision decision = die(&history, &settings, settings.min_uptime_ms);

        assert_int_equal(decision.verdict, RESTART_AFTER);
        assert_int_equal(decision.delay_ms, 0);
        assert_int_equal(history.restarts, i);
    }
}

static void test_young_deaths_are_followed_by_growing_delays(void **state) {
    static const uint64_t delays[] = {0,   50,   75,   112,  168,  252,  378, 567,
                                      850, 1275, 1912, 2868, 4302, 6453, 9679};
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        struct restart_decision decision = die(&history, &settings, settings.min_uptime_ms - 1);

        assert_int_equal(decision.verdict, RESTART_AFTER);
        assert_int_equal(decision.delay_ms, delays[i]);
    }
    assert_int_equal(die(&history, &settings, 0).verdict, RESTART_GIVE_UP);
    assert_int_equal(history.restarts, 15); /* 16 runs in all, as with PM2 */
}

static void test_the_delay_stays_below_its_limit(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};
    uint64_t last = 0;

    (void)state;
    settings.max_restarts = UINT32_MAX;
    for (int i = 0; i < 1000; i++) {
        uint64_t delay = die(&history, &settings, 0).delay_ms;

        assert_true(delay >= last && delay <= RESTART_DELAY_MAX);
        last = delay;
    }
    assert_int_equal(last, RESTART_DELAY_MAX);
    settings.backoff_ms = UINT64_MAX;
    assert_int_equal(die(&history, &settings, 0).delay_ms, RESTART_DELAY_MAX);
    settings.backoff_ms = 0;
    assert_int_equal(die(&history, &settings, 0).delay_ms, 0);
}

static void test_a_stable_life_makes_up_for_young_deaths(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    for (int i = 0; i < 10; i++)
        die(&history, &settings, 10);
    assert_int_equal(die(&history, &settings, RESTART_STABLE_MS).delay_ms, 0);
    assert_int_equal(restart_count(&history), 0);
    assert_int_equal(die(&history, &settings, 10).delay_ms, 0);
    assert_int_equal(die(&history, &settings, 10).delay_ms, 50);
}

static void test_a_short_life_is_followed_at_once_and_makes_up_for_nothing(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    die(&history, &settings, 10);
    die(&history, &settings, 10);
    assert_int_equal(die(&history, &settings, RESTART_STABLE_MS - 1).delay_ms, 0);
    assert_int_equal(die(&history, &settings, 10).delay_ms, 75);
}

/* Ends that come every so often: how many are followed by another start. */
static uint32_t loop_of(uint32_t max_restarts, uint64_t lifetime_ms, uint32_t most) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};
    uint32_t restarts = 0;

    settings.max_restarts = max_restarts;
    while (restarts < most && die(&history, &settings, lifetime_ms).verdict == RESTART_AFTER)
        restarts++;
    return restarts;
}

static void test_a_loop_ends_however_long_each_worker_lives(void **state) {
    (void)state;
    assert_int_equal(loop_of(16, 2000, 1000), 16);
    assert_int_equal(loop_of(16, 6000, 1000), 16);
    assert_int_equal(loop_of(40, 2000, 1000), 40);
    /* Never so many within the window. */
    assert_int_equal(loop_of(16, 10000, 1000), 1000);
    assert_int_equal(loop_of(16, RESTART_STABLE_MS, 1000), 1000);
    /* A few are no loop. */
    assert_int_equal(loop_of(0, 2000, 1000), RESTART_LOOP_MIN);
    assert_int_equal(loop_of(3, 2000, 1000), RESTART_LOOP_MIN);
    assert_int_equal(loop_of(UINT32_MAX, 2000, 1000), 1000);
}

static void test_without_a_least_uptime_no_life_is_too_short(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    settings.min_uptime_ms = 0;
    for (int i = 0; i < 1000; i++) {
        struct restart_decision decision = die(&history, &settings, 10);

        assert_int_equal(decision.verdict, RESTART_AFTER);
        assert_int_equal(decision.delay_ms, 0);
    }
}

static void test_the_window_slides(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    now_ms = 10 * RESTART_WINDOW_MS; /* a piece of the window begins */
    for (int i = 0; i < 16; i++)
        assert_int_equal(die(&history, &settings, 2000).verdict, RESTART_AFTER);
    now_ms += RESTART_WINDOW_MS - 16 * 2000;
    assert_true(restart_count(&history) == 16);
    assert_int_equal(die(&history, &settings, 2000).verdict, RESTART_AFTER);
    assert_true(restart_count(&history) < 16);
    now_ms += 10 * RESTART_WINDOW_MS;
    die(&history, &settings, 2000);
    assert_int_equal(restart_count(&history), 1);
}

static void test_a_new_version_begins_anew(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    for (int i = 0; i < 15; i++)
        die(&history, &settings, 0);
    restart_forget(&history);
    assert_int_equal(history.restarts, 15);
    assert_int_equal(die(&history, &settings, 0).delay_ms, 0);
    assert_int_equal(restart_count(&history), 1);
}

static void test_the_users_delay_is_the_least(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    settings.restart_delay_ms = 60;
    assert_int_equal(die(&history, &settings, 5000).delay_ms, 60);
    assert_int_equal(die(&history, &settings, 0).delay_ms, 60);
    assert_int_equal(die(&history, &settings, 0).delay_ms, 60);
    assert_int_equal(die(&history, &settings, 0).delay_ms, 75);
}

static void test_max_restarts_0_gives_up_at_the_first_young_death(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    settings.max_restarts = 0;
    assert_int_equal(die(&history, &settings, 5000).verdict, RESTART_AFTER);
    assert_int_equal(die(&history, &settings, 0).verdict, RESTART_GIVE_UP);
}

static void test_stop_codes_and_no_autorestart_end_it(void **state) {
    struct settings settings = defaults();
    struct restart_history history = {.young_deaths = 0};

    (void)state;
    settings.stop_codes[0] = 0;
    settings.stop_codes[1] = 42;
    settings.stop_code_count = 2;
    assert_int_equal(end(&history, &settings, 0, 0).verdict, RESTART_DONE);
    assert_int_equal(end(&history, &settings, 0, 42 << 8).verdict, RESTART_DONE);
    assert_int_equal(end(&history, &settings, 0, 43 << 8).verdict, RESTART_AFTER);
    /* A signal is no exit code, whatever its number. */
    assert_int_equal(end(&history, &settings, 0, 42).verdict, RESTART_AFTER);
    assert_int_equal(end(&history, &settings, 0, SIGKILL).verdict, RESTART_AFTER);
    settings.autorestart = false;
    assert_int_equal(end(&history, &settings, 9999, SIGKILL).verdict, RESTART_DONE);
    assert_int_equal(history.restarts, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_that_lived_is_replaced_at_once),
        cmocka_unit_test(test_young_deaths_are_followed_by_growing_delays),
        cmocka_unit_test(test_the_delay_stays_below_its_limit),
        cmocka_unit_test(test_a_stable_life_makes_up_for_young_deaths),
        cmocka_unit_test(test_a_short_life_is_followed_at_once_and_makes_up_for_nothing),
        cmocka_unit_test(test_a_loop_ends_however_long_each_worker_lives),
        cmocka_unit_test(test_without_a_least_uptime_no_life_is_too_short),
        cmocka_unit_test(test_the_window_slides),
        cmocka_unit_test(test_a_new_version_begins_anew),
        cmocka_unit_test(test_the_users_delay_is_the_least),
        cmocka_unit_test(test_max_restarts_0_gives_up_at_the_first_young_death),
        cmocka_unit_test(test_stop_codes_and_no_autorestart_end_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
