/* What calls cost, in one event for each: the median of many. Run natively and under Baton
 * by a test that compares. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 31
#define CALLS  2000

#define SETTLE_US 10000

/* Nanoseconds of one round. */
typedef int64_t measure(void);

static int64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *left, const void *right) {
    int64_t one = *(const int64_t *)left, other = *(const int64_t *)right;

    return (one > other) - (one < other);
}

static int64_t bind_and_listen(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    int64_t began;

    address.sin_port = htons((uint16_t)atoi(getenv("PORT")));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    began = now_ns();
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0)
        perror("bind_and_listen");
    began = now_ns() - began;
    close(listener);
    usleep(SETTLE_US); /* who hears of that has done with it by the next round */
    return began;
}

/* A yardstick for what costs more than a system call. */
static int64_t fork_and_wait(void) {
    int64_t began = now_ns();
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    return now_ns() - began;
}

static int64_t option_of_client(void) {
    int client = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    int64_t began = now_ns();

    for (int i = 0; i < CALLS; i++)
        setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    began = (now_ns() - began) / CALLS;
    close(client);
    return began;
}

static int64_t name_of_client(void) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int64_t began = now_ns();

    for (int i = 0; i < CALLS; i++)
        getsockname(client, (struct sockaddr *)&address, &length);
    began = (now_ns() - began) / CALLS;
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
