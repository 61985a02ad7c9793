#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "unit/policy/pool.h"

#define KEYS 50000u

/* The key of the i-th client address of a subnet. */
static uint64_t key_of(uint32_t i) {
    unsigned char address[4] = {10, (unsigned char)(i >> 16), (unsigned char)(i >> 8),
                                (unsigned char)i};

    return policy_key(address, sizeof address);
}

/* Where each key goes now. The caller frees it. */
static int32_t *map_of(const struct pool *pool) {
    int32_t *map = calloc(KEYS, sizeof *map);

    assert_non_null(map);
    for (uint32_t i = 0; i < KEYS; i++)
        map[i] = policy_pick(pool->policy, key_of(i));
    return map;
}

/* Fails unless the keys share all slots that are ready, and only these, evenly. */
static void assert_balanced(const struct pool *pool) {
    uint32_t *counts = calloc(pool->slots, sizeof *counts);
    uint32_t ready = 0;
    int32_t *map = map_of(pool);

    assert_non_null(counts);
    for (uint32_t i = 0; i < KEYS; i++)
        counts[map[i]]++;
    for (uint32_t slot = 0; slot < pool->slots; slot++)
        if (pool->candidates[slot].ready)
            counts[ready++] = counts[slot];
        else
            assert_int_equal(counts[slot], 0);
    assert_uniform(counts, ready);
    free(counts);
    free(map);
}

static void test_keys_are_shared_evenly(void **state) {
    static const uint32_t sizes[] = {2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 100, 512, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pool pool;

        pool_init(&pool, "hash", sizes[i]);
        assert_balanced(&pool);
        for (uint32_t slot = 0; slot < sizes[i]; slot += 3)
            pool_set_ready(&pool, slot, false);
        assert_balanced(&pool);
        pool_clear(&pool);
    }
}

/* So few are ready that most draws fail and the competition decides. */
static void test_keys_are_shared_evenly_among_few_of_many(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "hash", 0);
    pool_resize(&pool, 10000);
    for (uint32_t slot = 9; slot < 10000; slot += 500)
        pool_set_ready(&pool, slot, true);
    assert_balanced(&pool);
    pool_clear(&pool);
}

static void test_a_key_stays_with_its_worker(void **state) {
    struct pool pool;
    int32_t *before, *after;

    (void)state;
    pool_init(&pool, "hash", 10);
    before = map_of(&pool);
    after = map_of(&pool);
    assert_memory_equal(before, after, KEYS * sizeof *before);
    free(before);
    free(after);
    pool_clear(&pool);
}

static void test_a_full_window_makes_its_clients_wait_and_moves_none(void **state) {
    struct pool pool;
    int32_t *before, *after;

    (void)state;
    pool_init(&pool, "hash", 10);
    before = map_of(&pool);
    pool.candidates[4].unacknowledged = 1;
    pool_tell(&pool, 4);
    after = map_of(&pool);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(after[i], before[i] == 4 ? POLICY_NONE : before[i]);
    free(before);
    free(after);
    pool_clear(&pool);
}

static void check_one_leaves_and_returns(uint32_t slots, uint32_t gone) {
    uint32_t *gained = calloc(slots, sizeof *gained);
    struct pool pool;
    int32_t *before, *without, *back;

    assert_non_null(gained);
    pool_init(&pool, "hash", slots);
    before = map_of(&pool);
    pool_set_ready(&pool, gone, false);
    without = map_of(&pool);
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_not_equal(without[i], (int32_t)gone);
        if (before[i] == (int32_t)gone)
            gained[without[i]]++;
        else
            assert_int_equal(without[i], before[i]);
    }
    gained[gone] = gained[slots - 1];
    assert_uniform(gained, slots - 1);
    pool_set_ready(&pool, gone, true);
    back = map_of(&pool);
    assert_memory_equal(back, before, KEYS * sizeof *back);
    free(gained);
    free(before);
    free(without);
    free(back);
    pool_clear(&pool);
}

