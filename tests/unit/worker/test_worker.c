/* libbaton, alone and against a small master that speaks ipc/native_protocol.h from a thread. */

#include "baton/worker.h"

#include "ipc/accept_socket.h"
#include "ipc/native_protocol.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN        "000102030405060708090a0b0c0d0eFf"
#define LISTENER     7
#define REQUESTS_MAX 8

/* What the small master answers; zero is a well-behaved one. */
struct answer {
    bool silent;           /* reads the request and says nothing */
    bool hang_up;          /* closes instead of answering */
    bool without_listener; /* LISTEN is answered without a descriptor */
    uint16_t version;      /* 0: the right one */
    uint16_t type;         /* 0: the request's */
    size_t length;         /* 0: the whole reply */
    int32_t error;
    unsigned extra; /* descriptors that nobody asked for, up to 2 */
    int shared;     /* 0: an accept socket; otherwise this listening socket, with NATIVE_SHARED */
    unsigned delay_ms; /* before the answer */
};

struct master {
    int server;
    pthread_t thread;
    struct answer answer;
    struct accept_socket accept_socket;
    pthread_mutex_t lock; /* guards the two below */
    struct native_request requests[REQUESTS_MAX];
    unsigned request_count;
};

/* The library's time limit of 10 s is too long to wait for in a test: this takes the place of
 * libc's function, remembers what was asked for and makes it short. */
static atomic_llong asked_timeout_ms;
static atomic_bool shorten_timeouts;

int setsockopt(int socket, int level, int name, const void *value, socklen_t length) {
    struct timeval timeout;

    if (level == SOL_SOCKET && name == SO_RCVTIMEO && atomic_load(&shorten_timeouts)) {
        memcpy(&timeout, value, sizeof(timeout));
        atomic_store(&asked_timeout_ms, timeout.tv_sec * 1000LL + timeout.tv_usec / 1000);
        timeout = (struct timeval){.tv_usec = 20000};
        value = &timeout;
        return (int)syscall(SYS_setsockopt, socket, level, name, value, length);
    }
    return (int)syscall(SYS_setsockopt, socket, level, name, value, length);
}

static unsigned count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* One reply with up to three descriptors in it. */
static void send_reply(int connection, const void *bytes, size_t length, const int *descriptors,
                       unsigned count) {
    union {
        struct cmsghdr aligned;
        unsigned char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(&part.iov_base, &bytes, sizeof(bytes));
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.aligned.cmsg_level = SOL_SOCKET;
        control.aligned.cmsg_type = SCM_RIGHTS;
        control.aligned.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.aligned), descriptors, count * sizeof(int));
    }
    sendmsg(connection, &message, MSG_NOSIGNAL);
}

static int listener_to_send(struct master *master) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(4321), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (master->answer.shared)
        return master->answer.shared;
    accept_socket_create(&master->accept_socket, LISTENER, 64, (const struct sockaddr *)&address,
                         sizeof(address));
    return master->accept_socket.worker;
}

static void answer_request(struct master *master, int connection,
                           const struct native_request *request) {
    const struct answer *answer = &master->answer;
    struct native_reply reply = {.magic = NATIVE_MAGIC,
                                 .version = answer->version ? answer->version : NATIVE_VERSION,
                                 .type = answer->type ? answer->type : request->type,
                                 .error = answer->error,
                                 .flags = answer->shared ? NATIVE_SHARED : 0,
                                 .listener = LISTENER};
    int descriptors[3];
    unsigned count = 0;

    if (request->type == NATIVE_LISTEN && answer->error == 0 && !answer->without_listener)
        descriptors[count++] = listener_to_send(master);
    for (unsigned i = 0; i < answer->extra; i++)
        descriptors[count++] = STDERR_FILENO;
    usleep(answer->delay_ms * 1000);
    send_reply(connection, &reply, answer->length ? answer->length : sizeof(reply), descriptors,
               count);
}

