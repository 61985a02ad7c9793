/* What calls cost, in one event for each: the median of many. Run natively and under Baton
 * by a test that compares.
 *
 * Costs are processor time, of this process, its children and its parent, which is the master under
 * Baton: how long they wait for a processor is a matter of what else the machine does. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 31
#define CALLS  2000

/* Nanoseconds that one round takes. */
typedef int64_t measure(void);

static int64_t read_ns(clockid_t clock) {
    struct timespec used;

    clock_gettime(clock, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static int64_t used_ns(void) {
    struct rusage children;
    clockid_t parent;

    getrusage(RUSAGE_CHILDREN, &children);
    clock_getcpuclockid(getppid(), &parent);
    return read_ns(CLOCK_PROCESS_CPUTIME_ID) + read_ns(parent) +
           (children.ru_utime.tv_sec + children.ru_stime.tv_sec) * INT64_C(1000000000) +
           (children.ru_utime.tv_usec + children.ru_stime.tv_usec) * INT64_C(1000);
}

static int compare(const void *left, const void *right) {
    int64_t one = *(const int64_t *)left, other = *(const int64_t *)right;

    return (one > other) - (one < other);
}

static int bind_at(const char *host) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    address.sin_port = htons((uint16_t)atoi(getenv("PORT")));
    inet_pton(AF_INET, host, &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        perror("bind");
    return listener;
}

/* Who hears of a close looks for other copies in many processes, and answers the next request when
 * that is done: one that does not count. */
static int64_t bind_and_listen(void) {
    int other = bind_at("127.0.0.2");
    int64_t before = used_ns();
    int listener = bind_at("127.0.0.1");

    if (listen(listener, 8) < 0)
        perror("listen");
    before = used_ns() - before;
    close(listener);
    close(other);
    return before;
}

/* A yardstick for what costs more than a system call. */
static int64_t fork_and_wait(void) {
    int64_t began = used_ns();
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    return used_ns() - began;
}

static int64_t option_of_client(void) {
    int client = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    int64_t began = used_ns();

    for (int i = 0; i < CALLS; i++)
        setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    began = (used_ns() - began) / CALLS;
    close(client);
    return began;
}

static int64_t name_of_client(void) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int64_t began = used_ns();

    for (int i = 0; i < CALLS; i++)
        getsockname(client, (struct sockaddr *)&address, &length);
    began = (used_ns() - began) / CALLS;
    close(client);
    return began;
}

static void tell(const char *name, measure *measure_round) {
    int64_t rounds[ROUNDS];

    for (int i = 0; i < ROUNDS; i++)
        rounds[i] = measure_round();
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    printf("{\"event\": \"cost\", \"call\": \"%s\", \"ns\": %lld}\n", name,
           (long long)rounds[ROUNDS / 2]);
}

int main(void) {
    tell("bind_and_listen", bind_and_listen);
    tell("fork_and_wait", fork_and_wait);
    tell("option_of_client", option_of_client);
    tell("name_of_client", name_of_client);
    puts("{\"event\": \"measured\"}");
    fflush(stdout);
    pause();
    return 0;
}
