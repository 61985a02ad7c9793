/* Starts this very program again as the worker: it reports what it was given. */
#include "master/spawn.h"

#include "component/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char self[4096];
static char report[8192];
static int ends[2]; /* the worker's output comes out of the first */
static int null;

/* --- the worker --- */

static void print_status(const char *name) {
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            printf("%s", line);
    if (file)
        fclose(file);
}

static int print_report(void) {
    struct rlimit limit;
    char directory[4096];

    printf("descriptors");
    for (int i = 0; i < 64; i++)
        if (fcntl(i, F_GETFD) >= 0)
            printf(" %d", i);
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("\nlimit %llu %llu\n", (unsigned long long)limit.rlim_cur,
           (unsigned long long)limit.rlim_max);
    printf("leader %d\n", getsid(0) == getpid() && getpgrp() == getpid());
    printf("cwd %s\n", getcwd(directory, sizeof directory));
    for (char **variable = environ; *variable; variable++)
        printf("env %s\n", *variable);
    print_status("SigBlk");
    print_status("SigIgn");
    print_status("NoNewPrivs");
    fflush(stdout);
    return write(STDERR_FILENO, "said on error\n", 14) == 14 ? 7 : 8;
}

/* --- the master --- */

static char word[] = "report";
static char one[] = "ONE=1";
static char empty[] = "EMPTY=";
static char *const arguments[] = {self, word, NULL};
static char *const environment[] = {one, empty, NULL};

static struct spawn_options defaults(void) {
    struct spawn_options options = {.arguments = arguments,
                                    .cgroup = -1,
                                    .environment = environment,
                                    .input = null,
                                    .output = ends[1],
                                    .error = ends[1],
                                    .channel = -1};

    getrlimit(RLIMIT_NOFILE, &options.descriptors);
    return options;
}

static int set_up(void **state) {
    (void)state;
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return null < 0 ? -1 : pipe2(ends, O_CLOEXEC);
}

