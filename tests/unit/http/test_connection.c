/* Connections on a real loop: the server has one end of a socket pair, the test the other. Every
 * wait is for an event and bounded; the tear-down fails when a handle or a connection is left. */
#include "http/connection.h"

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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 60000

struct fixture {
    uv_loop_t loop;
    struct http_server server;
    int client;                      /* the test's end, non-blocking; -1: closed */
    bool client_sees_end;            /* the server has closed */
    struct buffer received;          /* ended by a NUL that does not count */
    struct http_connection *waiting; /* asked for /later */
    int gone;                        /* calls of the callback of /later */
    int drained;
    int requests; /* that the handler was given */
};

static void on_gone(void *context) {
    struct fixture *fixture = context;

    fixture->gone++;
    fixture->waiting = NULL;
}

static void respond_text(struct http_connection *connection, const char *text) {
    struct http_response response = {.status = 200, .body = text, .length = strlen(text)};

    http_connection_respond(connection, &response);
}

static void respond_big(struct http_connection *connection) {
    static char text[100000];
    struct http_response response = {.status = 200, .body = text, .length = sizeof text};

    memset(text, 'x', sizeof text);
    http_connection_respond(connection, &response);
}

static void respond_file(struct http_connection *connection) {
    int file = memfd_create("file", MFD_CLOEXEC);
    struct http_response response = {
        .status = 200, .from_file = true, .file = file, .offset = 1, .length = 3};

    assert_int_equal(write(file, "abcde", 5), 5);
    http_connection_respond(connection, &response);
}

/* The path says what to answer; anything unknown is answered with itself. */
static void on_request(void *owner, struct http_connection *connection,
                       const struct http_request *request) {
    struct fixture *fixture = owner;
    const char *path = http_request_path(request);

    fixture->requests++;
    if (strcmp(path, "/later") == 0) {
        fixture->waiting = connection;
        http_connection_on_gone(connection, on_gone, fixture);
    } else if (strcmp(path, "/big") == 0) {
        respond_big(connection);
    } else if (strcmp(path, "/file") == 0) {
        respond_file(connection);
    } else if (strcmp(path, "/none") == 0) {
        http_connection_fail(connection, 404);
    } else {
        respond_text(connection, path);
    }
}

static uint64_t body_limit(void *owner, const struct http_request *request) {
    (void)owner;
    (void)request;
    return 10;
}

static const struct http_handler handler = {.on_request = on_request, .body_limit = body_limit};

static const struct http_server_options quick = {
    .header_timeout_ms = 300,
    .body_timeout_ms = 300,
    .write_timeout_ms = 300,
    .idle_timeout_ms = 300,
    .linger_ms = 300,
    .drain_grace_ms = 300,
};

static void open_client(struct fixture *fixture) {
    int sockets[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets),
                     0);
    fixture->client = sockets[1];
    fixture->client_sees_end = false;
    http_server_open(&fixture->server, sockets[0]);
}

static void set_up_with(struct fixture *fixture, const struct http_server_options *options) {
    *fixture = (struct fixture){.client = -1};
    buffer_init(&fixture->received);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    http_server_init(&fixture->server, &fixture->loop, &handler, fixture, options);
    open_client(fixture);
}

static void set_up(struct fixture *fixture) {
    set_up_with(fixture, &http_server_default_options);
}

static void close_client(struct fixture *fixture) {
    if (fixture->client >= 0)
        close(fixture->client);
    fixture->client = -1;
}

