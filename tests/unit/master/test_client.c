#include "master/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

static struct client *create(void) {
    struct client *client = client_create(-1);

    assert_non_null(client);
    return client;
}

static void test_destroy_closes_the_descriptor_and_leaves_the_list(void **state) {
    struct list head;
    int ends[2];
    struct client *client;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    client = client_create(ends[0]);
    assert_non_null(client);
    list_init(&head);
    list_push_back(&head, &client->node);
    client_destroy(client);
    assert_true(list_empty(&head));
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    close(ends[1]);
}

static uint64_t key_of_ipv4(const char *host, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct client *client = create();
    uint64_t key;

    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    client_set_address(client, (struct sockaddr *)&address, sizeof address);
    assert_int_equal(client->address_length, sizeof address);
    assert_memory_equal(&client->address, &address, sizeof address);
    key = client->key;
    client_destroy(client);
    return key;
}

static uint64_t key_of_ipv6(const char *host, uint16_t port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct client *client = create();
    uint64_t key;

    assert_int_equal(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    client_set_address(client, (struct sockaddr *)&address, sizeof address);
    assert_int_equal(client->address_length, sizeof address);
    key = client->key;
    client_destroy(client);
    return key;
}

static void test_the_key_is_of_the_host_alone(void **state) {
    (void)state;
    assert_true(key_of_ipv4("192.0.2.1", 1) == key_of_ipv4("192.0.2.1", 2));
    assert_true(key_of_ipv4("192.0.2.1", 1) != key_of_ipv4("192.0.2.2", 1));
    assert_true(key_of_ipv6("2001:db8::1", 1) == key_of_ipv6("2001:db8::1", 2));
    assert_true(key_of_ipv6("2001:db8::1", 1) != key_of_ipv6("2001:db8::2", 1));
    assert_true(key_of_ipv4("192.0.2.1", 1) != 0);
}

static void test_other_addresses_are_left_out(void **state) {
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
    struct sockaddr_storage large = {.ss_family = AF_INET6};
    struct client *client = create();

    (void)state;
    client_set_address(client, (struct sockaddr *)&local, sizeof local);
    client_set_address(client, (struct sockaddr *)&local, sizeof(sa_family_t));
    client_set_address(client, (struct sockaddr *)&large, sizeof large);
    client_set_address(client, (struct sockaddr *)&large, 0);
    assert_int_equal(client->address_length, 0);
    assert_int_equal(client->key, 0);
    client_destroy(client);
}

static void test_the_cookie_is_the_sockets(void **state) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct client *client = client_create(descriptor);
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    int ends[2];

    (void)state;
    assert_non_null(client);
    client_note_cookie(client);
    assert_int_equal(getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &length), 0);
    assert_true(cookie != 0 && client->cookie == cookie);
    client_destroy(client);
    assert_int_equal(pipe(ends), 0);
    client = client_create(ends[0]);
    assert_non_null(client);
    client->cookie = 5;
    client_note_cookie(client);
    assert_int_equal(client->cookie, 0);
    client_destroy(client);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destroy_closes_the_descriptor_and_leaves_the_list),
        cmocka_unit_test(test_the_key_is_of_the_host_alone),
        cmocka_unit_test(test_other_addresses_are_left_out),
        cmocka_unit_test(test_the_cookie_is_the_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
