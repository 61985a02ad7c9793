/* One listener under several descriptors, in several processes and threads. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int listening(void) {
    struct address address = fresh_address("127.0.0.1");

    return listening_at(&address);
}

/* --- descriptors --- */

static void say_alike(const char *kind, int descriptor, const struct address *address) {
    struct address name = name_of(descriptor);
    char observation[64];
    int value = -1;
    socklen_t length = sizeof value;

    snprintf(observation, sizeof observation, "%s_name", kind);
    say_address(observation, &name, address);
    getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &length);
    snprintf(observation, sizeof observation, "%s_accepting", kind);
    say(observation, "%d", value);
    snprintf(observation, sizeof observation, "%s_serves", kind);
    say(observation, "%d", serves(descriptor));
}

static void observe_copies(void) {
    int listener = listening(), second = must(dup(listener)), third = must(dup2(listener, 90));
    struct address address = name_of(listener);
    int fourth = must(fcntl(listener, F_DUPFD_CLOEXEC, 95));

    say_alike("dup", second, &address);
    close(listener);
    say_alike("dup_alone", second, &address);
    say_alike("dup2", third, &address);
    close(second);
    say_alike("dup2_alone", third, &address);
    close(third);
    say_alike("dupfd_alone", fourth, &address);
    close(fourth);
}

static void observe_dup_before_listen(void) {
    struct address address = fresh_address("127.0.0.1");
    int first = bound_at(&address), second = must(dup(first));

    must(listen(second, 8));
    say_alike("bound_then_dup", first, &address);
    close_both(first, second);
}

/* Copies from before the swap that bind() makes. */
static void observe_dup_before_bind(void) {
    struct address address = fresh_address("127.0.0.1");
    int first = reusing_socket(AF_INET), second = must(dup(first));

    must(bind_to(first, &address));
    say("dup_then_bound_listen", "%s", outcome(listen(second, 8)));
    close(first);
    say("dup_then_bound_serves", "%d", serves(second));
    close(second);
}

static void observe_number_reuse(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening(), other, client, server;

    close(listener);
    other = plain_socket(AF_INET);
    say("number_reused", "%d", other == listener);
    say("number_reused_accept", "%s", outcome(accept(other, NULL, NULL)));
    close(other);
    listener = listening_at(&address);
    other = plain_socket(AF_INET);
    must(dup2(other, listener));
    say("dup2_over_accept", "%s", outcome(accept(listener, NULL, NULL)));
    must(bind_to(listener, &address));
    must(listen(listener, 8));
    client = client_of(&address);
    server = accept_soon(listener);
    say("dup2_over_listens_again", "%s", outcome(server));
    close_both(client, server);
    close_both(listener, other);
}

void observe_duplicates(void) {
    observe_copies();
    observe_dup_before_listen();
    observe_dup_before_bind();
    observe_number_reuse();
}

/* --- processes --- */

int accept_inherited(int listener) {
    struct address peer = {.length = sizeof peer.storage}, name = {.length = sizeof name.storage};
    int value = 0, server;
    socklen_t length = sizeof value;

    if (getsockname(listener, &name.any, &name.length) < 0)
        return 1;
    if (name.any.sa_family != AF_INET || port_of(&name) == 0)
        return 2;
    if (getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) < 0 || value != 1)
        return 3;
    if (getpeername(listener, &peer.any, &peer.length) == 0)
        return 4;
    readable(listener, SOON_MS);
    server = accept(listener, &peer.any, &peer.length);
    if (server < 0)
        return 5;
    if (peer.any.sa_family != AF_INET || peer.length != sizeof peer.ipv4)
        return 6;
    return send(server, "b", 1, MSG_NOSIGNAL) == 1 ? 0 : 7;
}

/* A client of the child's: what the child says, and whether its answer came. */
static void say_child(const char *observation, const struct address *address, pid_t child) {
    int client = client_of(address), code;
    ssize_t received;
    char byte;

    received = recv(client, &byte, 1, 0);
    code = exit_code_of(child);
    say(observation, "exit code %d answer %zd", code, received);
    close(client);
}

static void observe_fork(void) {
    int listener = listening();
    struct address address = name_of(listener);
    pid_t child = must(fork());

    if (child == 0)
        _exit(accept_inherited(listener));
    say_child("fork", &address, child);
    say("fork_parent_serves", "%d", serves(listener));
    child = must(fork());
    close(child > 0 ? listener : -1);
    if (child == 0)
        _exit(accept_inherited(listener));
    say_child("fork_only_in_child", &address, child);
}

static void observe_listen_in_child(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = bound_at(&address), ends[2];
    pid_t child;
    char byte;

    must(pipe(ends));
    child = must(fork());
    if (child == 0) {
        bool listens = listen(listener, 8) == 0;

        must((int)write(ends[1], "x", 1));
        _exit(listens ? accept_inherited(listener) : 9);
    }
    must((int)read(ends[0], &byte, 1));
    say_child("listen_in_child", &address, child);
    say("listen_in_child_parent_serves", "%d", serves(listener));
    close_both(ends[0], ends[1]);
    close(listener);
}

static pid_t spawn(char *program, char **arguments, char **variables) {
    pid_t child;

    must(-posix_spawn(&child, program, NULL, NULL, arguments, variables));
    return child;
}