static void tear_down(struct fixture *fixture) {
    close_client(fixture);
    http_server_abort(&fixture->server);
    assert_int_equal(fixture->server.connections, 0);
    http_server_close(&fixture->server, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    buffer_clear(&fixture->received);
}

static void send_text(struct fixture *fixture, const char *text) {
    assert_int_equal(send(fixture->client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void receive(struct fixture *fixture) {
    while (!fixture->client_sees_end && fixture->client >= 0) {
        char *room = buffer_reserve(&fixture->received, 65536);
        ssize_t length = recv(fixture->client, room, 65535, 0);

        if (length < 0 && errno == EAGAIN)
            return;
        if (length > 0)
            buffer_commit(&fixture->received, (size_t)length);
        else
            fixture->client_sees_end = true;
    }
}

static const char *received(struct fixture *fixture) {
    char *room = buffer_reserve(&fixture->received, 1);

    *room = '\0';
    return buffer_data(&fixture->received);
}

static void turn(struct fixture *fixture) {
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    receive(fixture);
}

/* Turns the loop until `condition` holds; fails after WAIT_MS. */
#define WAIT_FOR(fixture, condition)                                                               \
    for (uint64_t deadline = clock_ms() + WAIT_MS; !(condition);) {                                \
        if (clock_ms() > deadline)                                                                 \
            fail_msg("waited in vain for %s; received: %.2000s", #condition, received(fixture));   \
        turn(fixture);                                                                             \
    }

static int count(struct fixture *fixture, const char *text) {
    int found = 0;

    for (const char *at = received(fixture); (at = strstr(at, text)); at += strlen(text))
        found++;
    return found;
}

static bool has(struct fixture *fixture, const char *text) {
    return count(fixture, text) > 0;
}

#define REQUEST(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define CLOSING(path) "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static void test_pipelined_requests_in_order(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, REQUEST("/a") REQUEST("/file") REQUEST("/b") REQUEST("/none"));
    WAIT_FOR(&fixture, has(&fixture, "404 Not Found\n"));
    assert_int_equal(fixture.server.answered, 4);
    assert_int_equal(count(&fixture, "HTTP/1.1 200 OK"), 3);
    assert_true(strstr(received(&fixture), "\r\n\r\n/aHTTP") <
                strstr(received(&fixture), "bcdHTTP"));
    assert_true(strstr(received(&fixture), "bcdHTTP") <
                strstr(received(&fixture), "\r\n\r\n/bHTTP"));
    assert_int_equal(fixture.server.connections, 1);
    tear_down(&fixture);
}

static void test_one_byte_at_a_time(void **state) {
    static const char text[] = REQUEST("/a") "\r\n" CLOSING("/b");
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(send(fixture.client, text + i, 1, MSG_NOSIGNAL), 1);
        turn(&fixture);
    }
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_int_equal(fixture.server.answered, 2);
    assert_int_equal(count(&fixture, "Connection: close"), 1);
    assert_int_equal(fixture.server.connections, 0);
    tear_down(&fixture);
}

static void test_what_has_arrived_is_answered_at_once(void **state) {
    struct fixture fixture;
    int sockets[2];

    (void)state;
    set_up(&fixture);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets),
                     0);
    assert_int_equal(send(sockets[1], CLOSING("/a"), strlen(CLOSING("/a")), 0),
                     strlen(CLOSING("/a")));
    http_server_open(&fixture.server, sockets[0]);
    assert_int_equal(fixture.server.answered, 1); /* without a turn of the loop */
    assert_int_equal(fixture.server.connections, 1);
    close(sockets[1]);
    tear_down(&fixture);
}

static void test_a_request_after_close_is_refused(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, CLOSING("/a") REQUEST("/b"));
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_int_equal(fixture.requests, 1);
    assert_int_equal(count(&fixture, "HTTP/1.1 200 OK"), 1);
    assert_int_equal(count(&fixture, "HTTP/1.1 400 Bad Request"), 1);
    assert_false(has(&fixture, "/b"));
    tear_down(&fixture);
}

static void test_empty_lines_after_close_are_not(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, CLOSING("/a") "\r\n");
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_int_equal(fixture.server.answered, 1);
    tear_down(&fixture);
}

