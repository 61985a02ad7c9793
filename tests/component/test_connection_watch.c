/* Open connections as the kernel tells of them: real TCP connections, also in another process. */
#include "master/connection_watch.h"

#include "component/loop.h"
#include "master/client.h"
#include "master/dispatcher.h"
#include "master/member.h"
#include "policy/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS_MAX 400

static struct connection_watch watch;
static struct dispatcher dispatcher;
static struct member member;
static struct member other;
static int clients[PAIRS_MAX];
static int servers[PAIRS_MAX];
static uint64_t cookies[PAIRS_MAX];
static unsigned count;
static bool available;
static bool closed;

static unsigned failures;        /* dumps that are to fail */
static unsigned requests;        /* for dumps; the last of them … */
static unsigned failing_request; /* … and the one that cannot be sent; 0: none */

/* In the place of the C library's: the kernel runs out of memory in the midst of a dump, and does
 * not go on with it. */
ssize_t recvfrom(int descriptor, void *restrict bytes, size_t size, int flags,
                 struct sockaddr *restrict address, socklen_t *restrict length) {
    bool fails = failures > 0 && descriptor == watch.asking;
    ssize_t result;

    do {
        result = syscall(SYS_recvfrom, descriptor, bytes, size, flags, address, length);
    } while (fails && result > 0);
    if (!fails)
        return result;
    failures--;
    errno = ENOBUFS;
    return -1;
}

ssize_t send(int descriptor, const void *bytes, size_t size, int flags) {
    if (descriptor == watch.asking && ++requests == failing_request) {
        errno = ENOBUFS;
        return -1;
    }
    return syscall(SYS_sendto, descriptor, bytes, size, flags, NULL, 0);
}

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &watch);
    closed = true;
}

static int set_up(void **state) {
    static const struct dispatcher_events events = {.opened = NULL};
    struct policy *policy;
    int result = loop_set_up(state);

    count = 0;
    failures = 0;
    requests = 0;
    failing_request = 0;
    closed = false;
    if (result == 0)
        result = policy_create(&policy, "least", 1);
    if (result < 0)
        return result;
    dispatcher_init(&dispatcher, policy, &events, NULL);
    member_init(&member, &dispatcher, 0);
    member_init(&other, &dispatcher, 1);
    available = connection_watch_start(&watch, &loop) == 0;
    return 0;
}

static int tear_down(void **state) {
    for (unsigned i = 0; i < count; i++) {
        if (servers[i] >= 0)
            close(servers[i]);
        if (clients[i] >= 0)
            close(clients[i]);
    }
    if (available) {
        connection_watch_forget(&watch, &member);
        connection_watch_forget(&watch, &other);
        connection_watch_close(&watch, on_closed, &watch);
        LOOP_UNTIL(closed);
    }
    dispatcher_clear(&dispatcher);
    return loop_tear_down(state);
}

/* Sandboxes and old kernels do not tell. */
#define NEEDS_THE_KERNEL()                                                                         \
    do {                                                                                           \
        if (!available)                                                                            \
            skip();                                                                                \
    } while (0)

static uint64_t cookie_of(int descriptor) {
    struct client *client = client_create(dup(descriptor));
    uint64_t cookie;

    assert_non_null(client);
    client_note_cookie(client);
    cookie = client->cookie;
    client_destroy(client);
    assert_true(cookie != 0);
    return cookie;
}

static void connect_pairs(sa_family_t family, unsigned pairs) {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address = {.any = {.sa_family = family}};
    socklen_t length = family == AF_INET ? sizeof address.ipv4 : sizeof address.ipv6;
    int listening = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (family == AF_INET)
        address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        address.ipv6.sin6_addr = in6addr_loopback;
    assert_int_equal(bind(listening, &address.any, length), 0);
    assert_int_equal(listen(listening, 511), 0);
    assert_int_equal(getsockname(listening, &address.any, &length), 0);
    for (unsigned i = 0; i < pairs; i++, count++) {
        clients[count] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(clients[count], &address.any, length), 0);
        servers[count] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        assert_true(servers[count] >= 0);
        cookies[count] = cookie_of(servers[count]);
    }
    close(listening);
}

