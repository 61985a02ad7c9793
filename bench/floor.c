/* The floor of the benchmark: the least that a master which accepts and hands over has to do, and
 * nothing else. For each client: accept4, sendmsg with the descriptor, close, and the read of an
 * acknowledgement. Strict round robin, no restarts, no policies, no figures, no second listener.
 *
 *     bench_floor PORT WORKERS READ_AT WORKER_PROGRAM
 *
 * READ_AT is how many clients a worker must hold un-acknowledged before its acknowledgements are
 * read: 1 is a read for each client, WINDOW a read for each full window. 0 is the plain form of
 * this loop, in which each acknowledgement is a record of its own that wakes the master.
 *
 * Without that it is meant to be hard to beat; each was measured against its alternative:
 * - one accept for each time that the listener polls readable. An accept that finds nobody costs
 *   the kernel a whole socket, file and inode, and under load most wake-ups are for one client;
 * - an acknowledgement wakes nobody, unless its worker's window is full and clients wait: they are
 *   read when it is that worker's turn again;
 * - the channels are streams, so that one read takes all acknowledgements that have come.
 * Nothing is allocated after the start. It ends on a signal, and its workers with it, by the end
 * of file on their channels. */
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
    unsigned read_at;
    unsigned next;
    unsigned count;
    struct worker *awaited; /* its window is full: the listener is not watched meanwhile */
    struct worker *workers;
};

static void die(const char *what) {
    fprintf(stderr, "bench_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Its channels are watched for acknowledgements all the time. */
static bool is_plain(const struct dealer *dealer) {
    return dealer->read_at == 0;
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

static void watch(const struct dealer *dealer, int operation, int descriptor,
                  struct epoll_event event) {
    if (epoll_ctl(dealer->poll, operation, descriptor, &event) < 0)
        die("epoll_ctl");
}

static void start_worker(struct worker *worker, int type, char *program) {
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
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

static void read_acknowledgements(struct worker *worker) {
    char bytes[WINDOW];
    ssize_t got = read(worker->channel, bytes, sizeof bytes);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("a worker ended");
    worker->outstanding -= (unsigned)got;
}

/* Clients wait in the kernel's line until the worker whose turn it is has acknowledged one. */
static void wait_for(struct dealer *dealer, struct worker *worker) {
    watch(dealer, EPOLL_CTL_MOD, dealer->listener, (struct epoll_event){0});
    if (!is_plain(dealer))
        watch(dealer, EPOLL_CTL_MOD, worker->channel,
              (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.ptr = worker});
    dealer->awaited = worker;
}

static void resume(struct dealer *dealer, struct worker *worker) {
    read_acknowledgements(worker);
    if (worker != dealer->awaited)
        return;
    dealer->awaited = NULL;
    watch(dealer, EPOLL_CTL_MOD, dealer->listener, (struct epoll_event){.events = EPOLLIN});
}

static void deal_one(struct dealer *dealer) {
    struct worker *worker = &dealer->workers[dealer->next];
    if (!is_plain(dealer) && worker->outstanding >= dealer->read_at)
        read_acknowledgements(worker);
    if (worker->outstanding == WINDOW) {
        wait_for(dealer, worker);
        return;
    }
    int client = accept4(dealer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0 && (errno == EAGAIN || errno == ECONNABORTED))
        return;
    if (client < 0)
        die("accept4");
    hand_over(worker->channel, client);
    worker->outstanding++;
    dealer->next = dealer->next + 1 == dealer->count ? 0 : dealer->next + 1;
}

static void run(struct dealer *dealer) {
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(dealer->poll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct worker *worker = events[i].data.ptr;
            if (worker)
                resume(dealer, worker);
            else
                deal_one(dealer);
        }
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
    if (argc != 5 || atoi(argv[2]) < 1 || atoi(argv[3]) < 0) {
        fprintf(stderr, "usage: bench_floor PORT WORKERS READ_AT WORKER_PROGRAM\n");
        return 2;
    }
    raise_descriptor_limit();
    struct dealer dealer = {.poll = epoll_create1(EPOLL_CLOEXEC),
                            .listener = listen_on((unsigned)atoi(argv[1])),
                            .count = (unsigned)atoi(argv[2]),
                            .read_at = (unsigned)atoi(argv[3])};
    dealer.workers = calloc(dealer.count, sizeof *dealer.workers);
    if (dealer.poll < 0 || !dealer.workers)
        die("start");
    for (unsigned i = 0; i < dealer.count; i++) {
        struct worker *worker = &dealer.workers[i];
        start_worker(worker, is_plain(&dealer) ? SOCK_SEQPACKET : SOCK_STREAM, argv[4]);
        /* Watched for the end alone, until wait_for() asks for more. */
        watch(&dealer, EPOLL_CTL_ADD, worker->channel,
              (struct epoll_event){.events = is_plain(&dealer) ? EPOLLIN : 0, .data.ptr = worker});
    }
    watch(&dealer, EPOLL_CTL_ADD, dealer.listener, (struct epoll_event){.events = EPOLLIN});
    run(&dealer);
}
