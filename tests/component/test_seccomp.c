/* A supervisor, and forked programs under the filter that know of nothing: what their system calls
 * return is checked there, what the master sees here. */
#include "master/seccomp_supervisor.h"

#include "component/loop.h"
#include "ipc/accept_socket.h"
#include "master/seccomp_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT        4242 /* bound by programs whose port is private, for a moment */
#define CLIENTS_MAX 512

/* --- the master --- */

static struct seccomp_supervisor supervisor;
static struct accept_socket way;
static bool bound;
static int bind_error;      /* what BIND is answered with */
static uint32_t bind_flags; /* NATIVE_PRIVATE, or NATIVE_SHARED with `shared_socket` */
static bool every_other;    /* these two hold for the second BIND, the fourth and so on */
static unsigned group;      /* so many listeners are kept, and then given up all at once */
static int shared_socket;
static unsigned binds;
static unsigned listens;
static int last_backlog;
static bool supervising;
static int peers[CLIENTS_MAX]; /* the other ends of the clients that were sent */
static unsigned sent;
static pid_t program;

static void on_bind(struct worker_request *request, struct worker_reply *reply) {
    bool plain = every_other && binds % 2 == 0;

    reply->message.error = plain ? 0 : bind_error;
    reply->message.flags = plain ? 0 : bind_flags;
    reply->message.listener = 7;
    binds++;
    if (reply->message.error < 0 || reply->message.flags == NATIVE_PRIVATE)
        return;
    if (reply->message.flags == NATIVE_SHARED) {
        reply->descriptors[reply->count++] = shared_socket;
        return;
    }
    if (bound)
        accept_socket_destroy(&way);
    assert_int_equal(accept_socket_create(&way, 7, 16,
                                          (const struct sockaddr *)request->message->address,
                                          request->message->address_length),
                     0);
    bound = true;
    reply->descriptors[reply->count++] = way.worker;
    reply->descriptors[reply->count++] = way.master;
}

static void on_request(void *owner, struct worker_request *request, struct worker_reply *reply) {
    (void)owner;
    if (request->message->type == NATIVE_BIND) {
        on_bind(request, reply);
        return;
    }
    assert_int_equal(request->message->type, NATIVE_LISTEN);
    assert_int_equal(request->message->listener, 7);
    last_backlog = request->message->value;
    listens++;
}

/* The fake master has one listener at a time, the last, but for those of a group. */
static bool has_listener(void *owner, uint32_t listener) {
    (void)owner;
    (void)listener;
    return group > 0 && binds % group != 0;
}

static const struct seccomp_events events = {.request = on_request, .has_listener = has_listener};

static void on_closed(void *owner) {
    (void)owner;
    supervising = false;
}

static void stop_supervising(void) {
    if (!supervising)
        return;
    seccomp_supervisor_close(&supervisor, on_closed);
    LOOP_UNTIL(!supervising);
}

/* Starts `body` under the filter; what it returns is its exit code. */
static void start_program(int (*body)(void)) {
    int ends[2];
    int notification;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    program = fork();
    assert_true(program >= 0);
    if (program == 0) {
        if (seccomp_filter_install(ends[1]) != 0)
            _exit(99);
        for (int i = 3; i < 1000; i++)
            close(i);
        alarm(LOOP_WAIT_MS / 1000);
        _exit(body());
    }
    close(ends[1]);
    LOOP_UNTIL(seccomp_filter_receive(ends[0], &notification) == 0);
    close(ends[0]);
    assert_int_equal(seccomp_supervisor_start(&supervisor, &loop, notification, &events, NULL), 0);
    supervising = true;
}

static int finish_program(void) {
    int status;

    LOOP_UNTIL(waitpid(program, &status, WNOHANG) == program);
    program = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A line of the body's source is the exit code of a check that failed. */
static void check_program(int (*body)(void)) {
    start_program(body);
    assert_int_equal(finish_program(), 0);
}

static struct sockaddr_in peer_address(unsigned number) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)(1000 + number)),
                                .sin_addr.s_addr = htonl(0x0a010203)};
}

