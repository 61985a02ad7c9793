#include "master/process_sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker: leads a session, and has a child that does what the worker is asked to, so that both
 * are looked at. It says "done" on `said` and sleeps until it is killed. */
struct worker {
    pid_t pid;
    int said[2];
};

static void idle(const struct worker *worker) {
    assert_int_equal(write(worker->said[1], "", 1), 1);
    for (;;)
        pause();
}

/* The leader closes its descriptors, the child's are the only ones then. */
static void wait_for_leader(int leader[2]) {
    char byte;

    close(leader[1]);
    assert_int_equal(read(leader[0], &byte, 1), 0);
    close(leader[0]);
}

static void lead(const struct worker *worker, void (*work)(void)) {
    int leader[2];

    setsid();
    assert_int_equal(pipe(leader), 0);
    if (fork() == 0) {
        wait_for_leader(leader);
        work();
        idle(worker);
    }
    for (int descriptor = 3; descriptor < 64; descriptor++)
        close(descriptor);
    for (;;)
        pause();
}

static void start(struct worker *worker, void (*work)(void)) {
    char byte;

    assert_int_equal(pipe(worker->said), 0);
    worker->pid = fork();
    assert_true(worker->pid >= 0);
    if (worker->pid == 0)
        lead(worker, work);
    assert_int_equal(read(worker->said[0], &byte, 1), 1);
}

static void end(struct worker *worker) {
    kill(-worker->pid, SIGKILL);
    assert_int_equal(waitpid(worker->pid, NULL, 0), worker->pid);
    while (kill(-worker->pid, 0) == 0) /* its child takes a moment, too */
        usleep(1000);
    close(worker->said[0]);
    close(worker->said[1]);
}

#define OTHER_PORT 1 /* none that the kernel chooses, for a listener or for a client */

static uint16_t port;
static int listening = -1;
static int connected = -1;

static void open_listening(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    port = ntohs(address.sin_port);
}

static void open_connection(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(connected, (struct sockaddr *)&address, sizeof address), 0);
}

static void do_nothing(void) {
}

static void close_listening(void) {
    close(listening);
}

static void accept_one(void) {
    assert_true(accept(listening, NULL, NULL) >= 0);
}

static ino_t inode_of(int descriptor) {
    struct stat status;

    assert_int_equal(fstat(descriptor, &status), 0);
    return status.st_ino;
}

static bool is_held(pid_t session) {
    struct process_place place = {0};

    return process_holds(session, inode_of(listening), &place);
}

static void test_who_holds_a_socket(void **state) {
    struct worker worker;

    (void)state;
    open_listening();
    start(&worker, do_nothing);
    assert_true(is_held(worker.pid));
    end(&worker);
    start(&worker, close_listening);
    assert_false(is_held(worker.pid));
    assert_true(is_held(getpid()));
    end(&worker);
    close(listening);
}

static void test_where_a_socket_was_found_is_kept(void **state) {
    struct process_place place = {0};
    struct worker worker;

    (void)state;
    open_listening();
    start(&worker, do_nothing);
    assert_true(process_holds(worker.pid, inode_of(listening), &place));
    assert_int_equal(getsid(place.pid), worker.pid);
    assert_int_equal(place.descriptor, listening);
    assert_true(process_holds(worker.pid, inode_of(listening), &place));
    place.descriptor++; /* it was there, and is elsewhere now */
    assert_true(process_holds(worker.pid, inode_of(listening), &place));
    assert_int_equal(place.descriptor, listening);
    end(&worker);
    assert_false(process_holds(worker.pid, inode_of(listening), &place));
    close(listening);
}

static void test_nobody_knows_without_a_free_descriptor(void **state) {
    struct rlimit before, none;
    struct worker worker;
    bool held;

    (void)state;
    open_listening();
    start(&worker, close_listening);
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    held = is_held(worker.pid);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(held);
    end(&worker);
    close(listening);
}

static void begin_session(void) {
    setsid();
}

static void test_a_child_with_a_session_of_its_own(void **state) {
    struct process_place place = {0};
    struct worker worker;
    pid_t child;

    (void)state;
    open_listening();
    start(&worker, begin_session);
    assert_true(process_holds(worker.pid, inode_of(listening), &place));
    child = place.pid;
    assert_int_equal(getsid(child), child);
    kill(child, SIGKILL);
    end(&worker);
    while (kill(child, 0) == 0 && process_holds(worker.pid, inode_of(listening), &place))
        usleep(1000);
    assert_false(is_held(worker.pid));
    close(listening);
}

/* Among others, which do not. */
static pid_t find_listener(pid_t session) {
    pid_t sessions[] = {getpid() + 1000000, session};
    pid_t found = process_find_listener(sessions, 2, NULL);

    assert_int_equal(process_find_listener(sessions, 2, "/no/library"), found);
    return found;
}

static void test_who_listens(void **state) {
    struct worker worker;

    (void)state;
    start(&worker, do_nothing);
    assert_int_equal(find_listener(worker.pid), 0);
    end(&worker);
    start(&worker, open_listening);
    assert_true(find_listener(worker.pid) > worker.pid); /* its child */
    end(&worker);
}

static void test_open_connections_are_counted(void **state) {
    struct worker worker;

    (void)state;
    open_listening();
    open_connection();
    start(&worker, accept_one);
    assert_int_equal(process_session_connections(worker.pid, port), 1);
    assert_int_equal(process_session_connections(worker.pid, OTHER_PORT), 0);
    assert_true(process_session_listens(worker.pid, port));
    assert_false(process_session_listens(worker.pid, OTHER_PORT));
    shutdown(connected, SHUT_WR); /* the worker may still answer */
    assert_int_equal(process_session_connections(worker.pid, port), 1);
    end(&worker);
    close(connected);
    close(listening);
}

static void test_a_process_that_is_gone_holds_nothing(void **state) {
    struct worker worker;

    (void)state;
    open_listening();
    start(&worker, do_nothing);
    end(&worker);
    assert_false(is_held(worker.pid));
    assert_int_equal(find_listener(worker.pid), 0);
    assert_int_equal(process_session_connections(worker.pid, port), 0);
    close(listening);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_holds_a_socket),
        cmocka_unit_test(test_a_child_with_a_session_of_its_own),
        cmocka_unit_test(test_where_a_socket_was_found_is_kept),
        cmocka_unit_test(test_nobody_knows_without_a_free_descriptor),
        cmocka_unit_test(test_who_listens),
        cmocka_unit_test(test_open_connections_are_counted),
        cmocka_unit_test(test_a_process_that_is_gone_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