static void serve_connection(struct master *master, int connection) {
    struct native_request request;
    char byte;

    if (recv(connection, &request, sizeof(request), 0) != sizeof(request))
        return;
    pthread_mutex_lock(&master->lock);
    if (master->request_count < REQUESTS_MAX)
        master->requests[master->request_count++] = request;
    pthread_mutex_unlock(&master->lock);
    if (!master->answer.hang_up && !master->answer.silent)
        answer_request(master, connection, &request);
    if (!master->answer.hang_up)
        recv(connection, &byte, 1, 0); /* until the worker closes */
}

static void *run_master(void *argument) {
    struct master *master = argument;
    int connection;

    for (;;) {
        connection = accept(master->server, NULL, NULL);
        if (connection < 0 && errno != EMFILE) /* the tests fill the table now and then */
            break;
        serve_connection(master, connection);
        close(connection);
    }
    return NULL;
}

static void master_start(struct master *master, struct answer answer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    sigset_t alarm, before;
    int length;

    *master = (struct master){.answer = answer, .accept_socket = {.master = -1, .worker = -1}};
    pthread_mutex_init(&master->lock, NULL);
    master->server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "baton-test-%d-%d",
                      (int)getpid(), master->server);
    assert_int_equal(
        0, bind(master->server, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (unsigned)length)));
    assert_int_equal(0, listen(master->server, 8));
    setenv(NATIVE_SOCKET_VARIABLE, address.sun_path + 1, 1);
    setenv(NATIVE_TOKEN_VARIABLE, TOKEN, 1);
    setenv(NATIVE_SLOT_VARIABLE, "3", 1);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &before);
    assert_int_equal(0, pthread_create(&master->thread, NULL, run_master, master));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void master_stop(struct master *master) {
    shutdown(master->server, SHUT_RDWR);
    pthread_join(master->thread, NULL);
    close(master->server);
    accept_socket_destroy(&master->accept_socket);
    pthread_mutex_destroy(&master->lock);
}

static int leave_master(void **state) {
    (void)state;
    unsetenv(NATIVE_SOCKET_VARIABLE);
    unsetenv(NATIVE_TOKEN_VARIABLE);
    unsetenv(NATIVE_SLOT_VARIABLE);
    atomic_store(&shorten_timeouts, false);
    return 0;
}

/* A listener of a well-behaved master. */
static int start_and_listen(struct master *master) {
    int listener;

    master_start(master, (struct answer){0});
    listener = baton_listen_tcp("127.0.0.1", 4321, 0);
    assert_true(listener >= 0);
    return listener;
}

/* Hands over one end of a stream whose other end is the answer. */
static int send_client(struct master *master) {
    struct sockaddr_in from = {
        .sin_family = AF_INET, .sin_port = htons(1234), .sin_addr.s_addr = htonl(0x0a000001)};
    int ends[2];
    struct accept_socket_client client = {.address = (const struct sockaddr *)&from,
                                          .address_length = sizeof(from)};

    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
    client.descriptor = ends[1];
    assert_int_equal(1, accept_socket_send(&master->accept_socket, &client, 1));
    close(ends[1]);
    return ends[0];
}

static void assert_connected(int one, int other) {
    char byte = 0;

    assert_int_equal(1, write(one, "x", 1));
    assert_int_equal(1, read(other, &byte, 1));
    assert_int_equal('x', byte);
}

static void assert_flags(int descriptor, bool nonblocking) {
    assert_int_equal(FD_CLOEXEC, fcntl(descriptor, F_GETFD));
    assert_int_equal(nonblocking, (fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
}

static void set_nonblocking(int descriptor) {
    assert_int_equal(0, fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK));
}

static int connect_to(const char *host, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, host, &address.sin_addr);
    assert_int_equal(0, connect(client, (const struct sockaddr *)&address, sizeof(address)));
    return client;
}

static uint16_t port_of(int listener) {
    struct sockaddr_in6 address; /* the port is at the same place in both families */
    socklen_t length = sizeof(address);

    assert_int_equal(0, baton_address(listener, (struct sockaddr *)&address, &length));
    return ntohs(address.sin6_port);
}

