/* bind(): what it refuses, and who may have an address beside whom. */
#include "oracle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- one bind --- */

static void try_address(const char *observation, int family, const char *host) {
    struct address address = fresh_address(host);
    int descriptor = reusing_socket(family);

    say(observation, "%s", outcome(bind_to(descriptor, &address)));
    close(descriptor);
}

static void try_length(const char *observation, const char *host, socklen_t length) {
    struct address address = fresh_address(host);
    int descriptor = reusing_socket(address.any.sa_family);

    say(observation, "%s", outcome(bind(descriptor, &address.any, length)));
    close(descriptor);
}

static void try_family(const char *observation, const char *host, sa_family_t named) {
    struct address address = fresh_address(host);
    int descriptor = reusing_socket(address.any.sa_family);

    address.any.sa_family = named;
    say(observation, "%s", outcome(bind_to(descriptor, &address)));
    close(descriptor);
}

static void observe_bad_descriptors(void) {
    struct address address = fresh_address("127.0.0.1");
    int ends[2];

    must(pipe(ends));
    say("negative_descriptor", "%s", outcome(bind_to(-1, &address)));
    say("closed_descriptor", "%s", outcome(bind_to(1000, &address)));
    say("pipe", "%s", outcome(bind_to(ends[0], &address)));
    close_both(ends[0], ends[1]);
}

static void observe_lengths(void) {
    try_length("length_0", "127.0.0.1", 0);
    try_length("length_1", "127.0.0.1", 1);
    try_length("length_2", "127.0.0.1", 2);
    try_length("length_15", "127.0.0.1", 15);
    try_length("length_16", "127.0.0.1", 16);
    try_length("length_17", "127.0.0.1", 17);
    try_length("length_128", "127.0.0.1", 128);
    try_length("length_129", "127.0.0.1", 129);
    try_length("length_negative", "127.0.0.1", (socklen_t)-1);
    try_length("ipv6_length_16", "::1", 16);
    try_length("ipv6_length_23", "::1", 23);
    try_length("ipv6_length_24", "::1", 24);
    try_length("ipv6_length_28", "::1", 28);
}

/* The same socket, first where it may not. */
static void observe_retry(void) {
    struct address held = address_at("127.0.0.1", held_port());
    struct address address = fresh_address("127.0.0.1"), name;
    int descriptor = plain_socket(AF_INET);

    say("held_by_another", "%s", outcome(bind_to(descriptor, &held)));
    set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    say("held_by_another_reuse_address", "%s", outcome(bind_to(descriptor, &held)));
    set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    say("held_by_another_reuse_port", "%s", outcome(bind_to(descriptor, &held)));
    say("retry", "%s", outcome(bind_to(descriptor, &address)));
    name = name_of(descriptor);
    say_address("retry_name", &name, &address);
    say("retry_listen", "%s", outcome(listen(descriptor, 8)));
    say("retry_serves", "%d", serves(descriptor));
    close(descriptor);
}

static void observe_second_bind(void) {
    struct address address = fresh_address("127.0.0.1"), other = fresh_address("127.0.0.1");
    int descriptor = bound_at(&address);

    say("second", "%s", outcome(bind_to(descriptor, &other)));
    say("second_same", "%s", outcome(bind_to(descriptor, &address)));
    say("second_short", "%s", outcome(bind(descriptor, &address.any, 4)));
    must(listen(descriptor, 8));
    say("second_listening", "%s", outcome(bind_to(descriptor, &other)));
    say("second_serves", "%d", serves(descriptor));
    close(descriptor);
}

static void observe_bind_of_connected(void) {
    struct address address = fresh_address("127.0.0.1"), other = fresh_address("127.0.0.1");
    int listener = listening_at(&address), client = client_of(&address);
    int server = accept_soon(listener);

    say("connected", "%s", outcome(bind_to(client, &other)));
    say("accepted", "%s", outcome(bind_to(server, &other)));
    close_both(client, server);
    close(listener);
}

void observe_bind(void) {
    observe_bad_descriptors();
    observe_lengths();
    try_family("family_unspecified", "127.0.0.1", AF_UNSPEC);
    try_family("family_unspecified_any", "0.0.0.0", AF_UNSPEC);
    try_family("family_unix", "127.0.0.1", AF_UNIX);
    try_family("family_ipv6_in_ipv4", "127.0.0.1", AF_INET6);
    try_family("family_ipv4_in_ipv6", "::1", AF_INET);
    try_family("ipv6_family_unspecified", "::", AF_UNSPEC);
    try_address("ipv6_address_on_ipv4", AF_INET, "::1");
    try_address("ipv4_address_on_ipv6", AF_INET6, "127.0.0.1");
    try_address("not_local", AF_INET, "192.0.2.1");
    try_address("ipv6_not_local", AF_INET6, "2001:db8::1");
    try_address("ipv6_link_local_without_scope", AF_INET6, "fe80::1");
    try_address("multicast", AF_INET, "224.0.0.1");
    try_address("broadcast", AF_INET, "255.255.255.255");
    observe_retry();
    observe_second_bind();
    observe_bind_of_connected();
}

