#include "unit/policy/pool.h"

static void test_goes_round_in_the_order_of_the_slots(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "rr", 3);
    POOL_EXPECT(&pool, 0, 1, 2, 0, 1, 2, 0);
    pool_clear(&pool);
}

static void test_the_order_of_returning_does_not_matter(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "rr", 3);
    for (int32_t slot = 0; slot < 3; slot++)
        assert_int_equal(pool_hand_over(&pool), slot);
    pool_acknowledge(&pool, 2);
    pool_acknowledge(&pool, 1);
    pool_acknowledge(&pool, 0);
    POOL_EXPECT(&pool, 0, 1, 2);
    pool_clear(&pool);
}

static void test_steps_over_each_one_that_is_gone(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "rr", 4);
    pool_set_ready(&pool, 1, false);
    POOL_EXPECT(&pool, 0, 2, 3, 0, 2);
    pool_set_ready(&pool, 3, false);
    POOL_EXPECT(&pool, 0, 2, 0);
    pool_set_ready(&pool, 3, true);
    POOL_EXPECT(&pool, 2, 3, 0);
    pool_clear(&pool);
}

/* Strict: a worker whose window is full for a moment does not lose its turn. */
static void test_waits_for_the_one_that_is_busy(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "rr", 3);
    assert_int_equal(pool_hand_over(&pool), 0);
    POOL_EXPECT(&pool, 1, 2, POLICY_NONE, POLICY_NONE);
    pool_acknowledge(&pool, 0);
    POOL_EXPECT(&pool, 0, 1);
    assert_int_equal(pool_hand_over(&pool), 2);
    POOL_EXPECT(&pool, 0, 1, POLICY_NONE);
    pool_set_ready(&pool, 2, false); /* stuck: it holds nobody up any longer */
    POOL_EXPECT(&pool, 0, 1, 0);
    pool_clear(&pool);
}

/* One dead worker must not stall the others, whichever it is; nor may all but one. */
static void test_any_one_dead_and_all_but_one_dead(void **state) {
    (void)state;
    for (uint32_t chosen = 0; chosen < 5; chosen++) {
        struct pool pool;

        pool_init(&pool, "rr", 5);
        pool_set_ready(&pool, chosen, false);
        for (int round = 0; round < 2; round++)
            for (uint32_t slot = 0; slot < 5; slot++)
                if (slot != chosen)
                    POOL_EXPECT(&pool, (int32_t)slot);
        for (uint32_t slot = 0; slot < 5; slot++)
            pool_set_ready(&pool, slot, slot == chosen);
        POOL_EXPECT(&pool, (int32_t)chosen, (int32_t)chosen);
        pool_set_ready(&pool, chosen, false);
        POOL_EXPECT(&pool, POLICY_NONE, POLICY_NONE);
        pool_clear(&pool);
    }
}

/* The borders of the bitmap's words (64) and groups (4096), and the last slot of all. */
static void test_finds_far_slots(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "rr", 0);
    assert_int_equal(pool_pick(&pool), POLICY_NONE);
    pool_resize(&pool, POLICY_SLOTS_MAX);
    pool_set_ready(&pool, 65535, true);
    POOL_EXPECT(&pool, 65535, 65535);
    pool_set_ready(&pool, 63, true);
    pool_set_ready(&pool, 64, true);
    pool_set_ready(&pool, 4095, true);
    pool_set_ready(&pool, 4096, true);
    pool_set_ready(&pool, 40000, true);
    POOL_EXPECT(&pool, 63, 64, 4095, 4096, 40000, 65535, 63);
    pool_set_ready(&pool, 64, false);
    pool_set_ready(&pool, 40000, false);
    POOL_EXPECT(&pool, 4095, 4096, 65535, 63);
    pool_resize(&pool, 100);
    POOL_EXPECT(&pool, 63, 63);
    pool_clear(&pool);
}

/* The next slot may lie in the following word or group, with nothing in between. */
static void test_finds_the_next_of_two(void **state) {
    static const uint32_t others[] = {6, 63, 64, 70, 127, 128, 4095, 4096, 4100, 8192, 65535};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct pool pool;

        pool_init(&pool, "rr", 0);
        pool_resize(&pool, POLICY_SLOTS_MAX);
        pool_set_ready(&pool, 5, true);
        pool_set_ready(&pool, others[i], true);
        POOL_EXPECT(&pool, 5, (int32_t)others[i], 5, (int32_t)others[i]);
        pool_clear(&pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_round_in_the_order_of_the_slots),
        cmocka_unit_test(test_the_order_of_returning_does_not_matter),
        cmocka_unit_test(test_steps_over_each_one_that_is_gone),
        cmocka_unit_test(test_waits_for_the_one_that_is_busy),
        cmocka_unit_test(test_any_one_dead_and_all_but_one_dead),
        cmocka_unit_test(test_finds_far_slots),
        cmocka_unit_test(test_finds_the_next_of_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
