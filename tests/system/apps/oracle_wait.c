/* Waiting for clients: blocking accept, shutdown, poll, select, epoll, SIGIO. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int number) {
    (void)number;
    signals++;
}

static void handle(int number, int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

    signals = 0;
    must(sigaction(number, &action, NULL));
}

static int listening(void) {
    struct address address = fresh_address("127.0.0.1");

    return listening_at(&address);
}

/* --- a second thread that does something to the first --- */

enum deed { CONNECT, SIGNAL, SIGNAL_THEN_CONNECT, SHUT_READING, SHUT_BOTH };

struct other {
    enum deed deed;
    int listener;
    pthread_t first;
    pid_t first_id;
    int client;
};

static bool sleeps(pid_t thread) {
    char path[64], text[512] = "";
    const char *state;
    int file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    file = must(open(path, O_RDONLY | O_CLOEXEC));
    must((int)read(file, text, sizeof text - 1));
    close(file);
    state = strrchr(text, ')');
    return state && strncmp(state, ") S", 3) == 0;
}

static void *do_deed(void *argument) {
    struct other *other = argument;

    for (int waited = 0; waited < SOON_MS && !sleeps(other->first_id); waited++)
        pause_ms(1);
    pause_ms(QUIET_MS);
    if (other->deed == SIGNAL || other->deed == SIGNAL_THEN_CONNECT) {
        pthread_kill(other->first, SIGUSR2);
        pause_ms(QUIET_MS);
    }
    if (other->deed == CONNECT || other->deed == SIGNAL_THEN_CONNECT) {
        struct address address = name_of(other->listener);

        other->client = client_of(&address);
    }
    if (other->deed == SHUT_READING || other->deed == SHUT_BOTH)
        shutdown(other->listener, other->deed == SHUT_BOTH ? SHUT_RDWR : SHUT_RD);
    return NULL;
}

/* Accepts while the other thread does its deed. */
static void try_deed(const char *observation, int listener, enum deed deed) {
    struct other other = {.deed = deed,
                          .listener = listener,
                          .first = pthread_self(),
                          .first_id = gettid(),
                          .client = -1};
    pthread_t thread;
    int server, error;

    must(-pthread_create(&thread, NULL, do_deed, &other));
    server = accept(listener, NULL, NULL);
    error = errno;
    pthread_join(thread, NULL);
    say(observation, "%s signals %d", outcome_of(server, error), (int)signals);
    close_both(server, other.client);
}

/* --- blocking --- */

static void set_timeout(int listener, int milliseconds) {
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};

    must(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
}

static void observe_timeout(int listener) {
    set_timeout(listener, QUIET_MS);
    say("timeout", "%s", outcome(accept(listener, NULL, NULL)));
    say("timeout_accept4", "%s", outcome(accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
    set_timeout(listener, SOON_MS);
    handle(SIGUSR2, SA_RESTART);
    try_deed("timeout_restart", listener, SIGNAL);
    handle(SIGUSR2, SA_RESTART);
    try_deed("timeout_connect", listener, CONNECT);
    set_timeout(listener, 0);
}

static void *accept_forever(void *argument) {
    accept(*(int *)argument, NULL, NULL);
    return NULL;
}

static void observe_cancel(int listener) {
    void *result = NULL;
    pthread_t thread;

    must(-pthread_create(&thread, NULL, accept_forever, &listener));
    pause_ms(QUIET_MS);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    say("cancelled", "%d", result == PTHREAD_CANCELED);
    say("serves_after_cancel", "%d", serves(listener));
}

static void *accept_when_cancelled(void *argument) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    accept4(*(int *)argument, NULL, NULL, SOCK_CLOEXEC);
    return NULL;
}

/* A cancellation that is pending already acts before a client is taken. */
static void observe_pending_cancel(int listener) {
    struct address address = name_of(listener);
    int client = client_of(&address), server;
    void *result = NULL;
    pthread_t thread;

    readable(listener, SOON_MS);
    must(-pthread_create(&thread, NULL, accept_when_cancelled, &listener));
    pthread_join(thread, &result);
    say("pending_cancel", "%d", result == PTHREAD_CANCELED);
    server = accept_soon(listener);
    say("client_after_pending_cancel", "%s", outcome(server));
    close_both(client, server);
}

static void observe_nonblocking(int listener) {
    set_nonblocking(listener, true);
    say("nonblocking", "%s", outcome(accept(listener, NULL, NULL)));
    set_nonblocking(listener, false);
    handle(SIGUSR2, SA_RESTART);
    try_deed("blocking_again", listener, CONNECT);
}

void observe_blocking(void) {
    int listener = listening();

    handle(SIGUSR2, 0);
    try_deed("connect", listener, CONNECT);
    handle(SIGUSR2, 0);
    try_deed("interrupted", listener, SIGNAL);
    handle(SIGUSR2, SA_RESTART);
    try_deed("restarted", listener, SIGNAL_THEN_CONNECT);
    observe_timeout(listener);
    observe_cancel(listener);
    observe_pending_cancel(listener);
    observe_nonblocking(listener);
    close(listener);
}

/* --- shutdown --- */

static void try_shutdown(const char *kind, enum deed deed) {
    int listener = listening(), client;
    struct address address = name_of(listener);
    char observation[64];

    signals = 0;
    snprintf(observation, sizeof observation, "%s_wakes", kind);
    try_deed(observation, listener, deed);
    snprintf(observation, sizeof observation, "%s_accept", kind);
    say(observation, "%s", outcome(accept(listener, NULL, NULL)));
    snprintf(observation, sizeof observation, "%s_poll", kind);
    say(observation, "in %d", readable(listener, 0));
    client = plain_socket(AF_INET);
    snprintf(observation, sizeof observation, "%s_connect", kind);
    say(observation, "%s", outcome(connect(client, &address.any, address.length)));
    close_both(client, listener);
}

static void observe_shutdown_of_bound(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address);

    say("bound", "%s", outcome(shutdown(listener, SHUT_RDWR)));
    say("bound_bad_how", "%s", outcome(shutdown(listener, 7)));
    close(listener);
}

