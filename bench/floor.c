/* The floor of the benchmark: the least that a master which accepts and hands over has to do, and
 * nothing else. For each client: accept4, sendmsg with the descriptor, close, and the read of its
 * acknowledgement. Strict round robin, no restarts, no policies, no figures, no second listener.
 *
 *     bench_floor PORT WORKERS WORKER_PROGRAM
 *
 * It is meant to be hard to beat, so it leaves out what a loop can leave out:
 * - the listener is edge-triggered and never re-armed: when a window is full, clients wait in the
 *   kernel's line, and the acknowledgement that makes room starts the dealing again;
 * - the channels are streams, so that one read takes all acknowledgements that have come, and a
 *   worker writes those of one batch with one call (SOCK_SEQPACKET costs a read for each);
 * - a hand-over carries one byte, and nothing is allocated after the start.
 * It ends on a signal, and its workers with it, by the end of file on their channels. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW         16 /* Baton's own default on accept sockets */
#define EVENTS_MAX     64
#define WORKER_CHANNEL 3 /* the descriptor's number in the worker */

struct worker {
    int channel;
    unsigned outstanding;
};

struct dealer {
    int poll;
    int listener;
    bool waiting; /* the listener has not said EAGAIN since its last event */
    unsigned next;
    unsigned count;
    struct worker *workers;
};

static void die(const char *what) {
    fprintf(stderr, "bench_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_on(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 511) < 0)
        die("listen");
    return listener;
}

static void watch(const struct dealer *dealer, int descriptor, uint32_t events,
                  struct worker *who) {
    struct epoll_event event = {.events = events, .data.ptr = who};
    if (epoll_ctl(dealer->poll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        die("epoll");
}

static void start_worker(struct worker *worker, char *program) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        die("socketpair");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], WORKER_CHANNEL);
    char number[] = {'0' + WORKER_CHANNEL, 0};
    char option[] = "--channel";
    char *argv[] = {program, option, number, NULL};
    pid_t pid;
    errno = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    if (errno)
        die(program);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    worker->channel = pair[0];
    worker->outstanding = 0;
}

static void hand_over(int channel, int client) {
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
                           .cmsg_level = SOL_SOCKET,
                           .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.align), &client, sizeof client);
    char byte = 0;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    if (sendmsg(channel, &message, MSG_NOSIGNAL) != 1)
        die("sendmsg");
    close(client);
}

/* Deals until nobody waits or the next in turn has a full window. */
static void deal(struct dealer *dealer) {
    struct worker *worker = &dealer->workers[dealer->next];
    while (worker->outstanding < WINDOW) {
        int client = accept4(dealer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && errno == ECONNABORTED)
            continue;
        if (client < 0 && errno != EAGAIN)
            die("accept4");
        dealer->waiting = client >= 0;
        if (client < 0)
            return;
        hand_over(worker->channel, client);
        worker->outstanding++;
        dealer->next = dealer->next + 1 == dealer->count ? 0 : dealer->next + 1;
        worker = &dealer->workers[dealer->next];
    }
}

static void read_acknowledgements(struct worker *worker) {
    char bytes[WINDOW];
    ssize_t got = read(worker->channel, bytes, sizeof bytes);
    if (got <= 0)
        die("a worker ended");
    worker->outstanding -= (unsigned)got;
}

static void run(struct dealer *dealer) {
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(dealer->poll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct worker *worker = events[i].data.ptr;
            if (worker)
                read_acknowledgements(worker);
            else
                dealer->waiting = true;
        }
        if (dealer->waiting)
            deal(dealer);
    }
}

static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv) {
    if (argc != 4 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: bench_floor PORT WORKERS WORKER_PROGRAM\n");
        return 2;
    }
    raise_descriptor_limit();
    struct dealer dealer = {.poll = epoll_create1(EPOLL_CLOEXEC),
                            .listener = listen_on((unsigned)atoi(argv[1])),
                            .count = (unsigned)atoi(argv[2])};
    dealer.workers = calloc(dealer.count, sizeof *dealer.workers);
    if (dealer.poll < 0 || !dealer.workers)
        die("start");
    for (unsigned i = 0; i < dealer.count; i++) {
        start_worker(&dealer.workers[i], argv[3]);
        watch(&dealer, dealer.workers[i].channel, EPOLLIN, &dealer.workers[i]);
    }
    watch(&dealer, dealer.listener, EPOLLIN | EPOLLET, NULL);
    run(&dealer);
}
