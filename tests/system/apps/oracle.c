#include "oracle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*observe)(void);
} groups[] = {{"bind", observe_bind},
              {"bind_twice", observe_bind_twice},
              {"families", observe_families},
              {"privileged", observe_privileged},
              {"accept", observe_accept},
              {"accept_addresses", observe_accept_addresses},
              {"accept_errors", observe_accept_errors},
              {"blocking", observe_blocking},
              {"shutdown", observe_shutdown},
              {"readiness", observe_readiness},
              {"epoll", observe_epoll},
              {"options", observe_options},
              {"option_errors", observe_option_errors},
              {"inherited", observe_inherited},
              {"names", observe_names},
              {"pointers", observe_pointers},
              {"duplicates", observe_duplicates},
              {"processes", observe_processes},
              {"crowds", observe_crowds},
              {"contexts", observe_contexts},
              {"listen", observe_listen},
              {"connect", observe_connect},
              {"full", observe_full},
              {"untouched", observe_untouched}};

static const char *group;
static int output = STDOUT_FILENO;

/* --- telling --- */

void say(const char *observation, const char *format, ...) {
    char value[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    dprintf(output, "%s.%s: %s\n", group, observation, value);
}

const char *outcome_of(long result, int error) {
    return result < 0 ? strerrorname_np(error) : "ok";
}

const char *outcome(int result) {
    return outcome_of(result, errno);
}

int must(int result) {
    if (result >= 0)
        return result;
    say("gave_up", "%s", strerrorname_np(errno));
    exit(1);
}

/* --- addresses --- */

struct address address_at(const char *host, uint16_t port) {
    struct address address = {.length = sizeof address.ipv4};

    if (strchr(host, ':')) {
        address.length = sizeof address.ipv6;
        address.ipv6.sin6_family = AF_INET6;
        address.ipv6.sin6_port = htons(port);
        inet_pton(AF_INET6, host, &address.ipv6.sin6_addr);
        return address;
    }
    address.ipv4.sin_family = AF_INET;
    address.ipv4.sin_port = htons(port);
    inet_pton(AF_INET, host, &address.ipv4.sin_addr);
    return address;
}

struct address fresh_address(const char *host) {
    static char *next;

    if (!next)
        next = getenv("ORACLE_PORTS");
    if (!next || !*next) {
        say("gave_up", "no port left in ORACLE_PORTS");
        exit(1);
    }
    return address_at(host, (uint16_t)strtoul(next + (*next == ','), &next, 10));
}

uint16_t held_port(void) {
    return (uint16_t)atoi(getenv("ORACLE_HELD") ? getenv("ORACLE_HELD") : "0");
}

uint16_t port_of(const struct address *address) {
    return ntohs(address->ipv4.sin_port); /* it is at the same place in both families */
}

void say_address(const char *observation, const struct address *address,
                 const struct address *expected) {
    char host[INET6_ADDRSTRLEN] = "?";
    const void *bytes = &address->ipv4.sin_addr;

    if (address->any.sa_family == AF_INET6)
        bytes = &address->ipv6.sin6_addr;
    inet_ntop(address->any.sa_family, bytes, host, sizeof host);
    say(observation, "family %d host %s port %s length %u", address->any.sa_family, host,
        port_of(address) == port_of(expected) ? "same" : "other", address->length);
}

struct address name_of(int descriptor) {
    struct address address = {.length = sizeof address.storage};

    must(getsockname(descriptor, &address.any, &address.length));
    return address;
}

struct address peer_of(int descriptor) {
    struct address address = {.length = sizeof address.storage};

    must(getpeername(descriptor, &address.any, &address.length));
    return address;
}

/* --- sockets --- */

int plain_socket(int family) {
    return must(socket(family, SOCK_STREAM, 0));
}

void set_option(int descriptor, int level, int name, int value) {
    must(setsockopt(descriptor, level, name, &value, sizeof value));
}

int reusing_socket(int family) {
    int descriptor = plain_socket(family);

    set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    return descriptor;
}

int bind_to(int descriptor, const struct address *address) {
    return bind(descriptor, &address->any, address->length);
}

int bound_at(const struct address *address) {
    int descriptor = reusing_socket(address->any.sa_family);

    must(bind_to(descriptor, address));
    return descriptor;
}

int listening_at(const struct address *address) {
    int descriptor = bound_at(address);

    must(listen(descriptor, 64));
    return descriptor;
}

static bool writable(int descriptor) {
    struct pollfd watched = {.fd = descriptor, .events = POLLOUT};

    while (poll(&watched, 1, SOON_MS) < 0 && errno == EINTR)
        continue;
    return watched.revents == POLLOUT;
}

int client_of(const struct address *address) {
    const struct timeval limit = {.tv_sec = SOON_MS / 1000};
    int client = plain_socket(address->any.sa_family);

    must(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    must(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    /* A signal ends the wait, not the connecting. */
    if (connect(client, &address->any, address->length) < 0)
        must(errno == EINTR && writable(client) ? 0 : -1);
    return client;
}

void close_both(int first, int second) {
    close(first);
    close(second);
}

void set_nonblocking(int descriptor, bool on) {
    int flags = must(fcntl(descriptor, F_GETFL));

    must(fcntl(descriptor, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

/* --- waiting --- */

bool readable(int descriptor, int milliseconds) {
    struct pollfd watched = {.fd = descriptor, .events = POLLIN};

    return poll(&watched, 1, milliseconds) == 1 && watched.revents & POLLIN;
}

int accept_soon(int listener) {
    readable(listener, SOON_MS);
    return accept(listener, NULL, NULL);
}

static bool talks(int client, int server) {
    const struct timeval limit = {.tv_sec = SOON_MS / 1000};
    char byte = 0;

    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return send(client, "a", 1, MSG_NOSIGNAL) == 1 && recv(server, &byte, 1, 0) == 1 &&
           byte == 'a' && send(server, "b", 1, MSG_NOSIGNAL) == 1 &&
           recv(client, &byte, 1, 0) == 1 && byte == 'b';
}

bool serves(int listener) {
    struct address address = name_of(listener);
    int client = client_of(&address), server = accept_soon(listener);
    bool result = server >= 0 && talks(client, server);

    close_both(client, server);
    return result;
}

void pause_ms(int milliseconds) {
    poll(NULL, 0, milliseconds);
}

int exit_code_of(pid_t child) {
    int status;

    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

void say_in_child(const char *observation, int (*call)(int), int descriptor) {
    pid_t child = must(fork());
    int status = 0;

    if (child == 0)
        _exit(call(descriptor) < 0 ? errno : 0);
    must(waitpid(child, &status, 0));
    if (WIFEXITED(status))
        say(observation, "%s", WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok");
    else
        say(observation, "killed");
}

/* --- the program --- */

static void open_output(void) {
    const char *path = getenv("ORACLE_OUTPUT");

    if (path)
        output = must(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
}

int main(int count, char **arguments) {
    alarm(GROUP_SECONDS); /* whatever hangs; it is kept over exec */
    if (count == 3 && strcmp(arguments[1], "accept") == 0)
        return accept_inherited(atoi(arguments[2]));
    for (size_t i = 0; count == 2 && i < sizeof groups / sizeof groups[0]; i++) {
        if (strcmp(arguments[1], groups[i].name) != 0)
            continue;
        group = groups[i].name;
        open_output();
        groups[i].observe();
        say("end", "reached");
        return 0;
    }
    fputs("usage: oracle GROUP\n", stderr);
    return 2;
}