static void follow(unsigned from, unsigned to, struct member *into) {
    for (unsigned i = from; i < to; i++)
        connection_watch_add(&watch, cookies[i], into);
}

/* Both ends, without a trace left in the kernel. */
static void reset(unsigned index) {
    struct linger linger = {.l_onoff = 1};

    setsockopt(servers[index], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(servers[index]);
    close(clients[index]);
    servers[index] = clients[index] = -1;
}

static void test_the_count_goes_up_and_down(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    assert_int_equal(member.open, POLICY_OPEN_UNKNOWN);
    connect_pairs(AF_INET, 30);
    follow(0, 20, &member);
    follow(20, 30, &other);
    assert_int_equal(member.open, 20);
    assert_int_equal(other.open, 10);
    for (unsigned i = 0; i < 25; i++)
        reset(i);
    LOOP_UNTIL(member.open == 0 && other.open == 5);
    assert_int_equal(watch.records.count, 5);
    assert_int_equal(watch.lost_total, 0);
}

static void test_an_orderly_close_counts_too(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 2);
    follow(0, 2, &member);
    close(servers[0]);
    close(clients[0]);
    close(clients[1]);
    close(servers[1]);
    servers[0] = servers[1] = clients[0] = clients[1] = -1;
    LOOP_UNTIL(member.open == 0);
}

static void test_ipv6(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET6, 3);
    follow(0, 3, &member);
    reset(1);
    LOOP_UNTIL(member.open == 2);
}

/* What happens in the worker is what counts: our own copy is closed after the hand-over. */
static void test_a_socket_in_another_process(void **state) {
    pid_t pid;
    int status;

    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 4);
    follow(0, 4, &member);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    for (unsigned i = 0; i < 4; i++) {
        close(servers[i]);
        servers[i] = -1;
    }
    loop_run(50);
    assert_int_equal(member.open, 4);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    LOOP_UNTIL(member.open == 0);
}

static void test_one_that_is_taken_back_counts_no_more(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 2);
    follow(0, 2, &member);
    connection_watch_remove(&watch, cookies[0]);
    connection_watch_remove(&watch, cookies[0]);
    assert_int_equal(member.open, 1);
    follow(0, 1, &other); /* dealt again */
    reset(0);
    LOOP_UNTIL(other.open == 0);
    assert_int_equal(member.open, 1);
}

static void test_it_counts_once_for_one_member(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 1);
    follow(0, 1, &member);
    follow(0, 1, &other); /* dealt again before the first one is forgotten */
    assert_int_equal(member.open, 0);
    assert_int_equal(other.open, 1);
    connection_watch_add(&watch, 0, &other); /* no cookie */
    assert_int_equal(other.open, 1);
}

static void test_the_connections_of_a_member_that_goes_are_forgotten(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 10);
    follow(0, 6, &member);
    follow(6, 10, &other);
    connection_watch_forget(&watch, &member);
    assert_true(list_empty(&member.connections));
    assert_int_equal(watch.records.count, 4);
    for (unsigned i = 0; i < 10; i++)
        reset(i);
    LOOP_UNTIL(other.open == 0);
}

