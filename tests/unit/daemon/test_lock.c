#include "daemon/lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define STARTERS 50

static char folder[] = "/tmp/baton-lock-XXXXXX";
static char path[64];

static int set_up(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/daemon.pid", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int number_in_file(void) {
    int number = -1;
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &number), 1);
    fclose(file);
    return number;
}

/* Another process that takes the lock and keeps it until it is killed; returns once it has it. */
static pid_t start_holder(void) {
    struct lock lock;
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (lock_take(&lock, path, NULL) < 0 || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void end_holder(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_the_holder_is_known(void **state) {
    pid_t holder = -1;
    struct stat status;
    struct lock lock;
    pid_t pid;

    (void)state;
    assert_int_equal(lock_holder(path, &holder), UV_ESRCH);
    pid = start_holder();
    assert_int_equal(lock_holder(path, &holder), 0);
    assert_int_equal(holder, pid);
    assert_int_equal(number_in_file(), pid);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    holder = -1;
    assert_int_equal(lock_take(&lock, path, &holder), UV_EEXIST);
    assert_int_equal(holder, pid);
    assert_int_equal(lock.descriptor, -1);
    lock_release(&lock, path); /* not taken: nothing happens */
    assert_int_equal(lock_holder(path, &holder), 0);
    end_holder(pid);
}

static void test_a_file_left_behind_stops_nobody(void **state) {
    pid_t pid = start_holder();
    pid_t holder;
    struct lock lock;

    (void)state;
    end_holder(pid);
    assert_int_equal(number_in_file(), pid);
    assert_int_equal(lock_holder(path, &holder), UV_ESRCH);
    assert_int_equal(lock_take(&lock, path, NULL), 0);
    assert_int_equal(number_in_file(), getpid());
    lock_release(&lock, path);
    assert_int_equal(access(path, F_OK), -1);
}

/* Whatever the file says, the kernel says who it is. */
static void test_the_number_alone_is_not_trusted(void **state) {
    pid_t pid = start_holder();
    pid_t holder = -1;
    FILE *file = fopen(path, "we");

    (void)state;
    fprintf(file, "1\n");
    fclose(file);
    assert_int_equal(lock_holder(path, &holder), 0);
    assert_int_equal(holder, pid);
    end_holder(pid);
    assert_int_equal(lock_holder(path, &holder), UV_ESRCH);
}

static void test_another_descriptor_of_the_file_does_not_lose_the_lock(void **state) {
    struct lock lock;
    struct lock other;
    pid_t pid;
    int status;

    (void)state;
    assert_int_equal(lock_take(&lock, path, NULL), 0);
    assert_int_equal(number_in_file(), getpid()); /* opens and closes it */
    pid = fork();
    if (pid == 0)
        _exit(lock_take(&other, path, NULL) == UV_EEXIST ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    lock_release(&lock, path);
}

static void test_a_new_file_of_that_name_is_not_removed(void **state) {
    struct lock lock;
    pid_t holder;
    pid_t pid;

    (void)state;
    assert_int_equal(lock_take(&lock, path, NULL), 0);
    unlink(path);
    pid = start_holder();
    lock_release(&lock, path);
    assert_int_equal(lock_holder(path, &holder), 0);
    assert_int_equal(holder, pid);
    end_holder(pid);
}

static void test_what_is_no_lock_file_is_refused(void **state) {
    char target[64];
    struct lock lock;
    pid_t holder;

    (void)state;
    snprintf(target, sizeof target, "%s/target", folder);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(lock_take(&lock, path, NULL), UV_ELOOP);
    assert_int_equal(access(target, F_OK), -1);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(lock_take(&lock, path, NULL), UV_EISDIR);
    rmdir(path);
    snprintf(target, sizeof target, "%s/none/daemon.pid", folder);
    assert_int_equal(lock_take(&lock, target, NULL), UV_ENOENT);
    assert_int_equal(lock_holder(target, &holder), UV_ESRCH);
}

struct race {
    volatile int go;
    volatile int holders; /* at this moment */
    volatile int most;
    volatile int taken;
};

/* Takes the lock as often as it can; counts how many have it at once. */
static void race_for_it(struct race *race, int rounds) {
    struct lock lock;

    while (!race->go)
        usleep(100);
    while (rounds-- > 0) {
        int result = lock_take(&lock, path, NULL);
        int now;

        if (result == UV_EEXIST)
            continue;
        if (result < 0)
            _exit(1);
        now = __atomic_add_fetch(&race->holders, 1, __ATOMIC_SEQ_CST);
        if (now > race->most)
            race->most = now;
        __atomic_add_fetch(&race->taken, 1, __ATOMIC_SEQ_CST);
        usleep(100);
        __atomic_sub_fetch(&race->holders, 1, __ATOMIC_SEQ_CST);
        lock_release(&lock, path);
    }
    _exit(0);
}

static struct race *run_race(void (*run)(struct race *race)) {
    struct race *race =
        mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[STARTERS];
    int status;

    assert_ptr_not_equal(race, MAP_FAILED);
    for (int i = 0; i < STARTERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            run(race);
    }
    race->go = 1;
    for (int i = 0; i < STARTERS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    return race;
}

static void start_once(struct race *race) {
    struct lock lock;

    while (!race->go)
        usleep(100);
    if (lock_take(&lock, path, NULL) < 0) {
        __atomic_add_fetch(&race->most, 1, __ATOMIC_SEQ_CST);
        _exit(0);
    }
    __atomic_add_fetch(&race->taken, 1, __ATOMIC_SEQ_CST);
    while (race->most < STARTERS - 1) /* a daemon stays until all others have given up */
        usleep(1000);
    _exit(0);
}

static void test_of_fifty_starters_one_stays(void **state) {
    struct race *race = run_race(start_once);

    (void)state;
    assert_int_equal(race->taken, 1);
    munmap(race, sizeof *race);
}

static void come_and_go(struct race *race) {
    race_for_it(race, 200);
}

/* The file is removed at each release, in the middle of others that open it. */
static void test_there_are_never_two_however_they_come_and_go(void **state) {
    struct race *race = run_race(come_and_go);

    (void)state;
    assert_int_equal(race->most, 1);
    assert_true(race->taken >= 1);
    munmap(race, sizeof *race);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_holder_is_known),
        TEST(a_file_left_behind_stops_nobody),
        TEST(the_number_alone_is_not_trusted),
        TEST(another_descriptor_of_the_file_does_not_lose_the_lock),
        TEST(a_new_file_of_that_name_is_not_removed),
        TEST(what_is_no_lock_file_is_refused),
        TEST(of_fifty_starters_one_stays),
        TEST(there_are_never_two_however_they_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
