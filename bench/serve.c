#include "serve.h"

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
#define EVENTS_MAX 64

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

noreturn void serve_die(const char *what, int error) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
    exit(1);
}

/* Reads the clock before anything else, so that it is as near to the exec as a program can tell. */
static void note_start(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const char *path = getenv("BENCH_STAMPS");
    if (!path)
        return;
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        serve_die(path, errno);
    dprintf(file, "%d %lld\n", (int)getpid(), now.tv_sec * 1000000000LL + now.tv_nsec);
    close(file);
}

static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

void serve_prepare(void) {
    note_start();
    raise_descriptor_limit();
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
void serve_client(int poll, int descriptor) {
    struct client *client = malloc(sizeof *client);
    if (!client)
        serve_die("client", ENOMEM);
    client->descriptor = descriptor;
    client->length = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (!serve(client) || epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        end(client);
}

noreturn void serve_run(int source, serve_take *take) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event of_source = {.events = EPOLLIN, .data.ptr = NULL};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, source, &of_source) < 0)
        serve_die("epoll", errno);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(poll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client)
                take(poll, source);
            else if (!serve(client))
                end(client);
        }
    }
}
