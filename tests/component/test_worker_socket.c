#include "master/worker_socket.h"

#include "base/clock.h"
#include "component/loop.h"
#include "ipc/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct worker_socket listening;
static unsigned requests;
static struct native_request last;
static bool last_had_left;
static int answer_error;
static int answer_descriptor;
static bool flooding; /* each request takes its time, and then there is another one */
static bool closed;

static void flood(void);

static void on_request(void *owner, struct worker_request *request, struct worker_reply *reply) {
    assert_ptr_equal(owner, &listening);
    assert_int_equal(request->uid, getuid());
    assert_int_equal(request->pid, getpid());
    requests++;
    last = *request->message;
    last_had_left = request->left;
    if (flooding)
        flood();
    reply->message.error = answer_error;
    reply->message.listener = 42;
    if (answer_descriptor >= 0)
        reply->descriptors[reply->count++] = answer_descriptor;
}

static const struct worker_socket_events events = {.request = on_request};

static void on_closed(void *owner) {
    (void)owner;
    closed = true;
}

static int set_up(void **state) {
    int result = loop_set_up(state);

    requests = 0;
    answer_error = 0;
    answer_descriptor = -1;
    flooding = false;
    closed = false;
    return result < 0 ? result : worker_socket_start(&listening, &loop, &events, &listening);
}

static int tear_down(void **state) {
    if (!closed)
        worker_socket_close(&listening, on_closed);
    LOOP_UNTIL(closed);
    return loop_tear_down(state);
}

static int connect_worker(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(listening.name);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, listening.name, length);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)),
                     0);
    return descriptor;
}

static struct native_request well_formed(void) {
    return (struct native_request){
        .magic = NATIVE_MAGIC, .version = NATIVE_VERSION, .type = NATIVE_READY, .token = "token"};
}

static void send_bytes(int descriptor, const void *bytes, size_t length, int passed) {
    struct descriptor_message message = {.bytes = bytes, .length = length, .descriptor = passed};

    assert_int_equal(descriptor_send(descriptor, &message), length);
}

/* What comes back: the length, 0 for the end without an answer. */
static size_t await(int descriptor, struct native_reply *reply, int *ret_passed) {
    struct descriptor_received received;

    LOOP_UNTIL(descriptor_receive(descriptor, reply, sizeof *reply, &received) == 0);
    *ret_passed = received.count ? received.descriptors[0] : -1;
    close(descriptor);
    return received.length;
}

static size_t ask(const void *bytes, size_t length, int passed, struct native_reply *reply) {
    int descriptor = connect_worker();
    int returned;
    size_t result;

    send_bytes(descriptor, bytes, length, passed);
    result = await(descriptor, reply, &returned);
    assert_int_equal(returned, -1);
    return result;
}

static void test_a_request_is_answered(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;

    (void)state;
    assert_int_equal(ask(&request, sizeof request, -1, &reply), sizeof reply);
    assert_int_equal(reply.magic, NATIVE_MAGIC);
    assert_int_equal(reply.version, NATIVE_VERSION);
    assert_int_equal(reply.type, NATIVE_READY);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.listener, 42);
    assert_memory_equal(&last, &request, sizeof request);
    assert_int_equal(listening.rejected_total, 0);
}

static void test_an_answer_may_bring_a_descriptor(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;
    int descriptor = connect_worker();
    int passed;

    (void)state;
    answer_descriptor = eventfd(5, EFD_CLOEXEC);
    send_bytes(descriptor, &request, sizeof request, -1);
    assert_int_equal(await(descriptor, &reply, &passed), sizeof reply);
    assert_true(passed >= 0);
    assert_true(fcntl(answer_descriptor, F_GETFD) >= 0); /* ours stays */
    close(passed);
    close(answer_descriptor);
}

/* The request of one that asks and hangs up. */
static void send_and_leave(void) {
    struct native_request request = well_formed();
    int descriptor = connect_worker();

    send_bytes(descriptor, &request, sizeof request, -1);
    close(descriptor);
}

static void test_who_has_left_is_known(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;
    int half_closed = connect_worker();
    int passed;

    (void)state;
    send_and_leave();
    LOOP_UNTIL(requests == 1);
    assert_true(last_had_left);
    send_bytes(half_closed, &request, sizeof request, -1);
    shutdown(half_closed, SHUT_WR);
    assert_int_equal(await(half_closed, &reply, &passed), sizeof reply);
    assert_false(last_had_left);
}

static void flood(void) {
    uint64_t start_ms = clock_ms();

    send_and_leave();
    while (clock_ms() - start_ms < 5)
        continue;
}

/* Those that come meanwhile do not hold up one that was accepted before. */
static void test_a_flood_of_others_starves_nobody(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;
    int descriptor = connect_worker();
    int passed;

    (void)state;
    LOOP_UNTIL(listening.pending_count == 1);
    flooding = true;
    send_and_leave();
    send_bytes(descriptor, &request, sizeof request, -1);
    assert_int_equal(await(descriptor, &reply, &passed), sizeof reply);
    assert_in_range(requests, 1, 10);
    flooding = false;
}

/* A request may also come long after the connection. */
static void test_a_late_request_is_answered(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;
    int descriptor = connect_worker();
    int passed;

    (void)state;
    LOOP_UNTIL(listening.pending_count == 1);
    send_bytes(descriptor, &request, sizeof request, -1);
    assert_int_equal(await(descriptor, &reply, &passed), sizeof reply);
    LOOP_UNTIL(listening.pending_count == 0);
}

