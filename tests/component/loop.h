/* A libuv loop for a component test: bounded waiting, and a tear-down that fails when a handle
 * leaked. */
#ifndef BATON_TESTS_COMPONENT_LOOP_H
#define BATON_TESTS_COMPONENT_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <uv.h>

#define LOOP_WAIT_MS 30000

static uv_loop_t loop;
static int loop_descriptors; /* open at the start */

static inline int count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the directory itself */

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static inline int loop_set_up(void **state) {
    (void)state;
    if (uv_loop_init(&loop) < 0 || uv_loop_close(&loop) < 0) /* what libuv opens for good */
        return -1;
    loop_descriptors = count_descriptors();
    return uv_loop_init(&loop);
}

static inline void loop_on_wake(uv_timer_t *timer) {
    (void)timer;
}

/* Runs the loop for a while; 0: what is due now. */
static inline void loop_run(unsigned ms) {
    uv_timer_t timer;
    uint64_t until = uv_hrtime() + ms * UINT64_C(1000000);

    if (ms == 0) {
        uv_run(&loop, UV_RUN_NOWAIT);
        return;
    }
    uv_timer_init(&loop, &timer);
    uv_update_time(&loop);
    /* Repeating: uv_run() looks at timers before it waits, and would then wait for nothing else. */
    uv_timer_start(&timer, loop_on_wake, 1, 1);
    do
        uv_run(&loop, UV_RUN_ONCE);
    while (uv_hrtime() < until);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

/* Runs the loop until `condition` holds; fails after LOOP_WAIT_MS. */
#define LOOP_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t loop_limit = uv_hrtime() + LOOP_WAIT_MS * UINT64_C(1000000);                      \
        while (!(condition)) {                                                                     \
            if (uv_hrtime() > loop_limit)                                                          \
                fail_msg("not within %d ms: %s", LOOP_WAIT_MS, #condition);                        \
            loop_run(1);                                                                           \
        }                                                                                          \
    } while (0)

/* Fails when a handle or a descriptor leaked. */
static inline int loop_tear_down(void **state) {
    (void)state;
    loop_run(1);
    if (uv_loop_close(&loop) == UV_EBUSY) {
        uv_print_all_handles(&loop, stderr);
        return -1;
    }
    if (count_descriptors() == loop_descriptors)
        return 0;
    print_error("%d descriptors are open, %d were\n", count_descriptors(), loop_descriptors);
    return -1;
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(test_##name, loop_set_up, loop_tear_down)

#endif
