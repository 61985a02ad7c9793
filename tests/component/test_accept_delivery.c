/* A listener, its dispatcher and workers on accept sockets, with real clients: each says its number
 * and must be received exactly once. */
#include "master/accept_delivery.h"

#include "component/loop.h"
#include "ipc/descriptor.h"
#include "ipc/native_protocol.h"
#include "master/client.h"
#include "master/dispatcher.h"
#include "master/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#define CLIENTS_MAX 400
#define WORKERS_MAX 4
#define PATIENT_MS  60000 /* nobody is stuck, however busy the machine */

struct worker {
    struct member member;
    struct accept_way way;
    int descriptor; /* its own copy of its end */
    unsigned received;
    uint64_t last_sequence;
    bool closed;
};

static struct listener listener;
static struct listener_options options;
static struct worker workers[WORKERS_MAX];
static int clients[CLIENTS_MAX];
static unsigned client_count;
static unsigned served[CLIENTS_MAX];
static unsigned served_count;
static unsigned stuck;
static unsigned expired;
static bool listener_closed;

static void on_stuck(void *owner, struct member *member, uint64_t held_ms) {
    (void)owner;
    (void)held_ms;
    assert_true(member->stuck);
    stuck++;
}

static void on_expired(void *owner, struct member *member, uint64_t held_ms) {
    (void)owner;
    (void)member;
    (void)held_ms;
    expired++;
}

static const struct listener_events events = {.stuck = on_stuck, .expired = on_expired};

static void on_listener_closed(void *owner, struct listener *which) {
    (void)owner;
    (void)which;
    listener_closed = true;
}

static int set_up(void **state) {
    static struct listener_key key;
    int result = loop_set_up(state);

    key = (struct listener_key){.kind = LISTENER_TCP, .length = sizeof key.address.ipv4};
    key.address.ipv4.sin_family = AF_INET;
    key.address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    options = (struct listener_options){.key = &key,
                                        .backlog = 511,
                                        .limits = {.slow_after_ms = PATIENT_MS},
                                        .descriptor_limit = INT_MAX};
    memset(served, 0, sizeof served);
    client_count = served_count = stuck = expired = 0;
    listener_closed = false;
    for (int i = 0; i < WORKERS_MAX; i++)
        workers[i] = (struct worker){.descriptor = -1, .closed = true};
    if (result == 0)
        result = policy_create(&options.policy, "node", 1);
    return result < 0 ? result : listener_start(&listener, &loop, &options, &events, &listener);
}

/* --- workers --- */

static void on_way_closed(void *owner) {
    ((struct worker *)owner)->closed = true;
}

static struct worker *start_worker(uint32_t slot, uint32_t window) {
    struct worker *worker = &workers[slot];

