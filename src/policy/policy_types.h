/* The policies there are: one file each, named in the table of policy.c. */
#ifndef BATON_POLICY_POLICY_TYPES_H
#define BATON_POLICY_POLICY_TYPES_H

#include <stdint.h>

#include "policy/policy.h"

extern const struct policy_type policy_node;
extern const struct policy_type policy_rr;
extern const struct policy_type policy_random;
extern const struct policy_type policy_least;
extern const struct policy_type policy_p2c;
extern const struct policy_type policy_hash;
extern const struct policy_type policy_none;

/* What `least` and `p2c` compare: the open connections, or where these are not known the clients
 * that were handed over and not acknowledged. */
static inline int64_t policy_connections(const struct policy_candidate *candidate) {
    return candidate->open >= 0 ? candidate->open : (int64_t)candidate->unacknowledged;
}

/* … or with the argument "load" what the workers report themselves; of equal loads, as above. */
static inline int64_t policy_load(const struct policy_candidate *candidate) {
    int64_t connections = policy_connections(candidate);

    return ((int64_t)candidate->load << 31) + (connections < INT32_MAX ? connections : INT32_MAX);
}

typedef int64_t (*policy_measure)(const struct policy_candidate *candidate);

/* The measure that an argument names: 0 or UV_EINVAL. */
int policy_measure_find(const char *argument, policy_measure *ret_measure);

#endif
