/* The semantics oracle: what a program sees of the socket calls around a TCP listener.
 *
 *     oracle GROUP
 *
 * It prints one line for each observation, "GROUP.OBSERVATION: VALUE", without anything that
 * differs from run to run: no ports, process ids, descriptors or times. Run by itself it tells what
 * the kernel does; run under Baton with the preload library it must tell the same, line by line. It
 * is its own client, over loopback.
 *
 * $ORACLE_OUTPUT is the file to append to (standard output without it), $ORACLE_PORTS free ports,
 * $ORACLE_HELD one that another process listens on. A group that cannot go on ends with a line that
 * says so and the exit code 1. */
#ifndef BATON_TESTS_ORACLE_H
#define BATON_TESTS_ORACLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_storage storage;
    };
    socklen_t length;
};

/* The groups. */
void observe_bind(void);
void observe_bind_twice(void);
void observe_families(void);
void observe_privileged(void);
void observe_accept(void);
void observe_accept_addresses(void);
void observe_accept_errors(void);
void observe_blocking(void);
void observe_shutdown(void);
void observe_readiness(void);
void observe_epoll(void);
void observe_options(void);
void observe_option_errors(void);
void observe_inherited(void);
void observe_names(void);
void observe_pointers(void);
void observe_duplicates(void);
void observe_processes(void);
void observe_crowds(void);
void observe_contexts(void);
void observe_listen(void);
void observe_connect(void);
void observe_full(void);
void observe_untouched(void);

/* What `oracle accept FD` does after an exec: accepts one client and tells by its exit code whether
 * all was as it should be. */
int accept_inherited(int listener);

/* One line. */
void say(const char *observation, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "ok", or the name of errno when the result of a call is negative. */
const char *outcome(int result);
const char *outcome_of(long result, int error);

/* The outcome of a call that may be the end of the process that makes it. */
void say_in_child(const char *observation, int (*call)(int), int descriptor);

/* The result itself; a negative one ends the group. */
int must(int result);

/* Addresses. The second one takes a free port that nobody had before. */
struct address address_at(const char *host, uint16_t port);
struct address fresh_address(const char *host);
uint16_t held_port(void);
uint16_t port_of(const struct address *address);

/* Host, and "same" or "other" by whether the port is the expected one's. */
void say_address(const char *observation, const struct address *address,
                 const struct address *expected);
struct address name_of(int descriptor);
struct address peer_of(int descriptor);

/* Sockets. All but the plain one end the group when they fail. */
int plain_socket(int family);
int reusing_socket(int family); /* with SO_REUSEADDR */
int bind_to(int descriptor, const struct address *address);
int bound_at(const struct address *address);
int listening_at(const struct address *address);
int client_of(const struct address *address); /* connected, with time limits */
void close_both(int first, int second);
void set_option(int descriptor, int level, int name, int value);
void set_nonblocking(int descriptor, bool on);

/* Waiting. */
bool readable(int descriptor, int milliseconds);
int accept_soon(int listener); /* once a client has come */
bool serves(int listener);     /* a client connects, is accepted, and its bytes come through */
void pause_ms(int milliseconds);
int exit_code_of(pid_t child);

#define GROUP_SECONDS 60    /* for all of a group */
#define SOON_MS       20000 /* when something must happen: a machine may be busy */
#define QUIET_MS      60    /* when nothing must */

#endif
