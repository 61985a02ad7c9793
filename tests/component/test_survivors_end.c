#include "daemon/home.h"
#include "daemon/survivors.h"
#include "master/worker_note.h"

#include "component/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 20

static char home[] = "/tmp/baton-survivors-XXXXXX";
static struct survivors_end ending;
static struct survivors survivors;
static pid_t workers[WORKERS_MAX];
static unsigned worker_count;
static bool done;
static bool closed;
static size_t failed;

/* What the processes say, for all to see. */
static struct {
    _Atomic int interrupts; /* several may have theirs at the same time */
    volatile pid_t member;
    volatile bool may_end; /* the member */
} * shared;

static void on_done(void *owner, size_t count) {
    assert_ptr_equal(owner, &ending);
    assert_false(done);
    done = true;
    failed = count;
}

static void on_closed(void *owner) {
    (void)owner;
    closed = true;
}

static int set_up(void **state) {
    char error[HOME_ERROR_MAX];

    strcpy(home + strlen(home) - 6, "XXXXXX");
    if (!mkdtemp(home) || home_create(home, error) < 0)
        return -1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    done = closed = false;
    failed = 0;
    worker_count = 0;
    return loop_set_up(state);
}

static int tear_down(void **state) {
    char command[64];

    for (unsigned i = 0; i < worker_count; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    survivors_clear(&survivors);
    munmap(shared, sizeof *shared);
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command) != 0 ? -1 : loop_tear_down(state); /* the name is mkdtemp's */
}

static void on_interrupt(int number) {
    (void)number;
    shared->interrupts++;
}

static void sleep_for_ever(void) {
    for (;;)
        pause();
}

/* Counts SIGINT and ends 50 ms after it. */
static void polite(void) {
    sigset_t interrupt;
    sigset_t none;

    sigemptyset(&none);
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, NULL); /* until it is waited for */
    signal(SIGINT, on_interrupt);
    kill(getppid(), SIGUSR1);
    sigsuspend(&none);
    usleep(50000);
    _exit(0);
}

static void deaf(void) {
    signal(SIGINT, SIG_IGN);
    kill(getppid(), SIGUSR1);
    sleep_for_ever();
}

/* Ends at once and leaves a member of its session to finish, as a shell does. */
static void shell(void) {
    pid_t parent = getppid();

    if (fork() == 0) {
        shared->member = getpid();
        signal(SIGINT, on_interrupt);
        kill(parent, SIGUSR1);
        while (!shared->may_end)
            usleep(10000);
        _exit(0);
    }
    sleep_for_ever();
}

/* Leaves a member that does not hear. */
static void shell_of_the_deaf(void) {
    pid_t parent = getppid();

    if (fork() == 0) {
        shared->member = getpid();
        signal(SIGINT, SIG_IGN);
        kill(parent, SIGUSR1);
        sleep_for_ever();
    }
    sleep_for_ever();
}

static char *path_of(unsigned number) {
    static char path[128];

    snprintf(path, sizeof path, "%s/workers/%032x", home, number);
    return path;
}

/* Its number is its token. */
static void leave_note(unsigned number, const struct worker_note *note) {
    char directory[128];
    char text[WORKER_NOTE_MAX];
    struct worker_note whole = *note;

    worker_note_boot(whole.boot);
    snprintf(whole.token, sizeof whole.token, "%032x", number);
    worker_note_print(&whole, text);
    snprintf(directory, sizeof directory, "%s/workers", home);
    worker_note_write(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), whole.token, text);
}

/* A worker: the leader of a session. Returns when it says that it has started. */
static pid_t start_noted(void (*run)(void), const struct worker_note *note) {
    sigset_t started;
    sigset_t before;
    int number;
    pid_t pid;

    sigemptyset(&started);
    sigaddset(&started, SIGUSR1);
    sigprocmask(SIG_BLOCK, &started, &before);
    pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        setsid();
        leave_note(worker_count, note);
        run();
        _exit(0);
    }
    sigwait(&started, &number);
    sigprocmask(SIG_SETMASK, &before, NULL);
    workers[worker_count++] = pid;
    return pid;
}

static pid_t start_worker(void (*run)(void), uint64_t kill_timeout_ms, bool treekill) {
    return start_noted(run, &(struct worker_note){.kill_signal = SIGINT,
                                                  .kill_timeout_ms = kill_timeout_ms,
                                                  .treekill = treekill});
}

static int try_to_start(void) {
    const struct survivors_end_options options = {
        .loop = &loop, .home = home, .survivors = &survivors, .on_done = on_done, .owner = &ending};

    return survivors_end_start(&ending, &options);
}

static void start_sparing(void) {
    assert_int_equal(survivors_find(&survivors, home), 0);
    assert_int_equal(try_to_start(), 0);
    assert_false(done); /* always later */
}

static void start_ending(void) {
    start_sparing();
    survivors_end_rest(&ending);
}

static void stop(void) {
    survivors_end_close(&ending, on_closed);
    LOOP_UNTIL(closed);
}

static bool has_note(unsigned number) {
    return access(path_of(number), F_OK) == 0;
}

static int status_of(pid_t pid) {
    int status = -1;

    assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
    return status;
}

static void test_nobody_is_there(void **state) {
    (void)state;
    start_ending();
    LOOP_UNTIL(done);
    assert_int_equal(failed, 0);
    stop();
}