/* Sends a client that says its number. */
static bool send_client(void) {
    struct sockaddr_in address = peer_address(sent);
    struct accept_socket_client client = {.address = (struct sockaddr *)&address,
                                          .address_length = sizeof address};
    uint32_t number = sent;
    int ends[2];
    bool taken;

    assert_true(sent < CLIENTS_MAX);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(send(ends[0], &number, sizeof number, 0), sizeof number);
    client.descriptor = ends[1];
    taken = accept_socket_send(&way, &client, 1) == 1;
    close(ends[1]);
    if (taken)
        peers[sent++] = ends[0];
    else
        close(ends[0]);
    return taken;
}

static void send_clients(unsigned count) {
    LOOP_UNTIL(listens > 0);
    while (count-- > 0)
        LOOP_UNTIL(send_client());
}

static int set_up(void **state) {
    bound = false;
    bind_error = 0;
    bind_flags = 0;
    every_other = false;
    group = 0;
    binds = listens = sent = 0;
    return loop_set_up(state);
}

static int tear_down(void **state) {
    if (program > 0) {
        kill(program, SIGKILL);
        waitpid(program, NULL, 0);
        program = 0;
    }
    stop_supervising();
    if (bound)
        accept_socket_destroy(&way);
    while (sent > 0)
        close(peers[--sent]);
    return loop_tear_down(state);
}

/* --- what the programs do --- */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);      \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static const struct sockaddr_in own_address = {.sin_family = AF_INET,
                                               .sin_port = 0x9210, /* PORT in network order */
                                               .sin_addr.s_addr = 0x0100007f};

static int bind_socket(int descriptor) {
    return bind(descriptor, (const struct sockaddr *)&own_address, sizeof own_address);
}

/* A listening socket of these extra flags, at descriptor 3. */
static int open_listener(int flags) {
    int descriptor = socket(AF_INET, SOCK_STREAM | flags, 0);

    if (descriptor < 0 || bind_socket(descriptor) != 0 || listen(descriptor, 77) != 0)
        return -1;
    return descriptor;
}