    *worker = (struct worker){.descriptor = -1};
    member_init(&worker->member, &listener.dispatcher, slot);
    worker->member.window = window;
    worker->member.id = slot + 10;
    assert_int_equal(accept_delivery_start(&worker->way, &loop, &worker->member,
                                           (struct sockaddr *)&listener.bound,
                                           listener.bound_length),
                     0);
    worker->way.owner = worker;
    worker->descriptor = fcntl(worker->way.socket.worker, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(dispatcher_join(&listener.dispatcher, &worker->member, uv_now(&loop)), 0);
    return worker;
}

/* The process is gone: what it had received it has served or lost. */
static void end_worker(struct worker *worker) {
    if (worker->closed)
        return;
    close(worker->descriptor);
    dispatcher_leave(&listener.dispatcher, &worker->member, true, uv_now(&loop));
    dispatcher_forget(&worker->member);
    accept_delivery_close(&worker->way, on_way_closed);
    LOOP_UNTIL(worker->closed);
}

static int tear_down(void **state) {
    for (int i = 0; i < WORKERS_MAX; i++)
        end_worker(&workers[i]);
    listener_close(&listener, on_listener_closed);
    LOOP_UNTIL(listener_closed);
    return loop_tear_down(state);
}

static void serve_client(int descriptor) {
    uint32_t number;

    LOOP_UNTIL(recv(descriptor, &number, sizeof number, MSG_DONTWAIT) == sizeof number);
    assert_in_range(number, 0, CLIENTS_MAX - 1);
    assert_int_equal(served[number]++, 0);
    served_count++;
    assert_int_equal(send(descriptor, "!", 1, MSG_NOSIGNAL), 1);
    close(descriptor);
}

/* Receives one record: false when none is there. */
static bool receive(struct worker *worker) {
    unsigned char bytes[NATIVE_CLIENT_MAX];
    struct descriptor_received received;
    struct native_client record;

    if (descriptor_receive(worker->descriptor, bytes, sizeof bytes, &received) < 0)
        return false;
    if (received.count == 0)
        return true; /* a probe */
    memcpy(&record, bytes, sizeof record);
    assert_int_equal(record.magic, NATIVE_MAGIC);
    assert_int_equal(record.listener, worker->member.id);
    assert_int_equal(record.address_length, sizeof(struct sockaddr_in));
    assert_true(record.sequence > worker->last_sequence);
    worker->last_sequence = record.sequence;
    worker->received++;
    serve_client(received.descriptors[0]);
    return true;
}

static unsigned receive_all(struct worker *worker) {
    unsigned count = 0;

    while (receive(worker))
        count++;
    return count;
}

/* --- clients --- */

static void connect_clients(unsigned count) {
    while (count-- > 0) {
        uint32_t number = client_count;
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(client_count < CLIENTS_MAX);
        assert_int_equal(
            connect(descriptor, (struct sockaddr *)&listener.bound, listener.bound_length), 0);
        assert_int_equal(send(descriptor, &number, sizeof number, 0), sizeof number);
        clients[client_count++] = descriptor;
    }
}

/* Every client has had its answer. */
static void end_clients(void) {
    for (unsigned i = 0; i < client_count; i++) {
        char byte;

        assert_int_equal(served[i], 1);
        assert_int_equal(recv(clients[i], &byte, 1, MSG_DONTWAIT), 1);
        close(clients[i]);
    }
}

/* --- tests --- */

static void test_clients_reach_the_workers_in_turn(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        start_worker(i, 16);
    connect_clients(30);
    LOOP_UNTIL((receive_all(&workers[0]), receive_all(&workers[1]), receive_all(&workers[2]),
                served_count == 30));
    for (int i = 0; i < 3; i++)
        assert_int_equal(workers[i].received, 10);
    end_clients();
}

static void test_the_window_is_never_exceeded(void **state) {
    static const uint32_t windows[] = {1, 2, 16, 64};

    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        struct worker *worker = start_worker(0, windows[i]);
        unsigned most = windows[i] + DISPATCHER_LINE_MAX;
        uint64_t accepted = listener.accepted_total;

        assert_int_equal(worker->member.window, windows[i]);
        connect_clients(90);
        LOOP_UNTIL(listener.accepted_total - accepted == (most < 90 ? most : 90));
        loop_run(30);
        assert_int_equal(accept_socket_outstanding(&worker->way.socket), windows[i]);
        assert_int_equal(listener.accepted_total - accepted, most < 90 ? most : 90);
        LOOP_UNTIL((receive(worker), served_count == client_count));
        LOOP_UNTIL(worker->member.unacknowledged == 0);
        assert_int_equal(worker->member.acknowledged_total, 90);
        end_worker(worker);
    }
    end_clients();
}

/* The way is watched when nobody is free: no wait for the next tick, which here never comes. */
static void test_room_is_heard_of_at_once(void **state) {
    struct worker *worker = start_worker(0, 1);

    (void)state;
    connect_clients(200);
    LOOP_UNTIL(worker->member.watched);
    assert_true(listener.dispatcher.ticking);
    uv_timer_stop(&listener.timer);
    LOOP_UNTIL((receive(worker), served_count == 200));
    end_clients();
}