static void test_a_refusal_ends_the_connection(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, REQUEST("/a") "GET / HTTP/1.1\r\nHost : h\r\n\r\n" REQUEST("/b"));
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_int_equal(fixture.requests, 1);
    assert_true(has(&fixture, "HTTP/1.1 400 Bad Request"));
    assert_true(has(&fixture, "Connection: close\r\n\r\n400 Bad Request\n"));
    /* It reads on, so that the client is not reset before it has read why. */
    assert_int_equal(fixture.server.connections, 1);
    send_text(&fixture, "and more");
    turn(&fixture);
    close_client(&fixture);
    WAIT_FOR(&fixture, fixture.server.connections == 0);
    tear_down(&fixture);
}

static void test_head_has_no_body(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, "HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n" REQUEST("/a"));
    WAIT_FOR(&fixture, has(&fixture, "\r\n\r\n/a"));
    assert_int_equal(count(&fixture, "Content-Length: 3"), 1);
    assert_false(has(&fixture, "bcd"));
    tear_down(&fixture);
}

static void test_body_limit_and_continue(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n"
                        "Expect: 100-continue\r\n\r\n");
    WAIT_FOR(&fixture, has(&fixture, "HTTP/1.1 100 Continue\r\n\r\n"));
    send_text(&fixture, "0123456789");
    WAIT_FOR(&fixture, has(&fixture, "\r\n\r\n/a"));
    send_text(&fixture, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n"
                        "Expect: 100-continue\r\n\r\n");
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_int_equal(count(&fixture, "100 Continue"), 1);
    assert_int_equal(count(&fixture, "HTTP/1.1 413 Content Too Large"), 1);
    assert_int_equal(fixture.requests, 1);
    tear_down(&fixture);
}

static void test_an_answer_that_comes_later(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, REQUEST("/later") REQUEST("/b"));
    WAIT_FOR(&fixture, fixture.waiting);
    turn(&fixture);
    assert_int_equal(fixture.requests, 1); /* the next one has to wait */
    respond_text(fixture.waiting, "done");
    WAIT_FOR(&fixture, has(&fixture, "\r\n\r\n/b"));
    assert_true(has(&fixture, "\r\n\r\ndoneHTTP"));
    assert_int_equal(fixture.gone, 0);
    close_client(&fixture);
    WAIT_FOR(&fixture, fixture.server.connections == 0);
    assert_int_equal(fixture.gone, 0);
    tear_down(&fixture);
}

static void test_a_client_that_goes_while_it_waits(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, REQUEST("/later"));
    WAIT_FOR(&fixture, fixture.waiting);
    close_client(&fixture);
    WAIT_FOR(&fixture, fixture.gone);
    assert_int_equal(fixture.gone, 1);
    assert_int_equal(fixture.server.connections, 0);
    tear_down(&fixture);
}

static void test_a_half_closed_client_gets_its_answer(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, REQUEST("/later"));
    assert_int_equal(shutdown(fixture.client, SHUT_WR), 0);
    WAIT_FOR(&fixture, fixture.waiting);
    for (int i = 0; i < 10; i++)
        turn(&fixture);
    assert_int_equal(fixture.gone, 0);
    respond_text(fixture.waiting, "done");
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_true(has(&fixture, "\r\n\r\ndone"));
    tear_down(&fixture);
}

static void test_a_client_that_does_not_read_is_not_read(void **state) {
    struct fixture fixture;
    int asked = 0;

    (void)state;
    set_up(&fixture);
    for (int i = 0; i < 20000; i++) {
        if (send(fixture.client, REQUEST("/big"), strlen(REQUEST("/big")), MSG_NOSIGNAL) < 0)
            break;
        asked++;
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    assert_true(asked < 20000);
    /* What fits the socket, and one answer more in memory. */
    assert_true(fixture.requests < 20);
    WAIT_FOR(&fixture, fixture.server.answered == (uint64_t)asked);
    tear_down(&fixture);
}

static void test_late_headers(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, "GET /a HTTP/1.1\r\nHos");
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_true(has(&fixture, "HTTP/1.1 408 Request Timeout"));
    assert_true(has(&fixture, "Connection: close"));
    tear_down(&fixture);
}

