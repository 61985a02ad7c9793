/* accept() and accept4(): descriptors, flags, addresses, errors. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const struct linger reset_on_close = {.l_onoff = 1};

/* --- flags and numbers --- */

static void say_flags(const char *observation, int descriptor) {
    const char *result = outcome(descriptor);

    say(observation, "%s nonblocking %d close-on-exec %d", result,
        (fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0,
        (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
}

static void try_flags(const char *observation, int listener, int flags) {
    struct address address = name_of(listener);
    int client = client_of(&address), server;

    readable(listener, SOON_MS);
    server = flags < 0 ? accept(listener, NULL, NULL) : accept4(listener, NULL, NULL, flags);
    say_flags(observation, server);
    close_both(client, server);
}

static void observe_flags(int listener) {
    try_flags("accept", listener, -1);
    try_flags("accept4", listener, 0);
    try_flags("accept4_nonblocking", listener, SOCK_NONBLOCK);
    try_flags("accept4_close_on_exec", listener, SOCK_CLOEXEC);
    try_flags("accept4_both", listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
    set_nonblocking(listener, true);
    try_flags("nonblocking_accept", listener, -1);
    try_flags("nonblocking_accept4", listener, 0);
    set_nonblocking(listener, false);
    fcntl(listener, F_SETFD, FD_CLOEXEC);
    try_flags("close_on_exec_accept", listener, -1);
}

static void observe_bad_flags(int listener) {
    struct address address = name_of(listener);
    int client = client_of(&address), server;

    readable(listener, SOON_MS);
    say("flags_1", "%s", outcome(accept4(listener, NULL, NULL, 1)));
    say("flags_all", "%s", outcome(accept4(listener, NULL, NULL, -1)));
    server = accept_soon(listener);
    say("client_after_bad_flags", "%s", outcome(server));
    close_both(client, server);
}

static void observe_numbers(int listener) {
    struct address address = name_of(listener);
    int clients[2] = {client_of(&address), client_of(&address)};
    int low = must(dup(listener)), high = must(dup(listener)), server;

    close(low);
    server = accept_soon(listener);
    say("lowest_descriptor", "%d", server == low);
    close(server);
    close(high);
    server = must(dup(listener));
    say("none_left_open", "%d", server == low);
    close(server);
    server = accept_soon(listener);
    say("lowest_descriptor_again", "%d", server == low);
    close(server);
    close_both(clients[0], clients[1]);
}

static void observe_order(int listener) {
    struct address address = name_of(listener);
    int clients[5], in_order = 0;

    for (int i = 0; i < 5; i++)
        clients[i] = client_of(&address);
    for (int i = 0; i < 5; i++) {
        int server = must(accept_soon(listener));
        struct address peer = peer_of(server), name = name_of(clients[i]);

        in_order += port_of(&peer) == port_of(&name);
        close(server);
    }
    for (int i = 0; i < 5; i++)
        close(clients[i]);
    say("in_order", "%d", in_order);
}

static void observe_data_before_accept(int listener) {
    struct address address = name_of(listener);
    int client = client_of(&address), server;
    char bytes[16] = "";

    must((int)send(client, "early", 5, 0));
    close(client);
    server = must(accept_soon(listener));
    say("early_data", "%zd", recv(server, bytes, sizeof bytes, MSG_WAITALL));
    say("early_data_bytes", "%s", bytes);
    say("early_close", "%zd", recv(server, bytes, sizeof bytes, 0));
    close(server);
}

void observe_accept(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address);

    observe_flags(listener);
    observe_bad_flags(listener);
    observe_numbers(listener);
    observe_order(listener);
    observe_data_before_accept(listener);
    say("nobody_left", "%d", !readable(listener, QUIET_MS));
    close(listener);
}

/* --- addresses --- */

static void try_addresses(const char *kind, const char *host, const char *to) {
    struct address address = fresh_address(host), target = address_at(to, port_of(&address));
    struct address peer = {.length = sizeof peer.storage}, name;
    int listener = listening_at(&address), client = client_of(&target), server;
    struct address source = name_of(client);
    char observation[64];

    readable(listener, SOON_MS);
    server = must(accept(listener, &peer.any, &peer.length));
    snprintf(observation, sizeof observation, "%s_peer", kind);
    say_address(observation, &peer, &source);
    name = peer_of(server);
    snprintf(observation, sizeof observation, "%s_getpeername", kind);
    say_address(observation, &name, &source);
    name = name_of(server);
    snprintf(observation, sizeof observation, "%s_getsockname", kind);
    say_address(observation, &name, &address);
    close_both(client, server);
    close(listener);
}

/* A byte that is none of the client's port: what is filled is told from the rest by it. */
static unsigned char untouched(int client) {
    struct address name = name_of(client);
    unsigned char byte = 0xee;

    while (byte == port_of(&name) >> 8 || byte == (port_of(&name) & 0xff))
        byte--;
    return byte;
}

/* So many bytes of room: how many are filled, and what length is told. */
static void try_room(int listener, socklen_t room) {
    struct address address = name_of(listener);
    unsigned char bytes[64];
    int client = client_of(&address), server, filled = 0;
    unsigned char background = untouched(client);
    socklen_t length = room;
    char observation[32];

    memset(bytes, background, sizeof bytes);
    readable(listener, SOON_MS);
    server = accept(listener, (struct sockaddr *)(void *)bytes, &length);
    for (int i = 0; i < (int)sizeof bytes; i++)
        filled = bytes[i] != background ? i + 1 : filled;
    snprintf(observation, sizeof observation, "room_%u", room);
    say(observation, "%s filled %d length %u", outcome(server), filled, length);
    close_both(client, server);
}

static void observe_reset(int listener) {
    struct address address = name_of(listener), peer = {.length = sizeof peer.storage}, source;
    int client = client_of(&address), server, error = 0;
    socklen_t length = sizeof error;
    char byte;

    source = name_of(client);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
    close(client);
    readable(listener, SOON_MS);
    server = accept(listener, &peer.any, &peer.length);
    say("reset", "%s", outcome(server));
    say_address("reset_peer", &peer, &source);
    say("reset_getpeername", "%s", outcome(getpeername(server, &peer.any, &peer.length)));
    say("reset_read", "%s", outcome((int)recv(server, &byte, 1, 0)));
    must(getsockopt(server, SOL_SOCKET, SO_ERROR, &error, &length));
    say("reset_error", "%d", error);
    close(server);
}

void observe_accept_addresses(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address);

    try_addresses("ipv4", "127.0.0.1", "127.0.0.1");
    try_addresses("ipv4_any", "0.0.0.0", "127.0.0.1");
    try_addresses("ipv6", "::1", "::1");
    try_addresses("ipv6_any", "::", "::1");
    try_addresses("mapped", "::", "127.0.0.1");
    try_room(listener, 0);
    try_room(listener, 1);
    try_room(listener, 4);
    try_room(listener, 15);
    try_room(listener, 16);
    try_room(listener, 40);
    observe_reset(listener);
    say("serves", "%d", serves(listener));
    close(listener);
}

/* --- errors --- */

static void observe_wrong_sockets(void) {
    struct sockaddr_un nameless = {.sun_family = AF_UNIX};
    int ends[2], datagram = must(socket(AF_INET, SOCK_DGRAM, 0));
    int local = must(socket(AF_UNIX, SOCK_STREAM, 0)), stream = plain_socket(AF_INET);

    must(pipe(ends));
    must(bind(local, (struct sockaddr *)&nameless, sizeof nameless.sun_family));
    say("negative_descriptor", "%s", outcome(accept(-1, NULL, NULL)));
    say("closed_descriptor", "%s", outcome(accept(1000, NULL, NULL)));
    say("pipe", "%s", outcome(accept(ends[0], NULL, NULL)));
    say("datagram", "%s", outcome(accept(datagram, NULL, NULL)));
    say("unix_not_listening", "%s", outcome(accept(local, NULL, NULL)));
    say("unbound", "%s", outcome(accept(stream, NULL, NULL)));
    say("unbound_bad_flags", "%s", outcome(accept4(stream, NULL, NULL, 1)));
    close_both(ends[0], ends[1]);
    close_both(datagram, local);
    close(stream);
}

static void observe_not_listening(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address);

    say("bound", "%s", outcome(accept(listener, NULL, NULL)));
    set_nonblocking(listener, true);
    say("bound_nonblocking", "%s", outcome(accept(listener, NULL, NULL)));
    must(listen(listener, 8));
    say("empty_nonblocking", "%s", outcome(accept(listener, NULL, NULL)));
    say("empty_nonblocking_accept4", "%s", outcome(accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
    say("serves_then", "%d", serves(listener));
    close(listener);
}

static void observe_connected(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address), client = client_of(&address);
    int server = must(accept_soon(listener));

    say("connected", "%s", outcome(accept(client, NULL, NULL)));
    say("accepted", "%s", outcome(accept(server, NULL, NULL)));
    close_both(client, server);
    close(listener);
}

static void observe_negative_length(void) {
    struct address own = fresh_address("127.0.0.1"), address = {.length = (socklen_t)-1};
    int listener = listening_at(&own), client = client_of(&own);

    readable(listener, SOON_MS);
    say("length_negative", "%s", outcome(accept(listener, &address.any, &address.length)));
    close_both(listener, client);
}

void observe_accept_errors(void) {
    observe_wrong_sockets();
    observe_not_listening();
    observe_connected();
    observe_negative_length();
}
