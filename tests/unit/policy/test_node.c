#include "unit/policy/pool.h"

static void test_serves_in_the_order_in_which_workers_came(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 4);
    for (uint32_t slot = 0; slot < 4; slot++)
        pool_set_ready(&pool, slot, false);
    assert_int_equal(pool_pick(&pool), POLICY_NONE);
    pool_set_ready(&pool, 2, true);
    pool_set_ready(&pool, 0, true);
    pool_set_ready(&pool, 3, true);
    POOL_EXPECT(&pool, 2, 0, 3, 2, 0, 3, 2);
    pool_clear(&pool);
}

static void test_a_busy_worker_leaves_the_line_and_returns_at_its_end(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 3);
    assert_int_equal(pool_hand_over(&pool), 0);
    assert_int_equal(pool_hand_over(&pool), 1);
    pool_acknowledge(&pool, 1);
    pool_acknowledge(&pool, 0);
    /* 2 was free all the time, then 1 came back, then 0. */
    assert_int_equal(pool_hand_over(&pool), 2);
    assert_int_equal(pool_hand_over(&pool), 1);
    assert_int_equal(pool_hand_over(&pool), 0);
    assert_int_equal(pool_hand_over(&pool), POLICY_NONE);
    pool_acknowledge(&pool, 2);
    assert_int_equal(pool_hand_over(&pool), 2);
    assert_int_equal(pool_hand_over(&pool), POLICY_NONE);
    pool_clear(&pool);
}

static void test_with_room_left_a_served_worker_goes_to_the_end_at_once(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 2);
    pool.window = 2;
    assert_int_equal(pool_hand_over(&pool), 0);
    assert_int_equal(pool_hand_over(&pool), 1);
    assert_int_equal(pool_hand_over(&pool), 0); /* its window is full now */
    assert_int_equal(pool_hand_over(&pool), 1);
    assert_int_equal(pool_hand_over(&pool), POLICY_NONE);
    pool_clear(&pool);
}

static void test_an_acknowledgement_alone_moves_nobody(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 3);
    pool.window = 3;
    assert_int_equal(pool_hand_over(&pool), 0);
    assert_int_equal(pool_hand_over(&pool), 1); /* the line is 2, 0, 1 */
    pool_acknowledge(&pool, 0);
    pool.candidates[2].load = 7;
    pool_tell(&pool, 2);
    pool_tell(&pool, 0);
    assert_int_equal(pool_hand_over(&pool), 2);
    assert_int_equal(pool_hand_over(&pool), 0);
    assert_int_equal(pool_hand_over(&pool), 1);
    pool_clear(&pool);
}

static void test_a_worker_that_goes_away_is_passed_over(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 3);
    pool_set_ready(&pool, 0, false);
    pool_set_ready(&pool, 1, false);
    POOL_EXPECT(&pool, 2, 2);
    pool_set_ready(&pool, 0, true);
    POOL_EXPECT(&pool, 2, 0, 2);
    pool_set_ready(&pool, 2, false);
    pool_set_ready(&pool, 0, false);
    POOL_EXPECT(&pool, POLICY_NONE);
    pool_clear(&pool);
}

/* The slot's next process starts to count from zero. */
static void test_a_smaller_handed_is_a_new_worker(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 2);
    POOL_EXPECT(&pool, 0, 1, 0, 1);
    pool_set_ready(&pool, 0, false);
    pool.candidates[0].handed = 0;
    pool_set_ready(&pool, 0, true);
    POOL_EXPECT(&pool, 1, 0, 1, 0);
    pool.candidates[1].handed = 0;
    pool_tell(&pool, 1); /* keeps its place: it was handed nothing */
    POOL_EXPECT(&pool, 1, 0, 1, 0);
    pool_clear(&pool);
}

static void test_the_line_survives_growth_and_forgets_what_is_cut_off(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "node", 3);
    POOL_EXPECT(&pool, 0);
    pool_resize(&pool, 5000);
    pool_set_ready(&pool, 4999, true);
    POOL_EXPECT(&pool, 1, 2, 0, 4999, 1);
    pool_resize(&pool, 2);
    POOL_EXPECT(&pool, 0, 1, 0, 1);
    pool_resize(&pool, 3);
    POOL_EXPECT(&pool, 0, 1, 0);
    pool_set_ready(&pool, 2, true);
    POOL_EXPECT(&pool, 1, 0, 2, 1);
    pool_clear(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves_in_the_order_in_which_workers_came),
        cmocka_unit_test(test_a_busy_worker_leaves_the_line_and_returns_at_its_end),
        cmocka_unit_test(test_with_room_left_a_served_worker_goes_to_the_end_at_once),
        cmocka_unit_test(test_an_acknowledgement_alone_moves_nobody),
        cmocka_unit_test(test_a_worker_that_goes_away_is_passed_over),
        cmocka_unit_test(test_a_smaller_handed_is_a_new_worker),
        cmocka_unit_test(test_the_line_survives_growth_and_forgets_what_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