static int tear_down(void **state) {
    (void)state;
    close(null);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* Runs the worker to its end and reads its report: the status of waitpid(2). */
static int run(const struct spawn_options *options) {
    size_t length = 0;
    ssize_t count;
    int status;
    pid_t pid;

    assert_int_equal(spawn(options, &pid), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while ((count = read(ends[0], report + length, sizeof report - 1 - length)) > 0)
        length += (size_t)count;
    report[length] = '\0';
    return status;
}

static void expect(const char *line) {
    if (!strstr(report, line))
        fail_msg("'%s' is not in the report:\n%s", line, report);
}

static void test_a_worker_gets_its_output_and_environment(void **state) {
    struct spawn_options options = defaults();
    int status = run(&options);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    expect("env ONE=1\nenv EMPTY=\nSig");
    expect("said on error\n");
    expect("leader 1\n");
}

static void test_exactly_the_descriptors_that_are_meant(void **state) {
    struct spawn_options options = defaults();
    int leaked = fcntl(null, F_DUPFD, 40); /* not close-on-exec: our own parent's, say */

    (void)state;
    assert_true(leaked >= 40);
    run(&options);
    expect("descriptors 0 1 2\n");
    options.channel = null;
    run(&options);
    expect("descriptors 0 1 2 3\n");
    close(leaked);
}

static void test_the_channel_may_have_its_number_already(void **state) {
    struct spawn_options options = defaults();
    int saved = fcntl(SPAWN_CHANNEL_DESCRIPTOR, F_DUPFD_CLOEXEC, 40);

    (void)state;
    assert_int_equal(dup3(null, SPAWN_CHANNEL_DESCRIPTOR, O_CLOEXEC) == SPAWN_CHANNEL_DESCRIPTOR ||
                         null == SPAWN_CHANNEL_DESCRIPTOR,
                     true);
    options.channel = SPAWN_CHANNEL_DESCRIPTOR;
    run(&options);
    expect("descriptors 0 1 2 3\n");
    assert_true(fcntl(SPAWN_CHANNEL_DESCRIPTOR, F_GETFD) & FD_CLOEXEC); /* here it stays so */
    if (saved >= 0) {
        dup3(saved, SPAWN_CHANNEL_DESCRIPTOR, O_CLOEXEC);
        close(saved);
    }
}

/* Whatever numbers they have here: those that others are placed at, in this test. */
static void test_descriptors_to_be_kept_are_behind_the_channel(void **state) {
    struct spawn_options options = defaults();

    (void)state;
    options.kept[0] = null;
    options.kept[1] = ends[0];
    options.kept_count = 2;
    run(&options);
    expect("descriptors 0 1 2 3 4\n");
    options.channel = null;
    run(&options);
    expect("descriptors 0 1 2 3 4 5\n");
}

static void test_without_output_ours_is_inherited(void **state) {
    struct spawn_options options = defaults();
    int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 40);

    (void)state;
    options.output = -1;
    fflush(stdout);
    assert_true(dup2(ends[1], STDOUT_FILENO) >= 0);
    run(&options);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    expect("descriptors 0 1 2\n");
}

static void test_the_descriptor_limit_is_what_was_asked(void **state) {
    struct spawn_options options = defaults();
    struct rlimit before;
    struct rlimit after;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    options.descriptors.rlim_cur = 100;
    options.descriptors.rlim_max = 200;
    run(&options);
    expect("limit 100 200\n");
    getrlimit(RLIMIT_NOFILE, &after);
    assert_memory_equal(&before, &after, sizeof before);
}

static void test_signals_are_those_of_a_fresh_program(void **state) {
    struct spawn_options options = defaults();
    sigset_t blocked;
    sigset_t before;
    sigset_t after;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    syscall(SYS_rt_sigaction, 32, (const unsigned long[4]){1}, NULL,
            sizeof(uint64_t)); /* SIG_IGN */
    signal(SIGRTMAX, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    run(&options);
    sigprocmask(SIG_SETMASK, &before, &after);
    expect("SigBlk:\t0000000000000000\n");
    expect("SigIgn:\t0000000000000000\n");
    assert_true(sigismember(&after, SIGUSR1) && sigismember(&after, SIGTERM)); /* ours are kept */
    assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_IGN);
    signal(SIGHUP, SIG_DFL);
    signal(SIGRTMAX, SIG_DFL);
}

static void test_the_working_directory(void **state) {
    struct spawn_options options = defaults();

    (void)state;
    options.cwd = "/usr";
    run(&options);
    expect("cwd /usr\n");
}

static void check_fails(const struct spawn_options *options, int error) {
    int status;
    pid_t pid = -7;

    assert_int_equal(spawn(options, &pid), error);
    assert_int_equal(pid, -7);
    assert_true(waitpid(-1, &status, 0) > 0); /* the child that failed is an orphan */
    assert_int_equal(WEXITSTATUS(status), 127);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

static void test_whatever_fails_is_told(void **state) {
    struct spawn_options options = defaults();
    char missing[] = "/nonexistent/program";
    char data[] = "/etc/passwd";

    (void)state;
    options.arguments = (char *[]){missing, NULL};
    check_fails(&options, UV_ENOENT);
    options.arguments = (char *[]){data, NULL};
    check_fails(&options, UV_EACCES);
    options = defaults();
    options.cwd = "/nonexistent";
    check_fails(&options, UV_ENOENT);
    options = defaults();
    options.input = 4000;
    check_fails(&options, UV_EBADF);
    options = defaults();
    options.descriptors.rlim_cur = 2;
    options.descriptors.rlim_max = 1;
    check_fails(&options, UV_EINVAL);
}

static void test_another_user(void **state) {
    struct spawn_options options = defaults();
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char script[] = "id -u; id -G; cat /proc/self/status";

    (void)state;
    if (getuid() != 0)
        skip();
    options.change_user = true;
    options.uid = 65534;
    options.gid = 65534;
    options.arguments = (char *[]){shell, option, script, NULL};
    run(&options);
    expect("65534\n65534\n");
    expect("NoNewPrivs:\t1\n");
    expect("Groups:\t \n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(a_worker_gets_its_output_and_environment),
        TEST(exactly_the_descriptors_that_are_meant),
        TEST(the_channel_may_have_its_number_already),
        TEST(descriptors_to_be_kept_are_behind_the_channel),
        TEST(without_output_ours_is_inherited),
        TEST(the_descriptor_limit_is_what_was_asked),
        TEST(signals_are_those_of_a_fresh_program),
        TEST(the_working_directory),
        TEST(whatever_fails_is_told),
        TEST(another_user),
    };

    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return print_report();
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
