/* Time is the test's. Calls of the kernel can be made to fail. */
#include "daemon/log_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the kernel's calls, of the program under test --- */

struct fault {
    int error; /* 0: none */
    int after; /* so many calls succeed before */
};

static struct fault write_fault;
static struct fault open_fault;
static struct fault rename_fault;
static size_t write_most; /* bytes that one write takes; 0: all */

static bool fails(struct fault *fault) {
    if (fault->error == 0 || fault->after-- > 0)
        return false;
    fault->after = 0;
    errno = fault->error;
    return true;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    if (fails(&write_fault))
        return -1;
    if (write_most && length > write_most)
        length = write_most;
    return syscall(SYS_write, descriptor, bytes, length);
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (fails(&open_fault))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void (*before_rename)(void); /* once; NULL: nothing happens */

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    void (*happens)(void) = before_rename;

    before_rename = NULL;
    if (happens)
        happens();
    if (fails(&rename_fault))
        return -1;
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
}

/* --- the file --- */

static char directory[64];
static char path[256];
static struct log_file file;
static uint64_t now_ms;
static unsigned problems;
static struct log_problem last_problem;

static void on_problem(void *owner, const struct log_problem *problem) {
    assert_ptr_equal(owner, &file);
    assert_string_equal(problem->path, path);
    last_problem = *problem;
    problems++;
}

static int set_up(void **state) {
    (void)state;
    strcpy(directory, "/tmp/log_file.XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/a.log", directory);
    now_ms = 1000;
    problems = 0;
    write_fault = open_fault = rename_fault = (struct fault){0};
    write_most = 0;
    return 0;
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(name);
}

static int tear_down(void **state) {
    (void)state;
    write_fault = open_fault = rename_fault = (struct fault){0};
    if (file.path)
        log_file_clear(&file);
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void start(uint64_t max_size, uint32_t keep) {
    struct log_file_options options = {.path = path,
                                       .mode = 0640,
                                       .max_size = max_size,
                                       .keep = keep,
                                       .problem = on_problem,
                                       .owner = &file};

    assert_int_equal(log_file_init(&file, &options, now_ms), 0);
}

static void put(const char *text) {
    log_file_write(&file, text, strlen(text), now_ms);
}

/* What is in PATH and SUFFIX; the caller's to free, or NULL when there is no such file. */
static char *read_suffix(const char *suffix, size_t *ret_length) {
    char name[PATH_MAX];
    struct stat status;
    char *text;
    int descriptor;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    descriptor = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY, 0);
    if (descriptor < 0)
        return NULL;
    assert_int_equal(fstat(descriptor, &status), 0);
    text = malloc((size_t)status.st_size + 1);
    assert_non_null(text);
    assert_int_equal(read(descriptor, text, (size_t)status.st_size), status.st_size);
    text[status.st_size] = '\0';
    close(descriptor);
    *ret_length = (size_t)status.st_size;
    return text;
}

