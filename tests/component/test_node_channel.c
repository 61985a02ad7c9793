#include "ipc/node_channel.h"

#include "component/loop.h"
#include "ipc/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES_MAX 4096

/* The channel, and the worker's end of it. */
static struct node_channel channel;
static int worker;
static enum node_message_type types[MESSAGES_MAX];
static int64_t sequences[MESSAGES_MAX];
static unsigned messages;
static unsigned ended;
static int reason;
static unsigned drained;
static bool closed;

static void on_message(void *owner, const struct node_message *message) {
    assert_ptr_equal(owner, &channel);
    assert_true(messages < MESSAGES_MAX);
    types[messages] = message->type;
    sequences[messages++] = message->sequence;
}

static void on_ended(void *owner, int why) {
    (void)owner;
    ended++;
    reason = why;
}

static void on_drained(void *owner) {
    (void)owner;
    drained++;
}

static void on_closed(void *owner) {
    (void)owner;
    closed = true;
}

static const struct node_channel_events events = {
    .message = on_message, .ended = on_ended, .drained = on_drained};

static int set_up(void **state) {
    int ends[2];
    int result = loop_set_up(state);

    messages = ended = drained = 0;
    closed = false;
    reason = 1;
    if (result < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
        fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    worker = ends[1];
    return node_channel_start(&channel, &loop, ends[0], &events, &channel);
}

static int tear_down(void **state) {
    node_channel_close(&channel, on_closed);
    LOOP_UNTIL(closed);
    if (worker >= 0)
        close(worker);
    return loop_tear_down(state);
}

static void worker_writes(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(worker, bytes, length);

        if (written < 0)
            assert_int_equal(errno, EAGAIN);
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        } else {
            loop_run(1);
        }
    }
}

static void worker_sends(const char *line, int descriptor) {
    struct descriptor_message message = {
        .bytes = line, .length = strlen(line), .descriptor = descriptor};

    assert_int_equal(descriptor_send(worker, &message), strlen(line));
}

static const char online[] = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n";
static const char closing[] =
    "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"3\",\"seq\":7}\n";
static const char handle[] = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{}}\n";

/* --- receiving --- */

static void test_lines_are_split_at_every_byte(void **state) {
    char both[sizeof online + sizeof closing];

    (void)state;
    snprintf(both, sizeof both, "%s%s", online, closing);
    for (size_t split = 0; split <= strlen(both); split++) {
        unsigned before = messages;

        worker_writes(both, split);
        loop_run(0);
        worker_writes(both + split, strlen(both) - split);
        LOOP_UNTIL(messages == before + 2);
        assert_int_equal(types[before], NODE_MESSAGE_ONLINE);
        assert_int_equal(types[before + 1], NODE_MESSAGE_CLOSE);
        assert_int_equal(sequences[before + 1], 7);
    }
}

static void test_glued_lines_come_one_by_one(void **state) {
    (void)state;
    for (int i = 0; i < 2000; i++)
        worker_writes(closing, strlen(closing));
    LOOP_UNTIL(messages == 2000);
    assert_int_equal(ended, 0);
}

static void test_a_large_message_of_the_program_is_skipped(void **state) {
    char *large = malloc(1000000);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', 1000000);
    large[0] = large[999998] = '"';
    large[999999] = '\n';
    worker_writes(large, 1000000);
    worker_writes(online, strlen(online));
    LOOP_UNTIL(messages == 1);
    assert_int_equal(types[0], NODE_MESSAGE_ONLINE);
    free(large);
}

static void check_ends(const char *line, int why) {
    worker_writes(line, strlen(line));
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, why);
    loop_run(20);
    assert_int_equal(ended, 1);
}

static void test_garbage_ends_it(void **state) {
    (void)state;
    check_ends("this is no JSON\n", UV_EPROTO);
}

static void test_an_internal_message_that_misses_its_fields_ends_it(void **state) {
    (void)state;
    check_ends("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\"}\n", UV_EPROTO);
}

static void test_all_that_was_sent_counts_before_the_end(void **state) {
    (void)state;
    for (int i = 0; i < 2000; i++)
        worker_writes(closing, strlen(closing));
    close(worker);
    worker = -1;
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, 0);
    assert_int_equal(messages, 2000);
}

static void test_an_unfinished_line_at_the_end_is_nothing(void **state) {
    (void)state;
    worker_writes(online, strlen(online) - 1);
    close(worker);
    worker = -1;
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, 0);
    assert_int_equal(messages, 0);
}