/* --- two binds of one address --- */

struct pair {
    const char *observation;
    int first_option, second_option; /* of SOL_SOCKET, or 0 */
    bool listens;                    /* the first one */
};

static void try_pair(const struct pair *pair) {
    struct address address = fresh_address("127.0.0.1");
    int first = plain_socket(AF_INET), second = plain_socket(AF_INET);

    if (pair->first_option)
        set_option(first, SOL_SOCKET, pair->first_option, 1);
    if (pair->second_option)
        set_option(second, SOL_SOCKET, pair->second_option, 1);
    must(bind_to(first, &address));
    if (pair->listens)
        must(listen(first, 8));
    say(pair->observation, "%s", outcome(bind_to(second, &address)));
    close_both(first, second);
}

static void observe_pairs(void) {
    static const struct pair pairs[] = {
        {"plain", 0, 0, false},
        {"plain_listening", 0, 0, true},
        {"reuse_address_listening", SO_REUSEADDR, SO_REUSEADDR, true},
        {"reuse_port", SO_REUSEPORT, SO_REUSEPORT, false},
        {"reuse_port_listening", SO_REUSEPORT, SO_REUSEPORT, true},
        {"reuse_port_first_only", SO_REUSEPORT, 0, true},
        {"reuse_port_second_only", 0, SO_REUSEPORT, true},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        try_pair(&pairs[i]);
}

/* Without a listener SO_REUSEADDR lets both bind; only one can listen then. */
static void observe_reuse_address(void) {
    struct address address = fresh_address("127.0.0.1");
    int first = bound_at(&address), second = reusing_socket(AF_INET);

    say("reuse_address", "%s", outcome(bind_to(second, &address)));
    say("reuse_address_first_listens", "%s", outcome(listen(first, 8)));
    say("reuse_address_serves", "%d", serves(first));
    close_both(first, second);
}

static void observe_both_of_reuse_port(void) {
    struct address address = fresh_address("127.0.0.1");
    int listeners[2] = {plain_socket(AF_INET), plain_socket(AF_INET)}, served = 0;

    for (int i = 0; i < 2; i++) {
        set_option(listeners[i], SOL_SOCKET, SO_REUSEPORT, 1);
        must(bind_to(listeners[i], &address));
        must(listen(listeners[i], 8));
        set_nonblocking(listeners[i], true);
    }
    for (int i = 0; i < 20; i++) {
        int client = client_of(&address), server = -1;

        for (int tries = 0; server < 0 && tries < SOON_MS; tries++) {
            server = accept(listeners[tries % 2], NULL, NULL);
            pause_ms(server < 0);
        }
        served += server >= 0;
        close_both(client, server);
    }
    say("reuse_port_served", "%d", served);
    close(listeners[0]);
    set_nonblocking(listeners[1], false);
    say("reuse_port_one_closed_serves", "%d", serves(listeners[1]));
    close(listeners[1]);
}

static void observe_after_close(void) {
    struct address address = fresh_address("127.0.0.1");
    int first = plain_socket(AF_INET), second = plain_socket(AF_INET);

    must(bind_to(first, &address));
    say("before_close", "%s", outcome(bind_to(second, &address)));
    close(first);
    say("after_close", "%s", outcome(bind_to(second, &address)));
    close(second);
    first = plain_socket(AF_INET);
    must(bind_to(first, &address));
    must(listen(first, 8));
    close(first);
    second = plain_socket(AF_INET);
    say("after_close_of_listening", "%s", outcome(bind_to(second, &address)));
    close(second);
}

static void observe_child(void) {
    struct address address = fresh_address("127.0.0.1");
    int first = listening_at(&address);
    pid_t child = must(fork());

    if (child == 0)
        _exit(bind_to(reusing_socket(AF_INET), &address) < 0 ? errno : 0);
    say("in_child", "%s", strerrorname_np(exit_code_of(child)));
    say("in_child_first_serves", "%d", serves(first));
    close(first);
}

static void try_hosts(const char *observation, const char *host, const char *other) {
    struct address first = fresh_address(host);
    struct address second = address_at(other, port_of(&first));
    int descriptor = plain_socket(first.any.sa_family);
    int later = plain_socket(second.any.sa_family);

    must(bind_to(descriptor, &first));
    must(listen(descriptor, 8));
    say(observation, "%s", outcome(bind_to(later, &second)));
    close_both(descriptor, later);
}

void observe_bind_twice(void) {
    observe_pairs();
    observe_reuse_address();
    observe_both_of_reuse_port();
    observe_after_close();
    observe_child();
    try_hosts("any_then_one", "0.0.0.0", "127.0.0.1");
    try_hosts("one_then_any", "127.0.0.1", "0.0.0.0");
    try_hosts("one_then_another", "127.0.0.1", "127.0.0.2");
    try_hosts("ipv4_then_ipv6", "127.0.0.1", "::1");
}

/* --- both families --- */

static int socket_for(const struct address *address, int only) {
    int descriptor = reusing_socket(address->any.sa_family);

    if (address->any.sa_family == AF_INET6)
        set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, only);
    return descriptor;
}

