/* listen(), connect(), full tables, and what is none of the library's business. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* --- listen --- */

static const char *connect_outcome(const struct address *address) {
    int client = plain_socket(address->any.sa_family);
    const char *result = outcome(connect(client, &address->any, address->length));

    close(client);
    return result;
}

static bool refused_soon(const struct address *address) {
    for (int waited = 0; waited < SOON_MS; waited++) {
        if (strcmp(connect_outcome(address), "ECONNREFUSED") == 0)
            return true;
        pause_ms(1);
    }
    return false;
}

static void observe_listen_errors(void) {
    int ends[2], datagram = must(socket(AF_INET, SOCK_DGRAM, 0));

    must(pipe(ends));
    say("closed", "%s", outcome(listen(1000, 8)));
    say("pipe", "%s", outcome(listen(ends[0], 8)));
    say("datagram", "%s", outcome(listen(datagram, 8)));
    close_both(ends[0], ends[1]);
    close(datagram);
}

static void observe_backlogs(void) {
    static const int backlogs[] = {0, 1, -1, 4096, 5, 5};
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address);

    say("before", "%s", connect_outcome(&address));
    for (size_t i = 0; i < sizeof backlogs / sizeof backlogs[0]; i++) {
        const char *result = outcome(listen(listener, backlogs[i]));
        char observation[32];

        snprintf(observation, sizeof observation, "backlog_%zu", i);
        say(observation, "%s serves %d", result, serves(listener));
    }
    close(listener);
    say("closed_soon", "%d", refused_soon(&address));
}

static void observe_unbound(void) {
    int listener = plain_socket(AF_INET), again = plain_socket(AF_INET);
    struct address name, address;

    say("unbound", "%s", outcome(listen(listener, 8)));
    name = name_of(listener);
    say("unbound_port", "%d", port_of(&name) != 0);
    address = address_at("127.0.0.1", port_of(&name));
    say("unbound_connect", "%s", connect_outcome(&address));
    say("unbound_accept", "%s", outcome(accept_soon(listener)));
    say("unbound_bind", "%s", outcome(bind_to(again, &address)));
    close_both(listener, again);
}

static void observe_listen_again(void) {
    struct address address = fresh_address("127.0.0.1");

    for (int i = 0; i < 4; i++) {
        int listener = listening_at(&address);
        char observation[32];

        snprintf(observation, sizeof observation, "again_%d", i);
        say(observation, "serves %d", serves(listener));
        close(listener);
    }
}

/* Whoever waits when the last one closes is reset. */
static void observe_close_with_client(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address), client = client_of(&address);
    char byte;

    readable(listener, SOON_MS);
    close(listener);
    say("waiting_client", "%s", outcome((int)recv(client, &byte, 1, 0)));
    close(client);
}

void observe_listen(void) {
    observe_listen_errors();
    observe_backlogs();
    observe_unbound();
    observe_listen_again();
    observe_close_with_client();
}

/* --- connect --- */

static void observe_source(const char *kind, const char *host, const char *to) {
    struct address target = fresh_address(to), source = fresh_address(host), peer;
    int listener = listening_at(&target), client = bound_at(&source), server;
    char observation[64];

    snprintf(observation, sizeof observation, "%s_connect", kind);
    say(observation, "%s", outcome(connect(client, &target.any, target.length)));
    server = must(accept_soon(listener));
    peer = peer_of(server);
    snprintf(observation, sizeof observation, "%s_source", kind);
    say_address(observation, &peer, &source);
    peer = name_of(client);
    snprintf(observation, sizeof observation, "%s_name", kind);
    say_address(observation, &peer, &source);
    snprintf(observation, sizeof observation, "%s_listen", kind);
    say(observation, "%s", outcome(listen(client, 8)));
    close_both(client, server);
    close(listener);
}

static void observe_source_without_port(void) {
    struct address target = fresh_address("127.0.0.1"), source = address_at("127.0.0.3", 0), peer;
    int listener = listening_at(&target), client = bound_at(&source), server;

    say("no_port_connect", "%s", outcome(connect(client, &target.any, target.length)));
    server = must(accept_soon(listener));
    peer = peer_of(server);
    say_address("no_port_source", &peer, &source);
    close_both(client, server);
    close(listener);
}