static void test_a_dead_worker_loses_nothing_it_had_not_received(void **state) {
    struct worker *dead = start_worker(0, 32);

    (void)state;
    connect_clients(40);
    LOOP_UNTIL(dead->member.handed_total == 32);
    for (int i = 0; i < 5; i++)
        assert_true(receive(dead));
    end_worker(dead);
    assert_int_equal(dead->member.acknowledged_total, 5);
    assert_int_equal(dead->member.returned_total, 27);
    /* The rest stays in the dead worker's socket until there is room, and uses up no descriptors.
     */
    assert_int_equal(listener.dispatcher.waiting_count, DISPATCHER_LINE_MAX);
    assert_false(list_empty(&listener.dispatcher.leftovers));
    assert_int_equal(dispatcher_credit(&listener.dispatcher), 0);
    start_worker(1, 8);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 40));
    assert_true(list_empty(&listener.dispatcher.leftovers));
    end_clients();
}

static void test_those_taken_back_go_first_and_in_order(void **state) {
    struct worker *dead = start_worker(0, 4);

    (void)state;
    connect_clients(8);
    LOOP_UNTIL(listener.accepted_total == 8);
    end_worker(dead);
    start_worker(1, 1);
    for (unsigned i = 0; i < 8; i++) {
        LOOP_UNTIL(receive(&workers[1]));
        assert_int_equal(served_count, i + 1);
        assert_int_equal(served[i], 1); /* the i-th */
    }
    end_clients();
}

static void test_a_stuck_workers_clients_go_to_another(void **state) {
    struct worker *slow = start_worker(0, 16);

    (void)state;
    listener.dispatcher.limits.slow_after_ms = 0;
    connect_clients(10);
    LOOP_UNTIL(stuck == 1);
    listener.dispatcher.limits.slow_after_ms = PATIENT_MS; /* with the other one */
    start_worker(1, 16);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 10));
    assert_int_equal(slow->member.returned_total, 10);
    connect_clients(20);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 30));
    assert_int_equal(slow->received, 0);
    assert_int_equal(receive_all(slow), 1); /* the probe */
    LOOP_UNTIL(!slow->member.stuck);
    connect_clients(20);
    LOOP_UNTIL((receive_all(slow), receive_all(&workers[1]), served_count == 50));
    assert_true(slow->received > 0);
    LOOP_UNTIL(slow->member.acknowledged_total == slow->received);
    end_clients();
}

/* A limit under which `count` more descriptors can be opened. */
static int limit_for(unsigned count) {
    int spare[CLIENTS_MAX];
    int limit;

    for (unsigned i = 0; i < count; i++)
        spare[i] = fcntl(listener.descriptor, F_DUPFD_CLOEXEC, 0);
    limit = spare[count - 1] + 1;
    while (count-- > 0)
        close(spare[count]);
    return limit;
}

/* The master has exactly as many numbers as the stuck worker has clients. */
static void test_a_stuck_worker_recovers_where_its_clients_take_all_descriptors(void **state) {
    struct worker *worker = start_worker(0, 16);
    struct rlimit before, low;

    (void)state;
    connect_clients(10);
    LOOP_UNTIL(listener.accepted_total == 10);
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    listener.dispatcher.limits.slow_after_ms = 0;
    low.rlim_cur = (rlim_t)limit_for(10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    LOOP_UNTIL(worker->member.stuck && listener.dispatcher.waiting_count == 10);
    assert_int_equal(fcntl(worker->descriptor, F_DUPFD_CLOEXEC, 0), -1);
    assert_true(receive(worker));
    setrlimit(RLIMIT_NOFILE, &before);
    LOOP_UNTIL((receive_all(worker), served_count == 10));
    end_clients();
}

/* Whatever is left of the descriptors is for the master's own, a successor of the worker first. */
static void test_a_stuck_workers_clients_leave_some_descriptors(void **state) {
    struct worker *worker = start_worker(0, 16);

    (void)state;
    connect_clients(10);
    LOOP_UNTIL(listener.accepted_total == 10);
    worker->way.descriptor_limit = limit_for(4);
    listener.dispatcher.limits.slow_after_ms = 0;
    LOOP_UNTIL(worker->member.stuck && listener.dispatcher.waiting_count == 4);
    loop_run(100);
    assert_int_equal(listener.dispatcher.waiting_count, 4);
    assert_int_equal(accept_socket_outstanding(&worker->way.socket), 6);
    start_worker(1, 16);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 10));
    assert_int_equal(worker->received, 0);
    end_clients();
}

