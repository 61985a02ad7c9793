#include "master/app_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The words of PM2, which scripts compare with. */
static void test_names(void **state) {
    (void)state;
    assert_string_equal(app_status_name(APP_STOPPED), "stopped");
    assert_string_equal(app_status_name(APP_LAUNCHING), "launching");
    assert_string_equal(app_status_name(APP_ONLINE), "online");
    assert_string_equal(app_status_name(APP_STOPPING), "stopping");
    assert_string_equal(app_status_name(APP_ERRORED), "errored");
    assert_string_equal(app_status_name(APP_WAITING_RESTART), "waiting restart");
}

static enum app_status decide(enum slot_wish wish, unsigned children) {
    struct app_status_input input = {.wish = wish, .children = children, .current = CHILD_EXITED};

    return app_status_decide(&input);
}

static void test_a_slot_without_a_worker_goes_by_what_is_wanted(void **state) {
    (void)state;
    assert_int_equal(decide(SLOT_STOPPED, 0), APP_STOPPED);
    assert_int_equal(decide(SLOT_DONE, 0), APP_STOPPED);
    assert_int_equal(decide(SLOT_FAILED, 0), APP_ERRORED);
    assert_int_equal(decide(SLOT_WANTED, 0), APP_WAITING_RESTART);
}

static void test_while_an_old_worker_is_there_it_is_stopping(void **state) {
    (void)state;
    assert_int_equal(decide(SLOT_STOPPED, 1), APP_STOPPING);
    assert_int_equal(decide(SLOT_DONE, 2), APP_STOPPING);
    assert_int_equal(decide(SLOT_FAILED, 1), APP_STOPPING);
    assert_int_equal(decide(SLOT_WANTED, 1), APP_STOPPING);
}

static void test_the_current_worker_says_how_far_it_is(void **state) {
    static const enum app_status expected[] = {[CHILD_STARTING] = APP_LAUNCHING,
                                               [CHILD_ONLINE] = APP_LAUNCHING,
                                               [CHILD_READY] = APP_ONLINE,
                                               [CHILD_DRAINING] = APP_STOPPING};

    (void)state;
    for (enum child_state current = CHILD_STARTING; current <= CHILD_DRAINING; current++) {
        struct app_status_input input = {
            .wish = SLOT_WANTED, .has_current = true, .current = current, .children = 2};

        assert_int_equal(app_status_decide(&input), expected[current]);
        input.wish = SLOT_STOPPED; /* it serves the last ones that have connected */
        assert_int_equal(app_status_decide(&input), APP_STOPPING);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_slot_without_a_worker_goes_by_what_is_wanted),
        cmocka_unit_test(test_while_an_old_worker_is_there_it_is_stopping),
        cmocka_unit_test(test_the_current_worker_says_how_far_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
