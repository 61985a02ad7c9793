#include "master/child_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum child_state states[] = {CHILD_STARTING, CHILD_ONLINE, CHILD_READY, CHILD_DRAINING,
                                          CHILD_EXITED};

static void test_names(void **state) {
    static const char *const names[] = {"starting", "online", "ready", "draining", "exited"};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(child_state_name(states[i]), names[i]);
}

static void test_a_life_only_goes_forward(void **state) {
    (void)state;
    for (size_t from = 0; from < 5; from++)
        for (size_t to = 0; to < 5; to++)
            assert_int_equal(child_state_allowed(states[from], states[to]), to > from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_life_only_goes_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