static void test_only_the_keys_of_a_lost_worker_move_and_they_return(void **state) {
    (void)state;
    for (uint32_t gone = 0; gone < 7; gone++)
        check_one_leaves_and_returns(7, gone);
    check_one_leaves_and_returns(64, 0);
    check_one_leaves_and_returns(64, 63);
    check_one_leaves_and_returns(100, 37);
}

/* Whatever order workers go and come back in, and however few are left on the way. */
static void test_the_mapping_depends_on_who_is_ready_only(void **state) {
    struct prng prng = {.state = POOL_SEED};
    struct pool pool;
    int32_t *before, *after;

    (void)state;
    pool_init(&pool, "hash", 300);
    before = map_of(&pool);
    for (int i = 0; i < 2000; i++)
        pool_set_ready(&pool, prng_below(&prng, 300), prng_below(&prng, 8) == 0);
    for (uint32_t i = 0; i < 300; i++)
        pool_set_ready(&pool, (i * 7 + 5) % 300, true);
    after = map_of(&pool);
    assert_memory_equal(before, after, KEYS * sizeof *before);
    free(before);
    free(after);
    pool_clear(&pool);
}

/* One more slot attracts its share and moves no key between the others; room alone moves none. */
static void check_growth(uint32_t slots) {
    struct pool pool;
    int32_t *before, *room, *after;
    uint32_t moved = 0;

    pool_init(&pool, "hash", slots);
    before = map_of(&pool);
    pool_resize(&pool, slots + 1);
    room = map_of(&pool);
    assert_memory_equal(room, before, KEYS * sizeof *room);
    pool_set_ready(&pool, slots, true);
    after = map_of(&pool);
    for (uint32_t i = 0; i < KEYS; i++) {
        moved += after[i] != before[i];
        if (after[i] != before[i])
            assert_int_equal(after[i], (int32_t)slots);
    }
    /* Within 5 standard deviations of a binomial distribution. */
    assert_true(fabs(moved - (double)KEYS / (slots + 1)) < 5 * sqrt((double)KEYS / (slots + 1)));
    free(before);
    free(room);
    free(after);
    pool_clear(&pool);
}

static void test_growth_moves_the_new_slots_share_and_no_more(void **state) {
    (void)state;
    for (uint32_t slots = 1; slots < 20; slots++)
        check_growth(slots);
    check_growth(64);
    check_growth(127);
    check_growth(128);
    check_growth(1000);
}

static void test_a_smaller_capacity_moves_the_lost_keys_only(void **state) {
    struct pool pool;
    int32_t *before, *after;

    (void)state;
    pool_init(&pool, "hash", 13);
    before = map_of(&pool);
    pool_resize(&pool, 9);
    after = map_of(&pool);
    for (uint32_t i = 0; i < KEYS; i++)
        if (before[i] < 9)
            assert_int_equal(after[i], before[i]);
    assert_balanced(&pool);
    free(before);
    free(after);
    pool_clear(&pool);
}

static void test_available_implies_ready(void **state) {
    const struct policy_candidate candidate = {.available = true, .open = POLICY_OPEN_UNKNOWN};
    struct pool pool;

    (void)state;
    pool_init(&pool, "hash", 3);
    for (uint32_t slot = 0; slot < 3; slot++)
        pool_set_ready(&pool, slot, false);
    assert_int_equal(policy_pick(pool.policy, 1), POLICY_NONE);
    policy_update(pool.policy, 2, &candidate);
    assert_int_equal(policy_pick(pool.policy, 1), 2);
    pool_clear(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_shared_evenly),
        cmocka_unit_test(test_keys_are_shared_evenly_among_few_of_many),
        cmocka_unit_test(test_a_key_stays_with_its_worker),
        cmocka_unit_test(test_a_full_window_makes_its_clients_wait_and_moves_none),
        cmocka_unit_test(test_only_the_keys_of_a_lost_worker_move_and_they_return),
        cmocka_unit_test(test_the_mapping_depends_on_who_is_ready_only),
        cmocka_unit_test(test_growth_moves_the_new_slots_share_and_no_more),
        cmocka_unit_test(test_a_smaller_capacity_moves_the_lost_keys_only),
        cmocka_unit_test(test_available_implies_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
