/* Every request that must be refused, and some that must not, cut at every byte. */
#include "http/strict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    int status; /* 0: accepted */
    size_t length;
    const char *bytes;
};

#define SAMPLE(status, text)                                                                       \
    { status, sizeof(text) - 1, text }
#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST    "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct sample refused[] = {
    /* a blank before the colon */
    SAMPLE(400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Content-Length\t: 1\r\n\r\nx"),
    SAMPLE(400, GET ": nameless\r\n\r\n"),
    SAMPLE(400, GET "colonless\r\n\r\n"),
    SAMPLE(400, GET "na(me: x\r\n\r\n"),
    /* bare LF and bare CR */
    SAMPLE(400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    SAMPLE(400, GET "\n"),
    SAMPLE(400, GET "a: b\nTransfer-Encoding: chunked\r\n\r\n"),
    SAMPLE(400, GET "a: b\rc\r\n\r\n"),
    SAMPLE(400, GET "a: b\r\r\n\r\n"),
    SAMPLE(400, GET "a\r: b\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
    SAMPLE(400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    /* folded lines, and a blank in front of the first header */
    SAMPLE(400, GET "a: b\r\n c\r\n\r\n"),
    SAMPLE(400, GET "a: b\r\n\tc\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    /* chunk framing */
    SAMPLE(400, CHUNKED "1;a\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1;a\rb\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1\r\nxyz0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1\r\nx\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1\r\nx\r0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1 \r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1 ;a\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "1\t\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED " 1\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "\r\n"),
    SAMPLE(400, CHUNKED ";a\r\n"),
    SAMPLE(400, CHUNKED "0x1\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "-1\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "10000000000000000\r\nx"),
    SAMPLE(400, CHUNKED "0000000000000001\r\nx\r\n0\r\n\r\n"),
    SAMPLE(400, CHUNKED "0\r\na : b\r\n\r\n"),
    SAMPLE(400, CHUNKED "0\r\na: b\n\r\n"),
    SAMPLE(400, CHUNKED "0\r\na: b\r\n c\r\n\r\n"),
    SAMPLE(400, CHUNKED "0\r\nContent-Length: 5\r\n\r\n"),
    SAMPLE(400, CHUNKED "0\r\nHost: b\r\n\r\n"),
    SAMPLE(400, CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    /* Transfer-Encoding other than exactly "chunked" */
    SAMPLE(400, POST "Transfer-Encoding: gzip\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: chunked chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: chunke\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: chunkedd\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: identity\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding:\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: \x0b"
                     "chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* Transfer-Encoding beside Content-Length, and with 1.0 */
    SAMPLE(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, POST "Content-Length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* versions */
    SAMPLE(400, "GET /\r\n\r\n"),
    SAMPLE(400, "GET /\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/9.9\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / ICE/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    /* Host */
    SAMPLE(400, "GET / HTTP/1.1\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"),
    SAMPLE(400, GET "Host: a\r\n\r\n"),
    SAMPLE(400, GET "hOST: b\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    /* Content-Length */
    SAMPLE(400, POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: 1, 1\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: 1 1\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: +1\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: -1\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: 0x1\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length: 1.0\r\n\r\nx"),
    SAMPLE(400, POST "Content-Length:\r\n\r\n"),
    SAMPLE(400, POST "Content-Length: 18446744073709551617\r\n\r\nx"),
    /* NUL and other control bytes */
    SAMPLE(400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\0\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, GET "a: b\0c\r\n\r\n"),
    SAMPLE(400, GET "a\0: b\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
    SAMPLE(400, GET "a: \x1b[31m\r\n\r\n"),
    SAMPLE(400, GET "a: \x7f\r\n\r\n"),
    SAMPLE(400, CHUNKED "1;\0\r\nx\r\n0\r\n\r\n"),
    /* the request line */
    SAMPLE(400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "GET / HTTP/1.1\r\n"
                "\r\nHost: a\r\n\r\n"),
    SAMPLE(400, "\x16\x03\x01\x02"),
};

static const struct sample accepted[] = {
    SAMPLE(0, GET "\r\n"),
    SAMPLE(0, "\r\n\r\n" GET "\r\n"),
    SAMPLE(0, "GET / HTTP/1.0\r\n\r\n"),
    SAMPLE(0, "GET / HTTP/1.1\r\nhost:a\r\n\r\n"),
    SAMPLE(0, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    SAMPLE(0, "GET / HTTP/1.1\r\nHost: \t[::1]:8080 \t\r\n\r\n"),
    SAMPLE(0, "GET http://a/?q=%20 HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(0, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    SAMPLE(0, GET "a:\r\nb: \xc3\xa4\tc \r\nx-transfer-encoding: gzip\r\n\r\n"),
    SAMPLE(0, POST "Content-Length: 0\r\n\r\n"),
    SAMPLE(0, POST "CONTENT-LENGTH: 5 \r\n\r\n\0\r\n\xff."),
    SAMPLE(0, CHUNKED "0\r\n\r\n"),
    SAMPLE(0, CHUNKED "5\r\nhello\r\nA;name=\"va lue\"\r\n0123456789\r\n00\r\n\r\n"),
    SAMPLE(0, CHUNKED "1\r\n\0\r\n0\r\nTrailer: x\r\nOther:\r\n\r\n"),
};

/* What came of feeding some bytes. */
struct outcome {
    int heads;
    int status;
    size_t used;
    enum http_strict_event event;
};

static void feed(struct http_strict *strict, const char *bytes, size_t length,
                 struct outcome *outcome) {
    do {
        size_t used;

        outcome->event = http_strict_scan(strict, bytes, length, &used);
        outcome->heads += outcome->event == HTTP_STRICT_HEAD;
        outcome->used += used;
        bytes += used;
        length -= used;
    } while (outcome->event == HTTP_STRICT_HEAD);
    outcome->status = strict->status;
}

/* A copy of its own for each piece, so that a sanitizer sees a read past its end. */
static void feed_piece(struct http_strict *strict, const char *bytes, size_t length,
                       struct outcome *outcome) {
    char *copy = malloc(length + 1);

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    copy = realloc(copy, length ? length : 1);
    assert_non_null(copy);
    feed(strict, copy, length, outcome);
    free(copy);
}

static struct outcome scan_cut_at(const struct sample *sample, size_t cut) {
    struct http_strict strict;
    struct outcome outcome = {.heads = 0};

    http_strict_init(&strict);
    feed_piece(&strict, sample->bytes, cut, &outcome);
    if (outcome.event == HTTP_STRICT_MORE)
        feed_piece(&strict, sample->bytes + cut, sample->length - cut, &outcome);
    return outcome;
}

static struct outcome scan_bytewise(const struct sample *sample) {
    struct http_strict strict;
    struct outcome outcome = {.event = HTTP_STRICT_MORE};

    http_strict_init(&strict);
    for (size_t i = 0; i < sample->length && outcome.event == HTTP_STRICT_MORE; i++)
        feed_piece(&strict, sample->bytes + i, 1, &outcome);
    return outcome;
}

static void check_outcome(const struct sample *sample, const struct outcome *outcome) {
    enum http_strict_event event = sample->status ? HTTP_STRICT_BAD : HTTP_STRICT_END;

    if (outcome->event != event || outcome->status != sample->status)
        fail_msg("event %d, status %d: %.*s", (int)outcome->event, outcome->status,
                 (int)sample->length, sample->bytes);
    if (sample->status)
        return;
    assert_int_equal(outcome->heads, 1);
    assert_int_equal(outcome->used, sample->length);
}

static void check(const struct sample *sample) {
    struct outcome whole = scan_cut_at(sample, sample->length);
    struct outcome bytewise = scan_bytewise(sample);

    check_outcome(sample, &whole);
    check_outcome(sample, &bytewise);
    assert_int_equal(whole.used, bytewise.used);
    for (size_t cut = 0; cut < sample->length; cut++) {
        struct outcome outcome = scan_cut_at(sample, cut);

        check_outcome(sample, &outcome);
        assert_int_equal(whole.used, outcome.used);
    }
}

static void test_refuses_what_is_read_differently(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        check(&refused[i]);
}

static void test_accepts_what_is_well_formed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        check(&accepted[i]);
}

static void test_asks_for_more_before_the_end(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        for (size_t length = 0; length < accepted[i].length; length++) {
            struct sample beginning = {0, length, accepted[i].bytes};
            struct outcome outcome = scan_cut_at(&beginning, length);

            assert_int_equal(outcome.event, HTTP_STRICT_MORE);
            assert_int_equal(outcome.used, length);
        }
    }
}

static void test_leaves_the_next_request_alone(void **state) {
    static const char two[] = GET "\r\n" GET "\r\n";
    struct sample sample = {0, sizeof two - 1, two};
    struct outcome outcome = scan_cut_at(&sample, sizeof two - 1);

    (void)state;
    assert_int_equal(outcome.event, HTTP_STRICT_END);
    assert_int_equal(outcome.used, (sizeof two - 1) / 2);
}

/* The outcome for `start`, `filler` repeated up to `length` bytes in all, and `end`. */
static struct outcome scan_filled(const char *start, char filler, size_t length, const char *end) {
    size_t start_length = strlen(start);
    size_t end_length = strlen(end);
    char *bytes = malloc(length);
    struct sample sample = {0, length, bytes};
    struct outcome outcome;

    assert_non_null(bytes);
    assert_true(length >= start_length + end_length);
    memset(bytes, filler, length);
    memcpy(bytes, start, start_length);
    memcpy(bytes + length - end_length, end, end_length);
    outcome = scan_bytewise(&sample);
    free(bytes);
    return outcome;
}

static void test_limits(void **state) {
    static const char after[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t fixed = strlen("GET ") + strlen(after);

    (void)state;
    assert_int_equal(scan_filled(GET "a: ", 'x', HTTP_HEAD_MAX, "\r\n\r\n").event, HTTP_STRICT_END);
    assert_int_equal(scan_filled(GET "a: ", 'x', HTTP_HEAD_MAX + 1, "\r\n\r\n").status, 431);
    assert_int_equal(scan_filled(GET, 'x', HTTP_HEAD_MAX + 100, "\r\n\r\n").status, 431);
    assert_int_equal(scan_filled("GET /", 'x', fixed + HTTP_TARGET_MAX, after).event,
                     HTTP_STRICT_END);
    assert_int_equal(scan_filled("GET /", 'x', fixed + HTTP_TARGET_MAX + 1, after).status, 414);
    assert_int_equal(scan_filled("G", 'G', 1000, " / HTTP/1.1\r\n").status, 400);
    assert_int_equal(scan_filled(CHUNKED "1;", 'x', 1000, "\r\n").status, 400);
    assert_int_equal(
        scan_filled(CHUNKED "0\r\na: ", 'x', strlen(CHUNKED) + 3 + HTTP_HEAD_MAX, "\r\n\r\n").event,
        HTTP_STRICT_END);
    assert_int_equal(
        scan_filled(CHUNKED "0\r\na: ", 'x', strlen(CHUNKED) + 4 + HTTP_HEAD_MAX, "\r\n\r\n")
            .status,
        431);
}

static int status_with_headers(int count) {
    struct http_strict strict;
    struct outcome outcome = {.heads = 0};

    http_strict_init(&strict);
    feed(&strict, GET, strlen(GET), &outcome);
    for (int i = 1; i < count; i++)
        feed(&strict, "a:b\r\n", 5, &outcome);
    feed(&strict, "\r\n", 2, &outcome);
    return outcome.status;
}

static void test_limits_the_number_of_headers(void **state) {
    (void)state;
    assert_int_equal(status_with_headers(HTTP_HEADERS_MAX), 0);
    assert_int_equal(status_with_headers(HTTP_HEADERS_MAX + 1), 431);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_what_is_read_differently),
        cmocka_unit_test(test_accepts_what_is_well_formed),
        cmocka_unit_test(test_asks_for_more_before_the_end),
        cmocka_unit_test(test_leaves_the_next_request_alone),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_the_number_of_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