static void check(const char *suffix, const char *expected) {
    size_t length;
    char *text = read_suffix(suffix, &length);

    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void check_none(const char *suffix) {
    size_t length;

    assert_null(read_suffix(suffix, &length));
}

/* All files, the oldest first, in one. */
static char *read_all(uint32_t keep, size_t *ret_length) {
    char *all = calloc(1, 1);
    size_t length = 0;

    assert_non_null(all);
    for (uint32_t number = keep + 1; number-- > 0;) {
        char suffix[16] = "";
        char *text;
        size_t more;

        if (number > 0)
            snprintf(suffix, sizeof suffix, ".%u", number);
        text = read_suffix(suffix, &more);
        if (!text)
            continue;
        all = realloc(all, length + more + 1);
        assert_non_null(all);
        memcpy(all + length, text, more + 1);
        length += more;
        free(text);
    }
    *ret_length = length;
    return all;
}

/* --- appending --- */

static void test_bytes_are_appended_as_they_are(void **state) {
    size_t length;
    char *text;

    (void)state;
    start(0, 10);
    put("one\n");
    log_file_write(&file, "a\0b\xff\x1b\n", 6, now_ms);
    log_file_write(&file, "", 0, now_ms);
    put("no end");
    text = read_suffix("", &length);
    assert_int_equal(length, 16);
    assert_memory_equal(text, "one\na\0b\xff\x1b\nno end", 16);
    free(text);
    assert_int_equal(problems, 0);
}

static void test_what_is_there_stays(void **state) {
    (void)state;
    start(0, 10);
    put("before\n");
    log_file_clear(&file);
    start(0, 10);
    assert_int_equal(file.size, 7);
    put("after\n");
    check("", "before\nafter\n");
}

static void test_directories_are_made_for_us_alone(void **state) {
    char parent[PATH_MAX];
    struct stat status;

    (void)state;
    snprintf(parent, sizeof parent, "%s/x/y", directory);
    snprintf(path, sizeof path, "%s/x/y/a.log", directory);
    umask(0);
    start(0, 10);
    umask(022);
    assert_int_equal(stat(parent, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void test_it_is_not_the_workers(void **state) {
    (void)state;
    start(0, 10);
    assert_int_equal(fcntl(file.descriptor, F_GETFD), FD_CLOEXEC);
}

/* --- rotation --- */

static void test_it_is_rotated_at_the_end_of_a_line(void **state) {
    (void)state;
    start(10, 2);
    put("1234\n6789\n");
    check("", "1234\n6789\n");
    check_none(".1");
    put("a\n");
    check("", "a\n");
    check(".1", "1234\n6789\n");
    put("bcd\nefghij\n");
    check("", "efghij\n");
    check(".1", "a\nbcd\n");
    check(".2", "1234\n6789\n");
    put("xxxxxxxxx\n");
    check("", "xxxxxxxxx\n");
    check(".1", "efghij\n");
    check(".2", "a\nbcd\n");
    check_none(".3");
    assert_int_equal(file.rotations, 3);
}

static void test_a_line_is_not_cut_for_its_beginning_is_written(void **state) {
    (void)state;
    start(10, 5);
    put("12345678");
    put("90abc");
    put("def\nnext\n");
    check(".1", "1234567890abcdef\n");
    check("", "next\n");
}

static void test_a_line_longer_than_the_file_has_one_of_its_own(void **state) {
    (void)state;
    start(10, 5);
    put("a\nthis is a line that is far too long\nb\n");
    check(".2", "a\n");
    check(".1", "this is a line that is far too long\n");
    check("", "b\n");
}

/* In pieces of all sizes: nothing is lost, doubled or out of order, and no file is too large. */
static void test_every_line_is_in_one_of_the_files(void **state) {
    static char lines[400000];
    size_t length = 0;
    size_t found;
    char *all;

    (void)state;
    for (unsigned i = 0; length < sizeof lines - 100; i++)
        length += (size_t)sprintf(lines + length, "%u %.*s\n", i, (int)(i * 7 % 60),
                                  "------------------------------------------------------------");
    start(1000, 1000);
    for (size_t done = 0, size = 1; done < length; done += size, size = size * 31 % 2003) {
        if (size > length - done)
            size = length - done;
        log_file_write(&file, lines + done, size, now_ms);
        assert_true(file.size <= 1100);
    }
    all = read_all(1000, &found);
    assert_int_equal(found, length);
    assert_memory_equal(all, lines, length);
    assert_true(file.rotations > 300);
    free(all);
}

static void test_a_giant_line_is_divided(void **state) {
    size_t size = 3 << 20;
    char *line = malloc(size);
    size_t found;
    char *all;

    (void)state;
    assert_non_null(line);
    memset(line, 'x', size);
    start(100000, 10);
    for (size_t done = 0; done < size; done += 65536) {
        log_file_write(&file, line + done, 65536, now_ms);
        assert_true(file.size <= 100000 + (1 << 20) + 65536);
    }
    all = read_all(10, &found);
    assert_int_equal(found, size);
    assert_int_equal(file.rotations, 2);
    free(all);
    free(line);
}

static void test_without_predecessors_it_is_emptied(void **state) {
    (void)state;
    start(10, 0);
    put("1234\n6789\nabcd\n");
    check("", "abcd\n");
    check_none(".1");
}

static void test_a_gap_is_filled_and_nothing_dropped(void **state) {
    char name[PATH_MAX];

    (void)state;
    start(4, 5);
    put("aaa\nbbb\nccc\nddd\n");
    snprintf(name, sizeof name, "%s.2", path);
    assert_int_equal(unlink(name), 0);
    put("eee\n");
    check(".1", "ddd\n");
    check(".2", "ccc\n");
    check(".3", "aaa\n");
    check_none(".4");
}

static void test_a_lower_limit_takes_those_above_it_along(void **state) {
    (void)state;
    start(4, 5);
    put("aaa\nbbb\nccc\nddd\neee\n");
    check(".4", "aaa\n");
    log_file_clear(&file);
    start(4, 2);
    check(".4", "aaa\n");
    put("fff\n");
    check(".1", "eee\n");
    check(".2", "ddd\n");
    check_none(".3");
    check_none(".4");
}

static void test_flushing_takes_those_above_a_lower_limit_along(void **state) {
    (void)state;
    start(4, 5);
    put("aaa\nbbb\nccc\nddd\n");
    log_file_clear(&file);
    start(4, 1);
    assert_int_equal(log_file_flush(&file), 0);
    check_none(".1");
    check_none(".2");
    check_none(".3");
}

static void test_compressed_predecessors_move_too(void **state) {
    char name[PATH_MAX];
    char compressed[PATH_MAX];

    (void)state;
    start(4, 3);
    put("aaa\nbbb\n");
    snprintf(name, sizeof name, "%s.1", path);
    snprintf(compressed, sizeof compressed, "%s.1.gz", path);
    assert_int_equal(rename(name, compressed), 0);
    put("ccc\n");
    check(".2.gz", "aaa\n");
    check(".1", "bbb\n");
    put("ddd\neee\n");
    check(".3", "bbb\n");
    check_none(".4.gz");
    check_none(".3.gz");
}

/* --- what others do to it --- */

static void test_a_file_that_is_removed_is_made_anew(void **state) {
    (void)state;
    start(0, 10);
    put("one\n");
    assert_int_equal(unlink(path), 0);
    put("lost with the file\n");
    now_ms += 1000;
    put("two\n");
    check("", "two\n");
}

static void test_a_file_that_is_renamed_is_followed_by_a_new_one(void **state) {
    char other[PATH_MAX];

    (void)state;
    start(0, 10);
    put("one\n");
    snprintf(other, sizeof other, "%s-old", path);
    assert_int_equal(rename(path, other), 0);
    put("still old\n");
    now_ms += 1000;
    put("two\n");
    check("", "two\n");
    check("-old", "one\nstill old\n");
    assert_int_equal(rename(path, other), 0);
    log_file_reopen(&file, now_ms);
    put("three\n");
    check("", "three\n");
    check("-old", "two\n");
}

/* What we believed of its size would rotate it at once. */
static void test_a_file_that_is_truncated_is_not_rotated_early(void **state) {
    (void)state;
    start(20, 10);
    put("123456789012345678\n");
    assert_int_equal(truncate(path, 0), 0);
    put("new\n");
    put("new\n");
    check("", "new\nnew\n");
    check_none(".1");
}

static void test_a_file_that_another_has_rotated_is_not_rotated_again(void **state) {
    struct log_file other;
    struct log_file_options options = {.path = path, .mode = 0640, .max_size = 20, .keep = 5};

    (void)state;
    start(20, 5);
    assert_int_equal(log_file_init(&other, &options, now_ms), 0);
    put("123456789012345678\n");
    log_file_write(&other, "A\n", 2, now_ms);
    put("B\n");
    log_file_write(&other, "the other one says\n", 19, now_ms);
    put("the one says\n");
    log_file_clear(&other);
    for (unsigned number = 2; number < 5; number++) {
        char suffix[16];
        size_t length;
        char *text;

        snprintf(suffix, sizeof suffix, ".%u", number);
        text = read_suffix(suffix, &length);
        assert_true(!text || length > 2); /* no file was rotated while it was small */
        free(text);
    }
}

static void test_flushing_takes_the_predecessors_along(void **state) {
    (void)state;
    start(4, 5);
    put("aaa\nbbb\nccc\n");
    assert_int_equal(log_file_flush(&file), 0);
    check("", "");
    check_none(".1");
    check_none(".2");
    put("ddd\n");
    check("", "ddd\n");
}

/* --- when something fails --- */

static void test_a_full_disk_is_said_once_a_minute_and_waits_for_room(void **state) {
    (void)state;
    start(0, 10);
    put("one\n");
    write_fault = (struct fault){.error = ENOSPC};
    for (int i = 0; i < 100; i++) {
        put("lost\n");
        now_ms += 100;
    }
    assert_int_equal(problems, 1);
    assert_int_equal(last_problem.error, UV_ENOSPC);
    assert_string_equal(last_problem.action, "write to");
    assert_int_equal(last_problem.dropped, 5);
    assert_int_equal(file.dropped, 500);
    now_ms += 60000;
    put("lost\n");
    assert_int_equal(problems, 2);
    assert_int_equal(last_problem.dropped, 505);
    write_fault.error = 0;
    put("two\n");
    check("", "one\ntwo\n");
    assert_int_equal(file.dropped, 505);
}

static void test_a_torn_line_is_ended_before_the_next(void **state) {
    (void)state;
    start(0, 10);
    write_most = 3;
    write_fault = (struct fault){.error = EDQUOT, .after = 1};
    put("torn line\n");
    put("lost\n");
    assert_int_equal(file.dropped, 12);
    write_fault.error = 0;
    put("next\n");
    check("", "tor\nnext\n");
}

static void test_a_write_may_take_a_part_or_be_interrupted(void **state) {
    (void)state;
    start(0, 10);
    write_most = 1;
    put("byte by byte\n");
    check("", "byte by byte\n");
    assert_int_equal(problems, 0);
}

static void test_a_device_without_room(void **state) {
    (void)state;
    strcpy(path, "/dev/full");
    start(10, 3);
    put("nobody takes this\n");
    assert_int_equal(problems, 1);
    assert_int_equal(last_problem.error, UV_ENOSPC);
    assert_int_equal(file.rotations, 0);
}

static void test_a_limit_on_the_size_of_files(void **state) {
    struct rlimit limit;
    struct rlimit small;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    start(0, 10);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 10;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    put("12345678901234567890\n");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(problems, 1);
    assert_int_equal(last_problem.error, UV_EFBIG);
    put("next\n");
    check("", "1234567890\nnext\n");
}

/* In a name space of its own, for that is how one may mount. Exit code 77: not allowed here. */
static int write_to_small_disk(void) {
    static char block[4096];
    char other[PATH_MAX];
    int descriptor;

    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return 77;
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount("tmpfs", directory, "tmpfs", 0, "size=128k") < 0)
        return 77;
    snprintf(other, sizeof other, "%s/other", directory);
    descriptor = (int)syscall(SYS_openat, AT_FDCWD, other, O_WRONLY | O_CREAT, 0600);
    while (syscall(SYS_write, descriptor, block, sizeof block) > 0)
        ;
    start(1000, 3);
    for (int i = 0; i < 1000; i++)
        put("no room for this line\n");
    if (problems != 1 || last_problem.error != UV_ENOSPC || file.dropped != 22000)
        return 1;
    unlink(other);
    close(descriptor);
    put("room again\n");
    check("", "room again\n");
    return 0;
}

static void test_a_disk_that_is_really_full(void **state) {
    pid_t pid;
    int status;

    (void)state;
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(write_to_small_disk());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("mounting is not allowed here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_rotation_that_fails_loses_nothing(void **state) {
    (void)state;
    start(10, 3);
    put("123456789\n");
    rename_fault = (struct fault){.error = EACCES};
    put("one\n");
    put("two\n");
    assert_int_equal(problems, 1);
    assert_string_equal(last_problem.action, "rotate");
    assert_int_equal(last_problem.error, UV_EACCES);
    assert_int_equal(last_problem.dropped, 0);
    rename_fault.error = 0;
    put("three\n"); /* not tried again so soon */
    check("", "123456789\none\ntwo\nthree\n");
    now_ms += 60000;
    put("four\n");
    check("", "four\n");
    check(".1", "123456789\none\ntwo\nthree\n");
}

/* Each rename of a rotation fails in turn. */
static void test_a_shift_that_fails_loses_nothing(void **state) {
    (void)state;
    for (int after = 0; after < 4; after++) {
        size_t length;
        char *all;

        start(4, 5);
        put("aaa\nbbb\nccc\nddd\n");
        rename_fault = (struct fault){.error = EIO, .after = after * 2};
        put("eee\n");
        rename_fault.error = 0;
        now_ms += 60000;
        put("fff\n");
        all = read_all(5, &length);
        assert_string_equal(all, "aaa\nbbb\nccc\nddd\neee\nfff\n");
        free(all);
        log_file_flush(&file);
        log_file_clear(&file);
    }
    start(4, 5);
}

static void test_a_rotation_without_a_new_file_is_undone(void **state) {
    (void)state;
    start(10, 3);
    put("123456789\n");
    open_fault = (struct fault){.error = EMFILE};
    put("one\n");
    open_fault.error = 0;
    put("two\n");
    check("", "123456789\none\ntwo\n");
    check_none(".1");
    assert_int_equal(file.dropped, 0);
    assert_int_equal(problems, 1);
    now_ms += 60000;
    put("three\n");
    check("", "three\n");
    check(".1", "123456789\none\ntwo\n");
}

static void test_a_file_that_cannot_be_opened_is_tried_again(void **state) {
    (void)state;
    open_fault = (struct fault){.error = EACCES};
    start(10, 3);
    assert_int_equal(problems, 1);
    assert_string_equal(last_problem.action, "open");
    put("lost\n");
    assert_int_equal(file.dropped, 5);
    open_fault.error = 0;
    put("lost\n"); /* not looked at so soon */
    assert_int_equal(file.dropped, 10);
    now_ms += 1000;
    put("there\n");
    check("", "there\n");
    assert_int_equal(problems, 1);
}

static void test_a_pipe_without_reader_is_not_waited_for(void **state) {
    int reader;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    start(100, 3);
    put("nobody\n");
    assert_int_equal(last_problem.error, UV_ENXIO);
    reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    assert_true(reader >= 0);
    now_ms += 60000;
    for (int i = 0; i < 20000; i++)
        put("somebody who does not read\n");
    assert_int_equal(last_problem.error, UV_EAGAIN);
    assert_int_equal(file.rotations, 0);
    close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

static const char *below(const char *name) {
    static char names[4][PATH_MAX];
    static unsigned turn;
    char *whole = names[turn++ % 4];

    snprintf(whole, PATH_MAX, "%s/%s", directory, name);
    return whole;
}

static void write_file(const char *name, const char *text) {
    FILE *out = fopen(name, "we");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* What a worker of another user can do to a directory of its own at any moment. */
static void exchange_directory(void) {
    assert_int_equal(rename(below("logs"), below("moved")), 0);
    assert_int_equal(symlink(below("victim"), below("logs")), 0);
}

static void test_rotation_stays_in_the_directory_that_was_looked_at(void **state) {
    struct log_file_options options = {.path = path,
                                       .mode = 0640,
                                       .max_size = 10,
                                       .keep = 2,
                                       .guarded = true,
                                       .problem = on_problem,
                                       .owner = &file};

    (void)state;
    assert_int_equal(mkdir(below("victim"), 0700), 0);
    write_file(below("victim/a.log"), "old\n");
    snprintf(path, sizeof path, "%s/logs/a.log", directory);
    assert_int_equal(log_file_init(&file, &options, now_ms), 0);
    put("123456789\n");
    before_rename = exchange_directory;
    put("next\n");
    assert_null(before_rename);
    snprintf(path, sizeof path, "%s/moved/a.log", directory);
    check(".1", "123456789\n");
    snprintf(path, sizeof path, "%s/victim/a.log", directory);
    check_none(".1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_appended_as_they_are),
        TEST(what_is_there_stays),
        TEST(directories_are_made_for_us_alone),
        TEST(it_is_not_the_workers),
        TEST(it_is_rotated_at_the_end_of_a_line),
        TEST(a_line_is_not_cut_for_its_beginning_is_written),
        TEST(a_line_longer_than_the_file_has_one_of_its_own),
        TEST(every_line_is_in_one_of_the_files),
        TEST(a_giant_line_is_divided),
        TEST(without_predecessors_it_is_emptied),
        TEST(a_gap_is_filled_and_nothing_dropped),
        TEST(a_lower_limit_takes_those_above_it_along),
        TEST(flushing_takes_those_above_a_lower_limit_along),
        TEST(compressed_predecessors_move_too),
        TEST(a_file_that_is_removed_is_made_anew),
        TEST(a_file_that_is_renamed_is_followed_by_a_new_one),
        TEST(a_file_that_is_truncated_is_not_rotated_early),
        TEST(a_file_that_another_has_rotated_is_not_rotated_again),
        TEST(flushing_takes_the_predecessors_along),
        TEST(a_full_disk_is_said_once_a_minute_and_waits_for_room),
        TEST(a_torn_line_is_ended_before_the_next),
        TEST(a_write_may_take_a_part_or_be_interrupted),
        TEST(a_device_without_room),
        TEST(a_limit_on_the_size_of_files),
        TEST(a_disk_that_is_really_full),
        TEST(rotation_stays_in_the_directory_that_was_looked_at),
        TEST(a_rotation_that_fails_loses_nothing),
        TEST(a_shift_that_fails_loses_nothing),
        TEST(a_rotation_without_a_new_file_is_undone),
        TEST(a_file_that_cannot_be_opened_is_tried_again),
        TEST(a_pipe_without_reader_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