static void test_drain_reads_what_a_dead_worker_had_sent(void **state) {
    (void)state;
    for (int i = 0; i < 500; i++)
        worker_writes(closing, strlen(closing));
    close(worker);
    worker = -1;
    node_channel_drain(&channel);
    assert_int_equal(messages, 500);
    assert_int_equal(ended, 1);
    assert_int_equal(reason, 0);
}

/* --- descriptors from the worker --- */

static unsigned count_answers(const char *answer) {
    char bytes[65536];
    ssize_t length = read(worker, bytes, sizeof bytes - 1);
    unsigned count = 0;

    if (length < 0)
        return 0;
    bytes[length] = '\0';
    for (char *found = bytes; (found = strstr(found, answer)); found++)
        count++;
    return count;
}

static void test_an_announced_descriptor_is_acknowledged_and_closed(void **state) {
    int descriptor = eventfd(0, EFD_CLOEXEC);
    int before = count_descriptors();

    (void)state;
    for (int i = 0; i < 100; i++)
        worker_sends(handle, descriptor);
    worker_sends(online, -1);
    LOOP_UNTIL(messages == 1);
    assert_int_equal(ended, 0);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(count_answers("NODE_HANDLE_ACK"), 100);
    close(descriptor);
}

static void test_an_announcement_without_a_descriptor_is_answered_no(void **state) {
    (void)state;
    worker_sends(handle, -1);
    worker_sends(online, -1);
    LOOP_UNTIL(messages == 1);
    assert_int_equal(count_answers("NODE_HANDLE_NACK"), 1);
}

static void test_an_announced_descriptor_may_come_before_its_line_is_whole(void **state) {
    int descriptor = eventfd(0, EFD_CLOEXEC);
    struct descriptor_message first = {.bytes = handle, .length = 10, .descriptor = descriptor};

    (void)state;
    assert_int_equal(descriptor_send(worker, &first), 10);
    loop_run(5);
    assert_int_equal(ended, 0);
    worker_sends(handle + 10, -1);
    worker_sends(online, -1);
    LOOP_UNTIL(messages == 1);
    assert_int_equal(count_answers("NODE_HANDLE_ACK"), 1);
    close(descriptor);
}

static void test_an_unannounced_descriptor_ends_it(void **state) {
    int descriptor = eventfd(0, EFD_CLOEXEC);
    int before = count_descriptors();

    (void)state;
    worker_sends(online, descriptor);
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, UV_EPROTO);
    node_channel_close(&channel, on_closed);
    LOOP_UNTIL(closed);
    assert_int_equal(count_descriptors(), before - 1);
    close(descriptor);
    /* For the tear-down. */
    closed = false;
    assert_int_equal(node_channel_start(&channel, &loop, dup(worker), &events, &channel), 0);
}

/* More than fit one message, and more than may be pending. */
static void test_too_many_descriptors_end_it_and_none_leaks(void **state) {
    char space[CMSG_SPACE(20 * sizeof(int))];
    char byte = '{';
    struct iovec bytes = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int descriptors[20];
    int before = count_descriptors();

    (void)state;
    for (int i = 0; i < 20; i++)
        descriptors[i] = worker;
    memset(space, 0, sizeof space);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
    assert_int_equal(sendmsg(worker, &message, 0), 1);
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, UV_EPROTO);
    assert_in_range(count_descriptors(), 0, before + DESCRIPTOR_RECEIVE_MAX);
}

static void test_descriptors_of_one_unfinished_line_are_bounded(void **state) {
    int descriptor = eventfd(0, EFD_CLOEXEC);

    (void)state;
    for (int i = 0; i <= DESCRIPTOR_RECEIVE_MAX; i++)
        worker_sends("x", descriptor);
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, UV_EPROTO);
    close(descriptor);
}

/* --- sending --- */

static unsigned send_one(const char *line, int descriptor) {
    struct descriptor_message client = {
        .bytes = line, .length = strlen(line), .descriptor = descriptor};

    return node_channel_send_clients(&channel, &client, 1);
}

