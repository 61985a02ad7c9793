/* The preload library, loaded into this program as into any other, against a small master that
 * speaks ipc/native_protocol.h from a thread. */

#include "ipc/accept_socket.h"
#include "ipc/native_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN        "000102030405060708090a0b0c0d0e0f"
#define LISTENER     7
#define REQUESTS_MAX 32

struct master {
    int server;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows; it may be read while nothing is asked */
    int error;            /* of the answer */
    uint32_t flags;       /* of the answer to BIND */
    uint32_t way_count;   /* accept sockets made so far, of which `way` is the last */
    struct accept_socket way;
    int tcp; /* what BIND brought */
    struct sockaddr_in bound;
    struct native_request requests[REQUESTS_MAX];
    unsigned request_count;
    unsigned done_count; /* of them, those whose connection is closed */
};

static socklen_t worker_socket_name(struct sockaddr_un *ret_name) {
    const char *text = getenv(NATIVE_SOCKET_VARIABLE);

    assert_non_null(text);
    *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_name->sun_path + 1, text, strlen(text));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(text));
}

/* Binds the program's socket, to a port that is free rather than the one asked for. */
static unsigned bind_program_socket(struct master *master, int descriptors[2]) {
    socklen_t length = sizeof(master->bound);

    master->bound =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    syscall(SYS_bind, master->tcp, &master->bound, length);
    syscall(SYS_getsockname, master->tcp, &master->bound, &length);
    if (master->flags == NATIVE_PRIVATE)
        return 0;
    descriptors[0] = master->tcp;
    if (master->flags == NATIVE_SHARED)
        return 1;
    if (master->way_count++ > 0)
        accept_socket_destroy(&master->way);
    accept_socket_create(&master->way, LISTENER, 64, (const struct sockaddr *)&master->bound,
                         sizeof(master->bound));
    descriptors[0] = master->way.worker;
    descriptors[1] = master->way.master;
    return 2;
}

static void get_option(struct master *master, const struct native_request *request,
                       struct native_reply *reply) {
    socklen_t length = request->address_length;

    syscall(SYS_getsockopt, master->tcp, (int)request->flags, request->value, reply->address,
            &length);
    reply->address_length = length;
}

/* Does what is asked; how many descriptors go with the answer. */
static unsigned serve(struct master *master, const struct native_request *request,
                      struct native_reply *reply, int descriptors[2]) {
    switch (request->type) {
    case NATIVE_BIND:
        reply->flags = master->flags;
        return bind_program_socket(master, descriptors);
    case NATIVE_LISTEN:
        syscall(SYS_listen, master->tcp, request->value);
        return 0;
    case NATIVE_GET_OPTION:
        get_option(master, request, reply);
        return 0;
    case NATIVE_SET_OPTION:
        syscall(SYS_setsockopt, master->tcp, (int)request->flags, request->value, request->address,
                request->address_length);
        return 0;
    case NATIVE_RETRIEVE:
        descriptors[0] = master->tcp;
        return 1;
    default:
        return 0;
    }
}

union control {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(2 * sizeof(int))];
};

