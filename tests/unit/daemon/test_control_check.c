#include "daemon/control_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A request of these bytes, complete. */
static struct http_request *request_of(const char *text) {
    struct http_request *request = http_request_create();
    enum http_request_state state;
    size_t used;

    assert_non_null(request);
    state = http_request_feed(request, text, strlen(text), &used);
    assert_int_equal(state, HTTP_REQUEST_HEAD);
    assert_int_equal(http_request_feed(request, "", 0, &used), HTTP_REQUEST_COMPLETE);
    return request;
}

static void check(bool (*function)(const struct http_request *request), const char *text,
                  bool wanted) {
    struct http_request *request = request_of(text);

    if (function(request) != wanted)
        fail_msg("%s", text);
    http_request_destroy(request);
}

static void test_host(void **state) {
    (void)state;
    check(control_check_host, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", true);
    check(control_check_host, "GET / HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n", true);
    check(control_check_host, "GET / HTTP/1.1\r\nHost: \r\n\r\n", true);
    check(control_check_host, "GET / HTTP/1.0\r\n\r\n", true);
    check(control_check_host, "GET /?http://example.com HTTP/1.0\r\n\r\n", true);
    check(control_check_host, "GET HTTP://localhost?a HTTP/1.0\r\n\r\n", true);
    check(control_check_host, "OPTIONS * HTTP/1.0\r\n\r\n", true);
    check(control_check_host, "GET / HTTP/1.1\r\nHost: localhos\r\n\r\n", false);
    check(control_check_host, "GET / HTTP/1.1\r\nHost: localhost.\r\n\r\n", false);
    check(control_check_host, "GET / HTTP/1.1\r\nHost: localhost:80\r\n\r\n", false);
    check(control_check_host, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", false);
    check(control_check_host, "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n", false);
    check(control_check_host, "GET http://example.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n", false);
    check(control_check_host, "GET http://localhost:1/ HTTP/1.0\r\n\r\n", false);
    check(control_check_host, "GET http://localhost@example.com/ HTTP/1.0\r\n\r\n", false);
}

#define TYPE(value) "POST / HTTP/1.0\r\nContent-Type: " value "\r\n\r\n"

static void test_type(void **state) {
    (void)state;
    check(control_check_type, TYPE("application/json"), true);
    check(control_check_type, TYPE("Application/Json"), true);
    check(control_check_type, TYPE("application/json;charset=utf-8"), true);
    check(control_check_type, TYPE("application/json \t; charset=utf-8"), true);
    check(control_check_type, TYPE(""), false);
    check(control_check_type, TYPE("application/jso"), false);
    check(control_check_type, TYPE("application/json2"), false);
    check(control_check_type, TYPE("application/json, text/plain"), false);
    check(control_check_type, TYPE("text/plain; application/json"), false);
    check(control_check_type, "POST / HTTP/1.0\r\n\r\n", false);
}

static void test_events(void **state) {
    (void)state;
    check(control_check_events, "GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n", true);
    check(control_check_events, "GET / HTTP/1.0\r\nAccept: a/b, Text/Event-Stream;q=1\r\n\r\n",
          true);
    check(control_check_events, "GET / HTTP/1.0\r\nAccept: */*\r\n\r\n", false);
    check(control_check_events, "GET / HTTP/1.0\r\n\r\n", false);
}

static void check_path(const char *path, const char *pattern, bool wanted, const char *segment) {
    const char *found = "untouched";

    assert_int_equal(control_check_path(path, pattern, &found), wanted);
    if (wanted && segment)
        assert_string_equal(found, segment);
    else if (wanted)
        assert_null(found);
}

static void test_path(void **state) {
    (void)state;
    check_path("/v1", "/v1", true, NULL);
    check_path("/v1/a", "/v1/*", true, "a");
    check_path("/v1/*", "/v1/*", true, "*");
    check_path("/v1/a b", "/v1/*", true, "a b");
    check_path("/v1/", "/v1", false, NULL);
    check_path("/v1", "/v1/*", false, NULL);
    check_path("/v1/", "/v1/*", false, NULL);
    check_path("/v1/a/b", "/v1/*", false, NULL);
    check_path("/v1/a/", "/v1/*", false, NULL);
    check_path("/V1", "/v1", false, NULL);
    check_path("*", "/*", false, NULL);
}

static void check_query(const char *query, size_t index, const char *wanted) {
    char value[8];
    bool found = control_check_query(query, "t", index, value, sizeof value);

    if (found != (wanted != NULL))
        fail_msg("%s", query ? query : "no query");
    if (found)
        assert_string_equal(value, wanted);
}

static void test_query(void **state) {
    (void)state;
    check_query("t=a&u=b&t=c", 0, "a");
    check_query("t=a&u=b&t=c", 1, "c");
    check_query("t=a&u=b&t=c", 2, NULL);
    check_query("t", 0, "");
    check_query("t=", 0, "");
    check_query("&&t=a=b&", 0, "a=b");
    check_query("t=%61%2f%2F+%2B", 0, "a// +");
    check_query("t=1234567", 0, "1234567");
    check_query("t=12345678&t=b", 0, "1234567");
    check_query("t=%41%42%43%44%45%46%47%48", 0, "ABCDEFG");
    check_query("tt=a&xt=b", 0, NULL);
    check_query("", 0, NULL);
    check_query(NULL, 0, NULL);
}

static void test_encoding(void **state) {
    static const char *const bad[] = {"%", "t=%4", "t=%4&1", "%zz", "%4g", "a%00b", "%%41"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (control_check_encoding(bad[i]))
            fail_msg("%s", bad[i]);
    assert_true(control_check_encoding(NULL));
    assert_true(control_check_encoding(""));
    assert_true(control_check_encoding("t=%41%2F+%e2%82%aC&u"));
}

/* `unit` as often as the limit allows, and once more. */
static void check_values(const char *unit, size_t values) {
    size_t length = strlen(unit);
    size_t most = CONTROL_VALUES_MAX / values;
    char *text = malloc(length * (most + 1));

    assert_non_null(text);
    for (size_t i = 0; i <= most; i++)
        memcpy(text + i * length, unit, length);
    assert_true(control_check_values(text, length * most));
    assert_false(control_check_values(text, length * (most + 1)));
    free(text);
}

static void test_values(void **state) {
    static const char quoted[] = "[\"{[,:\\\"{[,:\\\\\", \"";

    (void)state;
    check_values("[", 1);
    check_values("{", 1);
    check_values("1,", 1);
    check_values("\",,,,\":", 1);
    check_values("\"\\\",,,,\",", 1);
    check_values("[0,0", 2);
    assert_true(control_check_values(quoted, sizeof quoted - 1));
    assert_true(control_check_values("\"\\", 2)); /* cut off within a string */
    assert_true(control_check_values("", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),     cmocka_unit_test(test_type),
        cmocka_unit_test(test_events),   cmocka_unit_test(test_path),
        cmocka_unit_test(test_query),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_encoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
