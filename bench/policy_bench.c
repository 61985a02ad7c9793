/* What one decision costs: each policy with a few, with hundreds and with thousands of slots. A
 * decision is what the dispatcher does for a client: pick, the update that hands it over (window 1,
 * so the slot stops being available) and the update of the acknowledgement that makes it available
 * again; half of the slots hold a client all the time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "policy/policy.h"

#define DECISIONS 1000000u
#define SEED      1u

struct bench {
    struct policy *policy;
    uint32_t slots;
    struct policy_candidate *candidates;
    int32_t *held; /* ring of the slots that hold a client, oldest at `oldest` */
    uint32_t held_capacity;
    uint32_t oldest;
    uint64_t key;
};

static void change(struct bench *bench, uint32_t slot, bool holds) {
    struct policy_candidate *candidate = &bench->candidates[slot];

    candidate->available = !holds;
    candidate->unacknowledged = holds;
    candidate->handed += holds;
    candidate->open += holds ? 1 : -1;
    policy_update(bench->policy, slot, candidate);
}

/* Acknowledges the oldest client and hands over the next one. */
static void decide(struct bench *bench) {
    int32_t *place = &bench->held[bench->oldest];

    if (*place != POLICY_NONE)
        change(bench, (uint32_t)*place, false);
    *place = policy_pick(bench->policy, prng_mix(bench->key++));
    if (*place != POLICY_NONE)
        change(bench, (uint32_t)*place, true);
    if (++bench->oldest == bench->held_capacity)
        bench->oldest = 0;
}

static int bench_init(struct bench *bench, const char *name, uint32_t slots) {
    *bench = (struct bench){.slots = slots, .held_capacity = slots / 2};
    bench->candidates = calloc(slots, sizeof *bench->candidates);
    bench->held = calloc(bench->held_capacity, sizeof *bench->held);
    if (!bench->candidates || !bench->held || policy_create(&bench->policy, name, SEED) != 0 ||
        policy_resize(bench->policy, slots) != 0)
        return -1;
    for (uint32_t i = 0; i < bench->held_capacity; i++)
        bench->held[i] = POLICY_NONE;
    for (uint32_t slot = 0; slot < slots; slot++) {
        bench->candidates[slot] = (struct policy_candidate){.ready = true, .weight = 1, .open = 1};
        change(bench, slot, false);
    }
    return 0;
}

static void bench_clear(struct bench *bench) {
    policy_destroy(bench->policy);
    free(bench->candidates);
    free(bench->held);
}

/* Nanoseconds per decision, or -1 when memory is out. */
static double measure(const char *name, uint32_t slots) {
    struct bench bench;
    uint64_t start;
    double result = -1;

    if (bench_init(&bench, name, slots) != 0)
        goto out;
    for (uint32_t i = 0; i < DECISIONS / 10; i++)
        decide(&bench);
    start = clock_ns();
    for (uint32_t i = 0; i < DECISIONS; i++)
        decide(&bench);
    result = (double)(clock_ns() - start) / DECISIONS;
out:
    bench_clear(&bench);
    return result;
}

int main(void) {
    static const uint32_t slots[] = {2, 512, 10000};

    printf("ns per decision (pick and two updates)\n%-8s", "policy");
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        printf("%8" PRIu32, slots[i]);
    printf(" slots\n");
    for (const struct policy_type *const *type = policy_types; *type; type++) {
        if ((*type)->shared)
            continue;
        printf("%-8s", (*type)->name);
        for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
            printf("%8.0f", measure((*type)->name, slots[i]));
        printf("\n");
    }
    return 0;
}
