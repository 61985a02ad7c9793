/* An HTTP server that knows nothing of Baton: what `baton run` must serve unmodified.
 *
 *     drop_in_server blocking|poll|edge
 *
 * It listens on $PORT of all IPv4 addresses, or on the listening descriptor that $DROP_IN_LISTENER
 * names, and accepts in the way of its argument: one client after the other with blocking accept(),
 * in a poll() loop, or in an edge-triggered epoll loop that accepts until EAGAIN. Requests are
 * /ACTION or /ACTION/OPERAND; it tells what it does in events, one JSON object a line. Builds with
 * any libc. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 1024
#define REQUEST_MAX     1024
#define RETRY_MS        20 /* not to ask again and again, with a full table or for a file */

struct client {
    bool open;
    unsigned number; /* in the order of accepting */
    size_t length;
    char request[REQUEST_MAX + 1];
};

struct server {
    int listener; /* -1 while it does not listen */
    int epoll;    /* -1 but in the loop that is edge-triggered */
    int highest;
    unsigned accepted;
    bool full;
    struct client clients[DESCRIPTORS_MAX]; /* by descriptor */
};

/* --- what it tells --- */

static const char *slot(void) {
    const char *text = getenv("BATON_SLOT");

    return text ? text : "-1";
}

static void event(const char *name) {
    char line[128];
    int length = snprintf(line, sizeof line, "{\"event\": \"%s\", \"pid\": %d, \"slot\": %s}\n",
                          name, (int)getpid(), slot());

    if (write(STDOUT_FILENO, line, (size_t)length) < 0)
        return; /* nobody reads it */
}

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

/* --- listening --- */

static int open_listener(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (listener < 0)
        give_up("socket");
    address.sin_port = htons((uint16_t)atoi(getenv("PORT")));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        give_up("bind");
    if (listen(listener, 511) < 0)
        give_up("listen");
    return listener;
}

static void start_listening(struct server *server, bool nonblocking) {
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET};

    server->listener = open_listener();
    if (nonblocking)
        fcntl(server->listener, F_SETFL, O_NONBLOCK);
    wanted.data.fd = server->listener;
    if (server->epoll >= 0)
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &wanted);
    event("listening");
}

static void stop_listening(struct server *server) {
    if (server->listener >= 0)
        close(server->listener);
    server->listener = -1;
}

/* By what is not close(): libuv calls the kernel itself, others put something else in its place. */
static void stop_listening_unseen(struct server *server, int way) {
    if (way == 0)
        syscall(SYS_close, server->listener);
    else if (way == 1)
        dup2(STDIN_FILENO, server->listener);
    else
        syscall(SYS_close_range, server->listener, server->listener, 0);
    server->listener = -1;
}

/* --- answering --- */

/* Until there is a file `go` where it was started. */
static void block(void) {
    event("blocking");
    while (access("go", F_OK) < 0)
        poll(NULL, 0, RETRY_MS);
}

/* Leaves no descriptor free. */
static void fill_table(int limit) {
    struct rlimit few = {.rlim_cur = (rlim_t)limit, .rlim_max = (rlim_t)limit};

    setrlimit(RLIMIT_NOFILE, &few);
    while (dup(STDIN_FILENO) >= 0)
        continue;
}

static void act(struct server *server, const char *action, int operand) {
    if (strcmp(action, "fill") == 0)
        fill_table(operand);
    if (strcmp(action, "block") == 0 || strcmp(action, "block-and-close") == 0)
        block();
    if (strcmp(action, "block-and-close") == 0 || strcmp(action, "close") == 0)
        stop_listening(server);
    if (strcmp(action, "close-unseen") == 0)
        stop_listening_unseen(server, operand);
    if (strcmp(action, "listen") == 0)
        start_listening(server, true);
}

static void close_client(struct server *server, int descriptor) {
    server->clients[descriptor].open = false;
    close(descriptor);
}

