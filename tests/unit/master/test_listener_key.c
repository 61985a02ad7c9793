#include "master/listener.h"
#include "master/native_worker.h"
#include "master/node_worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

/* --- what a Node worker asks for --- */

static struct node_listen_request node_request(enum node_address_type type, const char *address,
                                               int32_t port) {
    struct node_listen_request request = {
        .type = type, .port = port, .has_address = address != NULL, .descriptor = -1};

    if (address) {
        request.address_length = (uint32_t)strlen(address);
        memcpy(request.address, address, request.address_length);
    }
    return request;
}

static struct listener_key node_key(const struct node_listen_request *request) {
    struct listener_key key;

    assert_int_equal(node_worker_key(request, &key), 0);
    return key;
}

static void test_node_ipv4(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP4, "127.0.0.1", 3000);
    struct listener_key key = node_key(&request);

    (void)state;
    assert_int_equal(key.kind, LISTENER_TCP);
    assert_int_equal(key.length, sizeof(struct sockaddr_in));
    assert_int_equal(key.address.ipv4.sin_family, AF_INET);
    assert_int_equal(ntohs(key.address.ipv4.sin_port), 3000);
    assert_int_equal(ntohl(key.address.ipv4.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_false(key.any_host || key.ipv6_only || key.reuse_port || key.reuse_address);
}

/* listen(3000) comes as type 4 without an address, and means both families. */
static void test_node_without_a_host_means_both_families(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP4, NULL, 3000);
    struct listener_key key = node_key(&request);

    (void)state;
    assert_int_equal(key.address.ipv6.sin6_family, AF_INET6);
    assert_memory_equal(&key.address.ipv6.sin6_addr, &in6addr_any, sizeof in6addr_any);
    assert_true(key.any_host);
    assert_false(key.ipv6_only);
}

static void test_node_flags(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP6, "::1", 1);
    struct listener_key key;

    (void)state;
    request.flags = NODE_FLAG_TCP_IPV6ONLY | NODE_FLAG_TCP_REUSEPORT;
    key = node_key(&request);
    assert_true(key.ipv6_only && key.reuse_port && !key.reuse_address);
    request = node_request(NODE_ADDRESS_UDP4, "127.0.0.1", 1);
    request.flags = NODE_FLAG_UDP_REUSEADDR;
    key = node_key(&request);
    assert_int_equal(key.kind, LISTENER_UDP);
    assert_true(key.reuse_address && !key.reuse_port && !key.ipv6_only);
}

static void test_node_udp_without_a_host_is_of_its_own_family(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_UDP4, NULL, 5353);
    struct listener_key key = node_key(&request);

    (void)state;
    assert_int_equal(key.address.any.sa_family, AF_INET);
    assert_false(key.any_host);
}

static void test_node_ipv6_scope(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP6, "fe80::1%3", 1);
    struct listener_key key = node_key(&request);

    (void)state;
    assert_int_equal(key.address.ipv6.sin6_scope_id, 3);
    assert_int_equal(key.address.ipv6.sin6_addr.s6_addr[0], 0xfe);
}

/* The scope may also be an interface's name: that is what people type. */
static void test_node_ipv6_scope_by_name(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP6, "fe80::1%lo", 1);
    struct listener_key key = node_key(&request);

    (void)state;
    assert_int_equal(key.address.ipv6.sin6_scope_id, 1);
}

static void test_node_unix_path(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_UNIX, "/tmp/a.sock", -1);
    struct listener_key key;

    (void)state;
    request.readable_all = true;
    key = node_key(&request);
    assert_int_equal(key.kind, LISTENER_UNIX);
    assert_string_equal(key.address.local.sun_path, "/tmp/a.sock");
    assert_int_equal(key.length, offsetof(struct sockaddr_un, sun_path) + 12);
    assert_int_equal(key.chmod, 0444);
    request.writable_all = true;
    request.readable_all = false;
    assert_int_equal(node_key(&request).chmod, 0222);
}

static void test_node_abstract_name(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_UNIX, "name", -1);
    struct listener_key key;

    (void)state;
    request.abstract = true;
    request.readable_all = true;
    key = node_key(&request);
    assert_memory_equal(key.address.local.sun_path, "\0name", 5);
    assert_int_equal(key.length, offsetof(struct sockaddr_un, sun_path) + 5);
    assert_int_equal(key.chmod, 0);
}

static void test_node_unix_path_lengths(void **state) {
    char path[108];
    struct node_listen_request request;
    struct listener_key key;

    (void)state;
    memset(path, 'p', sizeof path);
    path[107] = '\0';
    request = node_request(NODE_ADDRESS_UNIX, path, -1);
    assert_int_equal(node_key(&request).length, sizeof(struct sockaddr_un));
    request.address_length = 108;
    assert_int_equal(node_worker_key(&request, &key), UV_EINVAL);
    request.address_length = 0;
    assert_int_equal(node_worker_key(&request, &key), UV_EINVAL);
}