/* libuv's fork handlers would close descriptors by their numbers in the master. */
static pid_t fork_quietly(void) {
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

/* Until something is there: accept() of a non-blocking one. */
static int accept_soon(int listener, struct sockaddr_in *address, int flags) {
    socklen_t length = sizeof *address;
    int descriptor;

    do
        descriptor = accept4(listener, (struct sockaddr *)address, &length, flags);
    while (descriptor < 0 && errno == EAGAIN && usleep(1000) == 0);
    return descriptor;
}

static uint32_t number_of(int client) {
    uint32_t number = 0;

    return recv(client, &number, sizeof number, 0) == sizeof number ? number : UINT32_MAX;
}

/* --- tests --- */

static void test_it_is_supported(void **state) {
    (void)state;
    assert_true(seccomp_supported());
}

static int serve_without_waiting(void) {
    int listener = open_listener(SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    int client;

    CHECK(listener == 3);
    CHECK(fcntl(listener, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(listener, F_GETFL) & O_NONBLOCK);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(length == sizeof address && memcmp(&address, &own_address, sizeof address) == 0);
    client = accept_soon(listener, &address, 0);
    CHECK(client == 4);
    CHECK(fcntl(client, F_GETFD) == 0 && !(fcntl(client, F_GETFL) & O_NONBLOCK));
    CHECK(address.sin_port == htons(1000) && address.sin_addr.s_addr == htonl(0x0a010203));
    CHECK(number_of(client) == 0);
    client = accept_soon(listener, &address, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(client == 5);
    CHECK(fcntl(client, F_GETFD) == FD_CLOEXEC && (fcntl(client, F_GETFL) & O_NONBLOCK));
    CHECK(address.sin_port == htons(1001) && number_of(client) == 1);
    CHECK(accept4(listener, NULL, NULL, 1) == -1 && errno == EINVAL);
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
    return 0;
}

static void test_a_server_that_does_not_wait(void **state) {
    (void)state;
    start_program(serve_without_waiting);
    send_clients(2);
    assert_int_equal(finish_program(), 0);
    assert_int_equal(binds, 1);
    assert_int_equal(listens, 1);
    assert_int_equal(last_backlog, 77);
    assert_int_equal(accept_socket_outstanding(&way), 0);
}

static int serve_waiting(void) {
    int listener = open_listener(0);

    CHECK(listener == 3 && fcntl(listener, F_GETFD) == 0);
    CHECK(!(fcntl(listener, F_GETFL) & O_NONBLOCK));
    for (uint32_t i = 0; i < 100; i++) {
        int client = accept(listener, NULL, NULL);

        CHECK(client == 4 && number_of(client) == i);
        CHECK(close(client) == 0);
    }
    return 0;
}

static void test_a_server_that_waits(void **state) {
    (void)state;
    start_program(serve_waiting);
    LOOP_UNTIL(listens == 1);
    LOOP_UNTIL(supervisor.waiting_count == 1);
    assert_int_equal(accept_socket_probe(&way), 0); /* a sign of life is no client */
    LOOP_UNTIL(accept_socket_outstanding(&way) == 0);
    loop_run(20);
    assert_int_equal(supervisor.waiting_count, 1);
    send_clients(100);
    assert_int_equal(finish_program(), 0);
}

static void test_waiting_costs_nothing(void **state) {
    struct rusage before;
    struct rusage after;

    (void)state;
    start_program(serve_waiting);
    LOOP_UNTIL(supervisor.waiting_count == 1);
    accept_socket_finish(&way); /* end of file: nobody will come, and nobody spins */
    loop_run(10);
    assert_int_equal(supervisor.waiting_count, 1);
    getrusage(RUSAGE_SELF, &before);
    loop_run(300);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_nvcsw - before.ru_nvcsw < 1000);
    assert_false(uv_is_closing((uv_handle_t *)&supervisor.poll));
}

static void ignore(int number) {
    (void)number;
}

static int be_interrupted(void) {
    struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART */
    struct itimerval often = {.it_value.tv_usec = 30000, .it_interval.tv_usec = 30000};
    struct itimerval never = {.it_value.tv_usec = 0};
    int listener = open_listener(0);
    int client;

    CHECK(listener == 3);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL); /* the first one may come before it waits */
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EINTR);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(kill(getppid(), SIGUSR1) == 0);
    client = accept(listener, NULL, NULL);
    CHECK(client == 4 && number_of(client) == 0);
    return 0;
}

static int wait_with_timeout(void) {
    struct timeval timeout = {.tv_usec = 20000};
    struct timeval none = {0};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int client;

    CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
    CHECK(bind_socket(listener) == 0);
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EINVAL); /* not listening yet */
    CHECK(listen(listener, 5) == 0);
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
    CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) == 0);
    CHECK(kill(getppid(), SIGUSR1) == 0);
    client = accept(listener, NULL, NULL);
    CHECK(client == 4 && number_of(client) == 0);
    return 0;
}

static volatile sig_atomic_t told;

static void on_told(int number) {
    (void)number;
    told = 1;
}

static void test_a_signal_interrupts_waiting(void **state) {
    (void)state;
    told = 0;
    signal(SIGUSR1, on_told);
    start_program(be_interrupted);
    LOOP_UNTIL(told);
    send_clients(1);
    assert_int_equal(finish_program(), 0);
    signal(SIGUSR1, SIG_DFL);
}

static void test_a_receive_timeout_ends_waiting(void **state) {
    (void)state;
    told = 0;
    signal(SIGUSR1, on_told);
    start_program(wait_with_timeout);
    LOOP_UNTIL(told);
    send_clients(1);
    assert_int_equal(finish_program(), 0);
    signal(SIGUSR1, SIG_DFL);
}