/* Nonblocking, as clients of event loops are. */
static void observe_nonblocking_connect(void) {
    struct address target = fresh_address("127.0.0.1"), source = fresh_address("127.0.0.1");
    int listener = listening_at(&target), client = bound_at(&source), server;

    set_nonblocking(client, true);
    say("nonblocking", "%s", outcome(connect(client, &target.any, target.length)));
    server = must(accept_soon(listener));
    say("nonblocking_flag", "%d", (fcntl(client, F_GETFL) & O_NONBLOCK) != 0);
    say("nonblocking_sends", "%zd", send(client, "x", 1, MSG_NOSIGNAL));
    close_both(client, server);
    close(listener);
}

static void observe_refused_connect(void) {
    struct address nobody = fresh_address("127.0.0.1"), source = fresh_address("127.0.0.1");
    struct address target = fresh_address("127.0.0.1");
    int listener = listening_at(&target), client = bound_at(&source), server;

    say("refused", "%s", outcome(connect(client, &nobody.any, nobody.length)));
    say("refused_retry", "%s", outcome(connect(client, &target.any, target.length)));
    server = accept_soon(listener);
    close_both(client, server);
    close(listener);
}

static void observe_connect_of_listening(void) {
    struct address address = fresh_address("127.0.0.1"), target = fresh_address("127.0.0.1");
    int listener = listening_at(&address), other = listening_at(&target);

    say("listening", "%s", outcome(connect(listener, &target.any, target.length)));
    say("listening_serves", "%d", serves(listener));
    close_both(listener, other);
}

void observe_connect(void) {
    observe_source("ipv4", "127.0.0.1", "127.0.0.1");
    observe_source("ipv4_other", "127.0.0.2", "127.0.0.1");
    observe_source("ipv6", "::1", "::1");
    observe_source_without_port();
    observe_nonblocking_connect();
    observe_refused_connect();
    observe_connect_of_listening();
}

/* --- a full table --- */

#define TABLE_SIZE 64

static int fill_table(void) {
    int last = -1, next;

    while ((next = dup(STDIN_FILENO)) >= 0)
        last = next;
    return last;
}

static void empty_table(int last, int keep) {
    for (int i = last; i > 2; i--) {
        if (i > keep)
            close(i);
    }
}