static void send_reply(int connection, struct native_reply *reply, const int *descriptors,
                       unsigned count) {
    union control control = {.bytes = {0}};
    struct iovec part = {.iov_base = reply, .iov_len = sizeof(*reply)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (count > 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    sendmsg(connection, &message, MSG_NOSIGNAL);
}

static bool receive_request(int connection, struct native_request *ret_request,
                            int *ret_descriptor) {
    union control control = {.bytes = {0}};
    struct iovec part = {.iov_base = ret_request, .iov_len = sizeof(*ret_request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};

    *ret_descriptor = -1;
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) != sizeof(*ret_request))
        return false;
    if (message.msg_controllen >= CMSG_LEN(sizeof(int)))
        memcpy(ret_descriptor, CMSG_DATA(&control.header), sizeof(*ret_descriptor));
    return true;
}

static void remember(struct master *master, const struct native_request *request, int descriptor) {
    if (master->request_count < REQUESTS_MAX)
        master->requests[master->request_count++] = *request;
    if (request->type != NATIVE_BIND)
        return;
    if (master->tcp >= 0)
        syscall(SYS_close, master->tcp);
    master->tcp = descriptor;
}

static void answer_connection(struct master *master, int connection) {
    struct native_request request;
    struct native_reply reply = {
        .magic = NATIVE_MAGIC, .version = NATIVE_VERSION, .listener = LISTENER};
    int descriptors[2], descriptor;
    unsigned count = 0;

    if (!receive_request(connection, &request, &descriptor))
        return;
    reply.type = request.type;
    pthread_mutex_lock(&master->lock);
    remember(master, &request, descriptor);
    reply.error = master->error;
    if (master->error == 0)
        count = serve(master, &request, &reply, descriptors);
    pthread_mutex_unlock(&master->lock);
    send_reply(connection, &reply, descriptors, count);
}

static void *run_master(void *data) {
    struct master *master = data;
    int connection;

    while ((connection = accept4(master->server, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        answer_connection(master, connection);
        close(connection);
        pthread_mutex_lock(&master->lock);
        master->done_count = master->request_count;
        pthread_mutex_unlock(&master->lock);
    }
    return NULL;
}

static int start_master(void **state) {
    struct master *master = calloc(1, sizeof(*master));
    struct sockaddr_un name;
    socklen_t length = worker_socket_name(&name);

    assert_non_null(master);
    pthread_mutex_init(&master->lock, NULL);
    master->tcp = -1;
    master->server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(master->server, (const struct sockaddr *)&name, length), 0);
    assert_int_equal(listen(master->server, 16), 0);
    assert_int_equal(pthread_create(&master->thread, NULL, run_master, master), 0);
    *state = master;
    return 0;
}

static int stop_master(void **state) {
    struct master *master = *state;

    shutdown(master->server, SHUT_RDWR);
    pthread_join(master->thread, NULL);
    close(master->server);
    if (master->way_count > 0)
        accept_socket_destroy(&master->way);
    if (master->tcp >= 0)
        syscall(SYS_close, master->tcp);
    pthread_mutex_destroy(&master->lock);
    free(master);
    return 0;
}

static unsigned count_requests(struct master *master, uint16_t type) {
    unsigned count = 0;

    pthread_mutex_lock(&master->lock);
    for (unsigned i = 0; i < master->request_count; i++)
        count += master->requests[i].type == type;
    pthread_mutex_unlock(&master->lock);
    return count;
}

static bool is_idle(struct master *master) {
    bool idle;

    pthread_mutex_lock(&master->lock);
    idle = master->done_count == master->request_count;
    pthread_mutex_unlock(&master->lock);
    return idle;
}

/* For what is sent without waiting for an answer, and for tests that look at the master's state or
 * at descriptors, of which the master has some while it answers. */
static void wait_for_requests(struct master *master, uint16_t type, unsigned count) {
    for (unsigned tries = 0; tries < 2000; tries++) {
        if (count_requests(master, type) >= count && is_idle(master))
            break;
        usleep(1000);
    }
    assert_int_equal(count_requests(master, type), count);
    assert_true(is_idle(master));
}

static void set_answer(struct master *master, int error, uint32_t flags) {
    pthread_mutex_lock(&master->lock);
    master->error = error;
    master->flags = flags;
    pthread_mutex_unlock(&master->lock);
}

static struct sockaddr_in some_port(void) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int try_bind(int socket) {
    struct sockaddr_in address = some_port();

    return bind(socket, (const struct sockaddr *)&address, sizeof(address));
}

static int bound_socket(struct master *master, int flags) {
    unsigned binds = count_requests(master, NATIVE_BIND);
    int listener = socket(AF_INET, SOCK_STREAM | flags, 0);

    assert_true(listener >= 0);
    assert_int_equal(try_bind(listener), 0);
    wait_for_requests(master, NATIVE_BIND, binds + 1);
    return listener;
}

static int listening_socket(struct master *master, int flags) {
    int listener = bound_socket(master, flags);

    assert_int_equal(listen(listener, 64), 0);
    wait_for_requests(master, NATIVE_LISTEN, count_requests(master, NATIVE_LISTEN));
    return listener;
}

static int domain_of(int socket) {
    int domain = -1;
    socklen_t length = sizeof(domain);

    syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    return domain;
}

/* A client connects, and the master deals it. */
static int deal_client(struct master *master) {
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    struct accept_socket_client record = {.address_length = sizeof(peer),
                                          .address = (const struct sockaddr *)&peer};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(syscall(SYS_connect, client, &master->bound, sizeof(master->bound)), 0);
    record.descriptor =
        (int)syscall(SYS_accept4, master->tcp, &peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(record.descriptor >= 0);
    assert_int_equal(accept_socket_send(&master->way, &record, 1), 1);
    syscall(SYS_close, record.descriptor);
    return client;
}

static void expect_errno(int result, int expected) {
    assert_int_equal(result, -1);
    assert_int_equal(errno, expected);
}

static void test_the_number_is_kept_with_its_flags(void **state) {
    struct timeval timeout = {.tv_sec = 3}, now = {0};
    socklen_t length = sizeof(now);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    assert_int_equal(try_bind(listener), 0);
    assert_int_equal(domain_of(listener), AF_UNIX);
    assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
    assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
    assert_int_equal(getsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &now, &length), 0);
    assert_int_equal(now.tv_sec, 3);
    close(listener);
    listener = bound_socket(*state, 0);
    assert_int_equal(fcntl(listener, F_GETFD), 0);
    assert_false(fcntl(listener, F_GETFL) & O_NONBLOCK);
    close(listener);
}

static void test_bind_brings_the_socket_and_its_options(void **state) {
    struct master *master = *state;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1, value = 0;
    socklen_t length = sizeof(value);

    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    assert_int_equal(try_bind(listener), 0);
    wait_for_requests(master, NATIVE_BIND, 1);
    assert_int_equal(master->requests[0].type, NATIVE_BIND);
    assert_int_equal(master->requests[0].flags, NATIVE_REUSE_PORT);
    assert_int_equal(master->requests[0].token[15], 15);
    assert_int_equal(
        syscall(SYS_getsockopt, master->tcp, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
    assert_int_equal(value, 1);
    close(listener);
}

static void test_a_refused_bind_leaves_the_socket_as_it_was(void **state) {
    struct master *master = *state;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    set_answer(master, -EACCES, 0);
    expect_errno(try_bind(listener), EACCES);
    assert_int_equal(domain_of(listener), AF_INET);
    set_answer(master, 0, 0);
    assert_int_equal(try_bind(listener), 0);
    expect_errno(try_bind(listener), EINVAL);
    close(listener);
}

static void test_other_sockets_are_bound_by_the_kernel(void **state) {
    struct master *master = *state;
    struct sockaddr_in address = some_port();
    int any = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);

    address.sin_port = 0;
    assert_int_equal(bind(any, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(domain_of(any), AF_INET);
    address.sin_port = htons(1);
    bind(datagram, (const struct sockaddr *)&address, sizeof(address));
    assert_int_equal(domain_of(datagram), AF_INET);
    expect_errno(bind(any, (const struct sockaddr *)&address, 3), EINVAL);
    assert_int_equal(master->request_count, 0);
    close(any);
    close(datagram);
}

static void test_shared_is_the_masters_socket(void **state) {
    struct master *master = *state;
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    int listener;

    set_answer(master, 0, NATIVE_SHARED);
    listener = listening_socket(master, SOCK_CLOEXEC);
    assert_int_equal(domain_of(listener), AF_INET);
    assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(address.sin_port, master->bound.sin_port);
    assert_int_equal(count_requests(master, NATIVE_LISTEN), 0);
    close(listener);
}

static void test_without_a_master_there_is_no_address(void **state) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    expect_errno(try_bind(listener), EADDRNOTAVAIL);
    close(listener);
}

static void test_names_are_those_of_the_listener(void **state) {
    struct master *master = *state;
    int listener = bound_socket(master, 0);
    struct sockaddr_in address = {0};
    socklen_t length = sizeof(address);

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(length, sizeof(address));
    assert_memory_equal(&address, &master->bound, sizeof(address));
    address.sin_addr.s_addr = 0;
    length = 4;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(length, sizeof(address));
    assert_int_equal(address.sin_addr.s_addr, 0);
    expect_errno(getpeername(listener, (struct sockaddr *)&address, &length), ENOTCONN);
    close(listener);
}

static void test_accept_before_listen_is_invalid(void **state) {
    int listener = bound_socket(*state, 0), listening = 1;
    socklen_t length = sizeof(listening);

    expect_errno(accept(listener, NULL, NULL), EINVAL);
    getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    assert_int_equal(listening, 0);
    expect_errno(shutdown(listener, SHUT_RDWR), ENOTCONN);
    assert_int_equal(listen(listener, 5), 0);
    getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    assert_int_equal(listening, 1);
    close(listener);
}

static void expect_flags(int client, int descriptor_flags, int nonblocking) {
    assert_true(client >= 0);
    assert_int_equal(fcntl(client, F_GETFD), descriptor_flags);
    assert_int_equal(fcntl(client, F_GETFL) & O_NONBLOCK, nonblocking);
}

static void test_accept_has_the_flags_asked_for(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, SOCK_NONBLOCK), lowest;
    int clients[3], accepted[3];

    for (unsigned i = 0; i < 3; i++)
        clients[i] = deal_client(master);
    lowest = dup(listener);
    syscall(SYS_close, lowest);
    accepted[0] = accept(listener, NULL, NULL);
    assert_int_equal(accepted[0], lowest);
    expect_flags(accepted[0], 0, 0);
    accepted[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    expect_flags(accepted[1], FD_CLOEXEC, 0);
    accepted[2] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    expect_flags(accepted[2], 0, O_NONBLOCK);
    expect_errno(accept(listener, NULL, NULL), EAGAIN);
    expect_errno(accept4(listener, NULL, NULL, O_APPEND), EINVAL);
    for (unsigned i = 0; i < 3; i++) {
        close(clients[i]);
        close(accepted[i]);
    }
    close(listener);
}

static void test_accept_tells_the_peer(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, 0), client = deal_client(master), accepted;
    struct sockaddr_in own, peer = {0};
    socklen_t length = sizeof(own);

    getsockname(client, (struct sockaddr *)&own, &length);
    expect_errno(accept(listener, (struct sockaddr *)&peer, NULL), EFAULT);
    length = (socklen_t)-1;
    expect_errno(accept(listener, (struct sockaddr *)&peer, &length), EINVAL);
    length = 4;
    errno = EXDEV;
    accepted = accept(listener, (struct sockaddr *)&peer, &length);
    assert_true(accepted >= 0);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(length, sizeof(own));
    assert_int_equal(peer.sin_port, own.sin_port);
    assert_int_equal(peer.sin_addr.s_addr, 0);
    close(accepted);
    close(client);
    close(listener);
}

static void test_probes_are_skipped(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, SOCK_NONBLOCK), client, accepted;

    accept_socket_probe(&master->way);
    expect_errno(accept(listener, NULL, NULL), EAGAIN);
    accept_socket_probe(&master->way);
    client = deal_client(master);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    accept_socket_finish(&master->way);
    expect_errno(accept(listener, NULL, NULL), EINVAL);
    close(accepted);
    close(client);
    close(listener);
}

static void on_alarm(int number) {
    (void)number;
}

static void set_alarm(int flags) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    struct itimerval timer = {.it_value.tv_usec = 20000};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void test_a_blocking_accept_waits_as_the_kernel_does(void **state) {
    struct timeval timeout = {.tv_usec = 50000};
    int listener = listening_socket(*state, 0);

    set_alarm(0);
    expect_errno(accept(listener, NULL, NULL), EINTR);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    expect_errno(accept(listener, NULL, NULL), EAGAIN);
    close(listener);
}

struct waiter {
    int listener;
    _Atomic int thread;
    int result;
    int error;
};

static void *wait_for_client(void *data) {
    struct waiter *waiter = data;

    waiter->thread = (int)syscall(SYS_gettid);
    waiter->result = accept(waiter->listener, NULL, NULL);
    waiter->error = errno;
    return NULL;
}

/* Whether the thread sleeps in a call, which is the peek of a blocking accept. */
static bool is_receiving(const struct waiter *waiter) {
    char path[64], line[64] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", waiter->thread);
    file = fopen(path, "re");
    if (!file)
        return false;
    if (!fgets(line, sizeof(line), file))
        line[0] = '\0';
    fclose(file);
    return strtol(line, NULL, 10) == SYS_recvmsg;
}

static void wait_until_receiving(const struct waiter *waiter) {
    for (unsigned tries = 0; !is_receiving(waiter) && tries < 2000; tries++)
        usleep(1000);
    assert_true(is_receiving(waiter));
}

static void test_shutdown_wakes_and_tells(void **state) {
    struct master *master = *state;
    struct waiter waiter = {.listener = listening_socket(master, 0)};
    pthread_t thread;

    assert_int_equal(shutdown(waiter.listener, SHUT_WR), 0);
    assert_int_equal(count_requests(master, NATIVE_CLOSE), 0);
    pthread_create(&thread, NULL, wait_for_client, &waiter);
    wait_until_receiving(&waiter);
    assert_int_equal(shutdown(waiter.listener, SHUT_RD), 0);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.result, -1);
    assert_int_equal(waiter.error, EINVAL);
    assert_int_equal(count_requests(master, NATIVE_CLOSE), 1);
    close(waiter.listener);
}

static void test_a_blocking_accept_can_be_cancelled(void **state) {
    struct waiter waiter = {.listener = listening_socket(*state, 0)};
    void *result = NULL;
    pthread_t thread;

    pthread_create(&thread, NULL, wait_for_client, &waiter);
    wait_until_receiving(&waiter);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    close(waiter.listener);
}

static void test_a_full_table_loses_nobody(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, 0), client = deal_client(master), lowest, accepted;
    struct rlimit limit, full;

    lowest = dup(listener);
    syscall(SYS_close, lowest);
    getrlimit(RLIMIT_NOFILE, &limit);
    full = limit;
    full.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &full);
    expect_errno(accept(listener, NULL, NULL), EMFILE);
    setrlimit(RLIMIT_NOFILE, &limit);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    close(accepted);
    close(client);
    close(listener);
}

