/* The registry, and what holds for every policy. */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/prng.h"
#include "unit/policy/pool.h"

static void test_names(void **state) {
    static const char *const names[] = {"node", "rr", "random", "least", "p2c", "hash", "none"};
    size_t count = 0;

    (void)state;
    assert_string_equal(policy_types[0]->name, "node");
    while (policy_types[count])
        count++;
    assert_int_equal(count, sizeof names / sizeof *names);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(policy_find(names[i]));
        assert_string_equal(policy_find(names[i])->name, names[i]);
        assert_true(strlen(policy_find(names[i])->summary) > 10);
    }
    assert_ptr_equal(policy_find("rr:foo"), policy_find("rr"));
    assert_null(policy_find(""));
    assert_null(policy_find("r"));
    assert_null(policy_find("rrr"));
    assert_null(policy_find("RR"));
}

static void test_what_the_types_promise(void **state) {
    (void)state;
    for (const struct policy_type *const *type = policy_types; *type; type++) {
        const char *name = (*type)->name;

        assert_int_equal((*type)->needs_open, !strcmp(name, "least") || !strcmp(name, "p2c"));
        assert_int_equal((*type)->keyed, !strcmp(name, "hash"));
        assert_int_equal((*type)->shared, !strcmp(name, "none"));
    }
}

static void test_wrong_specifications(void **state) {
    struct policy *untouched = (struct policy *)&state;
    struct policy *policy = untouched;
    char text[32];

    (void)state;
    assert_int_equal(policy_create(&policy, "lest", 1), UV_ENOENT);
    assert_int_equal(policy_create(&policy, "", 1), UV_ENOENT);
    assert_int_equal(policy_create(&policy, ":rr", 1), UV_ENOENT);
    for (const struct policy_type *const *type = policy_types; *type; type++) {
        snprintf(text, sizeof text, "%s:foo", (*type)->name);
        assert_int_equal(policy_create(&policy, text, 1), UV_EINVAL);
        snprintf(text, sizeof text, "%s:", (*type)->name);
        assert_int_equal(policy_create(&policy, text, 1), UV_EINVAL);
    }
    assert_ptr_equal(policy, untouched);
    policy_destroy(NULL);
}

static void test_no_slots_and_too_many(void **state) {
    (void)state;
    for (const struct policy_type *const *type = policy_types; *type; type++) {
        struct policy *policy;

        assert_int_equal(policy_create(&policy, (*type)->name, 1), 0);
        assert_ptr_equal(policy->type, *type);
        assert_int_equal(policy_pick(policy, 1), POLICY_NONE);
        assert_int_equal(policy_resize(policy, POLICY_SLOTS_MAX + 1), UV_EINVAL);
        assert_int_equal(policy->capacity, 0);
        assert_int_equal(policy_resize(policy, POLICY_SLOTS_MAX), 0);
        assert_int_equal(policy->capacity, POLICY_SLOTS_MAX);
        assert_int_equal(policy_pick(policy, 1), POLICY_NONE);
        assert_int_equal(policy_resize(policy, 0), 0);
        assert_int_equal(policy_pick(policy, 1), POLICY_NONE);
        policy_destroy(policy);
    }
}

static void test_none_is_never_asked(void **state) {
    struct pool pool;

    (void)state;
    pool_init(&pool, "none", 3);
    POOL_EXPECT(&pool, POLICY_NONE, POLICY_NONE);
    pool_clear(&pool);
}

/* Equal loads: every policy that is not keyed gives each of n workers its share. */
static void test_all_share_fairly(void **state) {
    (void)state;
    for (const struct policy_type *const *type = policy_types; *type; type++) {
        uint32_t counts[16] = {0};
        struct pool pool;

        if ((*type)->keyed || (*type)->shared)
            continue;
        pool_init(&pool, (*type)->name, 16);
        for (int i = 0; i < 16 * 1000; i++) {
            int32_t slot = pool_hand_over(&pool);

            counts[slot]++;
            pool_acknowledge(&pool, (uint32_t)slot);
        }
        assert_uniform(counts, 16);
        pool_clear(&pool);
    }
}

static uint32_t available_count(const struct pool *pool) {
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < pool->slots; slot++)
        count += pool->candidates[slot].available;
    return count;
}

/* One random change of one candidate, or of the capacity. */
static void churn(struct pool *pool, struct prng *prng) {
    struct policy_candidate *candidate;
    uint32_t slot;

    if (prng_below(prng, 200) == 0)
        pool_resize(pool, 1 + prng_below(prng, 150));
    slot = prng_below(prng, pool->slots);
    candidate = &pool->candidates[slot];
    switch (prng_below(prng, 4)) {
    case 0:
        candidate->ready = prng_below(prng, 3) > 0;
        break;
    case 1:
        candidate->open = (int64_t)prng_below(prng, 100) - 1;
        break;
    case 2:
        candidate->unacknowledged -= candidate->unacknowledged > 0;
        break;
    default:
        *candidate = (struct policy_candidate){.ready = true, .open = POLICY_OPEN_UNKNOWN};
    }
    pool_tell(pool, slot);
}

static void check_pick(struct pool *pool, uint64_t key) {
    int32_t slot = policy_pick(pool->policy, key);

    if (slot == POLICY_NONE) {
        /* hash and rr wait for the worker they mean. */
        if (!pool->policy->type->keyed && pool->policy->type != policy_find("rr"))
            assert_int_equal(available_count(pool), 0);
        return;
    }
    assert_in_range(slot, 0, pool->slots - 1);
    assert_true(pool->candidates[slot].available);
    pool->candidates[slot].handed++;
    pool->candidates[slot].unacknowledged++;
    pool_tell(pool, (uint32_t)slot);
}

static void test_random_churn(void **state) {
    (void)state;
    for (const struct policy_type *const *type = policy_types; *type; type++) {
        struct prng prng = {.state = POOL_SEED};
        struct pool pool;

        if ((*type)->shared)
            continue;
        pool_init(&pool, (*type)->name, 20);
        for (int i = 0; i < 10000; i++) {
            pool.window = 1 + (uint32_t)i / 2500;
            for (uint32_t slot = 0; i % 2500 == 0 && slot < pool.slots; slot++)
                pool_tell(&pool, slot);
            churn(&pool, &prng);
            if (prng_below(&prng, 2))
                check_pick(&pool, prng_next(&prng));
        }
        pool_clear(&pool);
    }
}

/* The known value of FNV-1a("a") is af63dc4c8601ec8c; the empty input gives the offset basis. */
static void test_keys(void **state) {
    uint32_t bits[64] = {0};

    (void)state;
    assert_true(policy_key("a", 1) == prng_mix(0xaf63dc4c8601ec8cu));
    assert_true(policy_key("", 0) == prng_mix(0xcbf29ce484222325u));
    assert_true(policy_key("\x00\x01", 2) != policy_key("\x01\x00", 2));
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t key = policy_key(&i, sizeof i);

        for (int bit = 0; bit < 64; bit++)
            bits[bit] += (uint32_t)(key >> bit & 1);
    }
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(bits[bit], 10000 - 350, 10000 + 350); /* 5 standard deviations */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_the_types_promise),
        cmocka_unit_test(test_wrong_specifications),
        cmocka_unit_test(test_no_slots_and_too_many),
        cmocka_unit_test(test_none_is_never_asked),
        cmocka_unit_test(test_all_share_fairly),
        cmocka_unit_test(test_random_churn),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
