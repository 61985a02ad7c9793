/* On a socket pair with small buffers, so that sending stops half-way. */
#include "http/transmission.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_SIZE ((size_t)3 * 1024 * 1024)

struct pair {
    int server;
    int client;
    struct buffer received;
};

static void open_pair(struct pair *pair) {
    int sockets[2];
    int size = 8192;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets),
                     0);
    assert_int_equal(setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    pair->server = sockets[0];
    pair->client = sockets[1];
    buffer_init(&pair->received);
}

static void close_pair(struct pair *pair) {
    close(pair->server);
    if (pair->client >= 0)
        close(pair->client);
    buffer_clear(&pair->received);
}

static void receive(struct pair *pair) {
    for (;;) {
        char *room = buffer_reserve(&pair->received, 65536);
        ssize_t length;

        assert_non_null(room);
        length = recv(pair->client, room, 65536, 0);
        if (length <= 0)
            return;
        buffer_commit(&pair->received, (size_t)length);
    }
}

/* A file whose bytes tell their place. */
static int make_file(size_t size) {
    int file = memfd_create("file", MFD_CLOEXEC);
    unsigned char *bytes = malloc(size);

    assert_true(file >= 0);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i ^ (i >> 8) ^ (i >> 16));
    assert_int_equal(write(file, bytes, size), size);
    free(bytes);
    return file;
}

static void test_bytes_then_part_of_a_file(void **state) {
    struct http_transmission transmission;
    struct pair pair;
    int file = make_file(FILE_SIZE);
    size_t length = FILE_SIZE - 12345 - 7;
    size_t stops = 0;
    const unsigned char *received;
    int status;

    (void)state;
    open_pair(&pair);
    http_transmission_init(&transmission);
    assert_int_equal(buffer_append(&transmission.bytes, "head", 4), 0);
    http_transmission_add_file(&transmission, file, 12345, length);
    while ((status = http_transmission_send(&transmission, pair.server)) == -EAGAIN) {
        stops++;
        receive(&pair);
        assert_true(stops < FILE_SIZE);
    }
    receive(&pair);
    assert_int_equal(status, 0);
    assert_true(stops > 2);
    assert_false(http_transmission_has_file(&transmission));
    assert_int_equal(fcntl(file, F_GETFD), -1); /* closed as soon as it is sent */
    assert_int_equal(buffer_length(&pair.received), length + 4);
    assert_memory_equal(buffer_data(&pair.received), "head", 4);
    received = (unsigned char *)buffer_data(&pair.received) + 4;
    for (size_t i = 0; i < length; i++) {
        size_t place = i + 12345;

        if (received[i] != (unsigned char)(place ^ (place >> 8) ^ (place >> 16)))
            fail_msg("byte %zu differs", i);
    }
    http_transmission_clear(&transmission);
    close_pair(&pair);
}

static void test_a_file_that_got_shorter(void **state) {
    struct http_transmission transmission;
    struct pair pair;
    int file = make_file(100);

    (void)state;
    open_pair(&pair);
    http_transmission_init(&transmission);
    http_transmission_add_file(&transmission, file, 50, 100);
    assert_int_equal(http_transmission_send(&transmission, pair.server), -EIO);
    http_transmission_clear(&transmission);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    close_pair(&pair);
}

static void test_a_client_that_is_gone(void **state) {
    struct http_transmission transmission;
    struct pair pair;

    (void)state;
    open_pair(&pair);
    close(pair.client);
    pair.client = -1;
    http_transmission_init(&transmission);
    http_transmission_add_file(&transmission, make_file(100), 0, 100);
    assert_int_equal(http_transmission_send(&transmission, pair.server), -EPIPE);
    assert_int_equal(buffer_append(&transmission.bytes, "x", 1), 0);
    assert_int_equal(http_transmission_send(&transmission, pair.server), -EPIPE);
    http_transmission_clear(&transmission);
    close_pair(&pair);
}

static void test_nothing_to_send(void **state) {
    struct http_transmission transmission;

    (void)state;
    http_transmission_init(&transmission);
    assert_int_equal(http_transmission_send(&transmission, -1), 0);
    http_transmission_clear(&transmission);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_then_part_of_a_file),
        cmocka_unit_test(test_a_file_that_got_shorter),
        cmocka_unit_test(test_a_client_that_is_gone),
        cmocka_unit_test(test_nothing_to_send),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
