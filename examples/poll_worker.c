/* A worker on plain poll(2) that serves many clients at once.
 *
 * Build: cc -o poll_worker poll_worker.c $(pkg-config --cflags --libs libbaton)
 * Run:   baton run ./poll_worker -i 4, or alone: ./poll_worker
 *
 * It answers any HTTP request with its slot and process id, and closes. The port is $PORT or 8080.
 */
#include <baton/worker.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CLIENTS_MAX 256
#define REQUEST_MAX 8192

struct client {
    size_t length; /* of the request that has come so far */
    char request[REQUEST_MAX + 1];
};

/* What is polled: two fixed places, then one for each client. A descriptor of -1 is ignored. */
enum { LISTENER, SIGNALS, FIRST_CLIENT };

struct worker {
    int listener; /* -1 once no more clients are wanted or will come */
    bool full;    /* no descriptor was free when the last client was to be accepted */
    unsigned count;
    struct pollfd polled[FIRST_CLIENT + CLIENTS_MAX];
    struct client *clients[CLIENTS_MAX]; /* clients[i] is polled[FIRST_CLIENT + i] */
};

static void add_client(struct worker *worker, int descriptor) {
    struct client *client = calloc(1, sizeof(*client));

    if (!client) {
        close(descriptor);
        return;
    }
    worker->clients[worker->count] = client;
    worker->polled[FIRST_CLIENT + worker->count] =
        (struct pollfd){.fd = descriptor, .events = POLLIN};
    worker->count++;
}

/* The last client takes the place that becomes free. */
static void remove_client(struct worker *worker, unsigned index) {
    close(worker->polled[FIRST_CLIENT + index].fd);
    free(worker->clients[index]);
    worker->full = false;
    worker->count--;
    worker->clients[index] = worker->clients[worker->count];
    worker->polled[FIRST_CLIENT + index] = worker->polled[FIRST_CLIENT + worker->count];
}

static void stop_listening(struct worker *worker) {
    if (worker->listener >= 0)
        baton_close(worker->listener);
    worker->listener = -1;
}

/* Takes as many as there are, and as there is room for: the others wait, or go to another worker.
 */
static void accept_clients(struct worker *worker) {
    while (worker->count < CLIENTS_MAX) {
        int client = baton_accept(worker->listener, NULL, NULL);

        if (client >= 0) {
            add_client(worker, client);
            continue;
        }
        if (client == -ESHUTDOWN) /* the master wants us to finish */
            stop_listening(worker);
        else if (client == -EMFILE)
            worker->full = true;
        else if (client != -EAGAIN && client != -EINTR)
            fprintf(stderr, "accept: %s\n", strerror(-client));
        return;
    }
}

/* So short an answer fits into the socket's empty buffer, so that one send is enough. */
static void answer(int descriptor) {
    char body[64], response[256];
    int length = snprintf(body, sizeof(body), "Hello from slot %d, process %d\n", baton_slot(),
                          (int)getpid());

    length = snprintf(response, sizeof(response),
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                      "Connection: close\r\n\r\n%s",
                      length, body);
    send(descriptor, response, (size_t)length, MSG_NOSIGNAL);
}

/* Reads what has come; whether the client is done: answered, gone, or saying too much. */
static bool serve_client(struct client *client, int descriptor) {
    ssize_t length =
        recv(descriptor, client->request + client->length, REQUEST_MAX - client->length, 0);

    if (length < 0)
        return errno != EAGAIN && errno != EINTR;
    client->length += (size_t)length;
    client->request[client->length] = '\0';
    if (strstr(client->request, "\r\n\r\n")) {
        answer(descriptor);
        return true;
    }
    return length == 0 || client->length == REQUEST_MAX;
}

/* Backwards, for removing a client moves the last one, which has been looked at, to its place. */
static void serve_clients(struct worker *worker) {
    for (unsigned index = worker->count; index-- > 0;) {
        struct pollfd *polled = &worker->polled[FIRST_CLIENT + index];

        if (polled->revents && serve_client(worker->clients[index], polled->fd))
            remove_client(worker, index);
    }
}

/* The listener is readable as long as somebody waits, so it is not polled while there is no room,
 * or poll would not sleep. */
static bool has_room(const struct worker *worker) {
    return worker->count < CLIENTS_MAX && !worker->full;
}

/* Until there is nobody left to serve. */
static void run(struct worker *worker) {
    while (worker->listener >= 0 || worker->count > 0) {
        worker->polled[LISTENER].fd = has_room(worker) ? worker->listener : -1;
        if (poll(worker->polled, FIRST_CLIENT + worker->count, -1) < 0)
            continue;
        serve_clients(worker);
        if (worker->polled[SIGNALS].revents) {
            stop_listening(worker);
            worker->polled[SIGNALS].fd = -1;
        } else if (worker->polled[LISTENER].revents) {
            accept_clients(worker);
        }
    }
}

/* SIGINT and SIGTERM as something to poll: they ask us to finish what is open and exit. */
static int open_signals(void) {
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

int main(void) {
    static struct worker worker;
    const char *port = getenv("PORT");
    int listener = baton_listen_tcp(NULL, (uint16_t)(port ? atoi(port) : 8080), 0);

    if (listener < 0) {
        fprintf(stderr, "listen: %s\n", strerror(-listener));
        return 1;
    }
    /* In an event loop a listener must not block: another may have been quicker. */
    fcntl(listener, F_SETFL, O_NONBLOCK);
    worker.listener = listener;
    worker.polled[LISTENER].events = POLLIN;
    worker.polled[SIGNALS] = (struct pollfd){.fd = open_signals(), .events = POLLIN};
    baton_ready();
    run(&worker);
    return 0;
}
