/* Strict round robin: slot (i + 1) mod n over the ready ones, in the order of the slots. When that
 * one's window is full the client waits for it, so that every worker gets exactly its share; a
 * worker that is stuck is not ready any more and holds nobody up. */
#include <stdlib.h>
#include <uv.h>

#include "policy/policy_types.h"

#define WORDS  (POLICY_SLOTS_MAX / 64)
#define GROUPS (WORDS / 64)

/* A set bit in `groups` tells of a word that is not zero, so that a pick among 65536 slots looks at
 * 2 words and at most 17 groups. */
struct rr_policy {
    struct policy policy;
    uint32_t next; /* where the search starts: one after the slot picked last */
    uint64_t groups[GROUPS];
    uint64_t words[WORDS]; /* one bit per ready slot */
    uint64_t available[WORDS];
};

static int rr_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct rr_policy *rr;

    (void)seed;
    if (argument)
        return UV_EINVAL;
    rr = calloc(1, sizeof *rr);
    if (!rr)
        return UV_ENOMEM;
    *ret_policy = &rr->policy;
    return 0;
}

static void rr_destroy(struct policy *policy) {
    free(policy);
}

static int rr_resize(struct policy *policy, uint32_t capacity) {
    (void)policy;
    (void)capacity;
    return 0; /* there is always room for all */
}

static void set_bit(uint64_t *words, uint32_t number, bool value) {
    uint64_t bit = (uint64_t)1 << number % 64;

    if (value)
        words[number / 64] |= bit;
    else
        words[number / 64] &= ~bit;
}

static void rr_update(struct policy *policy, uint32_t slot,
                      const struct policy_candidate *candidate) {
    struct rr_policy *rr = (struct rr_policy *)policy;
    uint32_t word = slot / 64;

    set_bit(rr->available, slot, candidate->available);
    set_bit(rr->words, slot, candidate->ready || candidate->available);
    set_bit(rr->groups, word, rr->words[word] != 0);
}

/* The first set bit of `words` at or after `start`, or `count` * 64. */
static uint32_t next_bit(const uint64_t *words, uint32_t count, uint32_t start) {
    uint64_t mask = ~(uint64_t)0 << start % 64;

    for (uint32_t word = start / 64; word < count; word++, mask = ~(uint64_t)0)
        if (words[word] & mask)
            return word * 64 + (uint32_t)__builtin_ctzll(words[word] & mask);
    return count * 64;
}

/* The first ready slot at or after `start`, or POLICY_NONE. */
static int32_t next_slot(const struct rr_policy *rr, uint32_t start) {
    uint32_t word = start / 64;
    uint32_t slot;

    if (word >= WORDS)
        return POLICY_NONE;
    slot = next_bit(rr->words, word + 1, start);
    if (slot < (word + 1) * 64)
        return (int32_t)slot;
    word = next_bit(rr->groups, GROUPS, word + 1);
    if (word == WORDS)
        return POLICY_NONE;
    return (int32_t)next_bit(rr->words, word + 1, word * 64);
}

static int32_t rr_pick(struct policy *policy, uint64_t key) {
    struct rr_policy *rr = (struct rr_policy *)policy;
    int32_t slot = next_slot(rr, rr->next);

    (void)key;
    if (slot == POLICY_NONE)
        slot = next_slot(rr, 0);
    if (slot == POLICY_NONE || !(rr->available[slot / 64] >> slot % 64 & 1))
        return POLICY_NONE;
    rr->next = (uint32_t)slot + 1;
    return slot;
}

const struct policy_type policy_rr = {
    .name = "rr",
    .summary = "strict round robin: every ready worker in turn, exactly its share",
    .create = rr_create,
    .destroy = rr_destroy,
    .resize = rr_resize,
    .update = rr_update,
    .pick = rr_pick,
};