static void test_what_does_not_fit_is_queued_and_sent_in_order(void **state) {
    char line[4096];
    char bytes[65536];
    size_t expected = 0;
    size_t received = 0;
    unsigned number = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        int length = snprintf(line, sizeof line, "%08u%04000d\n", i, 0);

        assert_int_equal(node_channel_send(&channel, line, (size_t)length, -1), 0);
        expected += (size_t)length;
    }
    assert_true(channel.queued > 0);
    assert_int_equal(send_one("x\n", worker), 0);
    while (received < expected) {
        ssize_t length = read(worker, bytes, sizeof bytes);

        for (ssize_t i = 0; i < length; i++, received++)
            if (received % 4009 == 0) { /* the start of a line */
                if (i + 8 <= length)
                    assert_int_equal(strtoul(strndupa(bytes + i, 8), NULL, 10), number);
                number++;
            } else
                assert_int_equal(bytes[i] == '\n', received % 4009 == 4008);
        loop_run(0);
    }
    LOOP_UNTIL(drained == 1);
    assert_int_equal(channel.queued, 0);
    loop_run(20);
    assert_int_equal(drained, 1);
    assert_int_equal(ended, 0);
}

static void test_a_worker_that_never_reads_is_cut_off(void **state) {
    char line[65536];
    int result = 0;

    (void)state;
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 100 && result == 0; i++)
        result = node_channel_send(&channel, line, sizeof line, -1);
    assert_int_equal(result, UV_ENOBUFS);
    assert_int_equal(ended, 0); /* never inside a send */
    assert_int_equal(node_channel_send(&channel, line, 1, -1), UV_EPIPE);
    while (read(worker, line, sizeof line) > 0)
        ;
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, UV_ENOBUFS);
}

/* It does not read, so the socket never gets writable: the end must not wait for that. */
static void test_a_stopped_worker_that_is_cut_off_is_noticed(void **state) {
    char line[65536];

    (void)state;
    memset(line, 'x', sizeof line);
    while (node_channel_send(&channel, line, sizeof line, -1) == 0)
        ;
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, UV_ENOBUFS);
}

static void test_sending_to_a_worker_that_is_gone_is_harmless(void **state) {
    (void)state;
    close(worker);
    worker = -1;
    node_channel_send(&channel, online, strlen(online), -1);
    assert_int_equal(send_one("x\n", channel.descriptor), 0);
    LOOP_UNTIL(ended == 1);
    assert_int_equal(reason, 0);
    assert_int_equal(node_channel_send(&channel, online, strlen(online), -1), UV_EPIPE);
}

static void test_queued_descriptors_are_closed_with_the_channel(void **state) {
    char line[4096];
    int descriptor = eventfd(0, EFD_CLOEXEC);

    (void)state;
    memset(line, 'x', sizeof line);
    while (list_empty(&channel.queue))
        assert_int_equal(node_channel_send(&channel, line, sizeof line, -1), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(node_channel_send(&channel, "x\n", 2, descriptor), 0);
    close(descriptor); /* the queue has copies; the tear-down looks for them */
}

/* --- the straddling line --- */

/* Reads as Node does: at most 65,536 bytes at once; the descriptor of a read goes to the first
 * line with a handle that is finished in it or later, and a later read's takes its place. */
struct node_reader {
    char line[70000];
    size_t length;
    int pending; /* or -1 */
    unsigned lines;
    unsigned clients;
};

static ino_t inode_of(int descriptor) {
    struct stat status;

    assert_int_equal(fstat(descriptor, &status), 0);
    return status.st_ino;
}

/* Each client line names the inode of the descriptor that belongs to it. */
static void reader_finish_line(struct node_reader *reader) {
    char *name = strstr(reader->line, "\"inode\":");

    reader->lines++;
    if (!name)
        return;
    assert_true(reader->pending >= 0);
    assert_int_equal(inode_of(reader->pending), strtoull(name + 8, NULL, 10));
    close(reader->pending);
    reader->pending = -1;
    reader->clients++;
}

static bool reader_read(struct node_reader *reader) {
    static char bytes[65536];
    struct descriptor_received received;

    if (descriptor_receive(worker, bytes, sizeof bytes, &received) < 0)
        return false;
    assert_true(received.count <= 1);
    if (received.count == 1) {
        assert_int_equal(reader->pending, -1);
        reader->pending = received.descriptors[0];
    }
    for (size_t i = 0; i < received.length; i++) {
        assert_true(reader->length < sizeof reader->line - 1);
        if (bytes[i] != '\n') {
            reader->line[reader->length++] = bytes[i];
            continue;
        }
        reader->line[reader->length] = '\0';
        reader->length = 0;
        reader_finish_line(reader);
    }
    return true;
}

/* Plain bytes of every length around the limit, then clients, while the worker reads now and then.
 */
static void test_each_line_gets_its_own_descriptor(void **state) {
    static struct node_reader reader;
    static char plain[66000];

    int descriptors[8];
    unsigned sent = 0;

    (void)state;
    reader = (struct node_reader){.pending = -1};
    for (int i = 0; i < 8; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors + i++), 0);
    memset(plain, 'p', sizeof plain);

    for (size_t length = 65100; length < 65700; length += 1) {
        size_t piece = length % 3 == 0 ? length : length / 2; /* as one line, or two */

        for (size_t rest = length; rest > 0; rest -= piece < rest ? piece : rest) {
            size_t now = piece < rest ? piece : rest;

            plain[now - 1] = '\n';
            assert_int_equal(node_channel_send(&channel, plain, now, -1), 0);
            plain[now - 1] = 'p';
        }
        for (unsigned round = 0; round < 5; round++) { /* 1 to 5 at a time */
            struct descriptor_message clients[5];
            char lines[5][200];

            for (unsigned i = 0; i <= round; i++) {
                int descriptor = descriptors[(sent + i) % 8];
                int size =
                    snprintf(lines[i], sizeof lines[i],
                             "{\"cmd\":\"NODE_HANDLE\",\"inode\":%llu,\"x\":%0*d}\n",
                             (unsigned long long)inode_of(descriptor), (int)(length % 90), 1);

                clients[i] = (struct descriptor_message){
                    .bytes = lines[i], .length = (size_t)size, .descriptor = descriptor};
            }
            sent += node_channel_send_clients(&channel, clients, round + 1);
        }
        loop_run(0);
        if (length % 2)
            while (reader_read(&reader))
                loop_run(0);
    }
    LOOP_UNTIL((reader_read(&reader), list_empty(&channel.queue)));
    while (reader_read(&reader))
        ;
    assert_true(sent > 3000);
    assert_int_equal(reader.clients, sent);
    assert_int_equal(ended, 0);
    for (int i = 0; i < 8; i++)
        close(descriptors[i]);
}

