#include "master/reaper.h"

#include "component/loop.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 50

static struct reaper reaper;
static pid_t pids[CHILDREN];
static int statuses[CHILDREN];
static unsigned count;
static unsigned strangers;
static bool closed;

static void on_exit_of_child(void *owner, pid_t pid, int status) {
    assert_ptr_equal(owner, &reaper);
    for (int i = 0; i < CHILDREN; i++)
        if (pids[i] == pid) {
            assert_int_equal(statuses[i], -1);
            statuses[i] = status;
            count++;
            return;
        }
    strangers++;
}

static void on_closed(void *owner) {
    (void)owner;
    closed = true;
}

static int set_up(void **state) {
    int result = loop_set_up(state);

    count = strangers = 0;
    closed = false;
    memset(pids, 0, sizeof pids);
    memset(statuses, 0xff, sizeof statuses);
    return result < 0 ? result : reaper_start(&reaper, &loop, on_exit_of_child, &reaper);
}

static int tear_down(void **state) {
    reaper_close(&reaper, on_closed);
    LOOP_UNTIL(closed);
    return loop_tear_down(state);
}

/* Signals that come at the same time are one: none of the children may be forgotten. */
static void test_all_that_end_at_once_are_announced_once(void **state) {
    (void)state;
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(i);
    }
    LOOP_UNTIL(count == CHILDREN);
    for (int i = 0; i < CHILDREN; i++) {
        assert_true(WIFEXITED(statuses[i]));
        assert_int_equal(WEXITSTATUS(statuses[i]), i);
    }
    assert_int_equal(strangers, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_a_signal_is_told_and_a_stop_is_no_end(void **state) {
    (void)state;
    pids[0] = fork();
    if (pids[0] == 0)
        for (;;)
            pause();
    kill(pids[0], SIGSTOP);
    loop_run(50);
    kill(pids[0], SIGCONT);
    loop_run(20);
    assert_int_equal(count, 0);
    kill(pids[0], SIGKILL);
    LOOP_UNTIL(count == 1);
    assert_true(WIFSIGNALED(statuses[0]));
    assert_int_equal(WTERMSIG(statuses[0]), SIGKILL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_that_end_at_once_are_announced_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_signal_is_told_and_a_stop_is_no_end, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
