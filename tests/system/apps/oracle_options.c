/* getsockopt(), setsockopt(), getsockname() and getpeername(). */
#include "oracle.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BYTES_MAX 256

struct option {
    const char *name;
    int level, number;
};

/* Whose value is an int, for both families. */
static const struct option numbers[] = {
    {"type", SOL_SOCKET, SO_TYPE},
    {"domain", SOL_SOCKET, SO_DOMAIN},
    {"protocol", SOL_SOCKET, SO_PROTOCOL},
    {"accepting", SOL_SOCKET, SO_ACCEPTCONN},
    {"error", SOL_SOCKET, SO_ERROR},
    {"reuse_address", SOL_SOCKET, SO_REUSEADDR},
    {"reuse_port", SOL_SOCKET, SO_REUSEPORT},
    {"keep_alive", SOL_SOCKET, SO_KEEPALIVE},
    {"broadcast", SOL_SOCKET, SO_BROADCAST},
    {"do_not_route", SOL_SOCKET, SO_DONTROUTE},
    {"out_of_band_inline", SOL_SOCKET, SO_OOBINLINE},
    {"receive_buffer", SOL_SOCKET, SO_RCVBUF},
    {"send_buffer", SOL_SOCKET, SO_SNDBUF},
    {"receive_low_water", SOL_SOCKET, SO_RCVLOWAT},
    {"priority", SOL_SOCKET, SO_PRIORITY},
    {"timestamp", SOL_SOCKET, SO_TIMESTAMP},
    {"pass_credentials", SOL_SOCKET, SO_PASSCRED},
    {"mark", SOL_SOCKET, SO_MARK},
    {"busy_poll", SOL_SOCKET, SO_BUSY_POLL},
    {"zero_copy", SOL_SOCKET, SO_ZEROCOPY},
    {"no_delay", IPPROTO_TCP, TCP_NODELAY},
    {"segment", IPPROTO_TCP, TCP_MAXSEG},
    {"cork", IPPROTO_TCP, TCP_CORK},
    {"keep_idle", IPPROTO_TCP, TCP_KEEPIDLE},
    {"keep_interval", IPPROTO_TCP, TCP_KEEPINTVL},
    {"keep_count", IPPROTO_TCP, TCP_KEEPCNT},
    {"syn_count", IPPROTO_TCP, TCP_SYNCNT},
    {"linger2", IPPROTO_TCP, TCP_LINGER2},
    {"defer_accept", IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {"window_clamp", IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {"quick_ack", IPPROTO_TCP, TCP_QUICKACK},
    {"user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"fast_open", IPPROTO_TCP, TCP_FASTOPEN},
    {"not_sent_low_water", IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {"save_syn", IPPROTO_TCP, TCP_SAVE_SYN},
    {"type_of_service", IPPROTO_IP, IP_TOS},
    {"time_to_live", IPPROTO_IP, IP_TTL},
    {"free_bind", IPPROTO_IP, IP_FREEBIND},
    {"transparent", IPPROTO_IP, IP_TRANSPARENT},
    {"path_discovery", IPPROTO_IP, IP_MTU_DISCOVER},
    {"address_no_port", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    {"ipv6_only", IPPROTO_IPV6, IPV6_V6ONLY},
    {"ipv6_hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {"ipv6_class", IPPROTO_IPV6, IPV6_TCLASS},
};

#define NUMBERS (sizeof numbers / sizeof numbers[0])

/* --- getting --- */

static void say_number(const char *kind, const struct option *option, int descriptor) {
    socklen_t length = sizeof(int);
    int value = -1;
    int result = getsockopt(descriptor, option->level, option->number, &value, &length);
    char observation[64];
    const char *text = outcome(result);

    snprintf(observation, sizeof observation, "%s_%s", kind, option->name);
    say(observation, "%s value %d length %u", text, value, length);
}

static void say_bytes(const char *kind, const struct option *option, int descriptor,
                      socklen_t length) {
    unsigned char bytes[BYTES_MAX];
    char observation[64], text[2 * 16 + 1] = "";
    const char *result;

    memset(bytes, 0xee, sizeof bytes);
    result = outcome(getsockopt(descriptor, option->level, option->number, bytes, &length));
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    snprintf(observation, sizeof observation, "%s_%s", kind, option->name);
    say(observation, "%s length %u bytes %s", result, length, text);
}

static void say_structures(const char *kind, int descriptor) {
    static const struct {
        struct option option;
        socklen_t length;
    } structures[] = {
        {{"linger", SOL_SOCKET, SO_LINGER}, sizeof(struct linger)},
        {{"receive_timeout", SOL_SOCKET, SO_RCVTIMEO}, sizeof(struct timeval)},
        {{"send_timeout", SOL_SOCKET, SO_SNDTIMEO}, sizeof(struct timeval)},
        {{"device", SOL_SOCKET, SO_BINDTODEVICE}, 16},
        {{"credentials", SOL_SOCKET, SO_PEERCRED}, sizeof(struct ucred)},
        {{"congestion", IPPROTO_TCP, TCP_CONGESTION}, 16},
        {{"information_state", IPPROTO_TCP, TCP_INFO}, 1},
    };

    for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++)
        say_bytes(kind, &structures[i].option, descriptor, structures[i].length);
}

/* All of TCP_INFO: only its length is the same each time. */
static void observe_information(int listener) {
    unsigned char bytes[512];
    socklen_t length = sizeof bytes;
    int result = getsockopt(listener, IPPROTO_TCP, TCP_INFO, bytes, &length);

    say("information", "%s state %d length %u", outcome(result), bytes[0], length);
}

static void try_get_length(int listener, const struct option *option, socklen_t length) {
    unsigned char bytes[16];
    char observation[64];
    const char *result;
    socklen_t asked = length;
    int filled = 0;

    memset(bytes, 0xee, sizeof bytes);
    result = outcome(getsockopt(listener, option->level, option->number, bytes, &length));
    for (int i = 0; i < (int)sizeof bytes; i++)
        filled = bytes[i] != 0xee ? i + 1 : filled;
    snprintf(observation, sizeof observation, "%s_in_%d", option->name, (int)asked);
    say(observation, "%s length %d filled %d", result, (int)length, filled);
}

void observe_options(void) {
    struct address address = fresh_address("127.0.0.1"), other = fresh_address("::1");
    int listener = bound_at(&address), ipv6 = listening_at(&other);

    for (size_t i = 0; i < NUMBERS; i++)
        say_number("bound", &numbers[i], listener);
    must(listen(listener, 8));
    for (size_t i = 0; i < NUMBERS; i++) {
        say_number("listening", &numbers[i], listener);
        say_number("ipv6", &numbers[i], ipv6);
    }
    say_structures("listening", listener);
    observe_information(listener);
    close_both(listener, ipv6);
}

/* --- errors --- */

static void observe_get_errors(int listener) {
    static const socklen_t lengths[] = {0, 1, 2, 3, 4, 5, 8, (socklen_t)-1};
    const struct option type = {"type", SOL_SOCKET, SO_TYPE};
    const struct option keep_alive = {"keep_alive", SOL_SOCKET, SO_KEEPALIVE};
    const struct option linger = {"linger", SOL_SOCKET, SO_LINGER};
    const struct option timeout = {"receive_timeout", SOL_SOCKET, SO_RCVTIMEO};
    const struct option no_delay = {"no_delay", IPPROTO_TCP, TCP_NODELAY};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        try_get_length(listener, &type, lengths[i]);
        try_get_length(listener, &keep_alive, lengths[i]);
        try_get_length(listener, &linger, lengths[i]);
        try_get_length(listener, &timeout, lengths[i]);
        try_get_length(listener, &no_delay, lengths[i]);
    }
}

static void observe_unknown(int listener) {
    const struct option unknown[] = {{"unknown_level", 999, 1},
                                     {"unknown_option", SOL_SOCKET, 9999},
                                     {"unknown_tcp_option", IPPROTO_TCP, 9999},
                                     {"unknown_ip_option", IPPROTO_IP, 9999},
                                     {"udp_level", IPPROTO_UDP, 1}};
    int value = 1;

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char observation[64];

        say_number("get", &unknown[i], listener);
        snprintf(observation, sizeof observation, "set_%s", unknown[i].name);
        say(observation, "%s",
            outcome(
                setsockopt(listener, unknown[i].level, unknown[i].number, &value, sizeof value)));
    }
}

static void observe_closed(void) {
    socklen_t length = sizeof(int);
    int value = 1;

    say("get_closed", "%s", outcome(getsockopt(1000, SOL_SOCKET, SO_TYPE, &value, &length)));
    say("set_closed", "%s",
        outcome(setsockopt(1000, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value)));
}

static void try_set(const char *observation, int listener, const struct option *option,
                    socklen_t length) {
    const char bytes[BYTES_MAX] = {1};

    say(observation, "%s",
        outcome(setsockopt(listener, option->level, option->number, bytes, length)));
}

static void observe_set_errors(int listener) {
    const struct option keep_alive = {"", SOL_SOCKET, SO_KEEPALIVE};
    const struct option no_delay = {"", IPPROTO_TCP, TCP_NODELAY};
    const struct option type = {"", SOL_SOCKET, SO_TYPE};
    const struct option only = {"", IPPROTO_IPV6, IPV6_V6ONLY};
    const struct option timeout = {"", SOL_SOCKET, SO_RCVTIMEO};
    const struct option linger = {"", SOL_SOCKET, SO_LINGER};

    try_set("set_short", listener, &keep_alive, 3);
    try_set("set_empty", listener, &keep_alive, 0);
    try_set("set_long", listener, &keep_alive, 200);
    try_set("set_negative", listener, &keep_alive, (socklen_t)-1);
    try_set("set_tcp_short", listener, &no_delay, 3);
    try_set("set_timeout_short", listener, &timeout, 8);
    try_set("set_linger_short", listener, &linger, 4);
    try_set("set_type", listener, &type, 4);
    try_set("set_ipv6_only", listener, &only, 4);
}

void observe_option_errors(void) {
    struct address address = fresh_address("127.0.0.1"), other = fresh_address("::1");
    int listener = listening_at(&address), ipv6 = listening_at(&other);
    const struct option only = {"", IPPROTO_IPV6, IPV6_V6ONLY};

    observe_get_errors(listener);
    observe_unknown(listener);
    observe_closed();
    observe_set_errors(listener);
    try_set("set_ipv6_only_listening", ipv6, &only, 4);
    say("serves", "%d", serves(listener));
    close_both(listener, ipv6);
}

/* --- what accepted sockets inherit --- */

/* Values that are nobody's default, and different at each stage. */
static void set_all(int descriptor, int stage) {
    struct linger linger = {.l_onoff = 1, .l_linger = 10 + stage};
    struct timeval limit = {.tv_sec = 20 + stage};

    set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, stage != 2);
    set_option(descriptor, SOL_SOCKET, SO_RCVBUF, 20000 + 1000 * stage);
    set_option(descriptor, SOL_SOCKET, SO_SNDBUF, 30000 + 1000 * stage);
    set_option(descriptor, SOL_SOCKET, SO_PRIORITY, stage);
    set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, stage != 2);
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, stage != 2);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, 100 + stage);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 10 + stage);
    set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000 + stage);
    set_option(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
    set_option(descriptor, IPPROTO_IP, IP_TOS, 8 * stage);
    set_option(descriptor, IPPROTO_IP, IP_TTL, 40 + stage);
    must(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    must(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    must(setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    /* What the kernel does not have stays as it was, natively too. */
    setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, stage == 2 ? "cubic" : "reno", 5);
}

static const struct option inherited[] = {
    {"keep_alive", SOL_SOCKET, SO_KEEPALIVE},
    {"receive_buffer", SOL_SOCKET, SO_RCVBUF},
    {"send_buffer", SOL_SOCKET, SO_SNDBUF},
    {"priority", SOL_SOCKET, SO_PRIORITY},
    {"out_of_band_inline", SOL_SOCKET, SO_OOBINLINE},
    {"reuse_address", SOL_SOCKET, SO_REUSEADDR},
    {"no_delay", IPPROTO_TCP, TCP_NODELAY},
    {"keep_idle", IPPROTO_TCP, TCP_KEEPIDLE},
    {"keep_interval", IPPROTO_TCP, TCP_KEEPINTVL},
    {"user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"type_of_service", IPPROTO_IP, IP_TOS},
    {"time_to_live", IPPROTO_IP, IP_TTL},
};

static void say_all(const char *kind, int descriptor) {
    const struct option linger = {"linger", SOL_SOCKET, SO_LINGER};
    const struct option receive = {"receive_timeout", SOL_SOCKET, SO_RCVTIMEO};
    const struct option transmit = {"send_timeout", SOL_SOCKET, SO_SNDTIMEO};
    const struct option congestion = {"congestion", IPPROTO_TCP, TCP_CONGESTION};

    for (size_t i = 0; i < sizeof inherited / sizeof inherited[0]; i++)
        say_number(kind, &inherited[i], descriptor);
    say_bytes(kind, &linger, descriptor, sizeof(struct linger));
    say_bytes(kind, &receive, descriptor, sizeof(struct timeval));
    say_bytes(kind, &transmit, descriptor, sizeof(struct timeval));
    say_bytes(kind, &congestion, descriptor, 16);
}

static void say_accepted(const char *kind, int listener) {
    struct address address = name_of(listener);
    char observation[64];
    int client = client_of(&address), server = must(accept_soon(listener));

    snprintf(observation, sizeof observation, "%s_listener", kind);
    say_all(observation, listener);
    snprintf(observation, sizeof observation, "%s_accepted", kind);
    say_all(observation, server);
    close_both(client, server);
}

static void try_stage(const char *kind, int stage) {
    struct address address = fresh_address("127.0.0.1");
    int listener = reusing_socket(AF_INET);

    if (stage == 1)
        set_all(listener, stage);
    must(bind_to(listener, &address));
    if (stage == 2)
        set_all(listener, stage);
    must(listen(listener, 8));
    if (stage == 3)
        set_all(listener, stage);
    say_accepted(kind, listener);
    close(listener);
}

/* All bytes of a connection that sends nothing for as long are kept from the program. */
static void observe_defer_accept(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address), client, server;

    set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
    must(listen(listener, 8));
    client = client_of(&address);
    say("deferred", "%d", readable(listener, QUIET_MS));
    must((int)send(client, "x", 1, 0));
    say("deferred_until_data", "%d", readable(listener, SOON_MS));
    server = accept_soon(listener);
    close_both(client, server);
    close(listener);
}

void observe_inherited(void) {
    try_stage("default", 0);
    try_stage("before_bind", 1);
    try_stage("after_bind", 2);
    try_stage("after_listen", 3);
    observe_defer_accept();
}

/* --- names --- */

static void try_name_room(int descriptor, socklen_t room) {
    unsigned char bytes[BYTES_MAX];
    socklen_t length = room;
    char observation[64];
    const char *result;
    int filled = 0;

    memset(bytes, 0xee, sizeof bytes);
    result = outcome(getsockname(descriptor, (struct sockaddr *)(void *)bytes, &length));
    for (int i = 0; i < (int)sizeof bytes; i++)
        filled = bytes[i] != 0xee ? i + 1 : filled;
    snprintf(observation, sizeof observation, "room_%d", (int)room);
    say(observation, "%s length %d filled %d", result, (int)length, filled);
}

static void observe_name_errors(int listener) {
    struct address address = {.length = sizeof address.storage};

    say("closed", "%s", outcome(getsockname(1000, &address.any, &address.length)));
    say("peer", "%s", outcome(getpeername(listener, &address.any, &address.length)));
    say("peer_closed", "%s", outcome(getpeername(1000, &address.any, &address.length)));
}

/* Programs clear a structure, have it filled in, and compare the whole of it. */
static void observe_whole_name(int listener, const struct address *address) {
    struct sockaddr_storage expected, actual;
    socklen_t length = sizeof actual;

    memset(&expected, 0, sizeof expected);
    memset(&actual, 0, sizeof actual);
    memcpy(&expected, &address->storage, address->length);
    must(getsockname(listener, (struct sockaddr *)&actual, &length));
    say("whole", "%d", memcmp(&expected, &actual, sizeof actual) == 0);
}

static void try_name(const char *kind, const char *host) {
    struct address address = fresh_address(host), name;
    int listener = reusing_socket(address.any.sa_family);
    char observation[64];

    name = name_of(listener);
    snprintf(observation, sizeof observation, "%s_unbound_port", kind);
    say(observation, "%u length %u", port_of(&name), name.length);
    must(bind_to(listener, &address));
    name = name_of(listener);
    snprintf(observation, sizeof observation, "%s_bound", kind);
    say_address(observation, &name, &address);
    must(listen(listener, 8));
    name = name_of(listener);
    snprintf(observation, sizeof observation, "%s_listening", kind);
    say_address(observation, &name, &address);
    close(listener);
}

void observe_names(void) {
    static const socklen_t rooms[] = {0, 1, 2, 8, 15, 16, 17, 28, 128, 200, (socklen_t)-1};
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address);

    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
        try_name_room(listener, rooms[i]);
    observe_whole_name(listener, &address);
    observe_name_errors(listener);
    try_name("ipv4", "127.0.0.1");
    try_name("ipv4_any", "0.0.0.0");
    try_name("ipv6", "::1");
    try_name("ipv6_any", "::");
    try_name("mapped", "::ffff:127.0.0.1");
    close(listener);
}