/* Without a master. */

static void test_alone_there_is_nobody_to_tell(void **state) {
    (void)state;
    assert_false(baton_has_master());
    assert_int_equal(-1, baton_slot());
    assert_int_equal(0, baton_ready());
    assert_int_equal(0, baton_report_load(5));
}

static void test_alone_a_listener_is_a_listening_socket(void **state) {
    struct sockaddr_in address, own;
    socklen_t length = sizeof(address), own_length = sizeof(own);
    int listener = baton_listen_tcp("127.0.0.1", 0, 0);
    int peer, client;

    (void)state;
    assert_true(listener >= 0);
    assert_flags(listener, false);
    peer = connect_to("127.0.0.1", port_of(listener));
    client = baton_accept(listener, (struct sockaddr *)&address, &length);
    assert_true(client >= 0);
    assert_flags(client, true);
    assert_int_equal(0, getsockname(peer, (struct sockaddr *)&own, &own_length));
    assert_int_equal(sizeof(address), length);
    assert_memory_equal(&own, &address, sizeof(own));
    assert_connected(peer, client);
    set_nonblocking(listener);
    assert_int_equal(-EAGAIN, baton_accept(listener, NULL, NULL));
    close(peer);
    close(client);
    assert_int_equal(0, baton_close(listener));
    assert_int_equal(-EBADF, baton_accept(listener, NULL, NULL));
}

static void test_no_host_is_every_address(void **state) {
    int listener = baton_listen_tcp(NULL, 0, 5);
    int peer, client;

    (void)state;
    assert_true(listener >= 0);
    peer = connect_to("127.0.0.1", port_of(listener));
    client = baton_accept(listener, NULL, NULL);
    assert_true(client >= 0);
    close(peer);
    close(client);
    assert_int_equal(0, baton_close(listener));
}

static void test_alone_a_unix_socket_serves(void **state) {
    char folder[] = "/tmp/baton-test-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX}, from;
    socklen_t length = sizeof(from);
    int listener, peer, client;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
    listener = baton_listen_unix(address.sun_path, 0);
    assert_true(listener >= 0);
    assert_int_equal(-EADDRINUSE, baton_listen_unix(address.sun_path, 0));
    peer = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(0, connect(peer, (const struct sockaddr *)&address, sizeof(address)));
    client = baton_accept(listener, (struct sockaddr *)&from, &length);
    assert_connected(peer, client);
    assert_int_equal(sizeof(sa_family_t), length);
    assert_int_equal(AF_UNIX, from.sun_family);
    close(peer);
    close(client);
    baton_close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}

static void test_bad_arguments_are_refused(void **state) {
    struct sockaddr_storage address = {.ss_family = AF_INET};
    char path[200];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    errno = 77;
    assert_int_equal(-EINVAL, baton_listen(NULL, 0, 0));
    assert_int_equal(-EINVAL, baton_listen((struct sockaddr *)&address, 1, 0));
    assert_int_equal(-EINVAL, baton_listen((struct sockaddr *)&address, sizeof(address) + 1, 0));
    assert_int_equal(-EINVAL, baton_listen_tcp("localhost", 80, 0));
    assert_int_equal(-EINVAL, baton_listen_unix("", 0));
    assert_int_equal(-ENAMETOOLONG, baton_listen_unix(path, 0));
    assert_int_equal(-EFAULT, baton_accept(0, (struct sockaddr *)&address, NULL));
    assert_int_equal(-EFAULT, baton_address(0, NULL, NULL));
    assert_int_equal(-EBADF, baton_close(-1));
    assert_int_equal(-EADDRNOTAVAIL, baton_listen_tcp("192.0.2.1", 0, 0));
    assert_int_equal(77, errno);
}

/* Talking to the master. */

