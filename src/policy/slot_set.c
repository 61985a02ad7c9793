#include "policy/slot_set.h"

#include <stdlib.h>
#include <uv.h>

void slot_set_init(struct slot_set *set) {
    *set = (struct slot_set){.members = NULL};
}

void slot_set_clear(struct slot_set *set) {
    free(set->members);
    free(set->positions);
    slot_set_init(set);
}

int slot_set_resize(struct slot_set *set, uint32_t capacity) {
    uint32_t *members;
    uint32_t *positions;

    if (capacity <= set->capacity)
        return 0;
    members = realloc(set->members, capacity * sizeof *members);
    if (!members)
        return UV_ENOMEM;
    set->members = members;
    positions = realloc(set->positions, capacity * sizeof *positions);
    if (!positions)
        return UV_ENOMEM;
    for (uint32_t slot = set->capacity; slot < capacity; slot++)
        positions[slot] = SLOT_SET_ABSENT;
    set->positions = positions;
    set->capacity = capacity;
    return 0;
}

static void add(struct slot_set *set, uint32_t slot) {
    set->positions[slot] = set->count;
    set->members[set->count++] = slot;
}

/* The last member takes the place that gets free. */
static void take_out(struct slot_set *set, uint32_t slot) {
    uint32_t last = set->members[--set->count];

    set->members[set->positions[slot]] = last;
    set->positions[last] = set->positions[slot];
    set->positions[slot] = SLOT_SET_ABSENT;
}

void slot_set_put(struct slot_set *set, uint32_t slot, bool member) {
    if (member == slot_set_has(set, slot))
        return;
    if (member)
        add(set, slot);
    else
        take_out(set, slot);
}