/* All are stuck: clients wait, nobody is asked without pause, and the first to recover serves. */
static void test_all_workers_stuck_with_a_window_of_one(void **state) {
    (void)state;
    listener.dispatcher.limits.slow_after_ms = 0;
    for (uint32_t i = 0; i < 3; i++)
        start_worker(i, 1);
    connect_clients(30);
    LOOP_UNTIL(stuck == 3);
    loop_run(200);
    assert_int_equal(stuck, 3);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 30));
    assert_int_equal(workers[1].received, 30);
    end_clients();
}

static void test_the_hard_limit_of_a_worker_that_only_holds_a_probe(void **state) {
    (void)state;
    listener.dispatcher.limits.slow_after_ms = 0;
    listener.dispatcher.limits.kill_stuck_after_ms = 300;
    start_worker(0, 4);
    connect_clients(2);
    LOOP_UNTIL(expired == 1);
    listener.dispatcher.limits.kill_stuck_after_ms = 0;
    end_worker(&workers[0]);
    start_worker(0, 4);
    LOOP_UNTIL((receive_all(&workers[0]), served_count == 2));
    assert_int_equal(expired, 1);
    end_clients();
}

/* It reads what it had, then the end; nothing new comes to it. */
static void test_a_worker_that_is_asked_to_finish(void **state) {
    struct worker *old = start_worker(0, 16);
    struct descriptor_received received;
    char bytes[NATIVE_CLIENT_MAX];

    (void)state;
    connect_clients(6);
    LOOP_UNTIL(old->member.handed_total == 6);
    assert_true(receive(old) && receive(old));
    start_worker(1, 16);
    dispatcher_leave(&listener.dispatcher, &old->member, false, uv_now(&loop));
    accept_socket_finish(&old->way.socket);
    assert_int_equal(descriptor_receive(old->descriptor, bytes, sizeof bytes, &received), 0);
    assert_int_equal(received.length + received.count, 0);
    connect_clients(6);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 12));
    assert_int_equal(old->received, 2);
    end_clients();
}

/* Its end is shut down, but it has not exited: sending fails until the master hears of that. */
static void test_a_worker_that_closed_its_end_gets_no_more(void **state) {
    struct worker *gone = start_worker(0, 16);

    (void)state;
    shutdown(gone->descriptor, SHUT_RDWR);
    connect_clients(10);
    loop_run(50);
    start_worker(1, 16);
    LOOP_UNTIL((receive_all(&workers[1]), served_count == 10));
    end_clients();
}

static void test_workers_that_come_and_go_under_load(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        uint32_t slot = (uint32_t)round % WORKERS_MAX;

        if (workers[slot].closed)
            start_worker(slot, 1 + (uint32_t)round % 7);
        else if (round % 3 == 0)
            end_worker(&workers[slot]);
        connect_clients(round < 40 ? 10 : 0);
        loop_run(1);
        for (int i = 0; i < WORKERS_MAX; i++)
            if (!workers[i].closed && (round + i) % 2)
                receive(&workers[i]);
    }
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        if (workers[i].closed)
            start_worker(i, 4);
    LOOP_UNTIL((receive_all(&workers[0]), receive_all(&workers[1]), receive_all(&workers[2]),
                receive_all(&workers[3]), served_count == client_count));
    end_clients();
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(clients_reach_the_workers_in_turn),
        TEST(the_window_is_never_exceeded),
        TEST(room_is_heard_of_at_once),
        TEST(a_dead_worker_loses_nothing_it_had_not_received),
        TEST(those_taken_back_go_first_and_in_order),
        TEST(a_stuck_workers_clients_go_to_another),
        TEST(a_stuck_worker_recovers_where_its_clients_take_all_descriptors),
        TEST(a_stuck_workers_clients_leave_some_descriptors),
        TEST(all_workers_stuck_with_a_window_of_one),
        TEST(the_hard_limit_of_a_worker_that_only_holds_a_probe),
        TEST(a_worker_that_is_asked_to_finish),
        TEST(a_worker_that_closed_its_end_gets_no_more),
        TEST(workers_that_come_and_go_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