static void answer(struct server *server, int descriptor) {
    struct client *client = &server->clients[descriptor];
    bool closes = strstr(client->request, "Connection: close") != NULL;
    char action[32] = "", body[128], response[256];
    int operand = 0, length;

    sscanf(client->request, "GET /%31[^/ ]/%d", action, &operand);
    act(server, action, operand);
    length = snprintf(body, sizeof body, "{\"pid\": %d, \"slot\": %s, \"number\": %u}",
                      (int)getpid(), slot(), client->number);
    length = snprintf(response, sizeof response,
                      "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s", length,
                      closes ? "close" : "keep-alive", body);
    send(descriptor, response, (size_t)length, MSG_NOSIGNAL);
    client->length = 0;
    if (closes)
        close_client(server, descriptor);
}

/* Reads once; false when the connection has ended or has nothing more for now. */
static bool read_client(struct server *server, int descriptor) {
    struct client *client = &server->clients[descriptor];
    ssize_t length =
        recv(descriptor, client->request + client->length, REQUEST_MAX - client->length, 0);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (length <= 0) {
        close_client(server, descriptor);
        return false;
    }
    client->length += (size_t)length;
    client->request[client->length] = '\0';
    if (strstr(client->request, "\r\n\r\n"))
        answer(server, descriptor);
    return client->open;
}

/* --- accepting --- */

static void add_client(struct server *server, int descriptor) {
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET, .data.fd = descriptor};

    if (descriptor >= DESCRIPTORS_MAX)
        give_up("too many clients");
    server->clients[descriptor] = (struct client){.open = true, .number = ++server->accepted};
    if (descriptor > server->highest)
        server->highest = descriptor;
    if (server->epoll >= 0)
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &wanted);
}

/* One client; -1 when there is none, or no room for one. */
static int accept_client(struct server *server, int flags) {
    int client = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | flags);

    if (client < 0 && errno != EAGAIN && errno != EINTR && errno != EMFILE)
        give_up("accept");
    server->full = client < 0 && errno == EMFILE;
    if (server->full)
        event("full");
    if (client >= 0)
        add_client(server, client);
    return client;
}

static void serve_blocking(struct server *server) {
    while (server->listener >= 0) {
        int client = accept_client(server, 0);

        while (client >= 0 && read_client(server, client))
            continue;
        if (server->full)
            poll(NULL, 0, RETRY_MS);
    }
    pause(); /* it has closed its listener */
}

static int watch_all(struct server *server, struct pollfd *watched) {
    int count = 0;

    if (server->listener >= 0 && !server->full)
        watched[count++] = (struct pollfd){.fd = server->listener, .events = POLLIN};
    for (int i = 0; i <= server->highest; i++) {
        if (server->clients[i].open)
            watched[count++] = (struct pollfd){.fd = i, .events = POLLIN};
    }
    return count;
}

static void serve_poll(struct server *server) {
    static struct pollfd watched[DESCRIPTORS_MAX];

    for (;;) {
        int count = watch_all(server, watched);

        poll(watched, (nfds_t)count, server->full ? RETRY_MS : -1);
        server->full = false;
        for (int i = 0; i < count; i++) {
            if (!watched[i].revents)
                continue;
            if (watched[i].fd == server->listener)
                accept_client(server, SOCK_NONBLOCK);
            else
                read_client(server, watched[i].fd);
        }
    }
}

static void accept_all(struct server *server) {
    while (server->listener >= 0 && accept_client(server, SOCK_NONBLOCK) >= 0)
        continue;
}

static void serve_edge(struct server *server) {
    for (;;) {
        struct epoll_event event_now;
        int count = epoll_wait(server->epoll, &event_now, 1, server->full ? RETRY_MS : -1);

        if (server->full || (count > 0 && event_now.data.fd == server->listener))
            accept_all(server);
        if (count <= 0 || event_now.data.fd == server->listener)
            continue;
        while (read_client(server, event_now.data.fd))
            continue;
    }
}

int main(int count, char **arguments) {
    static struct server server = {.listener = -1, .epoll = -1};
    const char *mode = count == 2 ? arguments[1] : "", *given = getenv("DROP_IN_LISTENER");

    if (strcmp(mode, "edge") == 0)
        server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (given) {
        server.listener = atoi(given);
        event("listening");
    } else {
        start_listening(&server, strcmp(mode, "blocking") != 0);
    }
    if (strcmp(mode, "blocking") == 0)
        serve_blocking(&server);
    if (strcmp(mode, "poll") == 0)
        serve_poll(&server);
    if (strcmp(mode, "edge") == 0)
        serve_edge(&server);
    return 2;
}