static void test_slot_is_what_the_environment_says(void **state) {
    static const struct {
        const char *text;
        int slot;
    } cases[] = {{"0", 0},
                 {"41", 41},
                 {"", -1},
                 {"x", -1},
                 {"1x", -1},
                 {"-1", -1},
                 {"99999999999", -1},
                 {"99999999999999999999", -1}};

    (void)state;
    setenv(NATIVE_SOCKET_VARIABLE, "x", 1);
    assert_true(baton_has_master());
    assert_int_equal(-1, baton_slot());
    errno = 77;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv(NATIVE_SLOT_VARIABLE, cases[i].text, 1);
        assert_int_equal(cases[i].slot, baton_slot());
    }
    assert_int_equal(77, errno);
    setenv(NATIVE_SOCKET_VARIABLE, "", 1);
    assert_false(baton_has_master());
}

static void test_requests_say_what_they_should(void **state) {
    static const uint8_t token[NATIVE_TOKEN_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                     8, 9, 10, 11, 12, 13, 14, 255};
    struct master master;
    struct sockaddr_in6 address;
    int listener;

    (void)state;
    master_start(&master, (struct answer){0});
    listener = baton_listen_tcp(NULL, 8080, 0);
    assert_true(listener >= 0);
    assert_int_equal(0, baton_ready());
    assert_int_equal(0, baton_report_load(12));
    assert_int_equal(0, baton_report_load(UINT32_MAX));
    assert_int_equal(0, baton_close(listener));
    assert_int_equal(-1, fcntl(listener, F_GETFD));
    master_stop(&master);
    assert_int_equal(5, master.request_count);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(NATIVE_MAGIC, master.requests[i].magic);
        assert_int_equal(NATIVE_VERSION, master.requests[i].version);
        assert_memory_equal(token, master.requests[i].token, sizeof(token));
    }
    assert_int_equal(NATIVE_LISTEN, master.requests[0].type);
    assert_int_equal(511, master.requests[0].value);
    assert_int_equal(sizeof(address), master.requests[0].address_length);
    memcpy(&address, master.requests[0].address, sizeof(address));
    assert_int_equal(AF_INET6, address.sin6_family);
    assert_int_equal(8080, ntohs(address.sin6_port));
    assert_memory_equal(&in6addr_any, &address.sin6_addr, sizeof(in6addr_any));
    assert_int_equal(NATIVE_READY, master.requests[1].type);
    assert_int_equal(NATIVE_LOAD, master.requests[2].type);
    assert_int_equal(12, master.requests[2].value);
    assert_int_equal(INT32_MAX, master.requests[3].value);
    assert_int_equal(NATIVE_CLOSE, master.requests[4].type);
    assert_int_equal(LISTENER, master.requests[4].listener);
}

/* One listen against a master that answers so; nothing may stay open. */
static int listen_answered(struct answer answer) {
    unsigned before = count_descriptors();
    struct master master;
    int result;

    master_start(&master, answer);
    errno = 77;
    result = baton_listen_tcp("127.0.0.1", 80, 0);
    assert_int_equal(77, errno);
    master_stop(&master);
    if (result >= 0)
        close(result);
    assert_int_equal(before, count_descriptors());
    return result;
}

static void test_bad_answers_are_errors_and_leave_nothing_open(void **state) {
    (void)state;
    assert_int_equal(-EADDRINUSE, listen_answered((struct answer){.error = -EADDRINUSE}));
    assert_int_equal(-EPROTO, listen_answered((struct answer){.version = 2}));
    assert_int_equal(-EPROTO, listen_answered((struct answer){.type = NATIVE_READY}));
    assert_int_equal(-EPROTO, listen_answered((struct answer){.length = 20}));
    assert_int_equal(-EPROTO, listen_answered((struct answer){.error = 1}));
    assert_int_equal(-EPROTO, listen_answered((struct answer){.without_listener = true}));
    assert_int_equal(-ECONNRESET, listen_answered((struct answer){.hang_up = true}));
    assert_true(listen_answered((struct answer){.extra = 2}) >= 0);
}