static volatile sig_atomic_t signalled;

static void on_signal(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)context;
    signalled = information->si_fd;
}

static int set_options_before(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct timeval timeouts[] = {{.tv_sec = 3}, {.tv_sec = 4}};
    struct timeval timeout;
    socklen_t length = sizeof timeout;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int moved = dup2(listener, 30);

    CHECK(close(listener) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    CHECK(setsockopt(moved, SOL_SOCKET, SO_RCVTIMEO, &timeouts[0], sizeof timeout) == 0);
    CHECK(setsockopt(moved, SOL_SOCKET, SO_SNDTIMEO, &timeouts[1], sizeof timeout) == 0);
    CHECK(fcntl(moved, F_SETFL, O_NONBLOCK | O_ASYNC) == 0);
    CHECK(bind_socket(moved) == 0);
    CHECK(getsockopt(moved, SOL_SOCKET, SO_RCVTIMEO, &timeout, &length) == 0);
    CHECK(timeout.tv_sec == 3);
    CHECK(getsockopt(moved, SOL_SOCKET, SO_SNDTIMEO, &timeout, &length) == 0);
    CHECK(timeout.tv_sec == 4);
    CHECK((fcntl(moved, F_GETFL) & (O_NONBLOCK | O_ASYNC)) == O_NONBLOCK);
    CHECK(fcntl(moved, F_SETOWN, getpid()) == 0 && fcntl(moved, F_SETSIG, SIGUSR2) == 0);
    CHECK(fcntl(moved, F_SETFL, O_NONBLOCK | O_ASYNC) == 0 && listen(moved, 5) == 0);
    while (signalled == 0)
        usleep(1000);
    CHECK(signalled == moved);
    CHECK(number_of(accept_soon(moved, NULL, 0)) == 0);
    return 0;
}

static void test_options_from_before_bind(void **state) {
    (void)state;
    start_program(set_options_before);
    send_clients(1);
    assert_int_equal(finish_program(), 0);
}

static int be_bothered(void) {
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    struct itimerval often = {.it_value.tv_usec = 100, .it_interval.tv_usec = 100};
    struct sockaddr_in address;
    socklen_t length;
    int listener;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 50; i++) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(listener == 3 && bind_socket(listener) == 0);
        if (i < 49)
            close(listener);
    }
    CHECK(fcntl(1021, F_GETFD) == -1); /* one copy, and the notification descriptor */
    CHECK(listen(listener, 5) == 0);
    for (uint32_t i = 0; i < 300; i++) {
        int client;

        length = 4; /* cut off, so that the length is written over it each time */
        memset(&address, 0x55, sizeof address);
        client = accept(listener, (struct sockaddr *)&address, &length);
        CHECK(client == 4 && number_of(client) == i && length == sizeof address);
        CHECK(address.sin_addr.s_addr == 0x55555555);
        CHECK(close(client) == 0);
    }
    return 0;
}

static void test_signals_all_the_time(void **state) {
    (void)state;
    start_program(be_bothered);
    send_clients(300);
    assert_int_equal(finish_program(), 0);
    assert_int_equal(binds, 50);
}

static void *accept_for_ever(void *argument) {
    accept(*(int *)argument, NULL, NULL);
    return NULL;
}

static int cancel_a_thread(void) {
    int listener = open_listener(0);
    pthread_t thread;
    int client;

    CHECK(listener == 3);
    CHECK(pthread_create(&thread, NULL, accept_for_ever, &listener) == 0);
    usleep(30000);
    CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(kill(getppid(), SIGUSR1) == 0);
    usleep(30000); /* the client comes while nobody waits who lives */
    client = accept(listener, NULL, NULL);
    CHECK(number_of(client) == 0);
    return 0;
}

