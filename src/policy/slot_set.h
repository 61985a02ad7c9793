/* A set of slots with O(1) add, remove and look at the n-th: for policies that draw from it. */
#ifndef BATON_POLICY_SLOT_SET_H
#define BATON_POLICY_SLOT_SET_H

#include <stdbool.h>
#include <stdint.h>

/* init/clear: an embedded value that owns two heap blocks. The order of the members is arbitrary
 * and changes with every removal. */
struct slot_set {
    uint32_t *members;   /* `count` slots */
    uint32_t *positions; /* by slot: its index in `members`, or SLOT_SET_ABSENT */
    uint32_t count;
    uint32_t capacity; /* slots 0 to capacity-1 may be added */
};

#define SLOT_SET_ABSENT UINT32_MAX

void slot_set_init(struct slot_set *set);
void slot_set_clear(struct slot_set *set);

/* Makes room for at least slots 0 to capacity-1. 0, or UV_ENOMEM with the set unchanged. */
int slot_set_resize(struct slot_set *set, uint32_t capacity);

/* Adds or removes `slot`; no effect when that is so already. */
void slot_set_put(struct slot_set *set, uint32_t slot, bool member);

static inline bool slot_set_has(const struct slot_set *set, uint32_t slot) {
    return set->positions[slot] != SLOT_SET_ABSENT;
}

#endif
