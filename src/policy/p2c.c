/* Power of two choices: of two different available candidates, drawn at random, the one with fewer
 * connections. Nearly as even as asking all of them, and it does not send a burst to the one that
 * looks emptiest (M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE
 * TPDS 12 (2001)). */
#include <stdlib.h>
#include <uv.h>

#include "base/prng.h"
#include "policy/policy_types.h"
#include "policy/slot_set.h"

struct p2c_policy {
    struct policy policy;
    policy_measure measure; /* what is compared */
    struct prng prng;
    struct slot_set available;
    int64_t *counts; /* by slot: the measure as last told */
};

static int p2c_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct p2c_policy *p2c;
    policy_measure measure;

    if (policy_measure_find(argument, &measure) < 0)
        return UV_EINVAL;
    p2c = calloc(1, sizeof *p2c);
    if (!p2c)
        return UV_ENOMEM;
    p2c->measure = measure;
    p2c->prng.state = seed;
    slot_set_init(&p2c->available);
    *ret_policy = &p2c->policy;
    return 0;
}

static void p2c_destroy(struct policy *policy) {
    struct p2c_policy *p2c = (struct p2c_policy *)policy;

    slot_set_clear(&p2c->available);
    free(p2c->counts);
    free(p2c);
}

static int p2c_resize(struct policy *policy, uint32_t capacity) {
    struct p2c_policy *p2c = (struct p2c_policy *)policy;
    int64_t *counts;

    if (capacity <= policy->capacity)
        return 0;
    counts = realloc(p2c->counts, capacity * sizeof *counts);
    if (!counts)
        return UV_ENOMEM;
    p2c->counts = counts;
    return slot_set_resize(&p2c->available, capacity);
}

static void p2c_update(struct policy *policy, uint32_t slot,
                       const struct policy_candidate *candidate) {
    struct p2c_policy *p2c = (struct p2c_policy *)policy;

    p2c->counts[slot] = p2c->measure(candidate);
    slot_set_put(&p2c->available, slot, candidate->available);
}

static int32_t p2c_pick(struct policy *policy, uint64_t key) {
    struct p2c_policy *p2c = (struct p2c_policy *)policy;
    const struct slot_set *available = &p2c->available;
    uint32_t first, second;

    (void)key;
    if (available->count == 0)
        return POLICY_NONE;
    if (available->count == 1)
        return (int32_t)available->members[0];
    first = prng_below(&p2c->prng, available->count);
    second = prng_below(&p2c->prng, available->count - 1);
    second += second >= first; /* any but the first */
    first = available->members[first];
    second = available->members[second];
    /* With equal counts it is the first one, which is as random as a coin. */
    return (int32_t)(p2c->counts[second] < p2c->counts[first] ? second : first);
}

const struct policy_type policy_p2c = {
    .name = "p2c",
    .summary = "of two random workers, the one with fewer open connections; p2c:load lower load",
    .needs_open = true,
    .create = p2c_create,
    .destroy = p2c_destroy,
    .resize = p2c_resize,
    .update = p2c_update,
    .pick = p2c_pick,
};
