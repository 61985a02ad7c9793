#include "daemon/survivors.h"

#include "daemon/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static char home[] = "/tmp/baton-survivors-XXXXXX";
static pid_t worker;

/* Of this run: those of another one at the same time are no survivors of ours. */
static char token[WORKER_NOTE_TOKEN_MAX];

static const char *note_path(const char *name) {
    static char path[128];

    snprintf(path, sizeof path, "%s/workers/%s", home, name);
    return path;
}

/* Leaves a note of itself. */
static void work(void) {
    struct worker_note note = {
        .kill_signal = SIGINT, .kill_timeout_ms = 1600, .treekill = true, .listens = true};
    char text[WORKER_NOTE_MAX];
    char path[128];

    memcpy(note.token, token, sizeof note.token);
    worker_note_boot(note.boot);
    worker_note_print(&note, text);
    snprintf(path, sizeof path, "%s/workers", home);
    worker_note_write(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), token, text);
    kill(getppid(), SIGUSR1);
    for (;;)
        pause();
}

static int start_worker(void) {
    sigset_t noted;
    int number;

    sigemptyset(&noted);
    sigaddset(&noted, SIGUSR1);
    sigprocmask(SIG_BLOCK, &noted, NULL);
    worker = fork();
    if (worker == 0)
        work();
    return worker < 0 || sigwait(&noted, &number) != 0 ? -1 : 0;
}

static int set_up(void **state) {
    char error[HOME_ERROR_MAX];

    (void)state;
    strcpy(home + strlen(home) - 6, "XXXXXX");
    if (!mkdtemp(home) || home_create(home, error) < 0)
        return -1;
    return start_worker();
}

static void end_worker(void) {
    if (worker > 0) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    worker = -1;
}

static int tear_down(void **state) {
    char command[64];

    (void)state;
    end_worker();
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command); /* the name is mkdtemp's */
}

static void put(const char *name, const void *bytes, size_t length) {
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/workers/%s", home, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static size_t count(void) {
    struct survivors survivors;
    size_t found;

    assert_int_equal(survivors_find(&survivors, home), 0);
    found = survivors.count;
    survivors_clear(&survivors);
    return found;
}

/* The note of the living worker, with another number, tick or boot. */
static void put_note(pid_t pid, uint64_t started, const char *boot) {
    struct worker_note note = {.kill_signal = SIGINT};
    char text[WORKER_NOTE_MAX + 256];
    size_t length;

    memcpy(note.token, token, sizeof note.token);
    worker_note_boot(note.boot);
    if (boot)
        snprintf(note.boot, sizeof note.boot, "%s", boot);
    worker_note_print(&note, text);
    length = strlen(text);
    snprintf(text + length, sizeof text - length,
             "%d (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0", (int)pid,
             (unsigned long long)started);
    put(token, text, strlen(text));
}

static bool has_note(void) {
    return access(note_path(token), F_OK) == 0;
}

static void test_a_living_worker_is_found(void **state) {
    struct survivors survivors;

    (void)state;
    assert_int_equal(survivors_find(&survivors, home), 0);
    assert_int_equal(survivors.count, 1);
    assert_int_equal(survivors.items[0].pid, worker);
    assert_int_equal(survivors.items[0].kill_timeout_ms, 1600);
    assert_true(survivors.items[0].treekill);
    assert_true(survivors.items[0].listens);
    survivors_clear(&survivors);
    assert_int_equal(count(), 1); /* until its note is removed */
    assert_int_equal(unlink(note_path(token)), 0);
    assert_int_equal(count(), 0);
}

static void test_a_worker_that_has_ended_is_not(void **state) {
    (void)state;
    kill(worker, SIGKILL);
    waitid(P_PID, (id_t)worker, NULL, WEXITED | WNOWAIT);
    assert_int_equal(count(), 0); /* a zombie */
    assert_false(has_note());
}

/* The number is there, but not the process. */
static void test_a_number_that_is_anothers_now_is_not(void **state) {
    uint64_t started = 0;

    (void)state;
    assert_int_equal(worker_note_started(worker, &started), 0);
    put_note(worker, started, NULL);
    assert_int_equal(count(), 1);
    put_note(worker, started + 1, NULL);
    assert_int_equal(count(), 0);
    assert_false(has_note());
    put_note(worker, started, "00000000-0000-0000-0000-000000000000");
    assert_int_equal(count(), 0);
    assert_false(has_note());
    put_note(1, started, NULL);
    assert_int_equal(count(), 0);
}

/* In a process with the token in its environment. */
static pid_t start_with_token(const char *variable, const char *value) {
    char first[] = "A=1";
    char second[80];
    char *const environment[] = {first, second, NULL};
    pid_t pid;

    snprintf(second, sizeof second, "%s=%s", variable, value);
    pid = vfork();
    if (pid == 0) {
        setsid();
        execle("/bin/sleep", "sleep", "1000", NULL, environment);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static void end_process(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Also when the worker itself has ended. */
static void test_what_it_has_started_is_found(void **state) {
    pid_t own = start_with_token("BATON_TOKEN", token);
    pid_t anothers = start_with_token("BATON_TOKEN", "00112233445566778899aabbccddeef0");
    pid_t not_its = start_with_token("X_BATON_TOKEN", token);
    struct survivors survivors;

    (void)state;
    assert_int_equal(count(), 2);
    end_worker();
    assert_int_equal(survivors_find(&survivors, home), 0);
    assert_int_equal(survivors.count, 1);
    assert_int_equal(survivors.items[0].pid, own);
    assert_int_equal(survivors.items[0].kill_timeout_ms, 1600);
    survivors_clear(&survivors);
    assert_true(has_note());
    end_process(own);
    assert_int_equal(count(), 0);
    assert_false(has_note());
    end_process(anothers);
    end_process(not_its);
}

static void test_rubbish_is_removed(void **state) {
    char bytes[10000];

    (void)state;
    put(token, "", 0);
    assert_int_equal(count(), 0);
    assert_false(has_note());
    memset(bytes, 0xff, sizeof bytes);
    put(token, bytes, sizeof bytes);
    assert_int_equal(count(), 0);
    put("README", "x", 1); /* whatever else is there stays */
    assert_int_equal(count(), 0);
    assert_int_equal(symlink("/dev/zero", note_path(token)), 0);
    assert_int_equal(count(), 0);
    assert_int_equal(access(note_path("README"), F_OK), 0);
}

static void test_there_is_no_such_home(void **state) {
    struct survivors survivors;

    (void)state;
    assert_int_equal(survivors_find(&survivors, "/nowhere"), UV_ENOENT);
    assert_int_equal(survivors.count, 0);
    survivors_clear(&survivors);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_living_worker_is_found),
        TEST(a_worker_that_has_ended_is_not),
        TEST(a_number_that_is_anothers_now_is_not),
        TEST(what_it_has_started_is_found),
        TEST(rubbish_is_removed),
        TEST(there_is_no_such_home),
    };

    snprintf(token, sizeof token, "%032x", (unsigned)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
