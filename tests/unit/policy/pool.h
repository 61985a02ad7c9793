/* A policy under test with its candidates, playing the dispatcher: it hands clients over and takes
 * acknowledgements, and keeps the policy told. */
#ifndef BATON_TESTS_UNIT_POLICY_POOL_H
#define BATON_TESTS_UNIT_POLICY_POOL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "policy/policy.h"

#define POOL_SEED 20240607u

struct pool {
    struct policy *policy;
    uint32_t slots;
    uint32_t window; /* 1 unless the test sets another */
    struct policy_candidate *candidates;
};

static inline void pool_tell(struct pool *pool, uint32_t slot) {
    struct policy_candidate *candidate = &pool->candidates[slot];

    candidate->available = candidate->ready && candidate->unacknowledged < pool->window;
    policy_update(pool->policy, slot, candidate);
}

static inline void pool_set_ready(struct pool *pool, uint32_t slot, bool ready) {
    pool->candidates[slot].ready = ready;
    pool_tell(pool, slot);
}

/* Adds or removes slots; new ones are not ready. */
static inline void pool_resize(struct pool *pool, uint32_t slots) {
    pool->candidates = realloc(pool->candidates, (slots + 1) * sizeof *pool->candidates);
    assert_non_null(pool->candidates);
    for (uint32_t slot = pool->slots; slot < slots; slot++)
        pool->candidates[slot] = (struct policy_candidate){.open = POLICY_OPEN_UNKNOWN};
    pool->slots = slots;
    assert_int_equal(policy_resize(pool->policy, slots), 0);
}

/* All slots ready, in their order, with nothing to do. */
static inline void pool_init(struct pool *pool, const char *specification, uint32_t slots) {
    *pool = (struct pool){.window = 1};
    assert_int_equal(policy_create(&pool->policy, specification, POOL_SEED), 0);
    pool_resize(pool, slots);
    for (uint32_t slot = 0; slot < slots; slot++)
        pool_set_ready(pool, slot, true);
}

static inline void pool_clear(struct pool *pool) {
    policy_destroy(pool->policy);
    free(pool->candidates);
}

static inline int32_t pool_pick(struct pool *pool) {
    return policy_pick(pool->policy, 0);
}

/* Picks, and tells that the pick was handed a client. */
static inline int32_t pool_hand_over(struct pool *pool) {
    int32_t slot = pool_pick(pool);

    if (slot == POLICY_NONE)
        return slot;
    pool->candidates[slot].handed++;
    pool->candidates[slot].unacknowledged++;
    pool_tell(pool, (uint32_t)slot);
    return slot;
}

static inline void pool_acknowledge(struct pool *pool, uint32_t slot) {
    assert_true(pool->candidates[slot].unacknowledged > 0);
    pool->candidates[slot].unacknowledged--;
    pool_tell(pool, slot);
}

/* Hands over `count` clients, each acknowledged at once, and expects these slots in turn. */
static inline void pool_expect(struct pool *pool, const int32_t *slots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int32_t slot = pool_hand_over(pool);

        assert_int_equal(slot, slots[i]);
        if (slot != POLICY_NONE)
            pool_acknowledge(pool, (uint32_t)slot);
    }
}

#define POOL_EXPECT(pool, ...)                                                                     \
    pool_expect(pool, (const int32_t[]){__VA_ARGS__},                                              \
                sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* Fails unless `counts` look like equal shares: Pearson's chi-square must stay within four standard
 * deviations (and 4, for few counts) above its mean, which fair shares exceed less than once in a
 * thousand times. The seeds are fixed, so a test passes always or never. */
static inline void assert_uniform(const uint32_t *counts, uint32_t count) {
    double total = 0, statistic = 0, freedom = count - 1;

    for (uint32_t i = 0; i < count; i++)
        total += counts[i];
    for (uint32_t i = 0; i < count; i++)
        statistic += pow(counts[i] - total / count, 2) / (total / count);
    if (statistic > freedom + 4 * sqrt(2 * freedom) + 4)
        fail_msg("chi-square is %f with %f degrees of freedom", statistic, freedom);
}

#endif
