#include "master/listener.h"

#include "component/loop.h"
#include "master/client.h"
#include "master/dispatcher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct listener listener;
static struct listener_key key;
static struct listener_options options;
static struct member member; /* a worker that keeps its clients until it is told to serve them */
static int open_when_handed; /* the listener's descriptor when clients were handed over last */
static unsigned failed;
static int failure;
static bool closed;

/* --- the worker --- */

static unsigned keep(struct member *worker, struct client **clients, unsigned count) {
    open_when_handed = listener.descriptor;
    for (unsigned i = 0; i < count; i++)
        list_push_back(&worker->handed, &clients[i]->node);
    return count;
}

static bool give_back(struct member *worker, bool dead) {
    struct list *node;

    if (!dead)
        return worker->unacknowledged == 0;
    while ((node = list_pop_front(&worker->handed)))
        dispatcher_return(worker, LIST_ENTRY(node, struct client, node));
    return true;
}

static const struct delivery delivery = {
    .name = "test", .slow_after_ms = 60000, .send = keep, .take_back = give_back};

static void join(uint32_t window) {
    member_init(&member, &listener.dispatcher, 0);
    member.delivery = &delivery;
    member.window = window;
    assert_int_equal(dispatcher_join(&listener.dispatcher, &member, uv_now(&loop)), 0);
}

/* Each client that was handed over gets one byte and goes: how many. */
static unsigned serve(void) {
    struct list *node;
    unsigned count = 0;

    for (; (node = list_pop_front(&member.handed)); count++) {
        struct client *client = LIST_ENTRY(node, struct client, node);

        assert_int_equal(send(client->descriptor, "!", 1, MSG_NOSIGNAL), 1);
        client_destroy(client);
        dispatcher_acknowledged(&member, 1, uv_now(&loop));
    }
    return count;
}

/* --- the listener --- */

static void on_stuck(void *owner, struct member *stuck, uint64_t held_ms) {
    (void)owner;
    (void)stuck;
    (void)held_ms;
}

static void on_failed(void *owner, struct listener *which, int error) {
    assert_ptr_equal(owner, &options);
    assert_ptr_equal(which, &listener);
    failed++;
    failure = error;
}

static const struct listener_events events = {
    .stuck = on_stuck, .expired = on_stuck, .failed = on_failed};

static void on_closed(void *owner, struct listener *which) {
    assert_ptr_equal(owner, &options);
    assert_ptr_equal(which, &listener);
    closed = true;
}

static int start(void) {
    int result;

    assert_int_equal(policy_create(&options.policy, "node", 1), 0);
    result = listener_start(&listener, &loop, &options, &events, &options);
    if (result < 0)
        policy_destroy(options.policy);
    else
        closed = false;
    return result;
}

static void stop(void) {
    dispatcher_leave(&listener.dispatcher, &member, true, uv_now(&loop));
    listener_close(&listener, on_closed);
    LOOP_UNTIL(closed);
}

static int set_up(void **state) {
    key = (struct listener_key){.kind = LISTENER_TCP, .length = sizeof key.address.ipv4};
    key.address.ipv4.sin_family = AF_INET;
    key.address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    options = (struct listener_options){.key = &key, .backlog = 511, .descriptor_limit = INT_MAX};
    member_init(&member, &listener.dispatcher, 0);
    failed = 0;
    closed = true;
    return loop_set_up(state);
}

/* --- clients --- */