/* A listening socket for a worker goes the same way as a client, only that it may be queued. */
static void test_queued_lines_get_their_own_descriptors_too(void **state) {
    static struct node_reader reader;
    static char plain[66000];
    int descriptors[4];

    (void)state;
    reader = (struct node_reader){.pending = -1};
    for (int i = 0; i < 4; i++)
        descriptors[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(plain, 'p', sizeof plain);
    for (size_t length = 65300; length < 65600; length += 5) {
        plain[length - 1] = '\n';
        assert_int_equal(node_channel_send(&channel, plain, length, -1), 0);
        plain[length - 1] = 'p';
        for (int i = 0; i < 4; i++) {
            char line[128];
            int size = snprintf(line, sizeof line, "{\"cmd\":\"NODE_HANDLE\",\"inode\":%llu}\n",
                                (unsigned long long)inode_of(descriptors[i]));

            assert_int_equal(node_channel_send(&channel, line, (size_t)size, descriptors[i]), 0);
        }
        loop_run(0);
        if (channel.queued > 500000)
            LOOP_UNTIL((reader_read(&reader), list_empty(&channel.queue)));
    }
    LOOP_UNTIL((reader_read(&reader), list_empty(&channel.queue)));
    while (reader_read(&reader))
        ;
    assert_int_equal(reader.clients, 60 * 4);
    for (int i = 0; i < 4; i++)
        close(descriptors[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lines_are_split_at_every_byte),
        TEST(glued_lines_come_one_by_one),
        TEST(a_large_message_of_the_program_is_skipped),
        TEST(garbage_ends_it),
        TEST(an_internal_message_that_misses_its_fields_ends_it),
        TEST(all_that_was_sent_counts_before_the_end),
        TEST(an_unfinished_line_at_the_end_is_nothing),
        TEST(drain_reads_what_a_dead_worker_had_sent),
        TEST(an_announced_descriptor_is_acknowledged_and_closed),
        TEST(an_announcement_without_a_descriptor_is_answered_no),
        TEST(an_announced_descriptor_may_come_before_its_line_is_whole),
        TEST(an_unannounced_descriptor_ends_it),
        TEST(too_many_descriptors_end_it_and_none_leaks),
        TEST(descriptors_of_one_unfinished_line_are_bounded),
        TEST(what_does_not_fit_is_queued_and_sent_in_order),
        TEST(a_worker_that_never_reads_is_cut_off),
        TEST(a_stopped_worker_that_is_cut_off_is_noticed),
        TEST(sending_to_a_worker_that_is_gone_is_harmless),
        TEST(queued_descriptors_are_closed_with_the_channel),
        TEST(each_line_gets_its_own_descriptor),
        TEST(queued_lines_get_their_own_descriptors_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
