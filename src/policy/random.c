/* Any available candidate, each equally likely. */
#include <stdlib.h>
#include <uv.h>

#include "base/prng.h"
#include "policy/policy_types.h"
#include "policy/slot_set.h"

struct random_policy {
    struct policy policy;
    struct prng prng;
    struct slot_set available;
};

static int random_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct random_policy *random;

    if (argument)
        return UV_EINVAL;
    random = calloc(1, sizeof *random);
    if (!random)
        return UV_ENOMEM;
    random->prng.state = seed;
    slot_set_init(&random->available);
    *ret_policy = &random->policy;
    return 0;
}

static void random_destroy(struct policy *policy) {
    struct random_policy *random = (struct random_policy *)policy;

    slot_set_clear(&random->available);
    free(random);
}

static int random_resize(struct policy *policy, uint32_t capacity) {
    return slot_set_resize(&((struct random_policy *)policy)->available, capacity);
}

static void random_update(struct policy *policy, uint32_t slot,
                          const struct policy_candidate *candidate) {
    slot_set_put(&((struct random_policy *)policy)->available, slot, candidate->available);
}

static int32_t random_pick(struct policy *policy, uint64_t key) {
    struct random_policy *random = (struct random_policy *)policy;
    struct slot_set *available = &random->available;

    (void)key;
    if (available->count == 0)
        return POLICY_NONE;
    return (int32_t)available->members[prng_below(&random->prng, available->count)];
}

const struct policy_type policy_random = {
    .name = "random",
    .summary = "any available worker, each equally likely",
    .create = random_create,
    .destroy = random_destroy,
    .resize = random_resize,
    .update = random_update,
    .pick = random_pick,
};