static void test_garbage_is_counted_and_not_answered(void **state) {
    static const char garbage[100000] = "GET / HTTP/1.1\r\n\r\n";
    struct native_request request = well_formed();
    struct native_reply reply;
    const size_t lengths[] = {1, 18, sizeof request - 1, sizeof request, sizeof request + 1, 60000};
    unsigned count = sizeof lengths / sizeof *lengths;

    (void)state;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(ask(garbage, lengths[i], -1, &reply), 0);
    request.address_length = NATIVE_ADDRESS_SIZE + 1;
    assert_int_equal(ask(&request, sizeof request, -1, &reply), 0);
    assert_int_equal(requests, 0);
    assert_int_equal(listening.rejected_total, count + 1);
}

/* Too long by whole bytes: what is cut off is not to be overlooked. */
static void test_a_request_with_more_behind_it_is_refused(void **state) {
    struct {
        struct native_request request;
        char more[8];
    } bytes = {.request = well_formed()};
    struct native_reply reply;

    (void)state;
    assert_int_equal(ask(&bytes, sizeof bytes, -1, &reply), 0);
    assert_int_equal(requests, 0);
}

static void test_another_version_is_told_so(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;

    (void)state;
    request.version = NATIVE_VERSION + 1;
    assert_int_equal(ask(&request, sizeof request, -1, &reply), sizeof reply);
    assert_int_equal(reply.error, UV_EPROTO);
    assert_int_equal(reply.version, NATIVE_VERSION);
    assert_int_equal(requests, 0);
    assert_int_equal(listening.rejected_total, 1);
}

static void test_a_wrong_token_is_counted(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;

    (void)state;
    answer_error = UV_EACCES;
    assert_int_equal(ask(&request, sizeof request, -1, &reply), sizeof reply);
    assert_int_equal(reply.error, UV_EACCES);
    assert_int_equal(listening.rejected_total, 1);
}

static void test_descriptors_that_come_along_are_closed(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;
    int passed = eventfd(0, EFD_CLOEXEC);
    int before = count_descriptors();

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask(&request, sizeof request, passed, &reply), sizeof reply);
        assert_int_equal(ask("x", 1, passed, &reply), 0);
    }
    loop_run(5);
    assert_int_equal(count_descriptors(), before);
    close(passed);
}

static void test_the_silent_make_room_for_others(void **state) {
    struct native_request request = well_formed();
    struct native_reply reply;
    int silent[200];
    unsigned open = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        silent[i] = connect_worker();
        loop_run(0);
    }
    LOOP_UNTIL(listening.pending_count == WORKER_SOCKET_PENDING_MAX);
    loop_run(5);
    assert_int_equal(ask(&request, sizeof request, -1, &reply), sizeof reply);
    for (int i = 0; i < 200; i++) {
        char byte;

        open += read(silent[i], &byte, 1) < 0 && errno == EAGAIN;
        close(silent[i]);
    }
    assert_in_range(open, WORKER_SOCKET_PENDING_MAX - 1, WORKER_SOCKET_PENDING_MAX);
    LOOP_UNTIL(listening.pending_count == 0);
}

static void test_the_silent_that_hang_up_are_forgotten(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++)
        close(connect_worker());
    loop_run(10);
    for (int i = 0; i < 20; i++) {
        int descriptor = connect_worker();

        loop_run(1);
        close(descriptor);
    }
    LOOP_UNTIL(listening.pending_count == 0);
    assert_int_equal(listening.rejected_total, 0);
}

static void test_close_with_requests_in_flight(void **state) {
    struct native_request request = well_formed();
    int descriptors[30];

    (void)state;
    for (int i = 0; i < 30; i++) {
        descriptors[i] = connect_worker();
        if (i == 14)
            LOOP_UNTIL(listening.pending_count == 15);
    }
    for (int i = 0; i < 30; i += 2)
        send_bytes(descriptors[i], &request, sizeof request, -1);
    worker_socket_close(&listening, on_closed);
    assert_int_equal(listening.pending_count, 0);
    LOOP_UNTIL(closed);
    assert_int_equal(requests, 0);
    for (int i = 0; i < 30; i++)
        close(descriptors[i]);
}

static void test_no_two_have_the_same_name(void **state) {
    static struct worker_socket other;

    (void)state;
    assert_int_equal(worker_socket_start(&other, &loop, &events, &other), 0);
    assert_string_not_equal(other.name, listening.name);
    worker_socket_close(&other, on_closed);
    LOOP_UNTIL(closed);
    closed = false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(an_answer_may_bring_a_descriptor),
        TEST(a_late_request_is_answered),
        TEST(who_has_left_is_known),
        TEST(a_flood_of_others_starves_nobody),
        TEST(garbage_is_counted_and_not_answered),
        TEST(a_request_with_more_behind_it_is_refused),
        TEST(another_version_is_told_so),
        TEST(a_wrong_token_is_counted),
        TEST(descriptors_that_come_along_are_closed),
        TEST(the_silent_make_room_for_others),
        TEST(the_silent_that_hang_up_are_forgotten),
        TEST(close_with_requests_in_flight),
        TEST(no_two_have_the_same_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
