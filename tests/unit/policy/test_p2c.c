#include "unit/policy/pool.h"

#define PICKS 100000

static void set_open(struct pool *pool, uint32_t slot, int64_t open) {
    pool->candidates[slot].open = open;
    pool_tell(pool, slot);
}

/* Two different ones are drawn: of two, the busier one never wins. */
static void test_of_two_the_one_with_fewer_always_wins(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "p2c", 2);
    set_open(&pool, 0, 3);
    set_open(&pool, 1, 2);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pool_pick(&pool), 1);
    set_open(&pool, 1, 4);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pool_pick(&pool), 0);
    pool_clear(&pool);
}

static void test_one_or_none_left(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "p2c", 3);
    pool_set_ready(&pool, 0, false);
    pool_set_ready(&pool, 2, false);
    POOL_EXPECT(&pool, 1, 1, 1);
    pool_set_ready(&pool, 1, false);
    POOL_EXPECT(&pool, POLICY_NONE);
    pool_clear(&pool);
}

static void test_equals_share_evenly(void **state) {
    uint32_t counts[20] = {0};
    struct pool pool;

    (void)state;
    pool_init(&pool, "p2c", 20);
    for (int i = 0; i < PICKS; i++)
        counts[pool_pick(&pool)]++;
    assert_uniform(counts, 20);
    pool_clear(&pool);
}

/* Slot k of n, in the order of their counts, wins over the n - 1 - k after it: of n * (n - 1) / 2
 * pairs. */
static void test_the_shares_are_those_of_all_pairs(void **state) {
    uint32_t pairs[10 * 9 / 2] = {0};
    uint32_t counts[10] = {0};
    uint32_t pair = 0;
    struct pool pool;

    (void)state;
    pool_init(&pool, "p2c", 10);
    for (uint32_t slot = 0; slot < 10; slot++)
        set_open(&pool, slot, slot);
    for (int i = 0; i < PICKS; i++)
        counts[pool_pick(&pool)]++;
    assert_int_equal(counts[9], 0);
    for (uint32_t slot = 0; slot < 9; slot++)
        for (uint32_t i = 0; i < 9 - slot; i++)
            pairs[pair++] = counts[slot] / (9 - slot);
    assert_uniform(pairs, pair);
    pool_clear(&pool);
}

static void test_where_open_is_unknown_the_unacknowledged_count(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "p2c", 2);
    pool.window = 10;
    pool.candidates[0].unacknowledged = 2;
    pool_tell(&pool, 0);
    POOL_EXPECT(&pool, 1, 1, 1, 1);
    set_open(&pool, 1, 3);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pool_pick(&pool), 0);
    pool_clear(&pool);
}

/* Balls into bins: the fullest of n bins with n balls gets about ln ln n / ln 2 (here 3.3) above
 * the mean; one random choice would give it about 7. */
static void test_keeps_the_fullest_close_to_the_mean(void **state) {
    int64_t most = 0;
    struct pool pool;

    (void)state;
    pool_init(&pool, "p2c", 10000);
    for (uint32_t slot = 0; slot < 10000; slot++)
        set_open(&pool, slot, 0);
    for (int i = 0; i < 10000; i++) {
        int32_t slot = pool_pick(&pool);

        set_open(&pool, (uint32_t)slot, pool.candidates[slot].open + 1);
        if (pool.candidates[slot].open > most)
            most = pool.candidates[slot].open;
    }
    assert_in_range(most, 2, 4);
    pool_clear(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_two_the_one_with_fewer_always_wins),
        cmocka_unit_test(test_one_or_none_left),
        cmocka_unit_test(test_equals_share_evenly),
        cmocka_unit_test(test_the_shares_are_those_of_all_pairs),
        cmocka_unit_test(test_where_open_is_unknown_the_unacknowledged_count),
        cmocka_unit_test(test_keeps_the_fullest_close_to_the_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
