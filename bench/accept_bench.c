/* What the calls cost that the preload library stands in the way of, in ns:
 *
 *     bench_accept PORT OUTPUT
 *
 * Run natively and under Baton by run.py, which compares. It writes one line of JSON to the file
 * OUTPUT and then waits for its end. Only the named calls are within the clock, which is read from
 * the vDSO and not subtracted. Accepting: the median of all rounds; the clients wait in line before
 * the clock starts, so that nobody waits for a client within it. The other calls: the fastest of
 * the rounds, because a difference of a few ns drowns in everything else. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BATCH         8    /* clients in line: half of what Baton gives a worker in advance */
#define QUEUE_ROUNDS  150  /* of BATCH clients */
#define SINGLE_ROUNDS 1000 /* of one client */
#define BIND_ROUNDS   51
#define CALL_ROUNDS   60
#define CALLS         500 /* in a round */
#define SETTLE_US     2000
#define SAMPLES_MAX   1000

struct bench {
    struct sockaddr_in address;
    int listener;
    int orders; /* to the process that plays the clients: how many shall connect */
    int client;
    int spare;       /* a copy of it */
    int unix_socket; /* to be connected to unix_address, where nobody is */
    struct sockaddr_un unix_address;
    FILE *output;
    const char *separator;
};

typedef void call(const struct bench *bench);

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *left, const void *right) {
    int64_t one = *(const int64_t *)left, other = *(const int64_t *)right;
    return (one > other) - (one < other);
}

static double median(int64_t *samples, unsigned count) {
    qsort(samples, count, sizeof *samples, compare);
    return (double)samples[count / 2];
}

static void tell(struct bench *bench, const char *name, double ns) {
    fprintf(bench->output, "%s\"%s\": %.1f", bench->separator, name, ns);
    bench->separator = ", ";
}

static int open_listener(void) {
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        serve_die("socket", errno);
    return listener;
}

static void bind_and_listen(const struct bench *bench, int listener) {
    if (bind(listener, (const struct sockaddr *)&bench->address, sizeof bench->address) < 0 ||
        listen(listener, 511) < 0)
        serve_die("listen", errno);
}

static void measure_bind(struct bench *bench) {
    int64_t samples[SAMPLES_MAX];
    for (unsigned i = 0; i < BIND_ROUNDS; i++) {
        int listener = open_listener();
        int64_t since = now_ns();
        bind_and_listen(bench, listener);
        samples[i] = now_ns() - since;
        close(listener);
        usleep(SETTLE_US);
    }
    tell(bench, "bind + listen", median(samples, BIND_ROUNDS));
}

/* Connects as many as each byte on `orders` says, which wait in line. All are closed when the next
 * byte comes: the server has them by then. */
static void play_clients(const struct bench *bench, int orders) {
    int clients[BATCH];
    unsigned count = 0;
    unsigned char wanted;
    while (read(orders, &wanted, 1) == 1) {
        while (count > 0)
            close(clients[--count]);
        for (; count < wanted; count++) {
            clients[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (connect(clients[count], (const struct sockaddr *)&bench->address,
                        sizeof bench->address) < 0)
                serve_die("connect", errno);
        }
    }
}

/* Before the listener is opened, so that the server alone has it. */
static void start_clients(struct bench *bench) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        serve_die("pipe", errno);
    pid_t pid = fork();
    if (pid < 0)
        serve_die("fork", errno);
    if (pid == 0) {
        close(ends[1]);
        play_clients(bench, ends[0]);
        _exit(0);
    }
    close(ends[0]);
    bench->orders = ends[1];
}

static void order(const struct bench *bench, unsigned char count) {
    if (write(bench->orders, &count, 1) != 1)
        serve_die("order", errno);
}

/* A loop of accepts from a blocking socket, with everybody in line. */
static void measure_queue(struct bench *bench, const char *name, int flags, bool wants_address) {
    int64_t samples[SAMPLES_MAX];
    int clients[BATCH];
    struct sockaddr_in peer;
    for (unsigned i = 0; i < QUEUE_ROUNDS; i++) {
        order(bench, BATCH);
        usleep(SETTLE_US);
        int64_t since = now_ns();
        for (unsigned j = 0; j < BATCH; j++) {
            socklen_t length = sizeof peer;
            clients[j] = accept4(bench->listener, wants_address ? (struct sockaddr *)&peer : NULL,
                                 wants_address ? &length : NULL, flags);
        }
        samples[i] = (now_ns() - since) / BATCH;
        for (unsigned j = 0; j < BATCH; j++)
            if (clients[j] < 0 || close(clients[j]) < 0)
                serve_die("accept", errno);
    }
    tell(bench, name, median(samples, QUEUE_ROUNDS));
}

