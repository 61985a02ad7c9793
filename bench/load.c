/* The benchmark's clients: a closed loop of so many connections on the loopback, each of which asks
 * again (or connects again) as soon as it has its answer.
 *
 *     bench_load PORT SECONDS CONNECTIONS short|keep-alive
 *
 * prints one line of JSON. `completed` counts whole answers; a latency is the time from connect()
 * (keep-alive: from the request) to the answer's last byte. A short connection is over when the
 * server has closed it, so that it is the server that keeps the TIME_WAIT and no client port is
 * used up. After SECONDS no request begins, and those that are open get one second to end.
 * One thread, so that on two cores there is one left for what is measured. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX    64
#define ANSWER_MAX    2048
#define GRACE_NS      UINT64_C(1000000000)
#define STEPS_BITS    6 /* 64 steps for each power of two: latencies to 1.6 % */
#define STEPS         (1U << STEPS_BITS)
#define HISTOGRAM_MAX ((64 - STEPS_BITS + 1) * STEPS)

struct connection {
    int descriptor;
    uint64_t since; /* when the latency's clock was started */
    size_t length;  /* bytes of the answer so far */
    bool answered;  /* only the server's end of file is waited for */
    char answer[ANSWER_MAX + 1];
};

struct load {
    int poll;
    bool keep_alive;
    struct sockaddr_in address;
    uint64_t deadline;
    unsigned open;
    uint64_t connects;
    uint64_t completed;
    uint64_t errors;
    uint64_t histogram[HISTOGRAM_MAX]; /* of latencies in ns, see bucket_of() */
};

static const char short_request[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
static const char kept_request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

static void die(const char *what) {
    fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Exact below STEPS, then STEPS buckets for each power of two. */
static unsigned bucket_of(uint64_t value) {
    if (value < STEPS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - STEPS_BITS;
    return (shift + 1) * STEPS + (unsigned)(value >> shift) - STEPS;
}

static double bucket_value(unsigned bucket) {
    if (bucket < STEPS)
        return bucket;
    unsigned shift = bucket / STEPS - 1;
    return ((double)(bucket % STEPS) + STEPS + 0.5) * (double)(UINT64_C(1) << shift);
}

static double percentile_us(const struct load *load, double share) {
    uint64_t wanted = (uint64_t)((double)load->completed * share);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_MAX; i++) {
        seen += load->histogram[i];
        if (seen > wanted)
            return bucket_value(i) / 1000;
    }
    return 0;
}

static void watch(const struct load *load, struct connection *connection, int operation,
                  uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(load->poll, operation, connection->descriptor, &event) < 0)
        die("epoll_ctl");
}

/* False while the connection is not established, or when it failed: its event will tell. */
static bool ask(const struct load *load, struct connection *connection) {
    const char *request = load->keep_alive ? kept_request : short_request;
    size_t length = load->keep_alive ? sizeof kept_request - 1 : sizeof short_request - 1;
    return send(connection->descriptor, request, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* On the loopback the handshake is mostly over when connect() returns, and the request can follow
 * at once. */
static void begin(struct load *load, struct connection *connection) {
    connection->length = 0;
    connection->answered = false;
    connection->since = now_ns();
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0)
        die("socket");
    if (connect(connection->descriptor, (struct sockaddr *)&load->address, sizeof load->address) <
            0 &&
        errno != EINPROGRESS)
        die("connect");
    load->open++;
    load->connects++;
    watch(load, connection, EPOLL_CTL_ADD, ask(load, connection) ? EPOLLIN : EPOLLOUT);
}

static void end(struct load *load, struct connection *connection) {
    close(connection->descriptor);
    load->open--;
    if (now_ns() < load->deadline)
        begin(load, connection);
}

static void fail(struct load *load, struct connection *connection) {
    load->errors++;
    end(load, connection);
}

static void complete(struct load *load, struct connection *connection) {
    uint64_t now = now_ns();
    load->completed++;
    load->histogram[bucket_of(now - connection->since)]++;
    connection->answered = true;
    if (!load->keep_alive)
        return;
    if (now >= load->deadline) {
        end(load, connection);
        return;
    }
    connection->since = now;
    connection->length = 0;
    connection->answered = false;
    if (!ask(load, connection))
        fail(load, connection);
}

/* Whether the whole answer is there: a head with a Content-Length, and so many bytes. */
static bool is_whole(struct connection *connection) {
    connection->answer[connection->length] = 0;
    const char *body = strstr(connection->answer, "\r\n\r\n");
    const char *field = strcasestr(connection->answer, "\r\nContent-Length:");
    if (!body || !field)
        return false;
    size_t head = (size_t)(body - connection->answer) + 4;
    return connection->length >= head + strtoul(field + 17, NULL, 10);
}

static void on_readable(struct load *load, struct connection *connection) {
    ssize_t got = recv(connection->descriptor, connection->answer + connection->length,
                       ANSWER_MAX - connection->length, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got == 0 && connection->answered) {
        end(load, connection);
        return;
    }
    if (got <= 0) {
        fail(load, connection);
        return;
    }
    connection->length += (size_t)got;
    if (!connection->answered && is_whole(connection))
        complete(load, connection);
}

static void on_writable(struct load *load, struct connection *connection) {
    if (ask(load, connection))
        watch(load, connection, EPOLL_CTL_MOD, EPOLLIN);
    else
        fail(load, connection);
}

static void run(struct load *load) {
    while (load->open > 0 && now_ns() < load->deadline + GRACE_NS) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(load->poll, events, EVENTS_MAX, 100);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                on_writable(load, connection);
            else
                on_readable(load, connection);
        }
    }
}

static void report(const struct load *load, double seconds) {
    printf("{\"completed\": %llu, \"connects\": %llu, \"errors\": %llu, \"unfinished\": %u, "
           "\"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (unsigned long long)load->completed, (unsigned long long)load->connects,
           (unsigned long long)load->errors, load->open, seconds, percentile_us(load, 0.5),
           percentile_us(load, 0.99));
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: bench_load PORT SECONDS CONNECTIONS short|keep-alive\n");
        return 2;
    }
    struct load *load = calloc(1, sizeof *load);
    unsigned count = (unsigned)atoi(argv[3]);
    struct connection *connections = calloc(count, sizeof *connections);
    if (!load || !connections)
        die("memory");
    load->address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)atoi(argv[1])),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    load->keep_alive = strcmp(argv[4], "keep-alive") == 0;
    load->poll = epoll_create1(EPOLL_CLOEXEC);
    if (load->poll < 0)
        die("epoll");
    uint64_t start = now_ns();
    load->deadline = start + (uint64_t)(atof(argv[2]) * 1e9);
    for (unsigned i = 0; i < count; i++)
        begin(load, &connections[i]);
    run(load);
    report(load, (double)(now_ns() - start) / 1e9);
    free(connections);
    free(load);
    return 0;
}
