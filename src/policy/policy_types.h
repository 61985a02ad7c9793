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

#endif