static void observe_listen_after_shutdown(void) {
    int listener = listening(), result;

    must(shutdown(listener, SHUT_RD));
    result = listen(listener, 8);
    say("listen_after", "%s", outcome(result));
    say("serves_after", "%d", result == 0 && serves(listener));
    close(listener);
}

static void observe_shutdown_twice(void) {
    int listener = listening();

    must(shutdown(listener, SHUT_RDWR));
    say("again", "%s", outcome(shutdown(listener, SHUT_RDWR)));
    close(listener);
}

void observe_shutdown(void) {
    int listener = listening();

    try_shutdown("reading", SHUT_READING);
    try_shutdown("both", SHUT_BOTH);
    say("writing", "%s", outcome(shutdown(listener, SHUT_WR)));
    say("writing_serves", "%d", serves(listener));
    say("bad_how", "%s", outcome(shutdown(listener, 7)));
    say("bad_how_serves", "%d", serves(listener));
    say("closed_descriptor", "%s", outcome(shutdown(1000, SHUT_RDWR)));
    close(listener);
    observe_shutdown_of_bound();
    observe_listen_after_shutdown();
    observe_shutdown_twice();
}

/* --- poll and select --- */

static void say_poll(const char *observation, int listener, short events, int milliseconds) {
    struct pollfd watched = {.fd = listener, .events = events};
    int count = poll(&watched, 1, milliseconds);

    say(observation, "%d events %#x", count, (unsigned)watched.revents);
}

static void observe_poll(int listener) {
    const short reading = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND | POLLRDHUP;
    struct address address = name_of(listener);
    int client, server;

    say_poll("poll_empty", listener, reading, QUIET_MS);
    say_poll("poll_empty_writing", listener, reading | POLLOUT, QUIET_MS);
    client = client_of(&address);
    readable(listener, SOON_MS);
    say_poll("poll_client", listener, reading, SOON_MS);
    server = accept_soon(listener);
    say_poll("poll_accepted", listener, reading, QUIET_MS);
    close_both(client, server);
}

static void say_select(const char *observation, int listener, int milliseconds) {
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    fd_set reading, urgent;
    int count;

    FD_ZERO(&reading);
    FD_ZERO(&urgent);
    FD_SET(listener, &reading);
    FD_SET(listener, &urgent);
    count = select(listener + 1, &reading, NULL, &urgent, &limit);
    say(observation, "%d reading %d urgent %d", count, FD_ISSET(listener, &reading) != 0,
        FD_ISSET(listener, &urgent) != 0);
}

static void observe_select(int listener) {
    struct address address = name_of(listener);
    int client, server;

    say_select("select_empty", listener, QUIET_MS);
    client = client_of(&address);
    say_select("select_client", listener, SOON_MS);
    server = accept_soon(listener);
    say_select("select_accepted", listener, QUIET_MS);
    close_both(client, server);
}

static bool signalled_soon(void) {
    for (int waited = 0; signals == 0 && waited < SOON_MS; waited++)
        pause_ms(1);
    return signals > 0;
}

static void observe_sigio(int listener, int number, const char *observation) {
    struct address address = name_of(listener);
    int flags = must(fcntl(listener, F_GETFL)), client, server;

    handle(number, SA_RESTART);
    must(fcntl(listener, F_SETOWN, getpid()));
    must(fcntl(listener, F_SETSIG, number == SIGIO ? 0 : number));
    must(fcntl(listener, F_SETFL, flags | O_ASYNC));
    client = client_of(&address);
    say(observation, "%d", signalled_soon());
    server = accept_soon(listener);
    must(fcntl(listener, F_SETFL, flags));
    close_both(client, server);
}

/* Watched since before it was bound and listening. */
static void observe_poll_before_listen(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address);

    say_poll("poll_bound", listener, POLLIN | POLLRDHUP, 0);
    must(listen(listener, 8));
    say_poll("poll_listening", listener, POLLIN | POLLRDHUP, 0);
    close(listener);
}

