#include "unit/policy/pool.h"

#define SLOTS 50
#define PICKS 100000

static void test_each_available_slot_is_equally_likely(void **state) {
    uint32_t counts[SLOTS] = {0};
    struct pool pool;

    (void)state;
    pool_init(&pool, "random", SLOTS);
    for (int i = 0; i < PICKS; i++)
        counts[pool_pick(&pool)]++;
    assert_uniform(counts, SLOTS);
    pool_clear(&pool);
}

static void test_only_and_all_of_those_left_are_picked(void **state) {
    uint32_t counts[SLOTS] = {0};
    uint32_t even[SLOTS / 2];
    struct pool pool;

    (void)state;
    pool_init(&pool, "random", SLOTS);
    for (uint32_t slot = 1; slot < SLOTS; slot += 2)
        pool_set_ready(&pool, slot, false);
    for (int i = 0; i < PICKS; i++)
        counts[pool_pick(&pool)]++;
    for (uint32_t slot = 0; slot < SLOTS; slot += 2) {
        even[slot / 2] = counts[slot];
        assert_int_equal(counts[slot + 1], 0);
    }
    assert_uniform(even, SLOTS / 2);
    pool_clear(&pool);
}

/* The pick after slot a is b as often as any other: no hidden turn. */
static void test_successive_picks_are_independent(void **state) {
    uint32_t pairs[8 * 8] = {0};
    struct pool pool;
    int32_t last;

    (void)state;
    pool_init(&pool, "random", 8);
    last = pool_pick(&pool);
    for (int i = 0; i < PICKS; i++) {
        int32_t next = pool_pick(&pool);

        pairs[last * 8 + next]++;
        last = next;
    }
    assert_uniform(pairs, 8 * 8);
    pool_clear(&pool);
}

static void test_the_seed_decides(void **state) {
    struct pool one, same, other;
    int differences = 0;

    (void)state;
    pool_init(&one, "random", SLOTS);
    pool_init(&same, "random", SLOTS);
    pool_init(&other, "random", SLOTS);
    policy_destroy(other.policy);
    assert_int_equal(policy_create(&other.policy, "random", POOL_SEED + 1), 0);
    assert_int_equal(policy_resize(other.policy, SLOTS), 0);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        pool_tell(&other, slot);
    for (int i = 0; i < 100; i++) {
        int32_t slot = pool_pick(&one);

        assert_int_equal(pool_pick(&same), slot);
        differences += pool_pick(&other) != slot;
    }
    assert_true(differences > 50);
    pool_clear(&one);
    pool_clear(&same);
    pool_clear(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_available_slot_is_equally_likely),
        cmocka_unit_test(test_only_and_all_of_those_left_are_picked),
        cmocka_unit_test(test_successive_picks_are_independent),
        cmocka_unit_test(test_the_seed_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
