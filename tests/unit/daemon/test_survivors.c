#include "daemon/survivors.h"

#include "daemon/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static char home[] = "/tmp/baton-survivors-XXXXXX";
static pid_t worker;

static int set_up(void **state) {
    char error[HOME_ERROR_MAX];

    (void)state;
    strcpy(home + strlen(home) - 6, "XXXXXX");
    if (!mkdtemp(home) || home_create(home, error) < 0)
        return -1;
    worker = fork();
    if (worker == 0)
        for (;;)
            pause();
    return worker < 0 ? -1 : 0;
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

static const char *record_of(pid_t pid) {
    static char path[128];

    snprintf(path, sizeof path, "%s/workers/%d", home, (int)pid);
    return path;
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

static void note(void) {
    char name[] = "a b\nc";
    struct survivor survivor = {
        .pid = worker, .kill_timeout_ms = 1600, .treekill = true, .id = 7, .name = name};

    assert_int_equal(survivor_note(home, &survivor), 0);
}

static size_t count(void) {
    struct survivors survivors;
    size_t found;

    assert_int_equal(survivors_find(&survivors, home), 0);
    found = survivors.count;
    survivors_clear(&survivors);
    return found;
}

/* The record of the living worker, changed. */
static void put_record(uint64_t later, const char *boot, pid_t pid) {
    char text[SURVIVOR_TEXT_MAX];
    struct survivors survivors;
    struct survivor changed;
    char name[16];

    note();
    assert_int_equal(survivors_find(&survivors, home), 0);
    assert_int_equal(survivors.count, 1);
    changed = survivors.items[0];
    changed.started += later;
    changed.pid = pid;
    if (boot)
        snprintf(changed.boot, sizeof changed.boot, "%s", boot);
    assert_int_equal(survivor_print(&changed, text), 0);
    survivors_clear(&survivors);
    snprintf(name, sizeof name, "%d", (int)worker);
    put(name, text, strlen(text));
}

static void test_a_living_worker_is_found(void **state) {
    struct survivors survivors;

    (void)state;
    assert_int_equal(count(), 0);
    note();
    assert_int_equal(survivors_find(&survivors, home), 0);
    assert_int_equal(survivors.count, 1);
    assert_int_equal(survivors.items[0].pid, worker);
    assert_int_equal(survivors.items[0].kill_timeout_ms, 1600);
    assert_int_equal(survivors.items[0].id, 7);
    assert_true(survivors.items[0].treekill);
    assert_string_equal(survivors.items[0].name, "a b\nc");
    survivors_clear(&survivors);
    assert_int_equal(count(), 1); /* until it is forgotten */
    survivor_forget(home, worker);
    assert_int_equal(count(), 0);
    survivor_forget(home, worker);
}

static void test_a_worker_that_has_ended_is_not(void **state) {
    pid_t pid = worker;

    (void)state;
    note();
    kill(worker, SIGKILL);
    waitid(P_PID, (id_t)worker, NULL, WEXITED | WNOWAIT);
    assert_int_equal(count(), 0); /* a zombie */
    assert_int_equal(access(record_of(pid), F_OK), -1);
    end_worker();
    assert_int_equal(survivor_note(home, &(struct survivor){.pid = pid}), UV_ESRCH);
}

/* The number is there, but not the process: one tick more, another boot, another number within. */
static void test_a_number_that_is_anothers_now_is_not(void **state) {
    (void)state;
    put_record(0, NULL, worker);
    assert_int_equal(count(), 1);
    put_record(1, NULL, worker);
    assert_int_equal(count(), 0);
    assert_int_equal(access(record_of(worker), F_OK), -1);
    put_record(0, "00000000-0000-0000-0000-000000000000", worker);
    assert_int_equal(count(), 0);
    put_record(0, NULL, getpid());
    assert_int_equal(count(), 0);
    assert_int_equal(kill(worker, 0), 0);
}

static void test_rubbish_is_removed(void **state) {
    char bytes[10000];
    char name[16];

    (void)state;
    snprintf(name, sizeof name, "%d", (int)worker);
    put(name, "", 0);
    assert_int_equal(count(), 0);
    assert_int_equal(access(record_of(worker), F_OK), -1);
    memset(bytes, 0xff, sizeof bytes);
    put(name, bytes, sizeof bytes);
    assert_int_equal(count(), 0);
    put("1", "1 1 x 1 1 1 init", 16);
    put("99999999999999999999", "x", 1);
    put("README", "x", 1); /* whatever else is there stays */
    assert_int_equal(count(), 0);
    assert_int_equal(symlink("/dev/zero", record_of(worker)), 0);
    assert_int_equal(count(), 0);
    snprintf(bytes, sizeof bytes, "%s/workers/README", home);
    assert_int_equal(access(bytes, F_OK), 0);
}

static void test_there_is_no_such_home(void **state) {
    struct survivors survivors;

    (void)state;
    assert_int_equal(survivors_find(&survivors, "/nowhere"), UV_ENOENT);
    assert_int_equal(survivors.count, 0);
    survivors_clear(&survivors);
}

static void test_records(void **state) {
    static const char *const wrong[] = {
        "",
        "x",
        "12",
        "12 5 boot 1600 1",
        "12 5 boot 1600 1 7",
        "12 5 boot 1600 2 7 name",
        "1 5 boot 1600 1 7 name",
        "-5 5 boot 1600 1 7 name",
        "12 5 0123456789012345678901234567890123456789 1600 1 7 name",
    };
    struct survivor survivor = {.pid = 0};
    char text[SURVIVOR_TEXT_MAX];
    char name[SURVIVOR_TEXT_MAX];

    (void)state;
    assert_int_equal(survivor_parse(&survivor, "12 5 boot 1600 1 7 a name"), 0);
    assert_int_equal(survivor.pid, 12);
    assert_int_equal(survivor.started, 5);
    assert_string_equal(survivor.boot, "boot");
    assert_string_equal(survivor.name, "a name");
    assert_int_equal(survivor_print(&survivor, text), 0);
    assert_string_equal(text, "12 5 boot 1600 1 7 a name");
    free(survivor.name);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(survivor_parse(&survivor, wrong[i]), UV_EINVAL);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    survivor.name = name;
    assert_int_equal(survivor_print(&survivor, text), UV_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_living_worker_is_found),
        TEST(a_worker_that_has_ended_is_not),
        TEST(a_number_that_is_anothers_now_is_not),
        TEST(rubbish_is_removed),
        TEST(there_is_no_such_home),
        cmocka_unit_test(test_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
