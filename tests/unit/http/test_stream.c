/* Streams on a real loop: the server has one end of a socket pair, the test the other. */
#include "http/stream.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "http/request.h"
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 60000

struct fixture {
    uv_loop_t loop;
    struct http_server server;
    int client; /* the test's end, non-blocking; -1: closed */
    bool ended; /* the server has closed */
    struct buffer received;
    struct http_stream *stream;
    const char *words; /* written within the handler, which ends the stream then */
    int gone;
    int rooms;
    int drained;
};

static void on_gone(void *owner) {
    struct fixture *fixture = owner;

    fixture->gone++;
    fixture->stream = NULL;
}

static void on_room(void *owner) {
    struct fixture *fixture = owner;

    fixture->rooms++;
}

static const struct http_stream_events events = {.gone = on_gone, .on_room = on_room};

static void on_request(void *owner, struct http_connection *connection,
                       const struct http_request *request) {
    struct fixture *fixture = owner;
    struct http_response head = {.status = 200, .content_type = "text/plain"};

    if (strcmp(http_request_path(request), "/stream") != 0) {
        http_connection_fail(connection, 404);
        return;
    }
    fixture->stream = http_connection_stream(connection, &head, &events, fixture);
    if (!fixture->words)
        return;
    assert_int_equal(http_stream_write(fixture->stream, fixture->words, strlen(fixture->words)), 0);
    http_stream_end(fixture->stream, "!", 1);
    fixture->stream = NULL;
}

static uint64_t body_limit(void *owner, const struct http_request *request) {
    (void)owner;
    (void)request;
    return 0;
}

static const struct http_handler handler = {.on_request = on_request, .body_limit = body_limit};

static const struct http_server_options quick = {
    .header_timeout_ms = 300,
    .body_timeout_ms = 300,
    .write_timeout_ms = 300,
    .idle_timeout_ms = 300,
    .linger_ms = 300,
    .drain_grace_ms = 300,
    .memory_max = 3000000,
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int sockets[2];

    if (!fixture)
        return -1;
    *state = fixture;
    buffer_init(&fixture->received);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    http_server_init(&fixture->server, &fixture->loop, &handler, fixture, &quick);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets),
                     0);
    fixture->client = sockets[1];
    http_server_open(&fixture->server, sockets[0]);
    return 0;
}