static void test_they_are_asked_once_and_waited_for(void **state) {
    pid_t pids[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        pids[i] = start_worker(polite, 60000, true);
    start_ending();
    LOOP_UNTIL(done);
    assert_int_equal(failed, 0);
    assert_int_equal(shared->interrupts, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(status_of(pids[i]), 0); /* by itself */
        assert_false(has_note((unsigned)i));
    }
    stop();
}

static void test_who_does_not_hear_is_killed(void **state) {
    pid_t pid = start_worker(deaf, 50, true);

    (void)state;
    start_ending();
    LOOP_UNTIL(done);
    assert_int_equal(failed, 0);
    assert_int_equal(WTERMSIG(status_of(pid)), SIGKILL);
    assert_false(has_note(0));
    stop();
}

static bool lives(pid_t pid) {
    uint64_t started;

    return worker_note_started(pid, &started) == 0;
}

/* The shell ends at the signal; what it ran is not cut off. */
static void test_the_rest_of_the_session_may_finish(void **state) {
    pid_t pid = start_worker(shell, 60000, true);

    (void)state;
    start_ending();
    LOOP_UNTIL(!lives(pid));
    assert_true(lives(shared->member));
    LOOP_UNTIL(shared->interrupts > 0);
    assert_false(done);
    shared->may_end = true;
    LOOP_UNTIL(done);
    assert_false(lives(shared->member));
    assert_int_equal(shared->interrupts, 1);
    assert_int_equal(failed, 0);
    stop();
}

static void test_the_rest_of_the_session_is_killed(void **state) {
    start_worker(shell_of_the_deaf, 50, true);

    (void)state;
    start_ending();
    LOOP_UNTIL(done);
    assert_int_equal(failed, 0);
    LOOP_UNTIL(!lives(shared->member));
    stop();
}

static void test_without_treekill_only_the_worker_is_ended(void **state) {
    pid_t pid = start_worker(shell_of_the_deaf, 60000, false);

    (void)state;
    start_ending();
    LOOP_UNTIL(done);
    assert_int_equal(WTERMSIG(status_of(pid)), SIGINT);
    assert_true(lives(shared->member));
    kill(shared->member, SIGKILL);
    LOOP_UNTIL(!lives(shared->member));
    stop();
}

/* Between the finding and the ending its number was given to another process. */
static void test_a_stranger_of_that_number_is_left_alone(void **state) {
    pid_t pid = start_worker(polite, 0, true);

    (void)state;
    assert_int_equal(survivors_find(&survivors, home), 0);
    survivors.items[0].started--;
    assert_int_equal(try_to_start(), 0);
    survivors_end_rest(&ending);
    LOOP_UNTIL(done);
    assert_int_equal(failed, 0);
    assert_true(lives(pid));
    assert_int_equal(shared->interrupts, 0);
    assert_false(has_note(0));
    stop();
}

/* Whoever listens by itself makes room for its successor, the others serve until that does. */
static void test_the_others_are_spared_until_they_may_end(void **state) {
    pid_t spared = start_worker(polite, 60000, true);
    pid_t listens = start_noted(polite, &(struct worker_note){.kill_signal = SIGINT,
                                                              .kill_timeout_ms = 60000,
                                                              .treekill = true,
                                                              .listens = true});

    (void)state;
    start_sparing();
    LOOP_UNTIL(!lives(listens));
    loop_run(200);
    assert_true(lives(spared));
    assert_int_equal(shared->interrupts, 1);
    assert_false(done);
    assert_true(has_note(0));
    survivors_end_rest(&ending);
    survivors_end_rest(&ending);
    LOOP_UNTIL(done);
    assert_int_equal(status_of(spared), 0);
    assert_int_equal(shared->interrupts, 2);
    stop();
}

/* One that fills its pipe, which nobody reads, and cannot hear before it has written all. */
static void talker(void) {
    static const char bytes[200000];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDOUT_FILENO);
    signal(SIGINT, SIG_IGN);
    kill(getppid(), SIGUSR1);
    if (write(STDOUT_FILENO, bytes, sizeof bytes) == sizeof bytes)
        _exit(7);
    _exit(1);
}

static void test_what_they_print_is_read(void **state) {
    pid_t pid = start_worker(talker, 60000, true);

    (void)state;
    start_sparing();
    LOOP_UNTIL(!lives(pid));
    assert_int_equal(WEXITSTATUS(status_of(pid)), 7);
    LOOP_UNTIL(done);
    stop();
}

static void test_closed_before_the_end(void **state) {
    pid_t pid = start_worker(deaf, 60000, true);

    (void)state;
    start_ending();
    loop_run(50);
    assert_false(done);
    stop();
    assert_false(done);
    assert_true(lives(pid));
    assert_true(has_note(0)); /* for the next daemon */
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_there),
        TEST(they_are_asked_once_and_waited_for),
        TEST(who_does_not_hear_is_killed),
        TEST(the_rest_of_the_session_may_finish),
        TEST(the_rest_of_the_session_is_killed),
        TEST(without_treekill_only_the_worker_is_ended),
        TEST(a_stranger_of_that_number_is_left_alone),
        TEST(the_others_are_spared_until_they_may_end),
        TEST(what_they_print_is_read),
        TEST(closed_before_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