/* Numbers change hands by calls that are not seen. */
static void test_wrong_hints_do_no_harm(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, SOCK_NONBLOCK), client = deal_client(master);
    int plain = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), accepted, yes = 1;
    struct sockaddr_in any = some_port();

    any.sin_port = 0;
    bind(plain, (const struct sockaddr *)&any, sizeof(any));
    listen(plain, 1);
    expect_errno(accept(plain, NULL, NULL), EAGAIN); /* foreign now */
    accepted = accept(listener, NULL, NULL);         /* and this one known */
    assert_true(accepted >= 0);
    dup3(listener, 100, 0);
    dup3(plain, listener, 0);
    dup3(100, plain, 0);
    expect_errno(accept(listener, NULL, NULL), EAGAIN);
    setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    assert_int_equal(count_requests(master, NATIVE_SET_OPTION), 0);
    close(client);
    close(accepted);
    client = deal_client(master);
    accepted = accept(plain, NULL, NULL);
    assert_true(accepted >= 0);
    close(client);
    close(accepted);
    close(100);
    close(plain);
    close(listener);
}

static void test_other_processes_know_it(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, 0), client, status = -1;
    pid_t child = fork();

    if (child == 0) {
        listener = accept(listener, NULL, NULL);
        _exit(listener >= 0 && write(listener, "x", 1) == 1 ? 0 : 1);
    }
    client = deal_client(master);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(client);
    close(listener);
}