static void test_a_cancelled_thread_takes_nobody_along(void **state) {
    (void)state;
    told = 0;
    signal(SIGUSR1, on_told);
    start_program(cancel_a_thread);
    LOOP_UNTIL(told);
    send_clients(1);
    assert_int_equal(finish_program(), 0);
    signal(SIGUSR1, SIG_DFL);
}

/* What is in the registers that bind does not have is of no account. */
static int bind_twice(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(syscall(SYS_bind, listener, &own_address, sizeof own_address, 1, 2, 3) == 0);
    CHECK(syscall(SYS_bind, listener, &own_address, sizeof own_address, 4, 5, 6) == 0);
    CHECK(listen(listener, 5) == 0);
    CHECK(syscall(SYS_bind, listener, &own_address, sizeof own_address, 1, 2, 3) == -1 &&
          errno == EINVAL);
    return 0;
}

static void test_a_bind_that_is_repeated(void **state) {
    (void)state;
    check_program(bind_twice);
    assert_int_equal(binds, 1);
}

/* By the system calls themselves: a sanitizer looks where pointers lead. */
static int have_bad_pointers(void) {
    struct sockaddr *nowhere = (struct sockaddr *)8;
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int client;

    CHECK(syscall(SYS_bind, listener, nowhere, sizeof address) == -1 && errno == EFAULT);
    CHECK(bind(listener, (const struct sockaddr *)&own_address, 3) == -1 && errno == EINVAL);
    CHECK(bind(77, (const struct sockaddr *)&own_address, sizeof address) == -1 && errno == EBADF);
    CHECK(bind_socket(listener) == 0 && listen(listener, 5) == 0);
    CHECK(bind_socket(listener) == -1 && errno == EINVAL);
    while (syscall(SYS_accept, listener, nowhere, &length) == -1 && errno == EAGAIN)
        usleep(1000);
    CHECK(errno == EFAULT);
    CHECK(syscall(SYS_accept, listener, (struct sockaddr *)&address, (socklen_t *)nowhere) == -1 &&
          errno == EFAULT);
    length = (socklen_t)-1;
    CHECK(syscall(SYS_accept, listener, (struct sockaddr *)&address, &length) == -1 &&
          errno == EINVAL);
    CHECK(syscall(SYS_getsockname, listener, nowhere, &length) == -1 && errno == EINVAL);
    length = sizeof address;
    CHECK(syscall(SYS_getsockname, listener, nowhere, &length) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_getsockname, listener, (struct sockaddr *)&address, NULL) == -1 &&
          errno == EFAULT);
    client = accept(listener, (struct sockaddr *)&address, &length);
    CHECK(client == 4 && number_of(client) == 0);
    return 0;
}

static void test_bad_pointers(void **state) {
    (void)state;
    start_program(have_bad_pointers);
    send_clients(1);
    assert_int_equal(finish_program(), 0);
}

static int fill_the_table(void) {
    struct rlimit limit = {.rlim_cur = 4, .rlim_max = 100};
    int listener = open_listener(0);
    int client;

    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EMFILE);
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EMFILE);
    limit.rlim_cur = 10;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    client = accept(listener, NULL, NULL);
    CHECK(client == 4 && number_of(client) == 0);
    return 0;
}

static void test_a_full_table_keeps_the_client(void **state) {
    (void)state;
    start_program(fill_the_table);
    send_clients(1);
    assert_int_equal(finish_program(), 0);
    assert_int_equal(accept_socket_outstanding(&way), 0);
}