/* A byte now and then does not buy time. */
static void test_slow_headers(void **state) {
    struct fixture fixture;
    int sent = 0;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, "GET /a HTTP/1.1\r\nHost: ");
    for (uint64_t next = clock_ms(); !fixture.client_sees_end;) {
        turn(&fixture);
        if (clock_ms() < next)
            continue;
        next = clock_ms() + 20;
        (void)!send(fixture.client, "x", 1, MSG_NOSIGNAL);
        assert_true(++sent < 200);
    }
    assert_true(has(&fixture, "HTTP/1.1 408 Request Timeout"));
    tear_down(&fixture);
}

static void test_a_late_body(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc");
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_true(has(&fixture, "HTTP/1.1 408 Request Timeout"));
    assert_int_equal(fixture.requests, 0);
    tear_down(&fixture);
}

static void test_idle_and_silent_clients_are_closed(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_int_equal(buffer_length(&fixture.received), 0);
    close_client(&fixture);
    open_client(&fixture);
    send_text(&fixture, REQUEST("/a"));
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_true(has(&fixture, "\r\n\r\n/a"));
    assert_int_equal(fixture.server.answered, 1);
    tear_down(&fixture);
}

/* The idle time begins anew with each answer, even to requests that arrive whole. */
static void test_a_busy_client_is_not_idle(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    for (uint64_t i = 1, until = clock_ms() + 1000; clock_ms() < until; i++) {
        send_text(&fixture, REQUEST("/a"));
        WAIT_FOR(&fixture, fixture.server.answered == i);
        assert_false(fixture.client_sees_end);
        usleep(20 * 1000);
    }
    tear_down(&fixture);
}

/* So does the time for the headers with each request. */
static void test_each_request_has_its_own_time(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, "GET /a HTTP/1.1\r\n");
    for (uint64_t i = 1, until = clock_ms() + 1000; clock_ms() < until; i++) {
        send_text(&fixture, "Host: h\r\n\r\nGET /a HTTP/1.1\r\n");
        WAIT_FOR(&fixture, fixture.server.answered == i);
        assert_false(has(&fixture, " 408 "));
        usleep(20 * 1000);
    }
    tear_down(&fixture);
}

static void test_a_client_that_takes_nothing_is_closed(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, REQUEST("/big") REQUEST("/big") REQUEST("/big") REQUEST("/big"));
    for (uint64_t deadline = clock_ms() + WAIT_MS; fixture.server.connections > 0;) {
        assert_true(clock_ms() < deadline);
        uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    tear_down(&fixture);
}

/* A late loop must not blame the client: what has arrived meanwhile is in time. */
static void test_a_loop_that_was_held_up(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, "GET /a HTTP/1.1\r\n");
    WAIT_FOR(&fixture, !list_empty(&fixture.server.phases[HTTP_PHASE_HEAD]));
    send_text(&fixture, "Host: h\r\n\r\n");
    usleep(700 * 1000);
    WAIT_FOR(&fixture, has(&fixture, "HTTP/1.1"));
    assert_true(has(&fixture, "HTTP/1.1 200 OK"));
    tear_down(&fixture);
}

/* Nor for what it has taken meanwhile. */
static void test_a_loop_that_was_held_up_while_writing(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    for (int i = 0; i < 5; i++)
        send_text(&fixture, REQUEST("/big"));
    send_text(&fixture, REQUEST("/a"));
    uv_run(&fixture.loop, UV_RUN_NOWAIT);
    assert_false(list_empty(&fixture.server.phases[HTTP_PHASE_WRITING]));
    receive(&fixture);
    usleep(700 * 1000);
    WAIT_FOR(&fixture, has(&fixture, "\r\n\r\n/a") || fixture.client_sees_end);
    assert_int_equal(fixture.server.answered, 6);
    assert_true(has(&fixture, "\r\n\r\n/a"));
    tear_down(&fixture);
}

static void on_drained(void *owner) {
    ((struct fixture *)owner)->drained++;
}