static int connect_client(void) {
    int descriptor = socket(listener.bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(descriptor >= 0);
    if (connect(descriptor, (struct sockaddr *)&listener.bound, listener.bound_length) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static void connect_clients(int *descriptors, int count) {
    for (int i = 0; i < count; i++) {
        descriptors[i] = connect_client();
        assert_true(descriptors[i] >= 0);
    }
}

/* Closes them: how many had got their byte. */
static unsigned end_clients(const int *descriptors, int count) {
    unsigned served = 0;

    for (int i = 0; i < count; i++) {
        char byte;

        served += recv(descriptors[i], &byte, 1, MSG_DONTWAIT) == 1;
        close(descriptors[i]);
    }
    return served;
}

/* Clients in a process of their own, so that their descriptors are not ours. */
static pid_t fork_clients(int count) {
    pid_t pid = fork();
    int descriptors[200];
    int served = 0;

    if (pid != 0)
        return pid;
    for (int i = 0; i < count; i++)
        descriptors[i] = connect_client();
    for (int i = 0; i < count; i++) {
        struct pollfd readable = {.fd = descriptors[i], .events = POLLIN};
        char byte;

        served += poll(&readable, 1, LOOP_WAIT_MS) == 1 && read(descriptors[i], &byte, 1) == 1;
    }
    _exit(served);
}

/* --- binding --- */

static void test_port_0_is_told(void **state) {
    char text[ADDRESS_TEXT_MAX];
    char expected[32];

    (void)state;
    assert_int_equal(start(), 0);
    assert_true(address_port((const struct sockaddr *)&listener.bound) > 0);
    listener_describe(&listener, text);
    snprintf(expected, sizeof expected, "127.0.0.1:%u",
             address_port((const struct sockaddr *)&listener.bound));
    assert_string_equal(text, expected);
    stop();
}

static void test_an_address_in_use_is_refused_and_nothing_leaks(void **state) {
    struct listener_key taken;

    (void)state;
    assert_int_equal(start(), 0);
    taken = key;
    taken.address.ipv4.sin_port = htons(address_port((const struct sockaddr *)&listener.bound));
    options.key = &taken;
    for (int i = 0; i < 3; i++) {
        static struct listener other;
        struct policy *policy;

        assert_int_equal(policy_create(&policy, "node", 1), 0);
        options.policy = policy;
        assert_int_equal(listener_start(&other, &loop, &options, &events, &options), UV_EADDRINUSE);
        policy_destroy(policy);
    }
    stop();
}

static void test_addresses_that_are_not_ours_are_refused(void **state) {
    (void)state;
    key.address.ipv4.sin_addr.s_addr = htonl(0xcb007101); /* 203.0.113.1, documentation */
    assert_int_equal(start(), UV_EADDRNOTAVAIL);
}

static void test_without_a_host_both_families_are_served(void **state) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    int client;

    (void)state;
    key = (struct listener_key){
        .kind = LISTENER_TCP, .any_host = true, .length = sizeof key.address.ipv6};
    key.address.ipv6.sin6_family = AF_INET6;
    assert_int_equal(start(), 0);
    ipv4.sin_port = htons(address_port((const struct sockaddr *)&listener.bound));
    ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&ipv4, sizeof ipv4), 0);
    LOOP_UNTIL(listener.accepted_total == 1);
    close(client);
    stop();
}

