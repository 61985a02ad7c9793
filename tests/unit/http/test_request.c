/* The strict check and http-parser together, and what is read out of a request. */
#include "http/request.h"
#include "http/strict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fed {
    struct http_request *request;
    enum http_request_state state;
    size_t used;
    int heads;
};

static void feed(struct fed *fed, const char *bytes, size_t length, uint64_t limit) {
    do {
        size_t used;

        fed->state = http_request_feed(fed->request, bytes, length, &used);
        fed->used += used;
        bytes += used;
        length -= used;
        if (fed->state != HTTP_REQUEST_HEAD)
            continue;
        fed->heads++;
        if (!http_request_limit_body(fed->request, limit))
            fed->state = HTTP_REQUEST_BAD;
    } while (fed->state == HTTP_REQUEST_HEAD);
}

/* A request fed in pieces of `piece` bytes; to be destroyed by the caller. */
static struct fed feed_pieces(const char *bytes, size_t length, size_t piece, uint64_t limit) {
    struct fed fed = {.request = http_request_create(), .state = HTTP_REQUEST_MORE};

    assert_non_null(fed.request);
    for (size_t i = 0; i < length && fed.state == HTTP_REQUEST_MORE; i += piece)
        feed(&fed, bytes + i, length - i < piece ? length - i : piece, limit);
    return fed;
}

static struct fed feed_text(const char *text, size_t piece) {
    return feed_pieces(text, strlen(text), piece, 1000);
}

static const char full[] = "POST http://h/a%20b/%C3%A4?x=%2f&y HTTP/1.1\r\n"
                           "Host: h\r\n"
                           "Empty:\r\n"
                           "Blanks: \t two words \t \r\n"
                           "Transfer-Encoding: chunked\r\n"
                           "Again: 1\r\n"
                           "again: 2\r\n\r\n"
                           "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nAfter: all\r\n\r\n";

static void check_full(struct http_request *request) {
    size_t length;
    const char *value;

    assert_string_equal(http_request_method(request), "POST");
    assert_true(http_request_is(request, "POST"));
    assert_false(http_request_is(request, "GET"));
    assert_string_equal(http_request_target(request), "http://h/a%20b/%C3%A4?x=%2f&y");
    assert_string_equal(http_request_path(request), "/a b/\xc3\xa4");
    assert_string_equal(http_request_query(request), "x=%2f&y");
    assert_int_equal(http_request_minor_version(request), 1);
    assert_true(http_request_keep_alive(request));
    assert_int_equal(http_request_header_count(request), 6);
    assert_string_equal(http_request_header(request, "hOst"), "h");
    assert_string_equal(http_request_header(request, "Empty"), "");
    assert_string_equal(http_request_header(request, "Blanks"), "two words");
    assert_string_equal(http_request_header(request, "Again"), "1");
    assert_null(http_request_header(request, "After"));
    assert_string_equal(http_request_header_at(request, 5, &value), "again");
    assert_string_equal(value, "2");
    assert_memory_equal(http_request_body(request, &length), "abcde", 5);
    assert_int_equal(length, 5);
}

static void test_reads_everything_at_every_piece_length(void **state) {
    (void)state;
    for (size_t piece = 1; piece <= sizeof full; piece++) {
        struct fed fed = feed_text(full, piece);

        assert_int_equal(fed.state, HTTP_REQUEST_COMPLETE);
        assert_int_equal(fed.used, sizeof full - 1);
        assert_int_equal(fed.heads, 1);
        check_full(fed.request);
        http_request_destroy(fed.request);
    }
}

static void test_reset_forgets_everything(void **state) {
    static const char next[] = "GET /next HTTP/1.0\r\n\r\n";
    struct fed fed = feed_text(full, sizeof full);
    size_t length;

    (void)state;
    assert_true(http_request_started(fed.request));
    http_request_reset(fed.request);
    assert_false(http_request_started(fed.request));
    feed(&fed, "\r\n", 2, 0);
    assert_false(http_request_started(fed.request));
    feed(&fed, next, sizeof next - 1, 0);
    assert_int_equal(fed.state, HTTP_REQUEST_COMPLETE);
    assert_string_equal(http_request_path(fed.request), "/next");
    assert_null(http_request_query(fed.request));
    assert_int_equal(http_request_header_count(fed.request), 0);
    assert_false(http_request_keep_alive(fed.request));
    http_request_body(fed.request, &length);
    assert_int_equal(length, 0);
    http_request_destroy(fed.request);
}