void observe_full(void) {
    const struct rlimit few = {.rlim_cur = TABLE_SIZE, .rlim_max = TABLE_SIZE};
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address), client, last, server;

    set_nonblocking(listener, true);
    client = client_of(&address);
    must((int)send(client, "x", 1, 0));
    readable(listener, SOON_MS);
    must(setrlimit(RLIMIT_NOFILE, &few));
    last = fill_table();
    for (int i = 0; i < 3; i++)
        say("accept", "%s", outcome(accept(listener, NULL, NULL)));
    say("accept4", "%s", outcome(accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
    say("still_readable", "%d", readable(listener, SOON_MS));
    say("client_waits", "%d", !readable(client, QUIET_MS));
    close(last);
    server = accept_soon(listener);
    say("room_again", "%s lowest %d", outcome(server), server == last);
    say("client_bytes", "%d", readable(server, SOON_MS));
    close(client);
    close(server);
    last = fill_table();
    say("empty_queue", "%s", outcome(accept(listener, NULL, NULL)));
    empty_table(last, listener);
    set_nonblocking(listener, false);
    say("serves", "%d", serves(listener));
    close(listener);
}

/* --- what stays as it is --- */

static void try_descriptor_flags(const char *kind, int type) {
    struct address address = fresh_address("127.0.0.1");
    int descriptor = must(socket(AF_INET, SOCK_STREAM | type, 0));
    char observation[64];
    struct stat about;

    set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    must(bind_to(descriptor, &address));
    must(fstat(descriptor, &about));
    snprintf(observation, sizeof observation, "%s_bound", kind);
    say(observation, "flags %#x descriptor flags %#x socket %d", must(fcntl(descriptor, F_GETFL)),
        must(fcntl(descriptor, F_GETFD)), S_ISSOCK(about.st_mode));
    must(listen(descriptor, 8));
    snprintf(observation, sizeof observation, "%s_listening", kind);
    say(observation, "flags %#x descriptor flags %#x", must(fcntl(descriptor, F_GETFL)),
        must(fcntl(descriptor, F_GETFD)));
    close(descriptor);
}

static void observe_port_0(void) {
    struct address address = address_at("127.0.0.1", 0), name;
    int listeners[2] = {bound_at(&address), bound_at(&address)};

    must(listen(listeners[0], 8));
    must(listen(listeners[1], 8));
    name = name_of(listeners[0]);
    address = name_of(listeners[1]);
    say("port_0_given", "%d", port_of(&name) != 0);
    say("port_0_differs", "%d", port_of(&name) != port_of(&address));
    say("port_0_serves", "%d", serves(listeners[0]));
    close_both(listeners[0], listeners[1]);
}

static void observe_datagrams(void) {
    struct address address = fresh_address("127.0.0.1"), name;
    int server = must(socket(AF_INET, SOCK_DGRAM, 0)),
        client = must(socket(AF_INET, SOCK_DGRAM, 0));
    int second = must(socket(AF_INET, SOCK_DGRAM, 0));

    say("datagram", "%s", outcome(bind_to(server, &address)));
    say("datagram_twice", "%s", outcome(bind_to(second, &address)));
    name = name_of(server);
    say_address("datagram_name", &name, &address);
    must((int)sendto(client, "x", 1, 0, &address.any, address.length));
    say("datagram_comes", "%d", readable(server, SOON_MS));
    close_both(server, client);
    close(second);
}

static void observe_local(int type, const char *kind) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length;
    int listener = must(socket(AF_UNIX, type, 0)), client = must(socket(AF_UNIX, type, 0));
    char observation[64];
    int server;

    length = (socklen_t)(sizeof name.sun_family + 1 +
                         (size_t)snprintf(name.sun_path + 1, sizeof name.sun_path - 1,
                                          "baton-oracle-%d", (int)getpid()));
    snprintf(observation, sizeof observation, "%s_bind", kind);
    say(observation, "%s", outcome(bind(listener, (struct sockaddr *)&name, length)));
    must(listen(listener, 8));
    must(connect(client, (struct sockaddr *)&name, length));
    length = sizeof name;
    server = accept_soon(listener);
    snprintf(observation, sizeof observation, "%s_accept", kind);
    say(observation, "%s", outcome(server));
    must(getsockname(listener, (struct sockaddr *)&name, &length));
    snprintf(observation, sizeof observation, "%s_name", kind);
    say(observation, "family %d named %d", name.sun_family, length > sizeof name.sun_family);
    snprintf(observation, sizeof observation, "%s_sends", kind);
    say(observation, "%zd", send(client, "x", 1, 0));
    close_both(client, server);
    close(listener);
}

static void observe_multipath(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), value = -1;
    socklen_t length = sizeof value;

    say("multipath", "%s", outcome(listener));
    if (listener < 0)
        return;
    set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
    say("multipath_bind", "%s", outcome(bind_to(listener, &address)));
    say("multipath_listen", "%s", outcome(listen(listener, 8)));
    must(getsockopt(listener, SOL_SOCKET, SO_PROTOCOL, &value, &length));
    say("multipath_protocol", "%d", value);
    say("multipath_serves", "%d", serves(listener));
    close(listener);
}

void observe_untouched(void) {
    try_descriptor_flags("plain", 0);
    try_descriptor_flags("nonblocking", SOCK_NONBLOCK);
    try_descriptor_flags("close_on_exec", SOCK_CLOEXEC);
    try_descriptor_flags("both", SOCK_NONBLOCK | SOCK_CLOEXEC);
    observe_port_0();
    observe_datagrams();
    observe_local(SOCK_STREAM, "unix_stream");
    observe_local(SOCK_SEQPACKET, "unix_records");
    observe_multipath();
}
