#include "http/target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *text, const char *path, const char *query) {
    struct http_target target;
    char decoded[100];

    assert_int_equal(http_target_split(text, &target), 0);
    assert_int_equal(http_target_decode(&target, decoded), 0);
    assert_string_equal(decoded, path);
    if (query)
        assert_string_equal(target.query, query);
    else
        assert_null(target.query);
}

static void test_forms(void **state) {
    (void)state;
    check("/", "/", NULL);
    check("/a/b?c?d", "/a/b", "c?d");
    check("/?", "/", "");
    check("*", "*", NULL);
    check("http://h", "/", NULL);
    check("http://h:80/a", "/a", NULL);
    check("HTTPS://h?x", "/", "x");
    check("//evil/a", "//evil/a", NULL);
}

static void test_decoding(void **state) {
    (void)state;
    check("/%41%7a", "/Az", NULL);
    check("/%25", "/%", NULL);
    check("/%2e%2E/x", "/../x", NULL);
    check("/a%3Fb?c", "/a?b", "c");
    check("/%c3%A4", "/\xc3\xa4", NULL);
    check("/a?%zz", "/a", "%zz");
}

static void test_no_target(void **state) {
    static const char *const bad[] = {"", "a", "h:80", "ftp://h/", "**", "/a#b", "http:/h"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_target target = {.path_length = 77};

        assert_int_equal(http_target_split(bad[i], &target), -EINVAL);
        assert_int_equal(target.path_length, 77);
    }
}

static void test_no_code(void **state) {
    static const char *const bad[] = {"/%",   "/%2",    "/%zz", "/%0g", "/%00",
                                      "/%2f", "/a%2Fb", "/%-1", "/%2?f"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_target target;
        char decoded[16];

        assert_int_equal(http_target_split(bad[i], &target), 0);
        assert_int_equal(http_target_decode(&target, decoded), -EINVAL);
    }
}

static void test_encoding(void **state) {
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(http_target_encode(&out, "aZ09-._~"), 0);
    assert_int_equal(http_target_encode(&out, ""), 0);
    assert_int_equal(http_target_encode(&out, "/^a b&=+%\xc3\xbc\n$/"), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal(buffer_data(&out), "aZ09-._~%2F%5Ea%20b%26%3D%2B%25%C3%BC%0A%24%2F");
    buffer_clear(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),     cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_no_target), cmocka_unit_test(test_no_code),
        cmocka_unit_test(test_encoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