static void close_client(struct fixture *fixture) {
    if (fixture->client >= 0)
        close(fixture->client);
    fixture->client = -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;

    close_client(fixture);
    http_server_abort(&fixture->server);
    assert_int_equal(fixture->server.connections, 0);
    assert_int_equal(fixture->server.memory, 0);
    http_server_close(&fixture->server, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    buffer_clear(&fixture->received);
    free(fixture);
    return 0;
}

static void say(struct fixture *fixture, const char *text) {
    assert_int_equal(send(fixture->client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void receive(struct fixture *fixture) {
    while (!fixture->ended && fixture->client >= 0) {
        char *room = buffer_reserve(&fixture->received, 65536);
        ssize_t length = recv(fixture->client, room, 65535, 0);

        if (length < 0 && errno == EAGAIN)
            return;
        if (length > 0)
            buffer_commit(&fixture->received, (size_t)length);
        else
            fixture->ended = true;
    }
}

static bool has(struct fixture *fixture, const char *text) {
    receive(fixture);
    *buffer_reserve(&fixture->received, 1) = '\0';
    return strstr(buffer_data(&fixture->received), text) != NULL;
}

#define WAIT_FOR(fixture, condition)                                                               \
    for (uint64_t deadline = clock_ms() + WAIT_MS; !(condition);) {                                \
        if (clock_ms() > deadline)                                                                 \
            fail_msg("waited in vain for %s", #condition);                                         \
        uv_run(&(fixture)->loop, UV_RUN_NOWAIT);                                                   \
    }

#define STREAM "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"
#define OTHER  "GET /other HTTP/1.1\r\nHost: h\r\n\r\n"

static void open_stream(struct fixture *fixture) {
    say(fixture, STREAM);
    WAIT_FOR(fixture, fixture->stream);
}

/* Turns the loop for a while, without reading. */
static void idle(struct fixture *fixture, uint64_t ms) {
    uint64_t end = clock_ms() + ms;

    do
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    while (clock_ms() < end);
}

static void test_pieces_are_chunks(void **state) {
    struct fixture *fixture = *state;

    open_stream(fixture);
    idle(fixture, 700); /* the server's timer has stopped */
    WAIT_FOR(fixture, has(fixture, "Transfer-Encoding: chunked\r\n") && has(fixture, "\r\n\r\n"));
    assert_false(has(fixture, "Content-Length"));
    assert_int_equal(http_stream_write(fixture->stream, "hello, world", 12), 0);
    assert_int_equal(http_stream_write(fixture->stream, "", 0), 0);
    assert_true(http_stream_waiting(fixture->stream) > 12);
    WAIT_FOR(fixture, has(fixture, "\r\n\r\nc\r\nhello, world\r\n"));
    assert_int_equal(http_stream_waiting(fixture->stream), 0);
    http_stream_end(fixture->stream, "bye", 3);
    WAIT_FOR(fixture, has(fixture, "world\r\n3\r\nbye\r\n0\r\n\r\n"));
    WAIT_FOR(fixture, fixture->server.connections == 0); /* no further request comes in time */
    assert_int_equal(fixture->gone, 0);
}

static void test_the_next_request_comes_after_the_end(void **state) {
    struct fixture *fixture = *state;

    say(fixture, STREAM OTHER);
    WAIT_FOR(fixture, fixture->stream);
    idle(fixture, 20);
    assert_false(has(fixture, "404"));
    http_stream_end(fixture->stream, NULL, 0);
    WAIT_FOR(fixture, has(fixture, "\r\n\r\n0\r\n\r\nHTTP/1.1 404 Not Found"));
}

static void test_a_stream_may_end_within_its_handler(void **state) {
    struct fixture *fixture = *state;

    fixture->words = "all at once";
    say(fixture, STREAM STREAM OTHER);
    WAIT_FOR(fixture, has(fixture, "b\r\nall at once\r\n1\r\n!\r\n0\r\n\r\nHTTP/1.1 404"));
    assert_int_equal(fixture->server.answered, 3);
}

static void test_pieces_for_http_1_0_are_bare(void **state) {
    struct fixture *fixture = *state;

    fixture->words = "bare";
    say(fixture, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    WAIT_FOR(fixture, has(fixture, "\r\n\r\nbare!") && fixture->ended);
    assert_true(has(fixture, "Connection: close\r\n"));
    assert_false(has(fixture, "chunked"));
}

static void test_for_head_there_are_headers_only(void **state) {
    struct fixture *fixture = *state;

    fixture->words = "nothing of this";
    say(fixture, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    WAIT_FOR(fixture, has(fixture, "chunked\r\n") && fixture->ended);
    assert_false(has(fixture, "nothing"));
    assert_false(has(fixture, "\r\n\r\n0"));
}

static void test_the_end_comes_after_what_waits(void **state) {
    struct fixture *fixture = *state;
    char *piece = calloc(1, 1000000);
    uint64_t answered;

    assert_non_null(piece);
    open_stream(fixture);
    answered = fixture->server.answered;
    assert_int_equal(http_stream_write(fixture->stream, piece, 1000000), 0);
    http_stream_end(fixture->stream, piece, 1000000); /* beyond all limits */
    free(piece);
    WAIT_FOR(fixture, (receive(fixture), buffer_length(&fixture->received) > 2000000));
    say(fixture, OTHER);
    WAIT_FOR(fixture, fixture->server.answered > answered);
}

static void test_a_reader_that_stops_is_not_late(void **state) {
    struct fixture *fixture = *state;
    char piece[1000] = "";
    size_t taken = 0;

    open_stream(fixture);
    while (http_stream_write(fixture->stream, piece, sizeof piece) == 0) {
        taken++;
        assert_true(http_stream_waiting(fixture->stream) <= HTTP_STREAM_WAITING_MAX + 16);
    }
    assert_true(taken > 1000);
    idle(fixture, 700); /* more than the time to write */
    assert_int_equal(fixture->gone, 0);
    assert_int_equal(fixture->rooms, 0);
    WAIT_FOR(fixture, (receive(fixture), fixture->rooms == 1));
    assert_true(http_stream_waiting(fixture->stream) <= HTTP_STREAM_WAITING_MAX / 2);
    assert_int_equal(http_stream_write(fixture->stream, piece, sizeof piece), 0);
    idle(fixture, 20);
    assert_int_equal(fixture->rooms, 1);
}

static void test_what_all_hold_has_a_limit(void **state) {
    struct fixture *fixture = *state;
    char *piece = calloc(1, 900000);

    assert_non_null(piece);
    open_stream(fixture);
    fixture->server.memory += 700000; /* another's */
    assert_int_equal(http_stream_write(fixture->stream, piece, 900000), UV_ENOBUFS);
    assert_int_equal(http_stream_write(fixture->stream, piece, 700000), 0);
    fixture->server.memory -= 700000;
    free(piece);
}

static void test_the_last_answer_of_a_late_reader_is_given_up(void **state) {
    struct fixture *fixture = *state;
    char *piece = calloc(1, 1000000);

    assert_non_null(piece);
    open_stream(fixture);
    http_stream_end(fixture->stream, piece, 1000000);
    free(piece);
    WAIT_FOR(fixture, fixture->server.connections == 0);
    assert_int_equal(fixture->gone, 0);
}

static void test_the_writer_learns_that_the_client_is_gone(void **state) {
    struct fixture *fixture = *state;

    open_stream(fixture);
    close_client(fixture);
    assert_int_equal(http_stream_write(fixture->stream, "hello", 5), 0);
    assert_int_equal(fixture->gone, 0); /* never from within a call */
    WAIT_FOR(fixture, fixture->gone == 1);
    assert_int_equal(fixture->server.connections, 0);
}

static void test_a_client_that_only_listens_is_served_on(void **state) {
    struct fixture *fixture = *state;

    open_stream(fixture);
    assert_int_equal(shutdown(fixture->client, SHUT_WR), 0);
    idle(fixture, 20);
    assert_int_equal(http_stream_write(fixture->stream, "still", 5), 0);
    WAIT_FOR(fixture, has(fixture, "5\r\nstill\r\n"));
    idle(fixture, 20);
    close_client(fixture);
    WAIT_FOR(fixture, fixture->gone == 1);
}

static void on_time_up(uv_timer_t *timer) {
    bool *up = timer->data;

    *up = true;
}

/* How often the loop wakes up in 600 ms, this timer's end included. */
static int count_wakes(struct fixture *fixture) {
    uv_timer_t timer;
    bool up = false;
    int wakes = 0;

    uv_timer_init(&fixture->loop, &timer);
    timer.data = &up;
    uv_timer_start(&timer, on_time_up, 600, 0);
    while (!up) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
        wakes++;
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    return wakes;
}

/* Neither its half of the close nor its urgent data wake the server more than once, and there is no
 * time to be watched. */
static void test_a_client_that_only_listens_costs_nothing(void **state) {
    struct fixture *fixture = *state;

    open_stream(fixture);
    (void)send(fixture->client, "!", 1, MSG_OOB | MSG_NOSIGNAL);
    assert_int_equal(shutdown(fixture->client, SHUT_WR), 0);
    WAIT_FOR(fixture, has(fixture, "\r\n\r\n"));
    WAIT_FOR(fixture, !fixture->server.ticking);
    idle(fixture, 20);
    assert_true(count_wakes(fixture) <= 2); /* one may be due to how the loop rounds its time */
    assert_int_equal(fixture->gone, 0);
    http_stream_end(fixture->stream, NULL, 0);
    WAIT_FOR(fixture, fixture->server.connections == 0);
}

static void on_drained(void *owner) {
    struct fixture *fixture = owner;

    fixture->drained++;
}

static void test_draining_waits_for_the_end(void **state) {
    struct fixture *fixture = *state;

    open_stream(fixture);
    http_server_drain(&fixture->server, on_drained);
    idle(fixture, 700);
    assert_int_equal(fixture->drained, 0);
    http_stream_end(fixture->stream, "bye", 3);
    WAIT_FOR(fixture, has(fixture, "bye\r\n0\r\n\r\n") && fixture->ended);
    close_client(fixture);
    WAIT_FOR(fixture, fixture->drained == 1);
}

static void test_abort_tells_the_writer(void **state) {
    struct fixture *fixture = *state;

    open_stream(fixture);
    http_server_abort(&fixture->server);
    assert_int_equal(fixture->gone, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(pieces_are_chunks),
        TEST(the_next_request_comes_after_the_end),
        TEST(a_stream_may_end_within_its_handler),
        TEST(pieces_for_http_1_0_are_bare),
        TEST(for_head_there_are_headers_only),
        TEST(the_end_comes_after_what_waits),
        TEST(a_reader_that_stops_is_not_late),
        TEST(what_all_hold_has_a_limit),
        TEST(the_last_answer_of_a_late_reader_is_given_up),
        TEST(the_writer_learns_that_the_client_is_gone),
        TEST(a_client_that_only_listens_is_served_on),
        TEST(a_client_that_only_listens_costs_nothing),
        TEST(draining_waits_for_the_end),
        TEST(abort_tells_the_writer),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
