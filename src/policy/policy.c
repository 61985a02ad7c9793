#include "policy/policy.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

#include "base/prng.h"
#include "policy/policy_types.h"

const struct policy_type *const policy_types[] = {
    &policy_node, &policy_rr,   &policy_random, &policy_least,
    &policy_p2c,  &policy_hash, &policy_none,   NULL,
};

const struct policy_type *policy_find(const char *name) {
    size_t length = strcspn(name, ":");

    for (const struct policy_type *const *type = policy_types; *type; type++)
        if (strlen((*type)->name) == length && memcmp((*type)->name, name, length) == 0)
            return *type;
    return NULL;
}

int policy_create(struct policy **ret_policy, const char *specification, uint64_t seed) {
    const struct policy_type *type = policy_find(specification);
    const char *colon = strchr(specification, ':');
    struct policy *policy;
    int error;

    if (!type)
        return UV_ENOENT;
    error = type->create(&policy, colon ? colon + 1 : NULL, seed);
    if (error)
        return error;
    policy->type = type;
    policy->capacity = 0;
    *ret_policy = policy;
    return 0;
}

void policy_destroy(struct policy *policy) {
    if (policy)
        policy->type->destroy(policy);
}

int policy_resize(struct policy *policy, uint32_t capacity) {
    static const struct policy_candidate absent = {.open = POLICY_OPEN_UNKNOWN};
    int error;

    if (capacity > POLICY_SLOTS_MAX)
        return UV_EINVAL;
    for (uint32_t slot = capacity; slot < policy->capacity; slot++)
        policy->type->update(policy, slot, &absent);
    error = policy->type->resize(policy, capacity);
    if (error)
        return error;
    policy->capacity = capacity;
    return 0;
}

void policy_update(struct policy *policy, uint32_t slot, const struct policy_candidate *candidate) {
    assert(slot < policy->capacity);
    policy->type->update(policy, slot, candidate);
}

int32_t policy_pick(struct policy *policy, uint64_t key) {
    return policy->type->pick(policy, key);
}

uint64_t policy_key(const void *bytes, unsigned length) {
    const unsigned char *byte = bytes;
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bit: offset basis, then prime */

    for (unsigned i = 0; i < length; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    return prng_mix(hash);
}

int policy_measure_find(const char *argument, policy_measure *ret_measure) {
    if (argument && strcmp(argument, "load") != 0)
        return UV_EINVAL;
    *ret_measure = argument ? policy_load : policy_connections;
    return 0;
}