static int int_option(int descriptor, int level, int name) {
    int value = -1;
    socklen_t length = sizeof(value);

    return getsockopt(descriptor, level, name, &value, &length) < 0 ? -errno : value;
}

static void test_options_are_those_of_a_tcp_socket(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, 0), value = 1;
    char long_value[NATIVE_ADDRESS_SIZE + 1] = {0};

    assert_int_equal(int_option(listener, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    assert_int_equal(int_option(listener, SOL_SOCKET, SO_DOMAIN), AF_INET);
    assert_int_equal(int_option(listener, SOL_SOCKET, SO_ERROR), 0);
    assert_int_equal(count_requests(master, NATIVE_GET_OPTION), 0);
    assert_int_equal(int_option(listener, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    assert_int_equal(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), 0);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)), 0);
    assert_int_equal(int_option(master->tcp, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(int_option(master->tcp, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(int_option(listener, IPPROTO_TCP, TCP_NODELAY), 1);
    expect_errno(setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, long_value, sizeof(long_value)),
                 EINVAL);
    expect_errno(setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &value, sizeof(value)),
                 ENOPROTOOPT);
    close(listener);
}

static void test_connect_takes_the_socket_back(void **state) {
    struct master *master = *state;
    struct sockaddr_in own, any = some_port();
    socklen_t length = sizeof(own);
    int server = socket(AF_INET, SOCK_STREAM, 0), listener = bound_socket(master, SOCK_CLOEXEC);

    any.sin_port = 0;
    bind(server, (const struct sockaddr *)&any, sizeof(any));
    listen(server, 1);
    getsockname(server, (struct sockaddr *)&any, &length);
    assert_int_equal(connect(listener, (const struct sockaddr *)&any, sizeof(any)), 0);
    getsockname(listener, (struct sockaddr *)&own, &length);
    assert_int_equal(own.sin_port, master->bound.sin_port);
    assert_int_equal(domain_of(listener), AF_INET);
    assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
    close(listener);
    listener = listening_socket(master, 0);
    expect_errno(connect(listener, (const struct sockaddr *)&any, sizeof(any)), EISCONN);
    close(listener);
    close(server);
}

static unsigned count_descriptors(void) {
    unsigned count = 0;

    for (int descriptor = 0; descriptor < 1024; descriptor++)
        count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

static void test_close_tells_and_leaves_nothing_open(void **state) {
    struct master *master = *state;
    unsigned before = 0;

    for (unsigned round = 1; round <= 4; round++) {
        close(listening_socket(master, 0));
        wait_for_requests(master, NATIVE_CHECK, round);
        if (round == 2)
            before = count_descriptors();
    }
    assert_int_equal(count_descriptors(), before);
}

static void test_the_masters_death_wakes_nobody(void **state) {
    struct master *master = *state;
    int listener = listening_socket(master, 0);
    struct pollfd poll_entry = {.fd = listener, .events = POLLIN};

    accept_socket_destroy(&master->way);
    master->way_count = 0;
    assert_int_equal(poll(&poll_entry, 1, 50), 0);
    close(listener);
}

static void test_it_needs_no_library(void **state) {
    char line[256] = "", command[PATH_MAX + 64];
    FILE *output;

    (void)state;
    snprintf(command, sizeof(command), "LD_PRELOAD= readelf -d '%s' | grep NEEDED",
             getenv("LD_PRELOAD"));
    output = popen(command, "r");
    assert_non_null(output);
    assert_null(fgets(line, sizeof(line), output));
    pclose(output);
}

#define WITH_MASTER(test) cmocka_unit_test_setup_teardown(test, start_master, stop_master)

static int run_all(void) {
    const struct CMUnitTest tests[] = {
        WITH_MASTER(test_the_number_is_kept_with_its_flags),
        WITH_MASTER(test_bind_brings_the_socket_and_its_options),
        WITH_MASTER(test_a_refused_bind_leaves_the_socket_as_it_was),
        WITH_MASTER(test_other_sockets_are_bound_by_the_kernel),
        WITH_MASTER(test_shared_is_the_masters_socket),
        cmocka_unit_test(test_without_a_master_there_is_no_address),
        WITH_MASTER(test_names_are_those_of_the_listener),
        WITH_MASTER(test_accept_before_listen_is_invalid),
        WITH_MASTER(test_accept_has_the_flags_asked_for),
        WITH_MASTER(test_accept_tells_the_peer),
        WITH_MASTER(test_probes_are_skipped),
        WITH_MASTER(test_a_blocking_accept_waits_as_the_kernel_does),
        WITH_MASTER(test_shutdown_wakes_and_tells),
        WITH_MASTER(test_a_blocking_accept_can_be_cancelled),
        WITH_MASTER(test_a_full_table_loses_nobody),
        WITH_MASTER(test_wrong_hints_do_no_harm),
        WITH_MASTER(test_other_processes_know_it),
        WITH_MASTER(test_options_are_those_of_a_tcp_socket),
        WITH_MASTER(test_connect_takes_the_socket_back),
        WITH_MASTER(test_close_tells_and_leaves_nothing_open),
        WITH_MASTER(test_the_masters_death_wakes_nobody),
        cmocka_unit_test(test_it_needs_no_library),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Starts this program again with the library, which is in the build directory above it. */
static int start_again(char **arguments) {
    char path[PATH_MAX], library[PATH_MAX + 32], name[64];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (length < 0)
        return EXIT_FAILURE;
    path[length] = '\0';
    snprintf(library, sizeof(library), "%s/../libbaton-preload.so", dirname(path));
    snprintf(name, sizeof(name), "baton-test-preload-%ld", (long)getpid());
    setenv("LD_PRELOAD", library, 1);
    setenv(NATIVE_SOCKET_VARIABLE, name, 1);
    setenv(NATIVE_TOKEN_VARIABLE, TOKEN, 1);
    /* The library comes before the sanitizer's; a cancelled thread leaves its stack poisoned. */
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0:use_sigaltstack=0", 1);
    execv("/proc/self/exe", arguments);
    return EXIT_FAILURE;
}

int main(int count, char **arguments) {
    (void)count;
    return getenv(NATIVE_TOKEN_VARIABLE) ? run_all() : start_again(arguments);
}
