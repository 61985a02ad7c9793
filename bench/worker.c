/* The C worker of the benchmark. It answers every request with the same few bytes, and is the same
 * program whatever stands before it, so that between two rows of the table only the master differs:
 *
 *     bench_worker PORT          under Baton: its clients come through libbaton; without a master:
 *                                an ordinary server, as HAProxy and nginx need it
 *     bench_worker --channel FD  under bench_floor: a client comes with each byte on a Unix stream
 *                                socket, and is acknowledged with one byte
 *
 * With BENCH_STAMPS it appends a line "pid nanoseconds" to that file, the monotonic time of its
 * first instructions. */
#include "baton/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX   2048
#define BATCH_MAX  16
#define EVENTS_MAX 64

struct worker {
    int poll;
    int source; /* a listener of libbaton, or the channel of bench_floor */
    bool is_channel;
};

struct client {
    int descriptor;
    size_t length;
    char head[HEAD_MAX];
};

static const char kept_answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                  "Content-Length: 6\r\n\r\nhello\n";
static const char last_answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                  "Content-Length: 6\r\nConnection: close\r\n\r\nhello\n";
static const char head_end[] = "\r\n\r\n";
/* Written just so by the benchmark's own clients; a real server would have to parse. */
static const char close_field[] = "Connection: close";

static void die(const char *what, int error) {
    fprintf(stderr, "bench_worker: %s: %s\n", what, strerror(error));
    exit(1);
}

/* First of all, so that it is as near to the exec as a program can tell. */
static void stamp(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const char *path = getenv("BENCH_STAMPS");
    if (!path)
        return;
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        die(path, errno);
    dprintf(file, "%d %lld\n", (int)getpid(), now.tv_sec * 1000000000LL + now.tv_nsec);
    close(file);
}

static bool write_answer(const struct client *client, const char *answer, size_t length) {
    return send(client->descriptor, answer, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Answers one request of `length` bytes; false when the connection is to be closed. */
static bool answer(const struct client *client, const char *request, size_t length) {
    if (memmem(request, length, close_field, sizeof close_field - 1)) {
        write_answer(client, last_answer, sizeof last_answer - 1);
        return false;
    }
    return write_answer(client, kept_answer, sizeof kept_answer - 1);
}

/* Answers every complete request and keeps what is left; false as above. */
static bool answer_all(struct client *client) {
    const char *start = client->head;
    const char *end = client->head + client->length;
    const char *found;
    while ((found = memmem(start, (size_t)(end - start), head_end, sizeof head_end - 1))) {
        found += sizeof head_end - 1;
        if (!answer(client, start, (size_t)(found - start)))
            return false;
        start = found;
    }
    client->length = (size_t)(end - start);
    memmove(client->head, start, client->length);
    return client->length < sizeof client->head;
}

/* Reads once and answers; false when the client is done with. */
static bool serve(struct client *client) {
    ssize_t got = recv(client->descriptor, client->head + client->length,
                       sizeof client->head - client->length, 0);
    if (got < 0)
        return errno == EAGAIN;
    if (got == 0)
        return false;
    client->length += (size_t)got;
    return answer_all(client);
}

static void end(struct client *client) {
    close(client->descriptor);
    free(client);
}

/* The request is mostly there already, so that a short connection never enters the epoll set. */
static void begin(struct worker *worker, int descriptor) {
    struct client *client = malloc(sizeof *client);
    if (!client)
        die("client", ENOMEM);
    client->descriptor = descriptor;
    client->length = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (!serve(client) || epoll_ctl(worker->poll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        end(client);
}

/* As baton_accept(), from the channel of bench_floor. */
static int receive_client(int channel) {
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    /* A reset is an end too, with acknowledgements that the master had not read. */
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return -ESHUTDOWN;
    if (got < 0)
        return -errno;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return -EPROTO;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}

static int take(const struct worker *worker) {
    if (worker->is_channel)
        return receive_client(worker->source);
    return baton_accept(worker->source, NULL, NULL);
}

/* One byte for each client, before any of them is read from. */
static void acknowledge(const struct worker *worker, size_t count) {
    static const char bytes[BATCH_MAX];
    if (worker->is_channel && count && send(worker->source, bytes, count, MSG_NOSIGNAL) < 0)
        die("acknowledge", errno);
}

static void take_batch(struct worker *worker) {
    int taken[BATCH_MAX];
    size_t count = 0;
    int result = 0;
    while (count < BATCH_MAX && (result = take(worker)) >= 0)
        taken[count++] = result;
    acknowledge(worker, count);
    for (size_t i = 0; i < count; i++)
        begin(worker, taken[i]);
    if (result == -ESHUTDOWN)
        exit(0);
    if (result < 0 && result != -EAGAIN && result != -EINTR)
        die("accept", -result);
}

static void run(struct worker *worker) {
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(worker->poll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client)
                take_batch(worker);
            else if (!serve(client))
                end(client);
        }
    }
}

static void open_source(struct worker *worker, int argc, char **argv) {
    worker->is_channel = argc == 3 && strcmp(argv[1], "--channel") == 0;
    if (!worker->is_channel && argc != 2) {
        fprintf(stderr, "usage: bench_worker PORT | bench_worker --channel FD\n");
        exit(2);
    }
    if (worker->is_channel) {
        worker->source = atoi(argv[2]);
        return;
    }
    worker->source = baton_listen_tcp("127.0.0.1", (uint16_t)atoi(argv[1]), 0);
    if (worker->source < 0)
        die("listen", -worker->source);
    fcntl(worker->source, F_SETFL, O_NONBLOCK);
}

int main(int argc, char **argv) {
    stamp();
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct worker worker = {.poll = epoll_create1(EPOLL_CLOEXEC)};
    if (worker.poll < 0)
        die("epoll", errno);
    open_source(&worker, argc, argv);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(worker.poll, EPOLL_CTL_ADD, worker.source, &event) < 0)
        die("epoll", errno);
    run(&worker);
}
