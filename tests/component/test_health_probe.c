#include "daemon/health.h"

#include "component/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct health_probe *probe;
static struct health_outcome outcome;
static bool done;
static int worker = -1; /* the other end */

static void on_done(void *owner, const struct health_outcome *result) {
    assert_ptr_equal(owner, &outcome);
    assert_false(done);
    outcome = *result;
    done = true;
    free(probe); /* which is allowed */
}

static int set_up(void **state) {
    int result = loop_set_up(state);

    done = false;
    memset(&outcome, 0, sizeof outcome);
    return result;
}

static int tear_down(void **state) {
    if (worker >= 0)
        close(worker);
    worker = -1;
    return loop_tear_down(state);
}

static void start_on(int descriptor, uint64_t timeout_ms) {
    struct health_request request = {
        .path = "/health?x=1", .timeout_ms = timeout_ms, .descriptor = descriptor};

    probe = malloc(sizeof *probe);
    assert_int_equal(health_probe_start(probe, &loop, &request, on_done, &outcome), 0);
}

static void start(uint64_t timeout_ms) {
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    worker = ends[1];
    start_on(ends[0], timeout_ms);
}

static void answer(const char *text) {
    assert_int_equal(send(worker, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the worker was asked. */
static const char *request(void) {
    static char text[1024];
    ssize_t length;

    LOOP_UNTIL((length = recv(worker, text, sizeof text - 1, MSG_DONTWAIT)) > 0);
    text[length] = '\0';
    return text;
}

static void assert_outcome(bool healthy, int status, const char *reason) {
    LOOP_UNTIL(done);
    assert_int_equal(outcome.healthy, healthy);
    assert_int_equal(outcome.status, status);
    assert_string_equal(outcome.reason, reason);
}

static void test_a_worker_that_answers(void **state) {
    const char *text;

    (void)state;
    start(5000);
    text = request();
    assert_memory_equal(text, "GET /health?x=1 HTTP/1.1\r\nHost: localhost\r\n", 43);
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_string_equal(text + strlen(text) - 4, "\r\n\r\n");
    answer("HTTP/1.1 20");
    loop_run(5);
    answer("4 No Content\r\n\r\n");
    close(worker);
    worker = -1;
    assert_outcome(true, 204, "status 204");
}

static void test_a_worker_that_answers_badly(void **state) {
    (void)state;
    start(5000);
    answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad");
    assert_outcome(false, 503, "status 503"); /* though it stays open */
    done = false;
    close(worker);
    start(5000);
    answer("220 mail.example ESMTP\r\n");
    assert_outcome(false, 0, "its answer is no HTTP");
}

static void test_a_hung_worker(void **state) {
    (void)state;
    start(30);
    assert_outcome(false, 0, "no answer within 30 ms");
}

/* One byte now and then does not make the time longer. */
static void test_a_slow_worker(void **state) {
    const char *text = "HTTP/1.1 200 OK\r\n\r\n";

    (void)state;
    start(40);
    for (size_t i = 0; i < 10; i++) {
        send(worker, text + i, 1, MSG_NOSIGNAL);
        loop_run(10);
    }
    assert_outcome(false, 0, "no answer within 40 ms");
}

static void test_a_worker_that_hangs_up(void **state) {
    (void)state;
    start(5000);
    request();
    close(worker);
    worker = -1;
    assert_outcome(false, 0, "the connection was closed without an answer");
}

/* It answers without having read, and is gone before the request could be sent. */
static void test_an_answer_before_the_request(void **state) {
    (void)state;
    start(5000);
    answer("HTTP/1.0 200 OK\r\n\r\n");
    shutdown(worker, SHUT_RDWR);
    assert_outcome(true, 200, "status 200");
}

static void test_headers_without_end(void **state) {
    char hint[1000];
    int ends = 0;

    (void)state;
    memset(hint, 'x', sizeof hint);
    start(5000);
    request();
    answer("HTTP/1.1 103 Early Hints\r\nLink: ");
    while (!done && ends++ < 100) {
        send(worker, hint, sizeof hint, MSG_NOSIGNAL | MSG_DONTWAIT);
        loop_run(1);
    }
    assert_outcome(false, 0, "its answer has no end");
}

/* A worker that writes a long answer is not cut off in the middle of the first 64 KiB. */
static void test_a_long_answer_is_read(void **state) {
    char bytes[1024];
    size_t sent = 0;

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    start(5000);
    request();
    answer("HTTP/1.1 200 OK\r\n\r\n");
    while (!done && sent < 1000000) {
        ssize_t length = send(worker, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (length > 0)
            sent += (size_t)length;
        else
            loop_run(1);
    }
    assert_outcome(true, 200, "status 200");
    assert_true(sent >= 65536 && sent < 1000000);
}

static void test_given_up(void **state) {
    (void)state;
    start(5000);
    request();
    health_probe_abort(probe);
    assert_false(done);
    assert_outcome(false, 0, "given up");
}

static void test_over_tcp(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_true(connect(client, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS);
    start_on(client, 5000); /* still being connected, perhaps */
    worker = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    request();
    answer("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n");
    assert_outcome(true, 301, "status 301");
    close(worker);
    worker = -1;

    done = false;
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    close(listener);
    (void)connect(client, (struct sockaddr *)&address, length);
    start_on(client, 5000);
    LOOP_UNTIL(done);
    assert_false(outcome.healthy);
    assert_int_equal(outcome.status, 0);
}

static void test_requests_that_cannot_be(void **state) {
    static const char *const paths[] = {"", "health", "/a b", "/a\r\nX: y", "/\x7f"};
    struct health_request wrong = {.timeout_ms = 1};
    struct health_probe unused;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    wrong.descriptor = ends[0];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        wrong.path = paths[i];
        assert_int_equal(health_probe_start(&unused, &loop, &wrong, on_done, NULL), UV_EINVAL);
    }
    wrong.path = "/";
    wrong.host = "a b";
    assert_int_equal(health_probe_start(&unused, &loop, &wrong, on_done, NULL), UV_EINVAL);
    close(ends[0]); /* is still ours */
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_worker_that_answers),
        TEST(a_worker_that_answers_badly),
        TEST(a_hung_worker),
        TEST(a_slow_worker),
        TEST(a_worker_that_hangs_up),
        TEST(an_answer_before_the_request),
        TEST(headers_without_end),
        TEST(a_long_answer_is_read),
        TEST(given_up),
        TEST(over_tcp),
        TEST(requests_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
