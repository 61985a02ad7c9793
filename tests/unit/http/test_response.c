#include "http/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

static void check(const struct http_response *response, int minor_version, bool keep_alive,
                  const char *wanted) {
    struct http_response_frame frame = {
        .date = date, .minor_version = minor_version, .keep_alive = keep_alive};
    struct buffer out;

    buffer_init(&out);
    assert_int_equal(http_response_head(&out, response, &frame), 0);
    assert_int_equal(buffer_length(&out), strlen(wanted));
    assert_memory_equal(buffer_data(&out), wanted, strlen(wanted));
    buffer_clear(&out);
}

static void test_head(void **state) {
    struct http_header headers[] = {{"A", "b"}, {"Left-Out", NULL}, {"C", ""}};
    struct http_response response = {.status = 200,
                                     .content_type = "text/plain",
                                     .headers = headers,
                                     .header_count = 3,
                                     .length = 18446744073709551615u};

    (void)state;
    check(&response, 1, true,
          "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"
          "Content-Length: 18446744073709551615\r\nX-Content-Type-Options: nosniff\r\n"
          "A: b\r\nC: \r\n\r\n");
}

static void test_no_body_no_length(void **state) {
    struct http_response response = {.status = 304};

    (void)state;
    check(&response, 1, true,
          "HTTP/1.1 304 Not Modified\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
          "X-Content-Type-Options: nosniff\r\n\r\n");
}

static void test_connection(void **state) {
    struct http_response response = {.status = 404};

    (void)state;
    check(&response, 1, false,
          "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n"
          "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
    check(&response, 0, true,
          "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n"
          "X-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\n\r\n");
}

static void test_long_headers_fit(void **state) {
    char value[20001];
    struct http_header header = {"Long", value};
    struct http_response response = {.status = 200, .headers = &header, .header_count = 1};
    struct http_response_frame frame = {.date = date, .minor_version = 1, .keep_alive = true};
    struct buffer out;

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    buffer_init(&out);
    assert_int_equal(http_response_head(&out, &response, &frame), 0);
    assert_true(buffer_length(&out) > 20000);
    assert_memory_equal(buffer_data(&out) + buffer_length(&out) - 8, "xxxx\r\n\r\n", 8);
    buffer_clear(&out);
}

static void check_open_ended(int status, int minor_version, const char *wanted) {
    struct http_response response = {.status = status, .length = 7};
    struct http_response_frame frame = {
        .date = date, .minor_version = minor_version, .open_ended = true};
    struct buffer out;

    buffer_init(&out);
    assert_int_equal(http_response_head(&out, &response, &frame), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal(strchr(strstr(buffer_data(&out), "Date"), '\n') + 1, wanted);
    buffer_clear(&out);
}

static void test_a_length_that_is_open(void **state) {
    (void)state;
    check_open_ended(200, 1,
                     "Transfer-Encoding: chunked\r\nX-Content-Type-Options: nosniff\r\n"
                     "Connection: close\r\n\r\n");
    check_open_ended(200, 0, "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
    check_open_ended(204, 1, "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
}

static void test_reasons(void **state) {
    (void)state;
    assert_string_equal(http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http_reason(599), "Unknown");
    assert_true(http_status_has_body(200));
    assert_false(http_status_has_body(204));
    assert_false(http_status_has_body(100));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),       cmocka_unit_test(test_no_body_no_length),
        cmocka_unit_test(test_connection), cmocka_unit_test(test_long_headers_fit),
        cmocka_unit_test(test_reasons),    cmocka_unit_test(test_a_length_that_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
