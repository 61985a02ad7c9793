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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_internet_addresses),
        cmocka_unit_test(test_unix_addresses),
        cmocka_unit_test(test_a_text_of_many_escapes_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