static int use_other_sockets(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0baton-test-seccomp"};
    socklen_t length = sizeof address;
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(datagram, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(bind(local, (struct sockaddr *)&name, sizeof name) == 0 && listen(local, 1) == 0);
    CHECK(bind(tcp, (struct sockaddr *)&address, sizeof address) == 0 && listen(tcp, 1) == 0);
    CHECK(getsockname(tcp, (struct sockaddr *)&address, &length) == 0 && address.sin_port != 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(accept(tcp, NULL, NULL) == client + 1);
    CHECK(accept(STDIN_FILENO, NULL, NULL) == -1 && errno == ENOTSOCK);
    CHECK(listen(99, 1) == -1 && errno == EBADF);
    return 0;
}

static void test_other_sockets_are_the_programs_own(void **state) {
    (void)state;
    check_program(use_other_sockets);
    assert_int_equal(binds, 0);
}

static int bind_what_is_taken(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind_socket(listener) == -1 && errno == EADDRINUSE);
    return 0;
}

static void test_the_error_of_bind_is_passed_on(void **state) {
    (void)state;
    bind_error = UV_EADDRINUSE;
    check_program(bind_what_is_taken);
    assert_int_equal(binds, 1);
}

static int bind_privately(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener = open_listener(0);

    CHECK(listener == 3 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(memcmp(&address, &own_address, sizeof address) == 0);
    return 0;
}

static void test_a_private_port_is_the_programs_own(void **state) {
    (void)state;
    bind_flags = NATIVE_PRIVATE;
    check_program(bind_privately);
    assert_int_equal(binds, 1);
    assert_int_equal(listens, 0);
}

static int use_a_shared_socket(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener = open_listener(0);
    int client = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(listener == 3);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(accept(listener, NULL, NULL) == client + 1);
    return 0;
}

static void test_a_shared_socket_is_accepted_from(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};

    (void)state;
    shared_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(shared_socket, (struct sockaddr *)&address, sizeof address), 0);
    bind_flags = NATIVE_SHARED;
    check_program(use_a_shared_socket);
    assert_true(list_empty(&supervisor.listeners));
    close(shared_socket);
}

static int accept_in_children(void) {
    int listener = open_listener(0);
    int copy = dup(listener);
    int served = 0;
    int status;

    CHECK(copy == 4);
    close(listener);
    for (int i = 0; i < 200; i++) {
        pid_t child = fork_quietly();

        CHECK(child >= 0);
        if (child == 0)
            _exit(number_of(accept(copy, NULL, NULL)) == UINT32_MAX);
    }
    while (wait(&status) > 0)
        served += status == 0;
    CHECK(served == 200);
    return 0;
}

static void test_many_children_and_a_copy(void **state) {
    (void)state;
    start_program(accept_in_children);
    send_clients(200);
    assert_int_equal(finish_program(), 0);
}

static void test_a_killed_program_leaves_its_clients(void **state) {
    struct accept_socket_returned client;

    (void)state;
    start_program(serve_waiting);
    LOOP_UNTIL(supervisor.waiting_count == 1);
    kill(program, SIGKILL);
    assert_int_equal(finish_program(), -SIGKILL);
    assert_true(send_client());
    LOOP_UNTIL(supervisor.waiting_count == 0);
    assert_int_equal(accept_socket_take_back(&way, INT_MAX, &client), 1);
    assert_int_equal(number_of(client.descriptor), 0);
    close(client.descriptor);
}

static void test_a_stopped_program_leaves_its_clients(void **state) {
    struct accept_socket_returned client;

    (void)state;
    start_program(serve_waiting);
    LOOP_UNTIL(supervisor.waiting_count == 1);
    kill(program, SIGSTOP);
    LOOP_UNTIL(waitpid(program, NULL, WUNTRACED | WNOHANG) == program);
    assert_true(send_client());
    loop_run(20);
    assert_int_equal(accept_socket_take_back(&way, INT_MAX, &client), 1);
    kill(program, SIGCONT);
    LOOP_UNTIL(supervisor.waiting_count == 1);
    close(client.descriptor);
}

static int bind_again_and_again(void) {
    for (int i = 0; i < 2 * SECCOMP_FREE_COPIES_MAX; i++) {
        int listener = socket(AF_INET, SOCK_STREAM, 0);

        CHECK(listener == 3 && bind_socket(listener) == 0);
        CHECK(fcntl(1022, F_GETFD) == FD_CLOEXEC && fcntl(1021, F_GETFD) == -1);
        CHECK(close(listener) == 0);
    }
    return 0;
}