void observe_readiness(void) {
    int listener = listening();

    observe_poll(listener);
    observe_select(listener);
    observe_sigio(listener, SIGIO, "sigio");
    observe_sigio(listener, SIGRTMIN, "realtime_signal");
    observe_poll_before_listen();
    close(listener);
}

/* --- epoll --- */

static int watching(int listener, uint32_t events) {
    struct epoll_event wanted = {.events = events, .data.u32 = 7};
    int epoll = must(epoll_create1(EPOLL_CLOEXEC));

    must(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted));
    return epoll;
}

static void say_epoll(const char *observation, int epoll, int milliseconds) {
    struct epoll_event event = {.events = 0};
    int count = epoll_wait(epoll, &event, 1, milliseconds);

    say(observation, "%d events %#x", count, count > 0 ? event.events : 0);
}

static void take(int listener, int count) {
    for (int i = 0; i < count; i++)
        close(must(accept_soon(listener)));
}

static void observe_level(int listener) {
    int epoll = watching(listener, EPOLLIN | EPOLLRDHUP);
    struct address address = name_of(listener);
    int clients[2];

    say_epoll("level_empty", epoll, QUIET_MS);
    clients[0] = client_of(&address);
    clients[1] = client_of(&address);
    say_epoll("level_client", epoll, SOON_MS);
    say_epoll("level_again", epoll, SOON_MS);
    take(listener, 1);
    readable(listener, SOON_MS);
    say_epoll("level_one_left", epoll, SOON_MS);
    take(listener, 1);
    say_epoll("level_accepted", epoll, QUIET_MS);
    close_both(clients[0], clients[1]);
    close(epoll);
}

static void observe_edge(int listener) {
    int epoll = watching(listener, EPOLLIN | EPOLLET), clients[2];
    struct address address = name_of(listener);

    say_epoll("edge_empty", epoll, QUIET_MS);
    clients[0] = client_of(&address);
    say_epoll("edge_client", epoll, SOON_MS);
    say_epoll("edge_silent", epoll, QUIET_MS);
    clients[1] = client_of(&address);
    say_epoll("edge_second", epoll, SOON_MS);
    take(listener, 2);
    say_epoll("edge_accepted", epoll, QUIET_MS);
    close_both(clients[0], clients[1]);
    clients[0] = client_of(&address);
    say_epoll("edge_next", epoll, SOON_MS);
    take(listener, 1);
    close_both(clients[0], epoll);
}

static void observe_one_shot(int listener) {
    struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT};
    int epoll = watching(listener, EPOLLIN | EPOLLONESHOT), clients[2];
    struct address address = name_of(listener);

    clients[0] = client_of(&address);
    say_epoll("one_shot_client", epoll, SOON_MS);
    clients[1] = client_of(&address);
    say_epoll("one_shot_silent", epoll, QUIET_MS);
    must(epoll_ctl(epoll, EPOLL_CTL_MOD, listener, &again));
    say_epoll("one_shot_armed", epoll, SOON_MS);
    take(listener, 2);
    close_both(clients[0], clients[1]);
    close(epoll);
}

/* Two that wait exclusively, each in its own epoll: one client wakes at least one, and one gets it.
 */
static void observe_exclusive(int listener) {
    int first = watching(listener, EPOLLIN | EPOLLEXCLUSIVE);
    int second = watching(listener, EPOLLIN | EPOLLEXCLUSIVE);
    struct address address = name_of(listener);
    struct pollfd both[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
    int client = client_of(&address);

    say("exclusive_woken", "%d", poll(both, 2, SOON_MS) >= 1);
    set_nonblocking(listener, true);
    take(listener, 1);
    say("exclusive_taken", "%s", outcome(accept(listener, NULL, NULL)));
    set_nonblocking(listener, false);
    close_both(first, second);
    close(client);
}

/* libuv and others add the socket before listen(), some even before bind(). */
static void observe_early_watch(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address), epoll, client;

    epoll = watching(listener, EPOLLIN);
    must(listen(listener, 8));
    client = client_of(&address);
    readable(listener, SOON_MS);
    say("watched_since_bind", "%d", readable(epoll, SOON_MS));
    take(listener, 1);
    close_both(client, epoll);
    close(listener);
}

static void observe_watch_before_bind(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = reusing_socket(AF_INET), epoll = watching(listener, EPOLLIN), client;

    must(bind_to(listener, &address));
    must(listen(listener, 8));
    client = client_of(&address);
    readable(listener, SOON_MS);
    say("watched_since_socket", "%d", readable(epoll, QUIET_MS));
    take(listener, 1);
    close_both(client, epoll);
    close(listener);
}

void observe_epoll(void) {
    int listener = listening();

    observe_level(listener);
    observe_edge(listener);
    observe_one_shot(listener);
    observe_exclusive(listener);
    close(listener);
    observe_early_watch();
    observe_watch_before_bind();
}