static void set_path(const char *path) {
    key = (struct listener_key){.kind = LISTENER_UNIX};
    key.address.local.sun_family = AF_UNIX;
    snprintf(key.address.local.sun_path, sizeof key.address.local.sun_path, "%s", path);
    key.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void test_a_unix_socket_and_its_file(void **state) {
    char path[64];
    struct stat status;
    int client;

    (void)state;
    snprintf(path, sizeof path, "/tmp/test_listener.%d", (int)getpid());
    set_path(path);
    key.chmod = 0666;
    assert_int_equal(start(), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0666, 0666);
    client = connect_client();
    LOOP_UNTIL(listener.accepted_total == 1);
    close(client);
    stop();
    assert_int_equal(stat(path, &status), -1);
    set_path("/nonexistent/directory/socket");
    assert_int_equal(start(), UV_EACCES);
}

/* The workers listen themselves. */
static void test_a_shared_socket_is_bound_only(void **state) {
    int client;

    (void)state;
    options.shared = true;
    assert_int_equal(start(), 0);
    assert_int_equal(connect_client(), -1);
    assert_int_equal(listen(listener.descriptor, 5), 0);
    client = connect_client();
    assert_true(client >= 0);
    loop_run(20);
    assert_int_equal(listener.accepted_total, 0);
    close(client);
    stop();
}

/* --- accepting --- */

static void test_a_crowd_is_accepted_and_handed_over(void **state) {
    int clients[200];
    unsigned served = 0;

    (void)state;
    assert_int_equal(start(), 0);
    join(1000);
    connect_clients(clients, 200);
    LOOP_UNTIL((served += serve()) == 200);
    assert_int_equal(listener.accepted_total, 200);
    assert_int_equal(end_clients(clients, 200), 200);
    stop();
}

static void test_clients_are_accepted_against_credit(void **state) {
    int clients[100];
    unsigned served = 0;

    (void)state;
    assert_int_equal(start(), 0);
    connect_clients(clients, 100);
    loop_run(50);
    assert_int_equal(listener.accepted_total, DISPATCHER_LINE_MAX);
    assert_int_equal(listener.paused_total, 1);
    assert_false(listener.polling);
    join(4);
    loop_run(20);
    assert_false(listener.polling); /* not before half the line is free */
    while (served < 100) {
        served += serve();
        assert_true(member.unacknowledged <= 4);
        assert_true(listener.dispatcher.waiting_count <= DISPATCHER_LINE_MAX);
        loop_run(1);
    }
    assert_int_equal(listener.accepted_total, 100);
    assert_true(listener.polling);
    assert_int_equal(end_clients(clients, 100), 100);
    stop();
}

static void test_who_waits_too_long_is_let_go(void **state) {
    int clients[40];

    (void)state;
    options.limits.wait_ms = 100;
    assert_int_equal(start(), 0);
    connect_clients(clients, 40);
    LOOP_UNTIL(listener.dispatcher.gave_up_total == 40);
    assert_int_equal(end_clients(clients, 40), 0);
    LOOP_UNTIL(!uv_is_active((uv_handle_t *)&listener.timer)); /* an idle listener sleeps */
    stop();
}

/* Brings a client once nothing is left to look after. */
static void bring_back(void *owner, struct listener *which) {
    struct client *client;

    (void)owner;
    which->examined_ms = 0; /* with each tick */
    if (which->dispatcher.ticking || which->dispatcher.arrivals > 1)
        return;
    client = client_create(fcntl(which->descriptor, F_DUPFD_CLOEXEC, 0));
    assert_non_null(client);
    dispatcher_add(&which->dispatcher, client, uv_now(&loop));
    dispatcher_run(&which->dispatcher, uv_now(&loop));
}

/* The look at stuck workers follows the dispatcher's own tick and may bring clients back: also
 * after what was the last tick. */
static void test_clients_that_come_back_during_the_last_tick_are_looked_after(void **state) {
    static const struct listener_events examining = {
        .stuck = on_stuck, .expired = on_stuck, .failed = on_failed, .examine = bring_back};
    int client;

    (void)state;
    options.limits.wait_ms = 100;
    assert_int_equal(start(), 0);
    listener.events = &examining;
    client = connect_client();
    LOOP_UNTIL(listener.dispatcher.arrivals == 2);
    LOOP_UNTIL(listener.dispatcher.gave_up_total == 2);
    close(client);
    stop();
}

static void test_a_broken_socket_is_told_once(void **state) {
    (void)state;
    assert_int_equal(start(), 0);
    assert_int_equal(shutdown(listener.descriptor, SHUT_RDWR), 0);
    loop_run(50);
    assert_int_equal(failed, 1);
    assert_int_equal(failure, UV_EINVAL);
    stop();
}

/* --- descriptors --- */

/* Serves some clients now and then: the others wait in the backlog. */
static void check_shortage(int clients, rlim_t room, int limit) {
    struct rlimit before;
    struct rlimit low;
    unsigned served = 0;
    int status;
    pid_t pid;

    assert_int_equal(start(), 0);
    pid = fork_clients(clients);
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = (rlim_t)count_descriptors() + room;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    listener.descriptor_limit = limit;
    join(1000);
    LOOP_UNTIL(listener.starved_total > 0);
    loop_run(100);
    assert_in_range(member.unacknowledged, 1, (unsigned)clients - 1);
    assert_int_equal(listener.starved_total, 1); /* it waits, and does not try without pause */
    LOOP_UNTIL((served += serve()) == (unsigned)clients);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), clients);
    assert_int_equal(listener.accepted_total, clients);
    assert_int_equal(failed, 0);
    stop();
}

/* libuv's own accept drops every pending client here. */
static void test_with_no_descriptor_left_nothing_is_dropped(void **state) {
    (void)state;
    check_shortage(60, 20, INT_MAX);
}

static void test_accepting_pauses_below_the_limit(void **state) {
    int lowest = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);

    (void)state;
    close(lowest);
    check_shortage(60, 200, lowest + 20);
}

/* --- the end --- */

