/* Fast pseudo-random numbers for sharing out work and for hashing. Not for secrets.
 *
 * SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators",
 * OOPSLA 2014. Every seed is a good one. */
#ifndef BATON_BASE_PRNG_H
#define BATON_BASE_PRNG_H

#include <stdint.h>

#define PRNG_STEP 0x9e3779b97f4a7c15u /* 2^64 divided by the golden ratio, odd */

struct prng {
    uint64_t state; /* the seed at first */
};

/* SplitMix64's finaliser: one-to-one, and each bit of the input changes half of the output's. */
static inline uint64_t prng_mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline uint64_t prng_next(struct prng *prng) {
    prng->state += PRNG_STEP;
    return prng_mix(prng->state);
}

/* A number from 0 to limit-1, each equally likely; limit is not 0. D. Lemire, "Fast random integer
 * generation in an interval", ACM TOMACS 29 (2019): multiply, and draw again (with a probability of
 * limit / 2^32) where a result would have one way more to come up than others. */
static inline uint32_t prng_below(struct prng *prng, uint32_t limit) {
    uint32_t uneven = (0u - limit) % limit;
    uint64_t product;

    do
        product = (prng_next(prng) >> 32) * limit;
    while ((uint32_t)product < uneven);
    return (uint32_t)(product >> 32);
}

#endif