static void make_forgetful(void) {
    int least = 1;

    assert_int_equal(setsockopt(watch.descriptor, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
}

/* Events come of all sockets there are: where many are closed, some are lost all the time. */
static void make_attentive(void) {
    int enough = 1 << 20;

    assert_int_equal(setsockopt(watch.descriptor, SOL_SOCKET, SO_RCVBUF, &enough, sizeof enough),
                     0);
}

/* Events that the kernel could not give to the watch's socket, as /proc/net/netlink counts them. */
static uint64_t dropped(void) {
    FILE *file = fopen("/proc/net/netlink", "re");
    unsigned long long drops;
    unsigned long inode;
    char line[256];
    uint64_t found = 0;
    struct stat status;

    assert_non_null(file);
    assert_int_equal(fstat(watch.descriptor, &status), 0);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%*x %*d %*d %*x %*d %*d %*d %*d %llu %lu", &drops, &inode) == 2 &&
            inode == status.st_ino)
            found = drops;
    fclose(file);
    return found;
}

/* Resets the ones from `first` to `end`, each `step`-th, and lets nothing be read before an event
 * is lost: a watch that is quick enough loses none. */
static void reset_and_lose(unsigned first, unsigned end, unsigned step) {
    uint64_t before = dropped();

    for (unsigned i = first; i < end; i += step)
        reset(i);
    for (unsigned i = 0; i < 30000 && dropped() == before; i++)
        usleep(1000);
    assert_true(dropped() > before);
}

static void test_lost_events_are_made_up_for(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 150);
    connect_pairs(AF_INET6, 50);
    follow(0, 200, &member);
    make_forgetful();
    for (unsigned first = 1; first < 4; first++)
        reset_and_lose(first, 200, 4);
    LOOP_UNTIL(watch.lost_total > 0);
    LOOP_UNTIL(member.open == 50);
    loop_run(50);
    assert_int_equal(member.open, 50);
    assert_int_equal(watch.records.count, 50);
    make_attentive();
    LOOP_UNTIL(!watch.dumping);
}

static void test_events_lost_again_and_again_are_made_up_for(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 300);
    follow(0, 300, &member);
    make_forgetful();
    for (unsigned wave = 0; wave < 3; wave++) {
        uint64_t before = watch.lost_total;

        reset_and_lose(wave, 300, 3);
        /* While what is left of an earlier wave is not read the kernel loses more without a word.
         */
        LOOP_UNTIL((watch.lost_total > before && !watch.overrun) ||
                   member.open == 200 - 100 * (int64_t)wave);
    }
    assert_true(watch.lost_total > 0);
    LOOP_UNTIL(member.open == 0);
}

/* An event. */
static bool stir(void) {
    connect_pairs(AF_INET, 1);
    reset(--count);
    return true;
}

static void test_a_dump_that_fails_is_made_up_for(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET, 150);
    follow(0, 150, &member);
    make_forgetful();
    failures = 1;
    reset_and_lose(50, 150, 1);
    count = 50;
    LOOP_UNTIL(watch.lost_total > 0);
    make_attentive();
    LOOP_UNTIL(failures == 0);
    LOOP_UNTIL(stir() && member.open == 50);
    assert_int_equal(watch.records.count, 50);
}

static void test_a_dump_that_cannot_be_asked_for_drops_nothing(void **state) {
    (void)state;
    NEEDS_THE_KERNEL();
    connect_pairs(AF_INET6, 50);
    connect_pairs(AF_INET, 100);
    follow(0, 150, &member);
    for (failing_request = 1; failing_request <= 2; failing_request++) {
        uint64_t before = watch.lost_total;

        requests = 0;
        make_forgetful();
        reset_and_lose(count - 25, count, 1);
        count -= 25;
        LOOP_UNTIL(watch.lost_total > before);
        make_attentive();
        LOOP_UNTIL(stir() && member.open >= (int64_t)count && requests >= failing_request + 2 &&
                   !watch.dumping && !watch.overrun);
        assert_int_equal(member.open, count);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_count_goes_up_and_down),
        TEST(an_orderly_close_counts_too),
        TEST(ipv6),
        TEST(a_socket_in_another_process),
        TEST(one_that_is_taken_back_counts_no_more),
        TEST(it_counts_once_for_one_member),
        TEST(the_connections_of_a_member_that_goes_are_forgotten),
        TEST(lost_events_are_made_up_for),
        TEST(events_lost_again_and_again_are_made_up_for),
        TEST(a_dump_that_fails_is_made_up_for),
        TEST(a_dump_that_cannot_be_asked_for_drops_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