static void try_families(const char *observation, const char *hosts[2], int only) {
    struct address first = fresh_address(hosts[0]);
    struct address second = address_at(hosts[1], port_of(&first));
    int descriptor = socket_for(&first, only), later = socket_for(&second, only);

    must(bind_to(descriptor, &first));
    must(listen(descriptor, 8));
    say(observation, "%s", outcome(bind_to(later, &second)));
    close_both(descriptor, later);
}

/* Each on its own, and each gets its own clients. */
static void observe_two_listeners(void) {
    struct address ipv6 = fresh_address("::");
    struct address ipv4 = address_at("0.0.0.0", port_of(&ipv6));
    struct address to_ipv4 = address_at("127.0.0.1", port_of(&ipv6));
    int first = socket_for(&ipv6, 1), second = socket_for(&ipv4, 1), client, server;

    must(bind_to(first, &ipv6));
    must(bind_to(second, &ipv4));
    must(listen(first, 8));
    must(listen(second, 8));
    client = client_of(&to_ipv4);
    say("beside_readable", "%d", readable(second, SOON_MS));
    server = accept_soon(second);
    say("beside_ipv6_readable", "%d", readable(first, QUIET_MS));
    close_both(client, server);
    close_both(first, second);
}

static void observe_mapped(void) {
    struct address mapped = fresh_address("::ffff:127.0.0.1"), name;
    struct address ipv4 = address_at("127.0.0.1", port_of(&mapped));
    int descriptor = socket_for(&mapped, 0), other = reusing_socket(AF_INET);

    say("mapped", "%s", outcome(bind_to(descriptor, &mapped)));
    must(listen(descriptor, 8));
    name = name_of(descriptor);
    say_address("mapped_name", &name, &mapped);
    say("mapped_then_ipv4", "%s", outcome(bind_to(other, &ipv4)));
    say("mapped_serves", "%d", serves(descriptor));
    close_both(descriptor, other);
    mapped = fresh_address("::ffff:127.0.0.1");
    descriptor = socket_for(&mapped, 1);
    say("mapped_ipv6_only", "%s", outcome(bind_to(descriptor, &mapped)));
    close(descriptor);
}

static void observe_scope(void) {
    struct address address = fresh_address("::1"), name;
    int descriptor = reusing_socket(AF_INET6);

    address.ipv6.sin6_flowinfo = htonl(5);
    say("flow_information", "%s", outcome(bind_to(descriptor, &address)));
    name = name_of(descriptor);
    say("flow_information_name", "%u", ntohl(name.ipv6.sin6_flowinfo));
    close(descriptor);
}

static void observe_held_ipv6(void) {
    struct address held = address_at("::", held_port());
    int descriptor = socket_for(&held, 0), only = socket_for(&held, 1);

    say("held_ipv4_then_dual", "%s", outcome(bind_to(descriptor, &held)));
    say("held_ipv4_then_ipv6_only", "%s", outcome(bind_to(only, &held)));
    close_both(descriptor, only);
}

void observe_families(void) {
    try_families("dual_then_ipv4", (const char *[]){"::", "0.0.0.0"}, 0);
    try_families("ipv4_then_dual", (const char *[]){"0.0.0.0", "::"}, 0);
    try_families("dual_then_ipv4_loopback", (const char *[]){"::", "127.0.0.1"}, 0);
    try_families("ipv6_only_then_ipv4", (const char *[]){"::", "0.0.0.0"}, 1);
    try_families("ipv4_then_ipv6_only", (const char *[]){"0.0.0.0", "::"}, 1);
    try_families("ipv6_loopback_then_any", (const char *[]){"::1", "::"}, 0);
    observe_two_listeners();
    observe_mapped();
    observe_scope();
    observe_held_ipv6();
}

/* Run by somebody who may not. */
void observe_privileged(void) {
    struct address low = address_at("127.0.0.1", 81), address = fresh_address("127.0.0.1");
    int descriptor = reusing_socket(AF_INET);

    say("low_port", "%s", outcome(bind_to(descriptor, &low)));
    say("then_another", "%s", outcome(bind_to(descriptor, &address)));
    must(listen(descriptor, 8));
    say("serves", "%d", serves(descriptor));
    close(descriptor);
}
