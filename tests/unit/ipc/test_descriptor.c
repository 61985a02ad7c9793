#include "ipc/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Two connected sockets and a file to pass. The descriptor table is the same afterwards. */
struct fixture {
    int ends[2];
    int file;
    int before; /* open descriptors */
};

static int count_open(void) {
    int count = 0;

    for (int descriptor = 0; descriptor < 1024; descriptor++)
        count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

static struct fixture make_fixture(int type) {
    struct fixture fixture = {.before = count_open()};

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fixture.ends), 0);
    fixture.file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fixture.file >= 0);
    return fixture;
}

static void close_fixture(struct fixture *fixture) {
    close(fixture->file);
    close(fixture->ends[0]);
    close(fixture->ends[1]);
    assert_int_equal(count_open(), fixture->before);
}

static bool is_same_file(int one, int other) {
    struct stat first, second;

    return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

static void test_bytes_without_descriptor(void **state) {
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_message message = {.bytes = "hello", .length = 5, .descriptor = -1};
    struct descriptor_received received;
    char bytes[16];

    (void)state;
    assert_int_equal(descriptor_send(fixture.ends[0], &message), 5);
    assert_int_equal(descriptor_receive(fixture.ends[1], bytes, sizeof(bytes), &received), 0);
    assert_int_equal(received.length, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(received.count, 0);
    assert_int_equal(received.dropped, 0);
    assert_false(received.truncated);
    close_fixture(&fixture);
}

static void test_descriptor_arrives_close_on_exec(void **state) {
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_message message = {.bytes = "x", .length = 1, .descriptor = fixture.file};
    struct descriptor_received received;
    char bytes[16];

    (void)state;
    assert_int_equal(descriptor_send(fixture.ends[0], &message), 1);
    assert_int_equal(descriptor_receive(fixture.ends[1], bytes, sizeof(bytes), &received), 0);
    assert_int_equal(received.count, 1);
    assert_int_not_equal(received.descriptors[0], fixture.file);
    assert_true(is_same_file(received.descriptors[0], fixture.file));
    assert_int_equal(fcntl(received.descriptors[0], F_GETFD), FD_CLOEXEC);
    descriptor_discard(&received);
    assert_int_equal(received.count, 0);
    close_fixture(&fixture);
}

/* What a hostile peer can do: many descriptors in one message. */
static void send_many(int socket, int descriptor, unsigned count) {
    union {
        char bytes[CMSG_SPACE(253 * sizeof(int))];
        struct cmsghdr alignment;
    } control = {.bytes = {0}};
    struct iovec vector = {.iov_base = (char[]){'x'}, .iov_len = 1};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes};
    struct cmsghdr *message;

    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    message = CMSG_FIRSTHDR(&header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(message) + i * sizeof(int), &descriptor, sizeof(int));
    assert_int_equal(sendmsg(socket, &header, MSG_NOSIGNAL), 1);
}

static void test_surplus_descriptors_are_closed(void **state) {
    static const unsigned counts[] = {1, DESCRIPTOR_RECEIVE_MAX, DESCRIPTOR_RECEIVE_MAX + 1, 253};
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_received received;
    int before = count_open();
    char byte;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        unsigned kept = counts[i] < DESCRIPTOR_RECEIVE_MAX ? counts[i] : DESCRIPTOR_RECEIVE_MAX;

        send_many(fixture.ends[0], fixture.file, counts[i]);
        assert_int_equal(descriptor_receive(fixture.ends[1], &byte, 1, &received), 0);
        assert_int_equal(received.count, kept);
        assert_int_equal(received.dropped, counts[i] - kept);
        assert_false(received.truncated);
        assert_int_equal(count_open(), before + (int)kept);
        descriptor_discard(&received);
    }
    close_fixture(&fixture);
}