static void test_unasked_descriptors_are_closed(void **state) {
    unsigned before = count_descriptors();
    struct master master;

    (void)state;
    master_start(&master, (struct answer){.extra = 2});
    assert_int_equal(0, baton_ready());
    master_stop(&master);
    assert_int_equal(before, count_descriptors());
}

static void test_a_silent_master_is_given_ten_seconds(void **state) {
    (void)state;
    atomic_store(&shorten_timeouts, true);
    assert_int_equal(-ETIMEDOUT, listen_answered((struct answer){.silent = true}));
    assert_in_range(atomic_load(&asked_timeout_ms), 9000, 10000);
}

static void test_no_master_at_that_name(void **state) {
    (void)state;
    setenv(NATIVE_SOCKET_VARIABLE, "baton-test-nobody", 1);
    setenv(NATIVE_TOKEN_VARIABLE, TOKEN, 1);
    assert_int_equal(-ECONNREFUSED, baton_ready());
    setenv(NATIVE_TOKEN_VARIABLE, "12", 1);
    assert_int_equal(-EPROTO, baton_ready());
    setenv(NATIVE_TOKEN_VARIABLE, "g00102030405060708090a0b0c0d0e0f", 1);
    assert_int_equal(-EPROTO, baton_ready());
    unsetenv(NATIVE_TOKEN_VARIABLE);
    assert_int_equal(-EPROTO, baton_ready());
}

static void on_signal(int signal) {
    (void)signal;
}

