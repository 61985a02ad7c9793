/* The policies there are: one file each, named in the table of policy.c. */
#ifndef BATON_POLICY_POLICY_TYPES_H
#define BATON_POLICY_POLICY_TYPES_H

#include "policy/policy.h"

extern const struct policy_type policy_node;
extern const struct policy_type policy_rr;

#endif