static void test_a_program_that_binds_again_and_again(void **state) {
    (void)state;
    check_program(bind_again_and_again);
    assert_int_equal(binds, 2 * SECCOMP_FREE_COPIES_MAX);
    assert_ptr_equal(supervisor.listeners.next->next, &supervisor.listeners); /* the last */
}

#define GROUP 3

static int bind_groups(void) {
    for (int i = 0; i < 5; i++) {
        int listeners[GROUP];

        for (int j = 0; j < GROUP; j++) {
            listeners[j] = socket(AF_INET, SOCK_STREAM, 0);
            CHECK(listeners[j] == 3 + j && bind_socket(listeners[j]) == 0);
        }
        CHECK(fcntl(1022 - GROUP + 1, F_GETFD) == FD_CLOEXEC);
        CHECK(fcntl(1022 - GROUP, F_GETFD) == -1);
        for (int j = 0; j < GROUP; j++)
            CHECK(close(listeners[j]) == 0);
    }
    return 0;
}

static void test_listeners_that_go_at_once_leave_nothing(void **state) {
    (void)state;
    group = GROUP;
    check_program(bind_groups);
    assert_int_equal(binds, 5 * GROUP);
}

/* Every other one fails, or is the program's own. */
static int bind_with_exceptions(void) {
    for (int i = 0; i < 20; i++) {
        int listener = socket(AF_INET, SOCK_STREAM, 0);

        CHECK(listener == 3 && (bind_socket(listener) == 0 || i % 2 == 1));
        CHECK(fcntl(1022, F_GETFD) == FD_CLOEXEC && fcntl(1021, F_GETFD) == -1);
        CHECK(close(listener) == 0);
    }
    return 0;
}

static void test_a_bind_that_fails_leaves_nothing(void **state) {
    (void)state;
    every_other = true;
    bind_error = UV_EADDRINUSE;
    check_program(bind_with_exceptions);
    assert_int_equal(binds, 20);
}

static void test_a_private_bind_leaves_nothing(void **state) {
    (void)state;
    every_other = true;
    bind_flags = NATIVE_PRIVATE;
    check_program(bind_with_exceptions);
    assert_int_equal(binds, 20);
}

static int bind_in_a_child(void) {
    int first = socket(AF_INET, SOCK_STREAM, 0);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    int status;
    pid_t child;

    CHECK(bind_socket(first) == 0 && fcntl(1022, F_GETFD) == FD_CLOEXEC);
    child = fork_quietly();
    CHECK(child >= 0);
    if (child == 0)
        _exit(bind_socket(second) != 0 || fcntl(1021, F_GETFD) != -1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(bind_socket(second) == 0 && fcntl(1021, F_GETFD) == -1);
    return 0;
}

static void test_parent_and_child_use_a_copys_place_again(void **state) {
    (void)state;
    check_program(bind_in_a_child);
    assert_int_equal(binds, 3);
}

static int use_the_number_of_a_copy(void) {
    int first = socket(AF_INET, SOCK_STREAM, 0);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    int ends[2];

    CHECK(bind_socket(first) == 0 && fcntl(1022, F_GETFD) == FD_CLOEXEC);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(dup2(ends[0], 1022) == 1022);
    CHECK(bind_socket(second) == 0 && fcntl(1021, F_GETFD) == FD_CLOEXEC);
    CHECK(send(ends[1], "x", 1, 0) == 1 && recv(1022, &(char){0}, 1, MSG_DONTWAIT) == 1);
    return 0;
}

static void test_what_has_taken_a_copys_number_stays(void **state) {
    (void)state;
    check_program(use_the_number_of_a_copy);
    assert_int_equal(binds, 2);
}

static void begin_timer(int number) {
    struct itimerval often = {.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000};

    (void)number;
    setitimer(ITIMER_REAL, &often, NULL);
}

static int go_on_alone(void) {
    struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART */
    struct sigaction begin = {.sa_handler = begin_timer};
    int listener = open_listener(0);

    CHECK(fcntl(1023, F_GETFD) == FD_CLOEXEC && fcntl(1022, F_GETFD) == FD_CLOEXEC);
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR2, &begin, NULL);
    for (int i = 0; i < 5; i++)
        CHECK(accept(listener, NULL, NULL) == -1 && errno == EINTR);
    return 0;
}