static void test_node_requests_that_cannot_be_met(void **state) {
    struct node_listen_request wrong[] = {
        node_request(NODE_ADDRESS_TCP4, "not an address", 1),
        node_request(NODE_ADDRESS_TCP4, "::1", 1),
        node_request(NODE_ADDRESS_TCP6, "127.0.0.1", 1),
        node_request(NODE_ADDRESS_TCP6, "%1", 1),
        node_request(NODE_ADDRESS_TCP4, "127.0.0.1", -1),
        node_request(NODE_ADDRESS_DESCRIPTOR, NULL, -1),
        node_request(NODE_ADDRESS_TCP4, "127.0.0.1", 1),
    };
    size_t count = sizeof wrong / sizeof *wrong;

    (void)state;
    wrong[count - 1].address_too_long = true;
    for (size_t i = 0; i < count; i++) {
        struct listener_key key;

        assert_int_equal(node_worker_key(&wrong[i], &key), UV_EINVAL);
    }
}

/* --- what a worker on the worker socket asks for --- */

static int native_key(const void *address, size_t length, struct listener_key *ret_key) {
    struct native_request request = {.address_length = (uint32_t)length};

    memcpy(request.address, address,
           length < sizeof request.address ? length : sizeof request.address);
    return native_worker_key(&request, ret_key);
}

static void test_native_addresses(void **state) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
    struct listener_key key;

    (void)state;
    assert_int_equal(native_key(&ipv4, sizeof ipv4, &key), 0);
    assert_int_equal(key.kind, LISTENER_TCP);
    assert_false(key.any_host);
    assert_int_equal(native_key(&ipv6, sizeof ipv6, &key), 0);
    assert_true(key.any_host);
    ipv6.sin6_addr = in6addr_loopback;
    assert_int_equal(native_key(&ipv6, sizeof ipv6, &key), 0);
    assert_false(key.any_host);
    assert_int_equal(native_key(&local, sizeof local, &key), 0);
    assert_int_equal(key.kind, LISTENER_UNIX);
}

static void test_native_addresses_of_a_wrong_length(void **state) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_storage other = {.ss_family = AF_NETLINK};
    struct listener_key key;

    (void)state;
    for (size_t length = 0; length <= sizeof other; length++) {
        assert_int_equal(native_key(&ipv4, length < sizeof ipv4 ? length : sizeof ipv4, &key) == 0,
                         length >= sizeof ipv4);
        assert_int_equal(native_key(&other, length, &key), UV_EINVAL);
    }
    assert_int_equal(native_key(&ipv6, sizeof ipv6 - 1, &key), UV_EINVAL);
    assert_int_equal(native_key(&local, sizeof(sa_family_t), &key), UV_EINVAL);
}

/* What fills sockaddr_in up to the size of a sockaddr is often not set. */
static void test_native_filling_bytes_do_not_matter(void **state) {
    struct sockaddr_in one = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in other = one;
    struct listener_key keys[2];

    (void)state;
    memset(other.sin_zero, 0xaa, sizeof other.sin_zero);
    assert_int_equal(native_key(&one, sizeof one, &keys[0]), 0);
    assert_int_equal(native_key(&other, sizeof other, &keys[1]), 0);
    assert_true(listener_key_equal(&keys[0], &keys[1]));
}

/* --- who shares a listener --- */

static void test_keys_that_share(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP4, "127.0.0.1", 3000);
    struct listener_key one = node_key(&request);
    struct listener_key other = one;

    (void)state;
    assert_true(listener_key_equal(&one, &other));
    other.index = 1;
    assert_true(listener_key_equal(&one, &other));
    other.address.ipv4.sin_port = htons(3001);
    assert_false(listener_key_equal(&one, &other));
    other = one;
    other.kind = LISTENER_UDP;
    assert_false(listener_key_equal(&one, &other));
    other = one;
    other.address.ipv4.sin_addr.s_addr = htonl(0x7f000002);
    assert_false(listener_key_equal(&one, &other));
}

static void test_with_port_0_the_how_manieth_listen_counts(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_TCP6, "::1", 0);
    struct listener_key one = node_key(&request);
    struct listener_key other = one;

    (void)state;
    assert_true(listener_key_equal(&one, &other));
    other.index = 1;
    assert_false(listener_key_equal(&one, &other));
}

static void test_unix_keys_go_by_their_path(void **state) {
    struct node_listen_request request = node_request(NODE_ADDRESS_UNIX, "/tmp/a", -1);
    struct listener_key one = node_key(&request);
    struct listener_key other = one;

    (void)state;
    other.index = 3;
    assert_true(listener_key_equal(&one, &other));
    request = node_request(NODE_ADDRESS_UNIX, "/tmp/ab", -1);
    other = node_key(&request);
    assert_false(listener_key_equal(&one, &other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_ipv4),
        cmocka_unit_test(test_node_without_a_host_means_both_families),
        cmocka_unit_test(test_node_flags),
        cmocka_unit_test(test_node_udp_without_a_host_is_of_its_own_family),
        cmocka_unit_test(test_node_ipv6_scope),
        cmocka_unit_test(test_node_ipv6_scope_by_name),
        cmocka_unit_test(test_node_unix_path),
        cmocka_unit_test(test_node_abstract_name),
        cmocka_unit_test(test_node_unix_path_lengths),
        cmocka_unit_test(test_node_requests_that_cannot_be_met),
        cmocka_unit_test(test_native_addresses),
        cmocka_unit_test(test_native_addresses_of_a_wrong_length),
        cmocka_unit_test(test_native_filling_bytes_do_not_matter),
        cmocka_unit_test(test_keys_that_share),
        cmocka_unit_test(test_with_port_0_the_how_manieth_listen_counts),
        cmocka_unit_test(test_unix_keys_go_by_their_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
