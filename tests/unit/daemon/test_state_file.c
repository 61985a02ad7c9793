#include "daemon/state_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static char folder[] = "/tmp/baton-state-XXXXXX";
static char path[64];
static char error[STATE_FILE_ERROR_MAX];

/* The fault rig: the calls by which a file is written, with one of them made to fail, or to be the
 * last thing that this process does. They stand in for libc's. */
static struct {
    int countdown; /* the call in which it happens; 0: never */
    int number;    /* the error; 0: the process is killed before the call */
    int half;      /* a write takes half of its bytes first */
    int calls;     /* so far */
    int no_links;  /* link(2) always fails with this */
} fault;

static int strikes(void) {
    fault.calls++;
    if (fault.countdown == 0 || --fault.countdown > 0)
        return 0;
    if (fault.number == 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = fault.number;
    return 1;
}

/* NOLINTBEGIN: these have libc's prototypes. */
ssize_t write(int descriptor, const void *bytes, size_t length) {
    if (fault.half && fault.countdown == 1)
        syscall(SYS_write, descriptor, bytes, length / 2);
    return strikes() ? -1 : syscall(SYS_write, descriptor, bytes, length);
}

int fsync(int descriptor) {
    return strikes() ? -1 : (int)syscall(SYS_fsync, descriptor);
}

int fchmod(int descriptor, mode_t mode) {
    return strikes() ? -1 : (int)syscall(SYS_fchmod, descriptor, mode);
}

int link(const char *from, const char *to) {
    if (fault.no_links) {
        errno = fault.no_links;
        return -1;
    }
    return strikes() ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int rename(const char *from, const char *to) {
    return strikes() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *name) {
    return strikes() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
}
/* NOLINTEND */

static int set_up(void **state) {
    (void)state;
    memset(&fault, 0, sizeof fault);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/dump.json", folder);
    return 0;
}

static int tear_down(void **state) {
    char command[64];

    (void)state;
    memset(&fault, 0, sizeof fault);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* the name is mkdtemp's */
}

static const char *beside(const char *suffix) {
    static char name[96];

    snprintf(name, sizeof name, "%s%s", path, suffix);
    return name;
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(name, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A list of one app of this name, long enough for several pages. */
static json_t *list_of(const char *name) {
    char filler[10000];

    memset(filler, 'x', sizeof filler);
    return json_pack("[{s:s, s:s#}]", "name", name, "filler", filler, (int)sizeof filler);
}

/* Without knowledge of the file, as a daemon writes for the first time. */
static int write_value(const json_t *value, bool force) {
    struct state_file_known known = {.whole = false};
    struct state_file_content content;
    int result;

    assert_int_equal(state_file_print(&content, value, force), 0);
    result = state_file_write(path, &content, &known);
    state_file_content_clear(&content);
    return result;
}

static int save(const char *name) {
    json_t *list = list_of(name);
    int result = write_value(list, false);

    json_decref(list);
    return result;
}

static int save_text(const char *text, bool force) {
    json_t *value = json_loads(text, 0, NULL);
    int result = write_value(value, force);

    json_decref(value);
    return result;
}

/* The name of the one app that is read back, "" for none, and where it came from. */
static const char *read_name(enum state_file_source *ret_source) {
    static char name[32];
    json_t *list = NULL;

    assert_int_equal(state_file_read(path, &list, ret_source, error), 0);
    snprintf(name, sizeof name, "%s",
             json_array_size(list) == 1
                 ? json_string_value(json_object_get(json_array_get(list, 0), "name"))
                 : "");
    json_decref(list);
    return name;
}

static void assert_reads(const char *name, enum state_file_source expected) {
    enum state_file_source source = STATE_FILE_NOTHING;

    assert_string_equal(read_name(&source), name);
    assert_int_equal(source, expected);
}

static void test_nothing_is_there(void **state) {
    enum state_file_source source;
    json_t *value;

    (void)state;
    assert_int_equal(state_file_read(path, &value, &source, error), 0);
    assert_int_equal(source, STATE_FILE_NOTHING);
    assert_null(value);
    assert_string_equal(error, "");
}

static void test_what_is_written_is_read_and_the_previous_kept(void **state) {
    struct stat status;

    (void)state;
    umask(0);
    assert_int_equal(save("one"), 0);
    assert_reads("one", STATE_FILE_ITSELF);
    assert_int_equal(access(beside(".bak"), F_OK), -1);
    assert_int_equal(save("two"), 0);
    assert_int_equal(save("three"), 0);
    assert_reads("three", STATE_FILE_ITSELF);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(beside(".bak"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(access(beside(".new"), F_OK), -1);
    assert_int_equal(access(beside(".next"), F_OK), -1);
    unlink(path);
    assert_reads("two", STATE_FILE_COPY);
    assert_string_equal(error, "");
}

static void test_a_broken_file_is_named_and_its_copy_read(void **state) {
    (void)state;
    assert_int_equal(save("one"), 0);
    assert_int_equal(save("two"), 0);
    put(path, "[{\n\"name\": \"thr");
    assert_reads("one", STATE_FILE_COPY);
    assert_non_null(strstr(error, "dump.json is broken in line 2"));
    put(path, "");
    assert_reads("one", STATE_FILE_COPY);
}

/* Somebody's edit with a comma too much is not thrown away, and does not become the copy. */
static void test_a_broken_file_is_kept_when_it_is_replaced(void **state) {
    struct stat status;

    (void)state;
    assert_int_equal(save("one"), 0);
    assert_int_equal(save("two"), 0);
    put(path, "[,]");
    assert_int_equal(save("three"), 0);
    assert_reads("three", STATE_FILE_ITSELF);
    assert_int_equal(stat(beside(".broken"), &status), 0);
    assert_int_equal(status.st_size, 3);
    unlink(path);
    assert_reads("one", STATE_FILE_COPY);
}

static void test_both_broken_is_an_error(void **state) {
    enum state_file_source source;
    json_t *value;

    (void)state;
    put(path, "{");
    assert_int_equal(state_file_read(path, &value, &source, error), UV_EINVAL);
    assert_non_null(strstr(error, "dump.json is broken"));
    assert_non_null(strstr(error, "no copy of it"));
    put(beside(".bak"), "{");
    assert_int_equal(state_file_read(path, &value, &source, error), UV_EINVAL);
    unlink(path);
    assert_int_equal(state_file_read(path, &value, &source, error), UV_EINVAL);
    assert_non_null(strstr(error, "dump.json.bak is broken"));
}

static void test_nothing_does_not_replace_something(void **state) {
    (void)state;
    assert_int_equal(save_text("[]", false), 0); /* there was nothing */
    assert_int_equal(save("one"), 0);
    assert_int_equal(save_text("[]", false), UV_ENOTEMPTY);
    assert_int_equal(save_text("{}", false), UV_ENOTEMPTY);
    assert_reads("one", STATE_FILE_ITSELF);
    put(path, "what is this"); /* it may have been a list */
    unlink(beside(".bak"));
    assert_int_equal(save_text("[]", false), UV_ENOTEMPTY);
    assert_int_equal(save("one"), 0);
    assert_int_equal(save_text("[]", true), 0);
    assert_reads("", STATE_FILE_ITSELF);
    unlink(path);
    assert_reads("one", STATE_FILE_COPY);
    assert_int_equal(save_text("[]", false), UV_ENOTEMPTY); /* the copy stands in for it */
}

static void test_everything_is_removed(void **state) {
    (void)state;
    assert_int_equal(save("one"), 0);
    assert_int_equal(save("two"), 0);
    put(beside(".new"), "[");
    assert_int_equal(state_file_remove(path), 0);
    assert_int_equal(state_file_remove(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void test_what_is_in_the_way(void **state) {
    enum state_file_source source;
    json_t *value;

    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(state_file_read(path, &value, &source, error), UV_EINVAL);
    assert_int_equal(save("one"), 0); /* it is put aside */
    assert_int_equal(rmdir(beside(".broken")), 0);
    assert_int_equal(symlink("/nowhere/else", beside(".new")), 0);
    assert_int_equal(save("one"), UV_ELOOP); /* is not written through */
    unlink(beside(".new"));
    snprintf(path, sizeof path, "%s/none/dump.json", folder);
    assert_int_equal(save("one"), UV_ENOENT);
}

/* How many calls a write with all its steps makes. */
static int count_calls(void) {
    assert_int_equal(save("one"), 0);
    assert_int_equal(save("two"), 0);
    fault.calls = 0;
    assert_int_equal(save("three"), 0);
    return fault.calls;
}

static void begin_again(void) {
    memset(&fault, 0, sizeof fault);
    state_file_remove(path);
    assert_int_equal(save("one"), 0);
    assert_int_equal(save("two"), 0);
}

/* The file is whole, the old one or the new one, and the next write works. */
static void assert_whole(bool may_be_new) {
    enum state_file_source source;
    const char *name = read_name(&source);

    assert_int_equal(source, STATE_FILE_ITSELF);
    if (strcmp(name, "two") != 0) {
        assert_true(may_be_new);
        assert_string_equal(name, "three");
    }
    assert_int_equal(save("four"), 0);
    assert_reads("four", STATE_FILE_ITSELF);
    assert_int_equal(access(beside(".new"), F_OK), -1);
    assert_int_equal(access(beside(".next"), F_OK), -1);
    unlink(path);
    assert_int_not_equal(read_name(&source)[0], '\0'); /* the copy is whole, too */
}

static void die_in_call(int number, int half) {
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        fault.countdown = number;
        fault.half = half;
        save("three");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_a_crash_at_any_step_leaves_a_whole_file(void **state) {
    int calls = count_calls();

    (void)state;
    assert_in_range(calls, 8, 100);
    for (int number = 1; number <= calls; number++)
        for (int half = 0; half < 2; half++) {
            begin_again();
            die_in_call(number, half);
            assert_whole(true);
        }
}

static void test_a_failure_of_any_step_leaves_the_old_file(void **state) {
    static const int numbers[] = {EIO, ENOSPC, EPERM, EINTR, EDQUOT};
    int calls = count_calls();
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        for (int number = 1; number <= calls; number++) {
            int result;

            begin_again();
            fault.countdown = number;
            fault.number = numbers[i];
            fault.half = i == 1;
            result = save("three");
            memset(&fault, 0, sizeof fault);
            failed += result < 0;
            if (result == 0)
                assert_reads("three", STATE_FILE_ITSELF);
            assert_whole(result == 0 || number == calls); /* the last: the directory's fsync */
        }
    assert_true(failed > 20);
}

/* A file system without second names. */
static void test_where_there_are_no_links(void **state) {
    (void)state;
    fault.no_links = EPERM;
    assert_int_equal(save("one"), 0);
    assert_int_equal(save("two"), 0);
    assert_int_equal(save("three"), 0);
    assert_reads("three", STATE_FILE_ITSELF);
    unlink(path);
    assert_reads("two", STATE_FILE_COPY);
    assert_int_equal(save("three"), 0);
    fault.no_links = EMLINK; /* another reason is no reason to take the file away */
    assert_int_equal(save("four"), UV_EMLINK);
    assert_reads("three", STATE_FILE_ITSELF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_there),
        TEST(what_is_written_is_read_and_the_previous_kept),
        TEST(a_broken_file_is_named_and_its_copy_read),
        TEST(a_broken_file_is_kept_when_it_is_replaced),
        TEST(both_broken_is_an_error),
        TEST(nothing_does_not_replace_something),
        TEST(everything_is_removed),
        TEST(what_is_in_the_way),
        TEST(a_crash_at_any_step_leaves_a_whole_file),
        TEST(a_failure_of_any_step_leaves_the_old_file),
        TEST(where_there_are_no_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
