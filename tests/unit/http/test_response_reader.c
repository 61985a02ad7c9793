#include "http/response_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

struct heard {
    int status;
    int heads;
    char body[256];
    int head_result;
    int body_result;
};

static int on_head(void *owner, int status) {
    struct heard *heard = owner;

    heard->status = status;
    heard->heads++;
    return heard->head_result;
}

static int on_body(void *owner, const char *bytes, size_t length) {
    struct heard *heard = owner;

    strncat(heard->body, bytes, length);
    return heard->body_result;
}

static const struct http_client_events events = {.on_head = on_head, .on_body = on_body};

struct outcome {
    int result; /* of feeding, and of the connection's end if that was not it */
    bool at_end;
    bool keep_alive;
};

static struct outcome feed(struct heard *heard, const char *text, size_t piece, bool head_only) {
    struct http_response_reader *reader = http_response_reader_create(&events, heard, head_only);
    struct outcome outcome = {.result = 1};

    assert_non_null(reader);
    for (size_t i = 0; i < strlen(text) && outcome.result == 1; i += piece) {
        size_t rest = strlen(text) - i;

        outcome.result = http_response_reader_feed(reader, text + i, rest < piece ? rest : piece);
    }
    outcome.at_end = outcome.result == 1;
    if (outcome.at_end)
        outcome.result = http_response_reader_end(reader);
    outcome.keep_alive = http_response_reader_keep_alive(reader);
    http_response_reader_destroy(reader);
    return outcome;
}

/* The text is one response, however it is cut. */
static void check(const char *text, int status, const char *body, bool at_end, bool keep_alive) {
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct heard heard = {.status = 0};
        struct outcome outcome = feed(&heard, text, piece, false);

        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.at_end, at_end);
        assert_int_equal(outcome.keep_alive, keep_alive);
        assert_int_equal(heard.status, status);
        assert_int_equal(heard.heads, 1);
        assert_string_equal(heard.body, body);
    }
}

static void check_refused(const char *text, int result) {
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct heard heard = {.status = 0};

        assert_int_equal(feed(&heard, text, piece, false).result, result);
    }
}

static void test_a_body_of_known_length(void **state) {
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false, true);
    check("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 404, "no",
          false, false);
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, true);
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false, true);
}

static void test_a_chunked_body(void **state) {
    (void)state;
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
          200, "abc0123456789", false, true);
}

static void test_a_body_up_to_the_end(void **state) {
    (void)state;
    check("HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello", true, false);
}

static void test_interim_responses_are_passed_over(void **state) {
    (void)state;
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
          200, "a", false, true);
}

static void test_the_answer_to_head_has_no_body(void **state) {
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    struct heard heard = {.status = 0};
    struct outcome outcome = feed(&heard, text, sizeof text, true);

    (void)state;
    assert_int_equal(outcome.result, 0);
    assert_false(outcome.at_end);
    assert_int_equal(heard.status, 200);
}

static void test_an_answer_that_is_cut_off(void **state) {
    (void)state;
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", UV_ECONNRESET);
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                  UV_ECONNRESET);
    check_refused("HTTP/1.1 200 OK\r\nContent-Len", UV_ECONNRESET);
    check_refused("HTTP/1.1 100 Continue\r\n\r\n", UV_ECONNRESET);
}

static void test_what_is_no_http(void **state) {
    (void)state;
    check_refused("SSH-2.0-OpenSSH_9.2\r\n\r\n", UV_EPROTO);
    check_refused("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", UV_EPROTO);
    check_refused("HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n", UV_EPROTO);
    check_refused("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                  UV_EPROTO);
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", UV_EPROTO);
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", UV_EPROTO);
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
                  "1\r\na\r\n0\r\n\r\n",
                  UV_EPROTO);
}

/* A header block of `size` bytes. */
static int feed_head(size_t size, size_t piece) {
    static const char start[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
    struct heard heard = {.status = 0};
    char *text = malloc(size + 1);
    int result;

    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, start, sizeof start - 1);
    strcpy(text + size - 4, "\r\n\r\n");
    result = feed(&heard, text, piece, false).result;
    free(text);
    return result;
}

static void test_a_header_block_has_a_limit(void **state) {
    (void)state;
    assert_int_equal(feed_head(HTTP_RESPONSE_HEAD_MAX, 1000), 0);
    assert_int_equal(feed_head(HTTP_RESPONSE_HEAD_MAX, 200000), 0);
    assert_int_equal(feed_head(HTTP_RESPONSE_HEAD_MAX + 1, 1000), UV_EPROTO);
    assert_int_equal(feed_head(HTTP_RESPONSE_HEAD_MAX + 1, 200000), UV_EPROTO);
}

static void test_interim_responses_have_a_limit(void **state) {
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char text[2000] = "";
    struct heard heard = {.status = 0};

    (void)state;
    for (int i = 0; i < HTTP_INTERIM_MAX; i++)
        strcat(text, interim);
    assert_int_equal(feed(&heard, text, sizeof text, false).result, UV_ECONNRESET);
    strcat(text, interim);
    assert_int_equal(feed(&heard, text, sizeof text, false).result, UV_EPROTO);
}

static void test_a_callback_ends_it(void **state) {
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    struct heard head = {.head_result = UV_ECANCELED};
    struct heard body = {.body_result = UV_EPIPE};

    (void)state;
    assert_int_equal(feed(&head, text, sizeof text, false).result, UV_ECANCELED);
    assert_string_equal(head.body, "");
    assert_int_equal(feed(&body, text, 40, false).result, UV_EPIPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_of_known_length),
        cmocka_unit_test(test_a_chunked_body),
        cmocka_unit_test(test_a_body_up_to_the_end),
        cmocka_unit_test(test_interim_responses_are_passed_over),
        cmocka_unit_test(test_the_answer_to_head_has_no_body),
        cmocka_unit_test(test_an_answer_that_is_cut_off),
        cmocka_unit_test(test_what_is_no_http),
        cmocka_unit_test(test_a_header_block_has_a_limit),
        cmocka_unit_test(test_interim_responses_have_a_limit),
        cmocka_unit_test(test_a_callback_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