/* What an event loop does when one client has come: it takes that one, and asks once more. */
static void measure_pair(struct bench *bench) {
    int64_t first[SAMPLES_MAX], second[SAMPLES_MAX], pair[SAMPLES_MAX];
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    fcntl(bench->listener, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < SINGLE_ROUNDS; i++) {
        struct pollfd readable = {.fd = bench->listener, .events = POLLIN};
        order(bench, 1);
        if (poll(&readable, 1, 10000) != 1)
            serve_die("poll", ETIMEDOUT);
        int64_t since = now_ns();
        int client = accept4(bench->listener, NULL, NULL, flags);
        int64_t between = now_ns();
        int nobody = accept4(bench->listener, NULL, NULL, flags);
        int64_t after = now_ns();
        if (client < 0 || nobody >= 0 || errno != EAGAIN)
            serve_die("accept pair", errno);
        close(client);
        first[i] = between - since;
        second[i] = after - between;
        pair[i] = after - since;
    }
    fcntl(bench->listener, F_SETFL, 0);
    tell(bench, "accept4, event loop, client alone", median(first, SINGLE_ROUNDS));
    tell(bench, "accept4, event loop, EAGAIN alone", median(second, SINGLE_ROUNDS));
    tell(bench, "accept4, event loop, client + EAGAIN", median(pair, SINGLE_ROUNDS));
}

static void set_no_delay(const struct bench *bench) {
    int on = 1;
    setsockopt(bench->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void set_keep_alive(const struct bench *bench) {
    int on = 1;
    setsockopt(bench->client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void get_error(const struct bench *bench) {
    int error;
    socklen_t length = sizeof error;
    getsockopt(bench->client, SOL_SOCKET, SO_ERROR, &error, &length);
}

static void get_name(const struct bench *bench) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    getsockname(bench->client, (struct sockaddr *)&address, &length);
}

static void get_peer(const struct bench *bench) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    getpeername(bench->client, (struct sockaddr *)&address, &length);
}

/* Nobody is there: ECONNREFUSED is the shortest way through connect(). */
static void connect_unix(const struct bench *bench) {
    connect(bench->unix_socket, (const struct sockaddr *)&bench->unix_address,
            sizeof bench->unix_address);
}

static void open_and_close(const struct bench *bench) {
    close(dup(bench->client));
}

/* Not intercepted: what two runs differ by in any case. */
static void dup_over(const struct bench *bench) {
    dup3(bench->client, bench->spare, O_CLOEXEC);
}

static void measure_call(struct bench *bench, const char *name, call *measured) {
    int64_t fastest = INT64_MAX;
    for (unsigned i = 0; i < CALL_ROUNDS; i++) {
        int64_t since = now_ns();
        for (unsigned j = 0; j < CALLS; j++)
            measured(bench);
        int64_t spent = now_ns() - since;
        fastest = spent < fastest ? spent : fastest;
    }
    tell(bench, name, (double)fastest / CALLS);
}

static void measure_calls(struct bench *bench) {
    order(bench, 1);
    bench->client = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC);
    bench->spare = dup(bench->client);
    bench->unix_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bench->client < 0 || bench->spare < 0 || bench->unix_socket < 0)
        serve_die("client", errno);
    measure_call(bench, "setsockopt TCP_NODELAY", set_no_delay);
    measure_call(bench, "setsockopt SO_KEEPALIVE", set_keep_alive);
    measure_call(bench, "getsockopt SO_ERROR", get_error);
    measure_call(bench, "getsockname", get_name);
    measure_call(bench, "getpeername", get_peer);
    measure_call(bench, "dup + close", open_and_close);
    measure_call(bench, "connect, Unix datagram", connect_unix);
    measure_call(bench, "dup3, not intercepted", dup_over);
}

int main(int argc, char **argv) {
    serve_prepare();
    if (argc != 3) {
        fprintf(stderr, "usage: bench_accept PORT OUTPUT\n");
        return 2;
    }
    struct bench bench = {
        .address = {.sin_family = AF_INET,
                    .sin_port = htons((uint16_t)atoi(argv[1])),
                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .unix_address = {.sun_family = AF_UNIX, .sun_path = "\0baton-bench-nobody"},
        .output = fopen(argv[2], "we"),
        .separator = "{",
    };
    if (!bench.output)
        serve_die(argv[2], errno);
    start_clients(&bench);
    measure_bind(&bench);
    bench.listener = open_listener();
    bind_and_listen(&bench, bench.listener);
    measure_queue(&bench, "accept4, blocking", SOCK_NONBLOCK | SOCK_CLOEXEC, false);
    measure_queue(&bench, "accept with address, blocking", 0, true);
    measure_pair(&bench);
    measure_calls(&bench);
    fputs("}\n", bench.output);
    fclose(bench.output);
    pause();
}
