/* An HTTP server that is linked statically, so that no preload library reaches it.
 *
 *     static_server blocking|epoll|threads|prefork|signals
 *
 * It listens on $PORT of all IPv4 addresses and answers each request on a connection of its own
 * with who it is and who asks, as JSON. It accepts with blocking accept(); from an edge-triggered
 * epoll loop; in four threads or four children that block; or blocking while a signal that does not
 * restart system calls interrupts it every millisecond. /threads ends one of the threads that wait,
 * and starts another. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define COPIES 4

static int listener;
static int port; /* that it listens on, by what getsockname() says */
static atomic_uint interrupted;
static pthread_t threads[COPIES];

static void print_listening(void) {
    const char *slot = getenv("BATON_SLOT");

    printf("{\"event\": \"listening\", \"pid\": %d, \"slot\": %s}\n", (int)getpid(),
           slot ? slot : "-1");
    fflush(stdout);
}

static int open_listener(int flags) {
    const char *wanted = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(wanted ? wanted : "0"))};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    socklen_t length = sizeof address;
    int on = 1;

    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(descriptor, 511) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &length) != 0) {
        perror("static_server");
        exit(1);
    }
    port = ntohs(address.sin_port);
    return descriptor;
}

static void answer(int client, const struct sockaddr_in *peer) {
    const char *slot = getenv("BATON_SLOT");
    char host[INET_ADDRSTRLEN];
    char body[256];
    char reply[512];
    int size;

    inet_ntop(AF_INET, &peer->sin_addr, host, sizeof host);
    snprintf(body, sizeof body,
             "{\"pid\": %d, \"slot\": %s, \"peer\": [\"%s\", %d], \"port\": %d, "
             "\"interrupted\": %u}",
             (int)getpid(), slot ? slot : "-1", host, ntohs(peer->sin_port), port,
             atomic_load(&interrupted));
    size = snprintf(reply, sizeof reply,
                    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                    strlen(body), body);
    if (send(client, reply, (size_t)size, MSG_NOSIGNAL) < 0)
        return;
}

static void *wait_and_serve(void *argument);

/* The next of the threads that block in accept(). */
static void replace_thread(void) {
    static atomic_uint next;
    pthread_t *thread = &threads[atomic_fetch_add(&next, 1) % COPIES];

    if (pthread_equal(*thread, pthread_self()))
        return;
    pthread_cancel(*thread);
    pthread_join(*thread, NULL);
    pthread_create(thread, NULL, wait_and_serve, NULL);
}

static void serve(int client, const struct sockaddr_in *peer) {
    char request[2048];
    size_t length = 0;
    ssize_t count;

    do {
        count = recv(client, request + length, sizeof request - 1 - length, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        length += (size_t)count;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n")) {
            if (strncmp(request, "GET /threads ", 13) == 0)
                replace_thread();
            answer(client, peer);
            break;
        }
    } while (length < sizeof request - 1);
    close(client);
}

/* False when there is nobody to accept. */
static int accept_one(void) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int client = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);

    if (client < 0 && errno == EINTR)
        atomic_fetch_add(&interrupted, 1);
    else if (client < 0)
        return 0;
    else
        serve(client, &peer);
    return 1;
}

static void *wait_and_serve(void *argument) {
    while (accept_one())
        continue;
    perror("accept");
    return argument;
}

static void watch_and_serve(void) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (epoll_wait(epoll, &event, 1, -1) == 1 || errno == EINTR)
        while (accept_one())
            continue;
}

static void serve_in_threads(void) {
    for (int i = 1; i < COPIES; i++)
        pthread_create(&threads[i], NULL, wait_and_serve, NULL);
    threads[0] = pthread_self();
    wait_and_serve(NULL);
}

static void serve_in_children(void) {
    for (int i = 1; i < COPIES; i++)
        if (fork() == 0)
            break;
    wait_and_serve(NULL);
}

static void on_alarm(int number) {
    (void)number;
}

static void serve_under_signals(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {.it_value.tv_usec = 1000, .it_interval.tv_usec = 1000};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    wait_and_serve(NULL);
}

int main(int count, char **arguments) {
    const char *mode = count > 1 ? arguments[1] : "blocking";

    listener = open_listener(strcmp(mode, "epoll") == 0 ? SOCK_NONBLOCK : 0);
    print_listening();
    if (strcmp(mode, "epoll") == 0)
        watch_and_serve();
    else if (strcmp(mode, "threads") == 0)
        serve_in_threads();
    else if (strcmp(mode, "prefork") == 0)
        serve_in_children();
    else if (strcmp(mode, "signals") == 0)
        serve_under_signals();
    else
        wait_and_serve(NULL);
    return 0;
}
