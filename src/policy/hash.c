/* Sticky by key: the clients of one source go to one worker as long as that is ready.
 *
 * A key has a fixed sequence of slots, each drawn as if at random; its worker is the first one that
 * is ready (as in DxHash: C. Dong, F. Wang, arXiv:2107.07930). So only the keys of a worker that
 * goes away move, evenly to all others, and exactly these return when it is back, in whatever order
 * workers come and go. When a key has no luck in DRAWS draws, because hardly any slot is ready, the
 * ready slots compete by a hash of key and slot (D. Thaler, C. Ravishankar, "Using name-based
 * mappings to increase hit rates", IEEE/ACM ToN 6 (1998)), which moves as few. The draws stop where
 * the expected cost of n ready ones among N slots, (1 - n/N)^DRAWS * n, is at most N / (e * DRAWS).
 *
 * Each draw is consistent in the number of slots (as in BinomialHash: M. Coluzzi, A. Brocco,
 * A. Antonucci, T. Leidi, arXiv:2406.19836): one more slot attracts its share of all keys and moves
 * no key between the others.
 *
 * The seed is not used: the same client finds the same slot after a restart of the master. */
#include <stdlib.h>
#include <uv.h>

#include "base/prng.h"
#include "policy/policy_types.h"
#include "policy/slot_set.h"

#define DRAWS   32
#define REDRAWS 32 /* the imbalance that the bound leaves is 2^-32 */

struct hash_policy {
    struct policy policy;
    struct slot_set ready;
    bool *available; /* by slot */
    uint32_t span;   /* slots to draw from: 1 + the highest that was ever ready */
};

static int hash_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct hash_policy *hash;

    (void)seed;
    if (argument)
        return UV_EINVAL;
    hash = calloc(1, sizeof *hash);
    if (!hash)
        return UV_ENOMEM;
    slot_set_init(&hash->ready);
    *ret_policy = &hash->policy;
    return 0;
}

static void hash_destroy(struct policy *policy) {
    struct hash_policy *hash = (struct hash_policy *)policy;

    slot_set_clear(&hash->ready);
    free(hash->available);
    free(hash);
}

static int hash_resize(struct policy *policy, uint32_t capacity) {
    struct hash_policy *hash = (struct hash_policy *)policy;
    bool *available;

    if (capacity <= policy->capacity) {
        hash->span = hash->span < capacity ? hash->span : capacity;
        return 0;
    }
    available = realloc(hash->available, capacity * sizeof *available);
    if (!available)
        return UV_ENOMEM;
    hash->available = available;
    return slot_set_resize(&hash->ready, capacity);
}

static void hash_update(struct policy *policy, uint32_t slot,
                        const struct policy_candidate *candidate) {
    struct hash_policy *hash = (struct hash_policy *)policy;
    bool ready = candidate->ready || candidate->available;

    slot_set_put(&hash->ready, slot, ready);
    hash->available[slot] = candidate->available;
    if (ready && slot >= hash->span)
        hash->span = slot + 1;
}

/* Slot 0, slot 1, slots 2 to 3, 4 to 7 and so on are levels. Spreads `hash` over the level in which
 * `slot` lies, the same for all slots of that level: where a key goes within a level depends on
 * nothing but the level. */
static uint32_t within_level(uint32_t slot, uint64_t hash) {
    uint32_t level;

    if (slot < 2)
        return slot;
    level = 1u << (31 - __builtin_clz(slot));
    return level | ((uint32_t)prng_mix(hash + level) & (level - 1));
}

/* A slot below `span` (1 or more). The span's upper levels that are complete are decided by `hash`
 * alone; whether the last level, which may have gaps, attracts the key is tried with fresh hashes
 * until one names a slot there that exists, or a lower level. */
static uint32_t draw(uint64_t hash, uint32_t span) {
    uint32_t full = span == 1 ? 1 : 1u << (32 - __builtin_clz(span - 1)); /* span, rounded up */
    uint32_t half = full / 2;
    uint64_t fresh = hash;

    if (span == 1)
        return 0;
    for (int i = 0; i < REDRAWS; i++) {
        uint32_t slot = within_level((uint32_t)fresh & (full - 1), fresh);

        if (slot < half)
            break;
        if (slot < span)
            return slot;
        fresh = prng_mix(fresh + PRNG_STEP);
    }
    return within_level((uint32_t)hash & (half - 1), hash);
}

/* The ready slot that wins the competition for `key`. */
static uint32_t strongest(const struct slot_set *ready, uint64_t key) {
    uint64_t best = 0;
    uint32_t winner = ready->members[0];

    for (uint32_t i = 0; i < ready->count; i++) {
        uint32_t slot = ready->members[i];
        uint64_t strength = prng_mix(key + (slot + 1) * PRNG_STEP);

        if (strength < best || (strength == best && slot > winner))
            continue;
        best = strength;
        winner = slot;
    }
    return winner;
}

static uint32_t worker_of(const struct hash_policy *hash, uint64_t key) {
    struct prng draws = {.state = key};

    for (int i = 0; i < DRAWS; i++) {
        uint32_t slot = draw(prng_next(&draws), hash->span);

        if (slot_set_has(&hash->ready, slot))
            return slot;
    }
    return strongest(&hash->ready, prng_mix(key));
}

static int32_t hash_pick(struct policy *policy, uint64_t key) {
    struct hash_policy *hash = (struct hash_policy *)policy;
    uint32_t slot;

    if (hash->ready.count == 0)
        return POLICY_NONE;
    slot = worker_of(hash, key);
    return hash->available[slot] ? (int32_t)slot : POLICY_NONE;
}

const struct policy_type policy_hash = {
    .name = "hash",
    .summary = "the same worker for all connections of one client address",
    .keyed = true,
    .create = hash_create,
    .destroy = hash_destroy,
    .resize = hash_resize,
    .update = hash_update,
    .pick = hash_pick,
};
