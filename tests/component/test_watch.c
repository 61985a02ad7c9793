#include "daemon/watch.h"

#include "component/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[] = "/tmp/baton-watch-XXXXXX";
static struct watch watch;
static bool started;
static unsigned changes;
static char changed[PATH_MAX]; /* relative to the folder */
static unsigned problems;
static char problem[WATCH_ERROR_MAX];
static bool closed;
static int watches_left; /* before the kernel has none any more; -1: no end */

/* NOLINTNEXTLINE: libc's prototype, to be in its place */
int inotify_add_watch(int descriptor, const char *path, uint32_t mask) {
    if (watches_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    watches_left -= watches_left > 0;
    return (int)syscall(SYS_inotify_add_watch, descriptor, path, mask);
}

static void on_change(void *owner, const char *path) {
    assert_ptr_equal(owner, &watch);
    assert_memory_equal(path, folder, strlen(folder));
    snprintf(changed, sizeof changed, "%s", path + strlen(folder) + (path[strlen(folder)] == '/'));
    changes++;
}

static void on_problem(void *owner, const char *sentence) {
    assert_ptr_equal(owner, &watch);
    snprintf(problem, sizeof problem, "%s", sentence);
    problems++;
}

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &watch);
    closed = true;
}

static int set_up(void **state) {
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    started = closed = false;
    changes = problems = 0;
    changed[0] = problem[0] = '\0';
    watches_left = -1;
    return loop_set_up(state);
}

