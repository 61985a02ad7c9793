/* A worker on libbaton whose paths make it do what a test needs, as routes.js is for Node: /ACTION
 * or /ACTION/OPERAND.
 *
 *     native_worker [LISTENER...]
 *
 * A LISTENER is a port on all addresses, HOST=PORT, a Unix path that begins with a slash, or
 * @ABSTRACT; without one it is $PORT. The worker tells what it does in events, one JSON object a
 * line. It keeps connections open unless the client says "Connection: close". */
#include <baton/worker.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 1024
#define LISTENERS_MAX   8
#define REQUEST_MAX     2048
#define EVENTS_MAX      64
#define NEVER           INT64_MAX
#define LOOK_MS         10
#define ORPHAN_MS       120000 /* should nobody kill it */

enum kind { UNUSED, LISTENER, CLIENT, SIGNALS };

/* What a descriptor is. */
struct source {
    enum kind kind;
    bool answered; /* a client that has been answered before, so that it may be let go */
    int index;     /* of the listener, or of the one that the client came by */
    size_t length; /* of the request that has come so far */
    char request[REQUEST_MAX + 1];
};

struct worker {
    int epoll;
    int count; /* of listeners that it was told of */
    char **names;
    int open_listeners;
    int clients;
    bool full;         /* no descriptor was free: listeners are not polled */
    bool stopping;     /* the master wants it to finish */
    int64_t listen_ms; /* when to listen again */
    unsigned served;
    struct source sources[DESCRIPTORS_MAX]; /* by descriptor */
};

/* --- what it tells --- */

/* One write, so that the lines of several workers do not mix. */
static void event(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void event(const char *format, ...) {
    char fields[512], line[640];
    va_list arguments;
    int length;

    va_start(arguments, format);
    vsnprintf(fields, sizeof fields, format, arguments);
    va_end(arguments);
    length = snprintf(line, sizeof line, "{%s, \"pid\": %d, \"slot\": %d}\n", fields, (int)getpid(),
                      baton_slot());
    if (write(STDOUT_FILENO, line, (size_t)length) < 0)
        return; /* nobody reads it */
}

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- listening --- */

static int listen_abstract(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);

    memcpy(address.sun_path + 1, name, length);
    return baton_listen((const struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length), 0);
}

static int listen_on(const char *name) {
    const char *port = strchr(name, '=');
    char host[64];

    if (name[0] == '/')
        return baton_listen_unix(name, 0);
    if (name[0] == '@')
        return listen_abstract(name + 1);
    if (!port)
        return baton_listen_tcp(NULL, (uint16_t)atoi(name), 0);
    snprintf(host, sizeof host, "%.*s", (int)(port - name), name);
    return baton_listen_tcp(host, (uint16_t)atoi(port + 1), 0);
}

static void tell_address(int index, int listener) {
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    int error = baton_address(listener, (struct sockaddr *)&address, &length);
    int family = error < 0 ? error : address.ss_family, port = 0;

    if (family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address;

        inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof host);
        port = ntohs(ipv4->sin_port);
    } else if (family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address;

        inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof host);
        port = ntohs(ipv6->sin6_port);
    }
    event("\"event\": \"listening\", \"index\": %d, \"family\": %d, \"address\": \"%s\", "
          "\"port\": %d",
          index, family, host, port);
}

static void watch_listener(struct worker *worker, int listener, bool on) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listener};

    epoll_ctl(worker->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener, &wanted);
}

static void listen_all(struct worker *worker) {
    worker->listen_ms = NEVER;
    for (int i = 0; i < worker->count; i++) {
        int listener = listen_on(worker->names[i]);

        if (listener < 0) {
            event("\"event\": \"error\", \"index\": %d, \"code\": \"%s\"", i,
                  strerrorname_np(-listener));
            continue;
        }
        fcntl(listener, F_SETFL, O_NONBLOCK);
        worker->sources[listener] = (struct source){.kind = LISTENER, .index = i};
        worker->open_listeners++;
        watch_listener(worker, listener, !worker->full);
        tell_address(i, listener);
    }
}

static void close_listeners(struct worker *worker) {
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        if (worker->sources[i].kind != LISTENER)
            continue;
        worker->sources[i].kind = UNUSED;
        worker->open_listeners--;
        baton_close(i);
    }
}

/* While it has no descriptor for a client it must not ask for one again and again. */
static void set_full(struct worker *worker, bool full) {
    if (worker->full == full)
        return;
    worker->full = full;
    if (full)
        event("\"event\": \"full\"");
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        if (worker->sources[i].kind == LISTENER)
            watch_listener(worker, i, !full);
    }
}

/* --- clients --- */

static void close_client(struct worker *worker, int descriptor) {
    worker->sources[descriptor].kind = UNUSED;
    worker->clients--;
    close(descriptor);
    set_full(worker, false);
}

static void stop(struct worker *worker) {
    worker->stopping = true;
    close_listeners(worker);
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        if (worker->sources[i].kind == CLIENT && worker->sources[i].answered)
            close_client(worker, i);
    }
}

static void add_client(struct worker *worker, int listener, int descriptor) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = descriptor};
    int index = worker->sources[listener].index;

    if (descriptor >= DESCRIPTORS_MAX) {
        event("\"event\": \"error\", \"code\": \"too many clients\"");
        close(descriptor);
        return;
    }
    worker->sources[descriptor] = (struct source){.kind = CLIENT, .index = index};
    worker->clients++;
    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, descriptor, &wanted);
}

