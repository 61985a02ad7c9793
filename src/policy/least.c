/* The candidate with the fewest connections; of several, the one that was handed a client longest
 * ago, and before those one that never was. A binary heap that knows where each slot stands: a pick
 * reads its top, an update moves one entry by at most log2 n places. */
#include <stdlib.h>
#include <uv.h>

#include "policy/policy_types.h"
#include "policy/slot_set.h"

struct rank {
    int64_t count;   /* the measure as last told */
    uint64_t turn;   /* when it was last handed a client, counted in hand-overs; 0 never */
    uint64_t handed; /* as last told */
};

struct least_policy {
    struct policy policy;
    policy_measure measure; /* what is compared */
    struct slot_set heap;   /* the available slots: members[i] goes before [2i + 1] and [2i + 2] */
    struct rank *ranks;     /* by slot */
    uint64_t turns;
};

static int least_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct least_policy *least;
    policy_measure measure;

    (void)seed;
    if (policy_measure_find(argument, &measure) < 0)
        return UV_EINVAL;
    least = calloc(1, sizeof *least);
    if (!least)
        return UV_ENOMEM;
    least->measure = measure;
    slot_set_init(&least->heap);
    *ret_policy = &least->policy;
    return 0;
}

static void least_destroy(struct policy *policy) {
    struct least_policy *least = (struct least_policy *)policy;

    slot_set_clear(&least->heap);
    free(least->ranks);
    free(least);
}

static int least_resize(struct policy *policy, uint32_t capacity) {
    struct least_policy *least = (struct least_policy *)policy;
    struct rank *ranks;

    if (capacity <= policy->capacity)
        return 0;
    ranks = realloc(least->ranks, capacity * sizeof *ranks);
    if (!ranks)
        return UV_ENOMEM;
    for (uint32_t slot = policy->capacity; slot < capacity; slot++)
        ranks[slot] = (struct rank){.count = 0};
    least->ranks = ranks;
    return slot_set_resize(&least->heap, capacity);
}

/* Whether the member at `one` goes before the one at `other`. */
static bool before(const struct least_policy *least, uint32_t one, uint32_t other) {
    uint32_t one_slot = least->heap.members[one];
    uint32_t other_slot = least->heap.members[other];
    const struct rank *a = &least->ranks[one_slot];
    const struct rank *b = &least->ranks[other_slot];

    if (a->count != b->count)
        return a->count < b->count;
    if (a->turn != b->turn)
        return a->turn < b->turn;
    return one_slot < other_slot;
}

static void swap(struct slot_set *heap, uint32_t one, uint32_t other) {
    uint32_t slot = heap->members[one];

    heap->members[one] = heap->members[other];
    heap->members[other] = slot;
    heap->positions[heap->members[one]] = one;
    heap->positions[slot] = other;
}

/* Moves the member at `index` to where its rank belongs; all others are in order. */
static void settle(struct least_policy *least, uint32_t index) {
    struct slot_set *heap = &least->heap;

    while (index > 0 && before(least, index, (index - 1) / 2)) {
        swap(heap, index, (index - 1) / 2);
        index = (index - 1) / 2;
    }
    for (uint32_t child = 2 * index + 1; child < heap->count; child = 2 * index + 1) {
        if (child + 1 < heap->count && before(least, child + 1, child))
            child++;
        if (before(least, index, child))
            break;
        swap(heap, index, child);
        index = child;
    }
}

static void least_update(struct policy *policy, uint32_t slot,
                         const struct policy_candidate *candidate) {
    struct least_policy *least = (struct least_policy *)policy;
    struct rank *rank = &least->ranks[slot];
    uint32_t index = least->heap.positions[slot];

    if (candidate->handed > rank->handed)
        rank->turn = ++least->turns;
    rank->handed = candidate->handed;
    rank->count = least->measure(candidate);
    slot_set_put(&least->heap, slot, candidate->available);
    if (candidate->available)
        settle(least, least->heap.positions[slot]);
    else if (index < least->heap.count)
        settle(least, index); /* the former last member stands there now */
}

static int32_t least_pick(struct policy *policy, uint64_t key) {
    const struct slot_set *heap = &((struct least_policy *)policy)->heap;

    (void)key;
    return heap->count ? (int32_t)heap->members[0] : POLICY_NONE;
}

const struct policy_type policy_least = {
    .name = "least",
    .summary = "the worker with the fewest open connections; least:load the lowest reported load",
    .needs_open = true,
    .create = least_create,
    .destroy = least_destroy,
    .resize = least_resize,
    .update = least_update,
    .pick = least_pick,
};
