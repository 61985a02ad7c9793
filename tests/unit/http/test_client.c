/* The client against canned bytes: the test is the server, and has written its answer before the
 * client waits for it. */
#include "http/client.h"

#include "http/unix_address.h"

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    char path[300];
    int listener;
    int server; /* the server's end of the client's connection */
    struct http_client client;
    int status;
    char body[256];
    int body_result;
};

static void listen_at(struct fixture *fixture, const char *name) {
    struct sockaddr_un address;
    int directory;

    snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->directory, name);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fixture->listener >= 0);
    assert_int_equal(unix_address_set(&address, fixture->path, &directory), 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
    if (directory >= 0)
        close(directory);
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        return -1;
    strcpy(fixture->directory, "/tmp/baton-client-XXXXXX");
    if (!mkdtemp(fixture->directory))
        return -1;
    fixture->server = -1;
    listen_at(fixture, "s");
    *state = fixture;
    return http_client_open(&fixture->client, fixture->path);
}

static void close_server(struct fixture *fixture) {
    if (fixture->server >= 0)
        close(fixture->server);
    fixture->server = -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;

    close_server(fixture);
    close(fixture->listener);
    http_client_close(&fixture->client);
    (void)unlink(fixture->path);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

static int on_head(void *owner, int status) {
    struct fixture *fixture = owner;

    fixture->status = status;
    fixture->body[0] = '\0';
    return 0;
}

static int on_body(void *owner, const char *bytes, size_t length) {
    struct fixture *fixture = owner;

    strncat(fixture->body, bytes, length);
    return fixture->body_result;
}

static const struct http_client_events events = {.on_head = on_head, .on_body = on_body};

static const struct http_client_request get = {
    .method = "GET", .target = "/v1", .timeout_ms = 5000};

/* Takes the connection if it is new, and compares the request. */
static void expect_request(struct fixture *fixture, const char *wanted) {
    char text[1024];
    ssize_t length;

    if (fixture->server < 0)
        fixture->server = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fixture->server >= 0);
    length = recv(fixture->server, text, sizeof text - 1, 0);
    assert_true(length > 0);
    text[length] = '\0';
    assert_string_equal(text, wanted);
}

