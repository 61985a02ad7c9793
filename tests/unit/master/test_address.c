#include "master/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/un.h>
#include <uv.h>

static void check(const void *address, size_t length, const char *expected) {
    char text[ADDRESS_TEXT_MAX];

    memset(text, '?', sizeof text);
    address_describe(address, (socklen_t)length, text);
    assert_string_equal(text, expected);
}

static void test_internet_addresses(void **state) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(8080)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(65535)};

    (void)state;
    ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(&ipv4, sizeof ipv4, "127.0.0.1:8080");
    check(&ipv6, sizeof ipv6, "[::]:65535");
    assert_int_equal(address_port((struct sockaddr *)&ipv4), 8080);
    assert_int_equal(address_port((struct sockaddr *)&ipv6), 65535);
    check(&ipv6, sizeof ipv6 - 1, "an address of no known kind");
    check(&ipv6, 0, "an address of no known kind");
}

static void test_unix_addresses(void **state) {
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/tmp/a.sock"};
    size_t start = offsetof(struct sockaddr_un, sun_path);
    char longest[ADDRESS_TEXT_MAX];

    (void)state;
    check(&local, sizeof local, "/tmp/a.sock");
    check(&local, start + 11, "/tmp/a.sock");
    check(&local, start + 4, "/tmp");
    check(&local, start, "unix");
    assert_int_equal(address_port((struct sockaddr *)&local), 0);
    memcpy(local.sun_path, "\0name\n", 6);
    check(&local, start + 6, "@name\\n");
    memset(local.sun_path, 'p', sizeof local.sun_path);
    memset(longest, 'p', 108);
    longest[108] = '\0';
    check(&local, sizeof local, longest);
}

static void test_a_text_of_many_escapes_is_cut(void **state) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    memset(local.sun_path, 1, sizeof local.sun_path);
    address_describe((struct sockaddr *)&local, sizeof local, text);
    assert_true(strlen(text) < sizeof text);
    assert_string_equal(text + strlen(text) - 3, "...");
}

static void check_parsed(const char *text, const char *expected) {
    struct sockaddr_storage address;
    char described[ADDRESS_TEXT_MAX];
    socklen_t length;

    assert_int_equal(address_parse(text, &address, &length), 0);
    address_describe((struct sockaddr *)&address, length, described);
    assert_string_equal(described, expected);
}

static void test_what_is_typed_is_understood(void **state) {
    static const char *const wrong[] = {
        "",       ":",       "0",        "65536",     "-1",     "80x", "localhost:80", "[::1]80",
        "[::1]:", "[::1:80", "1.2.3:80", "1.2.3.4:0", "a/path", ":80", "[]:80"};
    struct sockaddr_storage address;
    char path[128];
    socklen_t length;

    (void)state;
    check_parsed("8080", "[::]:8080");
    check_parsed("127.0.0.1:80", "127.0.0.1:80");
    check_parsed("[::1]:65535", "[::1]:65535");
    check_parsed("/run/app.sock", "/run/app.sock");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(address_parse(wrong[i], &address, &length), UV_EINVAL);
    memset(path, '/', sizeof path);
    path[108] = '\0';
    assert_int_equal(address_parse(path, &address, &length), UV_EINVAL);
    path[107] = '\0';
    assert_int_equal(address_parse(path, &address, &length), 0);
}

static bool overlap(const char *one, const char *other) {
    struct sockaddr_storage addresses[2];
    socklen_t lengths[2];

    assert_int_equal(address_parse(one, &addresses[0], &lengths[0]), 0);
    assert_int_equal(address_parse(other, &addresses[1], &lengths[1]), 0);
    assert_int_equal(address_overlaps((struct sockaddr *)&addresses[0], lengths[0],
                                      (struct sockaddr *)&addresses[1], lengths[1]),
                     address_overlaps((struct sockaddr *)&addresses[1], lengths[1],
                                      (struct sockaddr *)&addresses[0], lengths[0]));
    return address_overlaps((struct sockaddr *)&addresses[0], lengths[0],
                            (struct sockaddr *)&addresses[1], lengths[1]);
}

static void test_addresses_that_are_in_each_others_way(void **state) {
    (void)state;
    assert_true(overlap("8080", "8080"));
    assert_true(overlap("8080", "127.0.0.1:8080"));
    assert_true(overlap("0.0.0.0:8080", "[::1]:8080"));
    assert_true(overlap("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080"));
    assert_true(overlap("/run/app.sock", "/run/app.sock"));
    assert_false(overlap("8080", "8081"));
    assert_false(overlap("127.0.0.1:80", "127.0.0.2:80"));
    assert_false(overlap("127.0.0.1:80", "[::1]:80"));
    assert_false(overlap("/run/app.sock", "/run/app.sock2"));
    assert_false(overlap("/run/app.sock", "8080"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_internet_addresses),
        cmocka_unit_test(test_unix_addresses),
        cmocka_unit_test(test_a_text_of_many_escapes_is_cut),
        cmocka_unit_test(test_what_is_typed_is_understood),
        cmocka_unit_test(test_addresses_that_are_in_each_others_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