static void test_finish_serves_the_backlog(void **state) {
    int clients[100];

    (void)state;
    assert_int_equal(start(), 0);
    connect_clients(clients, 100);
    listener_finish(&listener);
    assert_int_equal(listener.accepted_total, 100);
    assert_int_equal(connect_client(), -1);
    loop_run(30);
    join(1000);
    assert_int_equal(serve(), 100);
    assert_int_equal(end_clients(clients, 100), 100);
    listener_finish(&listener); /* again: harmless */
    stop();
}

/* Whoever connects between the last accept and the end of the socket gets a reset: handing over
 * does not make that time longer. */
static void test_finish_closes_before_it_hands_over(void **state) {
    int clients[10];

    (void)state;
    assert_int_equal(start(), 0);
    join(1000);
    connect_clients(clients, 10);
    open_when_handed = 0;
    listener_finish(&listener);
    assert_int_equal(open_when_handed, -1);
    assert_int_equal(serve(), 10);
    assert_int_equal(end_clients(clients, 10), 10);
    stop();
}

static void test_finish_while_paused(void **state) {
    int clients[60];

    (void)state;
    assert_int_equal(start(), 0);
    connect_clients(clients, 60);
    LOOP_UNTIL(!listener.polling);
    listener_finish(&listener);
    assert_int_equal(listener.accepted_total, 60);
    join(1000); /* credit again: no socket is left to resume */
    assert_int_equal(serve(), 60);
    loop_run(30);
    assert_int_equal(end_clients(clients, 60), 60);
    stop();
}

static void test_close_lets_go_whoever_waits(void **state) {
    int clients[10];

    (void)state;
    assert_int_equal(start(), 0);
    connect_clients(clients, 10);
    LOOP_UNTIL(listener.accepted_total == 10);
    stop();
    for (int i = 0; i < 10; i++) {
        char byte;

        assert_true(recv(clients[i], &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
        errno = 0;
        close(clients[i]);
    }
}

static int lent;

static int lend(void *owner, int type, const struct sockaddr *address, socklen_t length) {
    (void)owner;
    (void)address;
    (void)length;
    assert_int_equal(type, SOCK_STREAM);
    return lent;
}

static void take_home(void *owner, int descriptor) {
    (void)owner;
    assert_int_equal(descriptor, lent);
    lent = -1;
}

static int listen_for_manager(void) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof key.address.ipv4;

    assert_int_equal(bind(descriptor, &key.address.any, key.length), 0);
    assert_int_equal(listen(descriptor, 8), 0);
    assert_int_equal(getsockname(descriptor, &key.address.any, &length), 0);
    return descriptor;
}

/* Who brought the other closes it, once: after that the number may be somebody else's. */
static void test_where_a_socket_is_lent_the_brought_one_stays_the_callers(void **state) {
    static const struct listener_source source = {.lend = lend, .give_back = take_home};
    int manager = listen_for_manager();
    int brought = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client;
    char byte;

    (void)state;
    lent = manager;
    options.bind_only = true;
    options.socket = brought;
    options.source = &source;
    assert_int_equal(start(), 0);
    assert_int_equal(listener.descriptor, manager);
    assert_true(fcntl(brought, F_GETFD) >= 0);
    client = connect_client();
    stop();
    assert_int_equal(lent, -1);
    assert_true(fcntl(brought, F_GETFD) >= 0);
    assert_true(fcntl(manager, F_GETFD) >= 0);
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN); /* it waits in the manager's socket */
    close(client);
    close(brought);
    close(manager);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, loop_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(port_0_is_told),
        TEST(an_address_in_use_is_refused_and_nothing_leaks),
        TEST(addresses_that_are_not_ours_are_refused),
        TEST(without_a_host_both_families_are_served),
        TEST(a_unix_socket_and_its_file),
        TEST(a_shared_socket_is_bound_only),
        TEST(where_a_socket_is_lent_the_brought_one_stays_the_callers),
        TEST(a_crowd_is_accepted_and_handed_over),
        TEST(clients_are_accepted_against_credit),
        TEST(who_waits_too_long_is_let_go),
        TEST(clients_that_come_back_during_the_last_tick_are_looked_after),
        TEST(a_broken_socket_is_told_once),
        TEST(with_no_descriptor_left_nothing_is_dropped),
        TEST(accepting_pauses_below_the_limit),
        TEST(finish_serves_the_backlog),
        TEST(finish_closes_before_it_hands_over),
        TEST(finish_while_paused),
        TEST(close_lets_go_whoever_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