static void test_full_descriptor_table_is_told(void **state) {
    struct fixture fixture = make_fixture(SOCK_SEQPACKET);
    struct descriptor_received received;
    struct rlimit limit, lower;
    int before = count_open();
    char byte;
    int lowest_free = dup(fixture.file);

    (void)state;
    close(lowest_free);
    send_many(fixture.ends[0], fixture.file, 3);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lower = limit;
    lower.rlim_cur = (rlim_t)lowest_free + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    assert_int_equal(descriptor_receive(fixture.ends[1], &byte, 1, &received), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(received.truncated);
    assert_int_equal(received.count, 1);
    descriptor_discard(&received);
    assert_int_equal(count_open(), before);
    close_fixture(&fixture);
}

static void test_nothing_there_and_end(void **state) {
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_received received;
    char byte;

    (void)state;
    assert_int_equal(descriptor_receive(fixture.ends[1], &byte, 1, &received), -EAGAIN);
    assert_int_equal(shutdown(fixture.ends[0], SHUT_WR), 0);
    assert_int_equal(descriptor_receive(fixture.ends[1], &byte, 1, &received), 0);
    assert_int_equal(received.length, 0);
    assert_int_equal(received.count, 0);
    close_fixture(&fixture);
}

static void test_peer_gone(void **state) {
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_message message = {.bytes = "x", .length = 1, .descriptor = fixture.file};

    (void)state;
    close(fixture.ends[1]);
    assert_int_equal(descriptor_send(fixture.ends[0], &message), -EPIPE);
    assert_int_equal(descriptor_send_batch(fixture.ends[0], &message, 1), -EPIPE);
    fixture.ends[1] = dup(fixture.ends[0]);
    close_fixture(&fixture);
}

static void test_wrong_descriptor(void **state) {
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_message message = {.bytes = "x", .length = 1, .descriptor = 1000000};

    (void)state;
    assert_int_equal(descriptor_send(fixture.ends[0], &message), -EBADF);
    close_fixture(&fixture);
}

static void test_full_socket(void **state) {
    struct fixture fixture = make_fixture(SOCK_STREAM);
    struct descriptor_message message = {.bytes = "x", .length = 1, .descriptor = fixture.file};
    struct descriptor_received received;
    ssize_t sent = 1;
    char byte;
    int count = 0;

    (void)state;
    for (; count < 100000 && sent == 1; count++)
        sent = descriptor_send(fixture.ends[0], &message);
    assert_int_equal(sent, -EAGAIN);
    assert_int_equal(descriptor_send_batch(fixture.ends[0], &message, 1), -EAGAIN);
    while (descriptor_receive(fixture.ends[1], &byte, 1, &received) == 0) {
        assert_int_equal(received.count, 1);
        descriptor_discard(&received);
        count--;
    }
    assert_int_equal(count, 1);
    close_fixture(&fixture);
}

static void test_batch_keeps_each_descriptor(void **state) {
    struct fixture fixture = make_fixture(SOCK_SEQPACKET);
    struct descriptor_message messages[] = {
        {.bytes = "one", .length = 3, .descriptor = fixture.file},
        {.bytes = "two", .length = 3, .descriptor = -1},
        {.bytes = "three", .length = 5, .descriptor = fixture.ends[0]},
    };
    const unsigned counts[] = {1, 0, 1};
    struct descriptor_received received;
    char bytes[16];

    (void)state;
    assert_int_equal(descriptor_send_batch(fixture.ends[0], messages, 3), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(descriptor_receive(fixture.ends[1], bytes, sizeof(bytes), &received), 0);
        assert_int_equal(received.length, messages[i].length);
        assert_memory_equal(bytes, messages[i].bytes, messages[i].length);
        assert_int_equal(received.count, counts[i]);
        if (received.count)
            assert_true(is_same_file(received.descriptors[0], messages[i].descriptor));
        descriptor_discard(&received);
    }
    close_fixture(&fixture);
}

static void test_batch_stops_when_full(void **state) {
    struct fixture fixture = make_fixture(SOCK_SEQPACKET);
    struct descriptor_message messages[DESCRIPTOR_BATCH_MAX + 1];
    struct descriptor_received received;
    int total = 0, received_total = 0;
    int taken;
    char byte;

    (void)state;
    for (size_t i = 0; i < DESCRIPTOR_BATCH_MAX + 1; i++)
        messages[i] =
            (struct descriptor_message){.bytes = "x", .length = 1, .descriptor = fixture.file};
    assert_int_equal(descriptor_send_batch(fixture.ends[0], messages, DESCRIPTOR_BATCH_MAX + 1),
                     DESCRIPTOR_BATCH_MAX);
    total = DESCRIPTOR_BATCH_MAX;
    do {
        taken = descriptor_send_batch(fixture.ends[0], messages, DESCRIPTOR_BATCH_MAX);
        total += taken > 0 ? taken : 0;
    } while (taken == DESCRIPTOR_BATCH_MAX);
    while (descriptor_receive(fixture.ends[1], &byte, 1, &received) == 0) {
        received_total++;
        descriptor_discard(&received);
    }
    assert_int_equal(received_total, total);
    close_fixture(&fixture);
}

static void test_empty_batch(void **state) {
    struct fixture fixture = make_fixture(SOCK_SEQPACKET);

    (void)state;
    assert_int_equal(descriptor_send_batch(fixture.ends[0], NULL, 0), 0);
    close_fixture(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_without_descriptor),
        cmocka_unit_test(test_descriptor_arrives_close_on_exec),
        cmocka_unit_test(test_surplus_descriptors_are_closed),
        cmocka_unit_test(test_full_descriptor_table_is_told),
        cmocka_unit_test(test_nothing_there_and_end),
        cmocka_unit_test(test_peer_gone),
        cmocka_unit_test(test_wrong_descriptor),
        cmocka_unit_test(test_full_socket),
        cmocka_unit_test(test_batch_keeps_each_descriptor),
        cmocka_unit_test(test_batch_stops_when_full),
        cmocka_unit_test(test_empty_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