static void observe_exec(void) {
    int listener = listening();
    struct address address = name_of(listener);
    char number[16], program[] = "/proc/self/exe", mode[] = "accept";
    char *arguments[] = {program, mode, number, NULL};
    pid_t child;

    snprintf(number, sizeof number, "%d", listener);
    child = must(fork());
    if (child == 0) {
        execv(program, arguments);
        _exit(99);
    }
    say_child("exec", &address, child);
    say_child("spawn", &address, spawn(program, arguments, environ));
    must(fcntl(listener, F_SETFD, FD_CLOEXEC));
    say("exec_closed", "%d", exit_code_of(spawn(program, arguments, environ)));
    say("exec_parent_serves", "%d", serves(listener));
    close(listener);
}

static void give(int channel, int descriptor) {
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = ""};
    struct iovec bytes = {.iov_base = control.room, .iov_len = 1};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    must((int)sendmsg(channel, &message, 0));
}

static int receive(int channel) {
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec bytes = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    int descriptor = -1;

    must((int)recvmsg(channel, &message, 0));
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
}

/* To a process that was there before the listener. */
static void observe_passing(void) {
    struct address address;
    int ends[2], listener;
    pid_t child;

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    child = must(fork());
    if (child == 0)
        _exit(accept_inherited(receive(ends[1])));
    listener = listening();
    address = name_of(listener);
    give(ends[0], listener);
    say_child("passed", &address, child);
    say("passed_parent_serves", "%d", serves(listener));
    close_both(ends[0], ends[1]);
    close(listener);
}

/* A child sets what the parent's clients inherit. */
static void observe_option_in_child(void) {
    int listener = listening(), value = -1, client, server;
    struct address address = name_of(listener);
    socklen_t length = sizeof value;
    pid_t child = must(fork());

    if (child == 0) {
        set_option(listener, IPPROTO_IP, IP_TTL, 33);
        _exit(0);
    }
    exit_code_of(child);
    client = client_of(&address);
    server = must(accept_soon(listener));
    must(getsockopt(server, IPPROTO_IP, IP_TTL, &value, &length));
    say("option_in_child", "%d", value);
    close_both(client, server);
    close(listener);
}

void observe_processes(void) {
    observe_fork();
    observe_listen_in_child();
    observe_exec();
    observe_passing();
    observe_option_in_child();
}

/* --- crowds --- */

#define CLIENTS   40
#define RECEIVERS 4

/* By the client's port, in memory that children share. */
struct tally {
    int listener;
    int accepted[65536];
    int errors;
};

static void count_one(struct tally *tally) {
    struct address peer = {.length = sizeof peer.storage};
    int server = accept(tally->listener, &peer.any, &peer.length);

    if (server < 0) {
        __atomic_fetch_add(&tally->errors, errno != EAGAIN, __ATOMIC_RELAXED);
        return;
    }
    __atomic_fetch_add(&tally->accepted[port_of(&peer)], 1, __ATOMIC_RELAXED);
    close(server);
}

static void *accept_all(void *tally) {
    for (;;)
        count_one(tally);
    return NULL;
}

static void poll_all(struct tally *tally) {
    for (;;) {
        readable(tally->listener, SOON_MS);
        count_one(tally);
    }
}

static struct tally *new_tally(void) {
    struct tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    must(tally == MAP_FAILED ? -1 : 0);
    tally->listener = listening();
    return tally;
}

static int times_accepted(struct tally *tally, int port) {
    return __atomic_load_n(&tally->accepted[port], __ATOMIC_RELAXED);
}

/* Each client once, and nobody else. */
static void say_tally(const char *observation, struct tally *tally) {
    struct address address = name_of(tally->listener);
    int clients[CLIENTS], once = 0, all = 0;

    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_of(&address);
    for (int i = 0; i < CLIENTS; i++) {
        struct address name = name_of(clients[i]);

        for (int waited = 0; waited < SOON_MS && times_accepted(tally, port_of(&name)) == 0;
             waited++)
            pause_ms(1);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct address name = name_of(clients[i]);

        once += times_accepted(tally, port_of(&name)) == 1;
        close(clients[i]);
    }
    for (int port = 0; port < 65536; port++)
        all += times_accepted(tally, port);
    say(observation, "once %d all %d errors %d", once, all, tally->errors);
}

static void observe_threads(void) {
    struct tally *tally = new_tally();
    pthread_t threads[RECEIVERS];

    for (int i = 0; i < RECEIVERS; i++)
        must(-pthread_create(&threads[i], NULL, accept_all, tally));
    say_tally("threads", tally);
    for (int i = 0; i < RECEIVERS; i++) {
        pthread_cancel(threads[i]);
        pthread_join(threads[i], NULL);
    }
    close(tally->listener);
}

static void observe_children(const char *observation, bool polling) {
    struct tally *tally = new_tally();
    pid_t children[RECEIVERS];

    set_nonblocking(tally->listener, polling);
    for (int i = 0; i < RECEIVERS; i++) {
        children[i] = must(fork());
        if (children[i] > 0)
            continue;
        alarm(GROUP_SECONDS);
        if (polling)
            poll_all(tally);
        accept_all(tally);
    }
    say_tally(observation, tally);
    for (int i = 0; i < RECEIVERS; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    set_nonblocking(tally->listener, false);
    say(polling ? "serves_after_polling" : "serves_after", "%d", serves(tally->listener));
    close(tally->listener);
}

void observe_crowds(void) {
    observe_threads();
    observe_children("children", false);
    observe_children("polling_children", true);
}