static void test_without_a_supervisor_calls_wait(void **state) {
    (void)state;
    start_program(go_on_alone);
    LOOP_UNTIL(supervisor.waiting_count == 1);
    stop_supervising();
    kill(program, SIGUSR2);
    assert_int_equal(finish_program(), 0);
}

/* Everything at once, on the same few descriptors. */
static void *make_trouble(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;

    for (int i = 0; i < 1500; i++) {
        int number = 3 + rand_r(&seed) % 4;
        struct sockaddr *address =
            (struct sockaddr *)(uintptr_t)(rand_r(&seed) % 2 ? 4096u * (unsigned)i : 0);
        socklen_t length = (socklen_t)rand_r(&seed) % 64;

        switch (rand_r(&seed) % 8) {
        case 0:
            close(number);
            break;
        case 1:
            socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            break;
        case 2:
        case 3:
            bind_socket(number);
            break;
        case 4:
            listen(number, i);
            break;
        case 5:
            dup2(number, 3 + rand_r(&seed) % 4);
            break;
        case 6:
            getsockname(number, address, &length);
            break;
        default:
            fcntl(number, F_SETFL, O_NONBLOCK);
            accept4(number, address, &length, (int)seed);
        }
    }
    return NULL;
}

static int be_hostile(void) {
    pthread_t threads[4];

    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, make_trouble, (void *)(i + 1)) == 0);
    for (int i = 0; i < 100; i++) {
        if (fork_quietly() == 0) {
            make_trouble((void *)(uintptr_t)(i + 10));
            _exit(0);
        }
        usleep(200);
    }
    usleep(300000);
    kill(0, SIGKILL);
    return 1;
}

static int be_hostile_apart(void) {
    setpgid(0, 0);
    return be_hostile();
}

static void test_a_hostile_program(void **state) {
    (void)state;
    start_program(be_hostile_apart);
    assert_int_equal(finish_program(), -SIGKILL);
    loop_run(20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_is_supported),
        TEST(a_server_that_does_not_wait),
        TEST(a_server_that_waits),
        TEST(waiting_costs_nothing),
        TEST(a_signal_interrupts_waiting),
        TEST(a_receive_timeout_ends_waiting),
        TEST(options_from_before_bind),
        TEST(signals_all_the_time),
        TEST(a_bind_that_is_repeated),
        TEST(a_cancelled_thread_takes_nobody_along),
        TEST(bad_pointers),
        TEST(a_full_table_keeps_the_client),
        TEST(other_sockets_are_the_programs_own),
        TEST(the_error_of_bind_is_passed_on),
        TEST(a_private_port_is_the_programs_own),
        TEST(a_shared_socket_is_accepted_from),
        TEST(many_children_and_a_copy),
        TEST(a_killed_program_leaves_its_clients),
        TEST(a_stopped_program_leaves_its_clients),
        TEST(a_program_that_binds_again_and_again),
        TEST(listeners_that_go_at_once_leave_nothing),
        TEST(a_bind_that_fails_leaves_nothing),
        TEST(a_private_bind_leaves_nothing),
        TEST(parent_and_child_use_a_copys_place_again),
        TEST(what_has_taken_a_copys_number_stays),
        TEST(without_a_supervisor_calls_wait),
        TEST(a_hostile_program),
    };

    if (!seccomp_supported()) {
        print_message("no seccomp user notification here\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