static void answer(struct fixture *fixture, const char *text) {
    assert_int_equal(send(fixture->server, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int ask(struct fixture *fixture, const char *text) {
    int status = http_client_send(&fixture->client, &get, &events, fixture);

    if (status < 0)
        return status;
    expect_request(fixture, "GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    answer(fixture, text);
    do
        status = http_client_receive(&fixture->client);
    while (status > 0);
    return status;
}

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void test_requests_on_one_connection(void **state) {
    struct fixture *fixture = *state;

    assert_int_equal(ask(fixture, HELLO), 0);
    assert_int_equal(fixture->status, 200);
    assert_string_equal(fixture->body, "hello");
    assert_int_equal(ask(fixture, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), 0);
    assert_int_equal(fixture->status, 404);
    assert_int_equal(accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC), -1);
}

static void test_what_a_request_looks_like(void **state) {
    struct fixture *fixture = *state;
    struct http_client_request post = {
        .method = "POST",
        .target = "/v1/apps",
        .accept = "text/event-stream",
        .body = "{\"a\":1}",
        .length = 7,
    };

    assert_int_equal(http_client_send(&fixture->client, &post, &events, fixture), 0);
    expect_request(fixture, "POST /v1/apps HTTP/1.1\r\nHost: localhost\r\n"
                            "Accept: text/event-stream\r\nContent-Type: application/json\r\n"
                            "Content-Length: 7\r\n\r\n{\"a\":1}");
}

static void test_a_connection_that_has_ended_is_renewed(void **state) {
    struct fixture *fixture = *state;

    assert_int_equal(ask(fixture, HELLO), 0);
    close_server(fixture); /* it was idle for too long */
    assert_int_equal(ask(fixture, HELLO), 0);
    assert_int_equal(
        ask(fixture, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), 0);
    close_server(fixture);
    assert_int_equal(ask(fixture, HELLO), 0);
}

static void test_a_stream_is_announced_as_it_comes(void **state) {
    struct fixture *fixture = *state;

    assert_int_equal(http_client_send(&fixture->client, &get, &events, fixture), 0);
    expect_request(fixture, "GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    answer(fixture, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_int_equal(http_client_receive(&fixture->client), 1);
    assert_string_equal(fixture->body, "abc");
    answer(fixture, "3\r\ndef\r\n");
    assert_int_equal(http_client_receive(&fixture->client), 1);
    assert_string_equal(fixture->body, "abcdef");
    answer(fixture, "0\r\n\r\n");
    assert_int_equal(http_client_receive(&fixture->client), 0);
    assert_int_equal(http_client_receive(&fixture->client), UV_ENOTCONN);
}

static void test_failures_close_the_connection(void **state) {
    struct fixture *fixture = *state;

    assert_int_equal(ask(fixture, "garbage\r\n"), UV_EPROTO);
    assert_int_equal(fixture->client.socket, -1);
    close_server(fixture);
    fixture->body_result = UV_EPIPE;
    assert_int_equal(ask(fixture, HELLO), UV_EPIPE);
    close_server(fixture);
    fixture->body_result = 0;
    assert_int_equal(ask(fixture, HELLO), 0);
    assert_int_equal(http_client_send(&fixture->client, &get, &events, fixture), 0);
    close_server(fixture);
    assert_int_equal(http_client_receive(&fixture->client), UV_ECONNRESET);
}

static void test_an_answer_before_the_request_is_sent_counts(void **state) {
    struct fixture *fixture = *state;
    size_t length = 4000000;
    char *body = calloc(1, length);
    struct http_client_request post = {
        .method = "POST", .target = "/", .body = body, .length = length, .timeout_ms = 5000};
    int status;

    assert_non_null(body);
    fixture->server = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fixture->server >= 0);
    /* Whoever has shut down its receiving side takes no more; what it has said is there. */
    assert_int_equal(shutdown(fixture->server, SHUT_RD), 0);
    status = http_client_send(&fixture->client, &post, &events, fixture);
    if (status == 0) {
        answer(fixture, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
        assert_int_equal(http_client_receive(&fixture->client), 0);
        assert_int_equal(fixture->status, 413);
    }
    free(body);
    assert_int_equal(status, 0);
}

/* Answers the first client without reading anything, and closes. */
static pid_t fork_refuser(const struct fixture *fixture) {
    pid_t child = fork();

    assert_true(child >= 0);
    if (child > 0)
        return child;
    (void)fcntl(fixture->listener, F_SETFL, 0);
    child = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
    (void)!write(child, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 47);
    _exit(0);
}

static void check_refusal(struct fixture *fixture, size_t length) {
    char *body = calloc(1, length);
    struct http_client_request post = {
        .method = "POST", .target = "/", .body = body, .length = length, .timeout_ms = 5000};

    assert_non_null(body);
    assert_int_equal(http_client_request(&fixture->client, &post, &events, fixture), 0);
    assert_int_equal(fixture->status, 403);
    assert_string_equal(fixture->body, "no");
    free(body);
}

static void test_a_server_that_refuses_without_reading(void **state) {
    struct fixture *fixture = *state;
    pid_t child = fork_refuser(fixture);
    int status;

    assert_int_equal(waitpid(child, &status, 0), child); /* before the request */
    check_refusal(fixture, 10);
    http_client_close(&fixture->client);
    assert_int_equal(http_client_open(&fixture->client, fixture->path), 0);
    child = fork_refuser(fixture);
    check_refusal(fixture, 4000000); /* perhaps in the middle of it */
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void test_a_server_that_says_nothing(void **state) {
    struct fixture *fixture = *state;
    struct http_client_request quick = {.method = "GET", .target = "/v1", .timeout_ms = 20};

    assert_int_equal(http_client_request(&fixture->client, &quick, &events, fixture), UV_ETIMEDOUT);
    assert_int_equal(fixture->client.socket, -1);
}

static void on_alarm(int number) {
    (void)number;
}

/* The signal has come before the wait; blocked until then, it is not missed. */
static void test_a_signal_interrupts_the_wait(void **state) {
    struct fixture *fixture = *state;
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction before;
    sigset_t blocked;
    sigset_t waiting;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &waiting), 0);
    fixture->client.wait_signals = &waiting;
    assert_int_equal(http_client_send(&fixture->client, &get, &events, fixture), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(http_client_receive(&fixture->client), UV_EINTR);
    expect_request(fixture, "GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    answer(fixture, HELLO);
    assert_int_equal(http_client_receive(&fixture->client), 0);
    assert_string_equal(fixture->body, "hello");
    assert_int_equal(sigprocmask(SIG_SETMASK, &waiting, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void test_nobody_listens(void **state) {
    struct fixture *fixture = *state;
    struct http_client other;
    char path[400];

    snprintf(path, sizeof path, "%s/none", fixture->directory);
    assert_int_equal(http_client_open(&other, path), UV_ENOENT);
    close(fixture->listener);
    assert_int_equal(http_client_open(&other, fixture->path), UV_ECONNREFUSED);
    fixture->listener = dup(0);
}

static void test_a_path_of_any_length(void **state) {
    struct fixture *fixture = *state;
    char long_path[300];
    char directory[200];
    struct http_client other;

    snprintf(directory, sizeof directory, "%s/%0*d", fixture->directory, 110, 0);
    assert_int_equal(mkdir(directory, 0700), 0);
    close(fixture->listener);
    (void)unlink(fixture->path);
    snprintf(long_path, sizeof long_path, "%0*d/s", 110, 0);
    listen_at(fixture, long_path);
    assert_int_equal(http_client_open(&other, fixture->path), 0);
    http_client_close(&other);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(rmdir(directory), 0);
    snprintf(long_path, sizeof long_path, "%s/%0*d", fixture->directory, 100, 0);
    assert_int_equal(http_client_open(&other, long_path), UV_ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests_on_one_connection),
        TEST(what_a_request_looks_like),
        TEST(a_connection_that_has_ended_is_renewed),
        TEST(a_stream_is_announced_as_it_comes),
        TEST(failures_close_the_connection),
        TEST(an_answer_before_the_request_is_sent_counts),
        TEST(a_server_that_refuses_without_reading),
        TEST(a_server_that_says_nothing),
        TEST(a_signal_interrupts_the_wait),
        TEST(nobody_listens),
        TEST(a_path_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