static void interrupt_every(suseconds_t microseconds) {
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    struct itimerval timer = {.it_interval.tv_usec = microseconds,
                              .it_value.tv_usec = microseconds};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void test_signals_do_not_disturb_a_request(void **state) {
    struct master master;

    (void)state;
    master_start(&master, (struct answer){.delay_ms = 50});
    interrupt_every(1000);
    assert_int_equal(0, baton_ready());
    interrupt_every(0);
    master_stop(&master);
}

/* Taking clients. */

static void test_a_client_is_received_with_its_address(void **state) {
    struct master master;
    struct sockaddr_in6 from;
    socklen_t length = sizeof(from);
    struct sockaddr_in *from4 = (struct sockaddr_in *)&from;
    int listener = start_and_listen(&master), peer, client;

    (void)state;
    assert_flags(listener, false);
    peer = send_client(&master);
    client = baton_accept(listener, (struct sockaddr *)&from, &length);
    assert_true(client >= 0);
    assert_flags(client, true);
    assert_connected(peer, client);
    assert_int_equal(sizeof(struct sockaddr_in), length);
    assert_int_equal(AF_INET, from4->sin_family);
    assert_int_equal(1234, ntohs(from4->sin_port));
    assert_int_equal(0x0a000001, ntohl(from4->sin_addr.s_addr));
    close(peer);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

static void test_addresses_are_cut_to_the_room(void **state) {
    struct master master;
    struct sockaddr_in from;
    socklen_t length = 4;
    int listener = start_and_listen(&master), peer, client;

    (void)state;
    memset(&from, 0xee, sizeof(from));
    peer = send_client(&master);
    client = baton_accept(listener, (struct sockaddr *)&from, &length);
    assert_int_equal(sizeof(from), length);
    assert_int_equal(1234, ntohs(from.sin_port));
    assert_int_equal(0xeeeeeeee, from.sin_addr.s_addr);
    length = 4;
    assert_int_equal(0, baton_address(listener, (struct sockaddr *)&from, &length));
    assert_int_equal(sizeof(from), length);
    assert_int_equal(4321, ntohs(from.sin_port));
    assert_int_equal(0xeeeeeeee, from.sin_addr.s_addr);
    close(peer);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

static void test_a_client_without_address_is_a_unix_one(void **state) {
    struct master master;
    struct sockaddr_storage from;
    socklen_t length = sizeof(from);
    struct accept_socket_client unnamed = {.descriptor = STDERR_FILENO};
    int listener = start_and_listen(&master), client;

    (void)state;
    assert_int_equal(1, accept_socket_send(&master.accept_socket, &unnamed, 1));
    client = baton_accept(listener, (struct sockaddr *)&from, &length);
    assert_int_equal(sizeof(sa_family_t), length);
    assert_int_equal(AF_UNIX, from.ss_family);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

static void test_nobody_there_is_eagain_and_probes_are_skipped(void **state) {
    struct master master;
    int listener = start_and_listen(&master), peer, client;

    (void)state;
    set_nonblocking(listener);
    errno = 77;
    assert_int_equal(-EAGAIN, baton_accept(listener, NULL, NULL));
    assert_int_equal(0, accept_socket_probe(&master.accept_socket));
    assert_int_equal(1, accept_socket_outstanding(&master.accept_socket));
    assert_int_equal(-EAGAIN, baton_accept(listener, NULL, NULL));
    assert_int_equal(0, accept_socket_outstanding(&master.accept_socket));
    assert_int_equal(0, accept_socket_probe(&master.accept_socket));
    peer = send_client(&master);
    client = baton_accept(listener, NULL, NULL);
    assert_connected(peer, client);
    assert_int_equal(77, errno);
    close(peer);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

static void test_the_end_comes_after_the_last_client(void **state) {
    struct master master;
    int listener = start_and_listen(&master), peer, client;

    (void)state;
    peer = send_client(&master);
    accept_socket_finish(&master.accept_socket);
    client = baton_accept(listener, NULL, NULL);
    assert_connected(peer, client);
    assert_int_equal(-ESHUTDOWN, baton_accept(listener, NULL, NULL));
    assert_int_equal(-ESHUTDOWN, baton_accept(listener, NULL, NULL));
    close(peer);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

/* The master's end is closed with something unread: ECONNRESET precedes what was sent before. */
static void test_a_dead_master_is_the_end_too(void **state) {
    struct master master;
    int listener = start_and_listen(&master), peer, client;

    (void)state;
    peer = send_client(&master);
    assert_int_equal(1, send(listener, "x", 1, 0));
    accept_socket_destroy(&master.accept_socket);
    client = baton_accept(listener, NULL, NULL);
    assert_connected(peer, client);
    assert_int_equal(-ESHUTDOWN, baton_accept(listener, NULL, NULL));
    close(peer);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

static void test_junk_instead_of_a_client_is_closed(void **state) {
    static const char junk[100] = "junk";
    const int descriptor = STDERR_FILENO;
    struct master master;
    int listener = start_and_listen(&master);
    unsigned before = count_descriptors();

    (void)state;
    send_reply(master.accept_socket.master, junk, sizeof(junk), &descriptor, 1);
    assert_int_equal(-EPROTO, baton_accept(listener, NULL, NULL));
    send_reply(master.accept_socket.master, junk, 3, &descriptor, 1);
    assert_int_equal(-EPROTO, baton_accept(listener, NULL, NULL));
    assert_int_equal(before, count_descriptors());
    baton_close(listener);
    master_stop(&master);
}

/* Lets this process open no descriptor more; the limit that was. */
static struct rlimit fill_table(void) {
    struct rlimit before, none;
    int next = dup(STDERR_FILENO);

    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)next;
    close(next);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    return before;
}

static void test_a_full_table_loses_nobody(void **state) {
    struct master master;
    int listener = start_and_listen(&master), peer = send_client(&master), client;
    struct rlimit before = fill_table();

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(-EMFILE, baton_accept(listener, NULL, NULL));
    setrlimit(RLIMIT_NOFILE, &before);
    client = baton_accept(listener, NULL, NULL);
    assert_true(client >= 0);
    assert_connected(peer, client);
    close(peer);
    close(client);
    baton_close(listener);
    master_stop(&master);
}

static void test_a_full_table_asks_the_master_for_nothing(void **state) {
    struct master master;
    struct rlimit before;
    int spare = dup(STDERR_FILENO);

    (void)state;
    master_start(&master, (struct answer){0});
    before = fill_table();
    close(spare); /* enough for the question, not for the accept socket */
    assert_int_equal(-EMFILE, baton_listen_tcp("127.0.0.1", 80, 0));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(0, baton_ready()); /* by now the master has read what came before */
    master_stop(&master);
    assert_int_equal(1, master.request_count);
    assert_int_equal(NATIVE_READY, master.requests[0].type);
}

struct blocked {
    int listener;
    int result;
    atomic_bool done;
};

static void *accept_once(void *argument) {
    struct blocked *blocked = argument;

    blocked->result = baton_accept(blocked->listener, NULL, NULL);
    atomic_store(&blocked->done, true);
    return NULL;
}

/* Waits until the thread sleeps in the kernel, in this test's own words: it has not returned after
 * the time that a return would take. */
static void assert_still_waiting(const struct blocked *blocked) {
    usleep(20000);
    assert_false(atomic_load(&blocked->done));
}

static void test_a_blocking_accept_waits_for_a_client(void **state) {
    struct master master;
    struct blocked blocked = {.listener = start_and_listen(&master)};
    pthread_t thread;
    int peer;

    (void)state;
    pthread_create(&thread, NULL, accept_once, &blocked);
    assert_still_waiting(&blocked);
    accept_socket_probe(&master.accept_socket);
    assert_still_waiting(&blocked);
    peer = send_client(&master);
    pthread_join(thread, NULL);
    assert_connected(peer, blocked.result);
    close(peer);
    close(blocked.result);
    baton_close(blocked.listener);
    master_stop(&master);
}

static void test_the_table_may_fill_while_an_accept_waits(void **state) {
    struct master master;
    struct blocked blocked = {.listener = start_and_listen(&master)};
    struct rlimit before;
    pthread_t thread;
    int ends[2], client;
    struct accept_socket_client handed = {0};

    (void)state;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
    handed.descriptor = ends[1];
    pthread_create(&thread, NULL, accept_once, &blocked);
    assert_still_waiting(&blocked);
    before = fill_table();
    assert_int_equal(1, accept_socket_send(&master.accept_socket, &handed, 1));
    pthread_join(thread, NULL);
    assert_int_equal(-EMFILE, blocked.result);
    setrlimit(RLIMIT_NOFILE, &before);
    close(ends[1]);
    client = baton_accept(blocked.listener, NULL, NULL);
    assert_connected(ends[0], client);
    close(ends[0]);
    close(client);
    baton_close(blocked.listener);
    master_stop(&master);
}

static void test_a_signal_interrupts_a_blocking_accept(void **state) {
    struct master master;
    int listener = start_and_listen(&master);

    (void)state;
    interrupt_every(5000);
    assert_int_equal(-EINTR, baton_accept(listener, NULL, NULL));
    interrupt_every(0);
    baton_close(listener);
    master_stop(&master);
}

static void test_a_duplicate_is_as_good(void **state) {
    struct master master;
    int listener = start_and_listen(&master), peer = send_client(&master);
    int copy = dup(listener), client;

    (void)state;
    close(listener);
    assert_int_equal(4321, port_of(copy));
    client = baton_accept(copy, NULL, NULL);
    assert_connected(peer, client);
    close(peer);
    close(client);
    assert_int_equal(0, baton_close(copy));
    master_stop(&master);
    assert_int_equal(LISTENER, master.requests[1].listener);
}

static void test_a_shared_listening_socket_is_accepted_from(void **state) {
    struct master master;
    int shared = baton_listen_tcp("127.0.0.1", 0, 0);
    int listener, peer, client;

    (void)state;
    master_start(&master, (struct answer){.shared = shared});
    listener = baton_listen_tcp("127.0.0.1", 0, 0);
    assert_true(listener >= 0);
    assert_int_equal(port_of(shared), port_of(listener));
    peer = connect_to("127.0.0.1", port_of(listener));
    client = baton_accept(listener, NULL, NULL);
    assert_true(client >= 0);
    assert_flags(client, true);
    assert_connected(peer, client);
    close(peer);
    close(client);
    assert_int_equal(0, baton_close(listener));
    master_stop(&master);
    assert_int_equal(1, master.request_count); /* nothing to tell: the listener has no number */
    close(shared);
}

#define THREADS 4
#define CLIENTS 4000

struct crowd {
    int listener;
    atomic_uint received[CLIENTS + 1];
    atomic_uint unexpected; /* results of baton_accept() other than a client or the end */
};

/* Each client is an eventfd that holds its number. */
static void *accept_all(void *argument) {
    struct crowd *crowd = argument;
    uint64_t number;
    int client;

    while ((client = baton_accept(crowd->listener, NULL, NULL)) >= 0) {
        if (read(client, &number, sizeof(number)) == sizeof(number) && number <= CLIENTS)
            atomic_fetch_add(&crowd->received[number], 1);
        close(client);
    }
    if (client != -ESHUTDOWN)
        atomic_fetch_add(&crowd->unexpected, 1);
    return NULL;
}

static void send_numbered(struct master *master, unsigned number) {
    struct accept_socket_client client = {.descriptor = eventfd(number, EFD_CLOEXEC)};
    struct pollfd writable = {.fd = master->accept_socket.master, .events = POLLOUT};
    int sent;

    assert_true(client.descriptor >= 0);
    while ((sent = accept_socket_send(&master->accept_socket, &client, 1)) == 0)
        assert_int_equal(1, poll(&writable, 1, 10000));
    assert_int_equal(1, sent);
    close(client.descriptor);
}

static void test_threads_get_each_client_once(void **state) {
    static struct crowd crowd;
    struct master master;
    pthread_t threads[THREADS];

    (void)state;
    crowd.listener = start_and_listen(&master);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, accept_all, &crowd);
    for (unsigned i = 1; i <= CLIENTS; i++)
        send_numbered(&master, i);
    accept_socket_finish(&master.accept_socket);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 1; i <= CLIENTS; i++)
        assert_int_equal(1, atomic_load(&crowd.received[i]));
    assert_int_equal(0, atomic_load(&crowd.unexpected));
    baton_close(crowd.listener);
    master_stop(&master);
}

#define TEST(name) cmocka_unit_test_teardown(name, leave_master)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_alone_there_is_nobody_to_tell),
        TEST(test_alone_a_listener_is_a_listening_socket),
        TEST(test_no_host_is_every_address),
        TEST(test_alone_a_unix_socket_serves),
        TEST(test_bad_arguments_are_refused),
        TEST(test_slot_is_what_the_environment_says),
        TEST(test_requests_say_what_they_should),
        TEST(test_bad_answers_are_errors_and_leave_nothing_open),
        TEST(test_unasked_descriptors_are_closed),
        TEST(test_a_silent_master_is_given_ten_seconds),
        TEST(test_no_master_at_that_name),
        TEST(test_signals_do_not_disturb_a_request),
        TEST(test_a_client_is_received_with_its_address),
        TEST(test_addresses_are_cut_to_the_room),
        TEST(test_a_client_without_address_is_a_unix_one),
        TEST(test_nobody_there_is_eagain_and_probes_are_skipped),
        TEST(test_the_end_comes_after_the_last_client),
        TEST(test_a_dead_master_is_the_end_too),
        TEST(test_junk_instead_of_a_client_is_closed),
        TEST(test_a_full_table_loses_nobody),
        TEST(test_a_full_table_asks_the_master_for_nothing),
        TEST(test_a_blocking_accept_waits_for_a_client),
        TEST(test_the_table_may_fill_while_an_accept_waits),
        TEST(test_a_signal_interrupts_a_blocking_accept),
        TEST(test_a_duplicate_is_as_good),
        TEST(test_a_shared_listening_socket_is_accepted_from),
        TEST(test_threads_get_each_client_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
