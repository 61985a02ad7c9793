#include "base/prng.h"
#include "unit/policy/pool.h"

static void set_open(struct pool *pool, uint32_t slot, int64_t open) {
    pool->candidates[slot].open = open;
    pool_tell(pool, slot);
}

static void test_the_fewest_open_connections_win(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "least", 4);
    set_open(&pool, 0, 5);
    set_open(&pool, 1, 3);
    set_open(&pool, 2, 1);
    set_open(&pool, 3, 4);
    POOL_EXPECT(&pool, 2, 2);
    set_open(&pool, 2, 6);
    POOL_EXPECT(&pool, 1);
    pool_set_ready(&pool, 1, false);
    POOL_EXPECT(&pool, 3);
    set_open(&pool, 0, 0);
    POOL_EXPECT(&pool, 0);
    set_open(&pool, 3, INT64_MAX);
    set_open(&pool, 0, INT64_MAX - 1);
    set_open(&pool, 2, INT64_MAX - 2);
    POOL_EXPECT(&pool, 2);
    pool_clear(&pool);
}

static void test_of_equals_the_one_served_longest_ago_wins(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "least", 4);
    for (uint32_t slot = 0; slot < 4; slot++)
        set_open(&pool, slot, 2);
    POOL_EXPECT(&pool, 0, 1, 2, 3, 0, 1, 2, 3);
    set_open(&pool, 1, 1);
    POOL_EXPECT(&pool, 1, 1);
    set_open(&pool, 1, 2);
    POOL_EXPECT(&pool, 0, 2, 3, 1, 0);
    pool_clear(&pool);
}

static void test_where_open_is_unknown_the_unacknowledged_count(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "least", 3);
    pool.window = 3;
    /* All unknown: filled evenly. */
    for (int32_t i = 0; i < 9; i++)
        assert_int_equal(pool_hand_over(&pool), i % 3);
    assert_int_equal(pool_hand_over(&pool), POLICY_NONE);
    pool_acknowledge(&pool, 1);
    pool_acknowledge(&pool, 1);
    pool_acknowledge(&pool, 2);
    assert_int_equal(pool_pick(&pool), 1); /* 1 against 2 */
    set_open(&pool, 1, 3);                 /* known now: 3 against 2 */
    assert_int_equal(pool_pick(&pool), 2);
    set_open(&pool, 1, 0);
    assert_int_equal(pool_pick(&pool), 1);
    pool_clear(&pool);
}

/* The slot that the rule names, by looking at all. */
static int32_t rule(const struct pool *pool, const uint64_t *turns) {
    int32_t best = POLICY_NONE;
    int64_t best_count = 0;

    for (uint32_t slot = 0; slot < pool->slots; slot++) {
        const struct policy_candidate *candidate = &pool->candidates[slot];
        int64_t count = candidate->open < 0 ? candidate->unacknowledged : candidate->open;

        if (!candidate->available)
            continue;
        if (best != POLICY_NONE &&
            (count > best_count || (count == best_count && turns[slot] >= turns[best])))
            continue;
        best = (int32_t)slot;
        best_count = count;
    }
    return best;
}

static void test_agrees_with_a_look_at_all_candidates(void **state) {
    struct prng prng = {.state = POOL_SEED};
    uint64_t turns[60] = {0};
    struct pool pool;

    (void)state;
    pool_init(&pool, "least", 60);
    pool.window = 2;
    for (uint64_t turn = 1; turn <= 20000; turn++) {
        uint32_t slot = prng_below(&prng, 60);
        struct policy_candidate *candidate = &pool.candidates[slot];
        int32_t picked;

        candidate->ready = prng_below(&prng, 4) > 0;
        candidate->open = (int64_t)prng_below(&prng, 6) - 1;
        if (candidate->unacknowledged > 0)
            candidate->unacknowledged -= prng_below(&prng, 2);
        pool_tell(&pool, slot);
        assert_int_equal(pool_pick(&pool), rule(&pool, turns));
        picked = pool_hand_over(&pool);
        if (picked != POLICY_NONE)
            turns[picked] = turn;
    }
    pool_clear(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fewest_open_connections_win),
        cmocka_unit_test(test_of_equals_the_one_served_longest_ago_wins),
        cmocka_unit_test(test_where_open_is_unknown_the_unacknowledged_count),
        cmocka_unit_test(test_agrees_with_a_look_at_all_candidates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