static void check_keep_alive(const char *text, bool wanted) {
    struct fed fed = feed_text(text, 7);

    assert_int_equal(fed.state, HTTP_REQUEST_COMPLETE);
    assert_int_equal(http_request_keep_alive(fed.request), wanted);
    http_request_destroy(fed.request);
}

static void test_keep_alive(void **state) {
    (void)state;
    check_keep_alive("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true);
    check_keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false);
    check_keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false);
    check_keep_alive("GET / HTTP/1.0\r\n\r\n", false);
    check_keep_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true);
    /* A trailer comes too late to say so. */
    check_keep_alive("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "0\r\nConnection: close\r\n\r\n",
                     true);
}

static void test_an_upgrade_is_ignored(void **state) {
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\n\r\n";
    struct fed fed = feed_text(text, sizeof text);

    (void)state;
    assert_int_equal(fed.state, HTTP_REQUEST_COMPLETE);
    assert_int_equal(fed.used, sizeof text - 1);
    http_request_destroy(fed.request);
}

static void test_expects_continue(void **state) {
    struct fed fed = feed_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                               "Expect: 100-Continue\r\n\r\n",
                               1000);

    (void)state;
    assert_int_equal(fed.state, HTTP_REQUEST_MORE);
    assert_true(http_request_expects_continue(fed.request));
    http_request_destroy(fed.request);
}

static int status_of(const char *text, size_t length, size_t piece, uint64_t limit) {
    struct fed fed = feed_pieces(text, length, piece, limit);
    int status = http_request_status(fed.request);
    size_t used;

    assert_int_equal(fed.state, status ? HTTP_REQUEST_BAD : HTTP_REQUEST_COMPLETE);
    if (status) { /* and stays so */
        assert_int_equal(http_request_feed(fed.request, "x", 1, &used), HTTP_REQUEST_BAD);
        assert_int_equal(used, 0);
    }
    http_request_destroy(fed.request);
    return status;
}

static void check_status(const char *text, uint64_t limit, int wanted) {
    for (size_t piece = 1; piece <= strlen(text); piece++)
        assert_int_equal(status_of(text, strlen(text), piece, limit), wanted);
}

#define SIZED   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_body_limit(void **state) {
    (void)state;
    check_status(SIZED, 5, 0);
    check_status(SIZED, 4, 413);
    check_status(CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5, 0);
    check_status(CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 4, 413);
    check_status(CHUNKED "0\r\n\r\n", 0, 0);
}

static void test_what_is_refused(void **state) {
    (void)state;
    check_status("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0, 400);
    check_status("NOSUCH / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 501);
    check_status("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400);
    check_status("GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400);
    check_status("GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400);
    check_status("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400);
    check_status("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400);
    check_status("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400);
}

/* Each of these http-parser alone would take; see test_strict.c for all of them. */
static void test_the_strict_check_is_in_front(void **state) {
    (void)state;
    check_status("GET / HTTP/1.1\nHost: a\n\n", 0, 400);
    check_status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 9,
                 400);
    check_status(CHUNKED "1\r\nxyz0\r\n\r\n", 9, 400);
    check_status("GET / HTTP/1.1\r\n\r\n", 0, 400);
}

static void test_a_hundred_headers(void **state) {
    struct fed fed = {.request = http_request_create(), .state = HTTP_REQUEST_MORE};
    const char *value;

    (void)state;
    feed(&fed, "GET / HTTP/1.0\r\n", 16, 0);
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        feed(&fed, "name: value\r\n", 13, 0);
    feed(&fed, "\r\n", 2, 0);
    assert_int_equal(fed.state, HTTP_REQUEST_COMPLETE);
    assert_int_equal(http_request_header_count(fed.request), HTTP_HEADERS_MAX);
    assert_string_equal(http_request_header_at(fed.request, HTTP_HEADERS_MAX - 1, &value), "name");
    assert_string_equal(value, "value");
    http_request_destroy(fed.request);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything_at_every_piece_length),
        cmocka_unit_test(test_reset_forgets_everything),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_an_upgrade_is_ignored),
        cmocka_unit_test(test_expects_continue),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_the_strict_check_is_in_front),
        cmocka_unit_test(test_a_hundred_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