static void test_drain_answers_what_is_open(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, REQUEST("/later") REQUEST("/b"));
    WAIT_FOR(&fixture, fixture.waiting);
    http_server_drain(&fixture.server, on_drained);
    for (uint64_t until = clock_ms() + 500; clock_ms() < until;)
        turn(&fixture);
    assert_int_equal(fixture.drained, 0);
    respond_text(fixture.waiting, "done");
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_true(has(&fixture, "Connection: close\r\n\r\ndone"));
    assert_int_equal(fixture.requests, 1); /* the client will ask again elsewhere */
    close_client(&fixture);
    WAIT_FOR(&fixture, fixture.drained);
    assert_int_equal(fixture.drained, 1);
    tear_down(&fixture);
}

static void test_drain_gives_idle_clients_a_grace(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    fixture.server.options.drain_grace_ms = 400;
    send_text(&fixture, REQUEST("/a"));
    WAIT_FOR(&fixture, has(&fixture, "/a"));
    http_server_drain(&fixture.server, on_drained);
    assert_int_equal(fixture.drained, 0);
    send_text(&fixture, REQUEST("/b"));
    WAIT_FOR(&fixture, fixture.client_sees_end);
    assert_true(has(&fixture, "Connection: close\r\n\r\n/b"));
    close_client(&fixture);
    WAIT_FOR(&fixture, fixture.drained);
    tear_down(&fixture);
}

static void test_drain_closes_idle_clients(void **state) {
    struct fixture fixture;

    (void)state;
    set_up_with(&fixture, &quick);
    send_text(&fixture, REQUEST("/a"));
    WAIT_FOR(&fixture, has(&fixture, "/a"));
    http_server_drain(&fixture.server, on_drained);
    WAIT_FOR(&fixture, fixture.drained);
    WAIT_FOR(&fixture, fixture.client_sees_end);
    tear_down(&fixture);
}

static void test_drain_of_nothing_is_over_at_once(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    close_client(&fixture);
    WAIT_FOR(&fixture, fixture.server.connections == 0);
    http_server_drain(&fixture.server, on_drained);
    assert_int_equal(fixture.drained, 1);
    tear_down(&fixture);
}

static void test_abort_tells_who_waits(void **state) {
    struct fixture fixture;

    (void)state;
    set_up(&fixture);
    send_text(&fixture, REQUEST("/later"));
    WAIT_FOR(&fixture, fixture.waiting);
    http_server_drain(&fixture.server, on_drained);
    http_server_abort(&fixture.server);
    assert_int_equal(fixture.gone, 1);
    assert_int_equal(fixture.drained, 1);
    tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelined_requests_in_order),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_what_has_arrived_is_answered_at_once),
        cmocka_unit_test(test_a_request_after_close_is_refused),
        cmocka_unit_test(test_empty_lines_after_close_are_not),
        cmocka_unit_test(test_a_refusal_ends_the_connection),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_body_limit_and_continue),
        cmocka_unit_test(test_an_answer_that_comes_later),
        cmocka_unit_test(test_a_client_that_goes_while_it_waits),
        cmocka_unit_test(test_a_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_a_client_that_does_not_read_is_not_read),
        cmocka_unit_test(test_late_headers),
        cmocka_unit_test(test_slow_headers),
        cmocka_unit_test(test_a_late_body),
        cmocka_unit_test(test_idle_and_silent_clients_are_closed),
        cmocka_unit_test(test_a_busy_client_is_not_idle),
        cmocka_unit_test(test_each_request_has_its_own_time),
        cmocka_unit_test(test_a_client_that_takes_nothing_is_closed),
        cmocka_unit_test(test_a_loop_that_was_held_up),
        cmocka_unit_test(test_a_loop_that_was_held_up_while_writing),
        cmocka_unit_test(test_drain_answers_what_is_open),
        cmocka_unit_test(test_drain_gives_idle_clients_a_grace),
        cmocka_unit_test(test_drain_closes_idle_clients),
        cmocka_unit_test(test_drain_of_nothing_is_over_at_once),
        cmocka_unit_test(test_abort_tells_who_waits),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
