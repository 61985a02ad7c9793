#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The published output of SplitMix64 for the seed 1234567. */
static void test_known_sequence(void **state) {
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u,
                                        16408922859458223821u};
    struct prng prng = {.state = 1234567};

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_true(prng_next(&prng) == expected[i]);
}

static void test_below_stays_below(void **state) {
    static const uint32_t limits[] = {1, 2, 3, 10, 65536, 0x80000001u, UINT32_MAX};
    struct prng prng = {.state = 1};

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (int n = 0; n < 1000; n++)
            assert_true(prng_below(&prng, limits[i]) < limits[i]);
}

/* Of 3 * 2^30 numbers the plain product takes each third one twice as often as the others. */
static void test_below_is_unbiased(void **state) {
    uint32_t counts[3] = {0};
    struct prng prng = {.state = 1};

    (void)state;
    for (int n = 0; n < 30000; n++)
        counts[prng_below(&prng, 0xc0000000u) % 3]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 10000 - 400, 10000 + 400); /* 5 standard deviations */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sequence),
        cmocka_unit_test(test_below_stays_below),
        cmocka_unit_test(test_below_is_unbiased),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