static void accept_clients(struct worker *worker, int listener) {
    while (worker->sources[listener].kind == LISTENER) {
        int client = baton_accept(listener, NULL, NULL);

        if (client >= 0) {
            add_client(worker, listener, client);
            continue;
        }
        if (client == -EMFILE)
            set_full(worker, true);
        else if (client == -ESHUTDOWN)
            stop(worker);
        else if (client != -EAGAIN && client != -EINTR)
            event("\"event\": \"error\", \"code\": \"%s\"", strerrorname_np(-client));
        return;
    }
}

/* --- actions --- */

static void burn(int64_t milliseconds) {
    int64_t end = now_ms() + milliseconds;

    event("\"event\": \"blocking\"");
    while (now_ms() < end)
        continue;
}

/* Until there is a file `go` where it was started. */
static void block(void) {
    event("\"event\": \"blocking\"");
    while (access("go", F_OK) < 0)
        poll(NULL, 0, LOOK_MS);
}

/* A process that outlives its parent until it is killed, without holding anything of ours. */
static void leave_orphan(void) {
    pid_t child = fork();

    if (child > 0) {
        waitpid(child, NULL, 0);
        return;
    }
    close_range(0, ~0u, 0);
    if (fork() == 0)
        poll(NULL, 0, ORPHAN_MS);
    _exit(0);
}

static void act(struct worker *worker, const char *action, int operand) {
    if (strcmp(action, "burn") == 0) {
        burn(operand);
    } else if (strcmp(action, "block") == 0) {
        block();
    } else if (strcmp(action, "block-and-close") == 0) {
        block();
        close_listeners(worker);
    } else if (strcmp(action, "close") == 0) {
        close_listeners(worker);
    } else if (strcmp(action, "listen") == 0) {
        worker->listen_ms = now_ms() + operand;
    } else if (strcmp(action, "orphan") == 0) {
        leave_orphan();
    } else if (strcmp(action, "exit") == 0) {
        _exit(operand);
    }
}

/* So short an answer fits into the socket's empty buffer, so that one send is enough. */
static void send_answer(struct worker *worker, int descriptor, const char *connection) {
    char body[128], response[256];
    int length =
        snprintf(body, sizeof body, "{\"pid\": %d, \"slot\": %d, \"count\": %u, \"index\": %d}",
                 (int)getpid(), baton_slot(), ++worker->served, worker->sources[descriptor].index);

    length = snprintf(response, sizeof response,
                      "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s", length,
                      connection, body);
    send(descriptor, response, (size_t)length, MSG_NOSIGNAL);
}

static void answer(struct worker *worker, int descriptor) {
    struct source *client = &worker->sources[descriptor];
    bool closes = strstr(client->request, "Connection: close") != NULL;
    char action[32] = "";
    int operand = 0;

    sscanf(client->request, "GET /%31[^/ ]/%d", action, &operand);
    act(worker, action, operand);
    send_answer(worker, descriptor, closes || worker->stopping ? "close" : "keep-alive");
    client->length = 0;
    client->answered = true;
    if (closes || worker->stopping)
        close_client(worker, descriptor);
}

static void serve_client(struct worker *worker, int descriptor) {
    struct source *client = &worker->sources[descriptor];
    ssize_t length =
        recv(descriptor, client->request + client->length, REQUEST_MAX - client->length, 0);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        close_client(worker, descriptor);
        return;
    }
    client->length += (size_t)length;
    client->request[client->length] = '\0';
    if (strstr(client->request, "\r\n\r\n"))
        answer(worker, descriptor);
}

/* --- the loop --- */

static int wait_ms(const struct worker *worker) {
    int64_t left = worker->listen_ms - now_ms();

    if (worker->listen_ms == NEVER)
        return -1;
    return left > 0 ? (int)left : 0;
}

/* Until the master wants no more of it and nobody is left to serve. */
static void run(struct worker *worker) {
    struct epoll_event events[EVENTS_MAX];

    while (!worker->stopping || worker->clients > 0) {
        int count = epoll_wait(worker->epoll, events, EVENTS_MAX, wait_ms(worker));

        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;

            if (worker->sources[descriptor].kind == LISTENER)
                accept_clients(worker, descriptor);
            else if (worker->sources[descriptor].kind == CLIENT)
                serve_client(worker, descriptor);
            else if (worker->sources[descriptor].kind == SIGNALS && !worker->stopping)
                stop(worker);
        }
        if (now_ms() >= worker->listen_ms)
            listen_all(worker);
    }
}

/* SIGINT and SIGTERM ask it to finish, as the end of the accept socket does. */
static void watch_signals(struct worker *worker) {
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLONESHOT};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    wanted.data.fd = signalfd(-1, &signals, SFD_CLOEXEC);
    worker->sources[wanted.data.fd].kind = SIGNALS;
    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, wanted.data.fd, &wanted);
}

int main(int count, char **arguments) {
    static struct worker worker;
    char *port = getenv("PORT");

    worker.epoll = epoll_create1(EPOLL_CLOEXEC);
    worker.count = count > 1 ? count - 1 : 1;
    worker.names = count > 1 ? arguments + 1 : &port;
    watch_signals(&worker);
    listen_all(&worker);
    run(&worker);
    return 0;
}
