/* No policy: each worker gets the listening socket, and the kernel wakes whom it will. */
#include <stdlib.h>
#include <uv.h>

#include "policy/policy_types.h"

static int none_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct policy *none;

    (void)seed;
    if (argument)
        return UV_EINVAL;
    none = calloc(1, sizeof *none);
    if (!none)
        return UV_ENOMEM;
    *ret_policy = none;
    return 0;
}

static void none_destroy(struct policy *policy) {
    free(policy);
}

static int none_resize(struct policy *policy, uint32_t capacity) {
    (void)policy;
    (void)capacity;
    return 0;
}

static void none_update(struct policy *policy, uint32_t slot,
                        const struct policy_candidate *candidate) {
    (void)policy;
    (void)slot;
    (void)candidate;
}

static int32_t none_pick(struct policy *policy, uint64_t key) {
    (void)policy;
    (void)key;
    return POLICY_NONE;
}

const struct policy_type policy_none = {
    .name = "none",
    .summary = "none: the workers share the listening socket, the kernel distributes",
    .shared = true,
    .create = none_create,
    .destroy = none_destroy,
    .resize = none_resize,
    .update = none_update,
    .pick = none_pick,
};