static int tear_down(void **state) {
    char command[64];

    if (started) {
        watch_close(&watch, on_closed);
        LOOP_UNTIL(closed);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 ? -1 : loop_tear_down(state); /* the name is mkdtemp's */
}

static const char *below(const char *name) {
    static char paths[2][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 2];

    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

static void make(const char *name) {
    assert_int_equal(mkdir(below(name), 0755), 0);
}

static void put(const char *name) {
    int descriptor = open(below(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "x", 1), 1);
    close(descriptor);
}

static void start_on(const char *path, const char *ignore, uint64_t delay_ms) {
    char *path_items[2] = {NULL, NULL};
    char *ignore_items[2] = {NULL, NULL};
    struct text_list paths = {.items = path_items, .count = path ? 1 : 0};
    struct text_list ignored = {.items = ignore_items, .count = ignore ? 1 : 0};
    struct watch_options options = {
        .paths = &paths,
        .ignore = &ignored,
        .cwd = folder,
        .delay_ms = delay_ms,
        .on_change = on_change,
        .on_problem = on_problem,
        .owner = &watch,
    };
    char error[WATCH_ERROR_MAX];

    path_items[0] = path ? strdup(path) : NULL;
    ignore_items[0] = ignore ? strdup(ignore) : NULL;
    assert_int_equal(watch_start(&watch, &loop, &options, error), 0);
    free(path_items[0]); /* both were copied */
    free(ignore_items[0]);
    started = true;
}

/* One change is told, of this path, and then no other. */
static void expect(const char *path) {
    unsigned before = changes;

    LOOP_UNTIL(changes > before);
    assert_string_equal(changed, path);
    loop_run(40);
    assert_int_equal(changes, before + 1);
}

static void expect_nothing(void) {
    unsigned before = changes;

    loop_run(60);
    if (changes != before)
        fail_msg("told of %s", changed);
}

static void test_files_and_folders(void **state) {
    (void)state;
    make("src");
    put("src/a.js");
    start_on(NULL, NULL, 0);
    assert_int_equal(watch.directories.count, 2);
    expect_nothing();
    put("src/a.js");
    expect("src/a.js");
    put("b.js");
    expect("b.js");
    assert_int_equal(rename(below("b.js"), below("c.js")), 0);
    expect("b.js");
    assert_int_equal(unlink(below("src/a.js")), 0);
    expect("src/a.js");
    assert_int_equal(problems, 0);
}

static void test_a_new_folder_is_followed(void **state) {
    (void)state;
    start_on(NULL, NULL, 0);
    make("one");
    make("one/two");
    make("one/two/three"); /* before it could be followed */
    expect("one");
    assert_int_equal(watch.directories.count, 4);
    put("one/two/three/a.js");
    expect("one/two/three/a.js");
}

static void test_a_folder_that_is_moved_or_removed_is_not(void **state) {
    (void)state;
    make("in");
    make("in/one");
    make("in/one/two");
    make("out");
    start_on("in", NULL, 0);
    assert_int_equal(watch.directories.count, 3);
    assert_int_equal(rename(below("in/one"), below("out/one")), 0);
    expect("in/one");
    assert_int_equal(watch.directories.count, 1);
    put("out/one/two/a.js");
    expect_nothing();
    assert_int_equal(rename(below("out/one"), below("in/other")), 0);
    expect("in/other");
    put("in/other/two/a.js");
    expect("in/other/two/a.js");
    unlink(below("in/other/two/a.js"));
    rmdir(below("in/other/two"));
    rmdir(below("in/other"));
    expect("in/other/two/a.js");
    assert_int_equal(watch.directories.count, 1);
}

static void test_what_is_ignored(void **state) {
    (void)state;
    make("node_modules");
    make("node_modules/a");
    make("logs");
    make(".git");
    start_on(NULL, "logs", 0);
    assert_int_equal(watch.directories.count, 1);
    put("node_modules/a/b.js");
    put("logs/out.log");
    put(".git/HEAD");
    put(".app.js.swp");
    make(".cache");
    put(".cache/x");
    expect_nothing();
    put("a.js");
    expect("a.js");
}

/* A log that grows is no change until it is closed; a link into another folder is not followed. */
static void test_what_is_no_change(void **state) {
    int descriptor;

    (void)state;
    make("in");
    make("out");
    assert_int_equal(symlink(below("out"), below("in/link")), 0);
    put("in/log");
    descriptor = open(below("in/log"), O_WRONLY | O_CLOEXEC);
    start_on("in", NULL, 0);
    assert_int_equal(watch.directories.count, 1);
    assert_int_equal(write(descriptor, "line\n", 5), 5);
    put("out/a");
    close(open(below("in/log"), O_RDONLY | O_CLOEXEC));
    expect_nothing();
    close(descriptor);
    expect("in/log");
}

static void test_many_changes_are_told_once(void **state) {
    uint64_t before;

    (void)state;
    start_on(NULL, NULL, 100);
    before = uv_hrtime();
    for (int i = 0; i < 500; i++) {
        char name[32];

        snprintf(name, sizeof name, "file-%d", i);
        put(name);
    }
    expect("file-0");
    assert_true(uv_hrtime() - before >= UINT64_C(100000000));
    put("again");
    expect("again");
}

static void test_a_single_file(void **state) {
    (void)state;
    put("app.js");
    put("other.js");
    start_on("./app.js", NULL, 0);
    put("other.js");
    expect_nothing();
    put("app.js");
    expect("app.js");
    put("app.js.new");
    assert_int_equal(rename(below("app.js.new"), below("app.js")), 0); /* as editors save */
    expect("app.js");
    put("app.js"); /* it is another inode now */
    expect("app.js");
}

static void test_a_path_that_comes_and_goes(void **state) {
    (void)state;
    start_on("late", NULL, 0);
    LOOP_UNTIL(problems == 1);
    assert_non_null(strstr(problem, "/late yet: no such file"));
    assert_int_equal(watch.directories.count, 0);
    make("late");
    expect("late");
    put("late/a.js");
    expect("late/a.js");
    assert_int_equal(rename(below("late"), below("away")), 0);
    expect("late");
    assert_int_equal(watch.directories.count, 0);
    put("away/b.js");
    expect_nothing();
    make("late");
    expect("late");
    rmdir(below("late"));
    expect("late");
    assert_int_equal(problems, 1);
}

/* The kernel's queue is full: it says so, and everything counts as changed. */
static void test_an_overflow(void **state) {
    char text[32] = "";
    char name[64];
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    long limit;

    (void)state;
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    limit = strtol(text, NULL, 10);
    if (limit > 100000)
        skip();
    make("src");
    start_on(NULL, NULL, 0);
    for (long i = 0; i <= limit; i++) { /* equal ones in a row would be one */
        snprintf(name, sizeof name, "src/%ld", i % 2);
        put(name);
    }
    make("src/new"); /* its event is lost */
    LOOP_UNTIL(changes >= 1);
    LOOP_UNTIL(watch.directories.count == 3);
    loop_run(60);
    put("src/new/a.js");
    expect("src/new/a.js");
}

static void test_no_watches_are_left(void **state) {
    (void)state;
    make("a");
    make("a/b");
    make("a/b/c");
    watches_left = 2;
    start_on(NULL, NULL, 0);
    LOOP_UNTIL(problems == 1);
    assert_non_null(strstr(problem, "fs.inotify.max_user_watches"));
    assert_non_null(strstr(problem, "/a/b "));
    put("a/x.js"); /* what could be watched is */
    expect("a/x.js");
    make("d");
    expect("d");
    assert_int_equal(problems, 1); /* said once */
}

static void test_no_descriptor_is_left(void **state) {
    struct text_list none = {.items = NULL};
    struct watch_options options = {.paths = &none, .ignore = &none, .cwd = folder};
    char error[WATCH_ERROR_MAX];
    struct rlimit before;
    struct rlimit limit;
    struct watch unused;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(watch_start(&unused, &loop, &options, error), UV_EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_non_null(strstr(error, "max_user_instances"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_and_folders),
        TEST(a_new_folder_is_followed),
        TEST(a_folder_that_is_moved_or_removed_is_not),
        TEST(what_is_ignored),
        TEST(what_is_no_change),
        TEST(many_changes_are_told_once),
        TEST(a_single_file),
        TEST(a_path_that_comes_and_goes),
        TEST(an_overflow),
        TEST(no_watches_are_left),
        TEST(no_descriptor_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
