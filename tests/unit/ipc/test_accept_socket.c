#include "ipc/accept_socket.h"

#include "ipc/descriptor.h"
#include "ipc/native_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LISTENER 42

/* So large a window is always granted: net.core.wmem_max is 212,992 where nobody has changed it. */
#define WINDOW_SURE 128

static const struct sockaddr_in PEER = {.sin_family = AF_INET, .sin_port = 0x3930};

static int count_open(void) {
    int count = 0;

    for (int descriptor = 0; descriptor < 1024; descriptor++)
        count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

static struct accept_socket make_socket(uint32_t window) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
    struct accept_socket socket;

    assert_int_equal(accept_socket_create(&socket, LISTENER, window,
                                          (const struct sockaddr *)&address, sizeof(address)),
                     0);
    assert_int_equal(socket.window, window <= WINDOW_SURE ? window : socket.window);
    assert_in_range(socket.window, 1, window);
    return socket;
}

static int send_clients(struct accept_socket *socket, unsigned count) {
    struct accept_socket_client clients[1200];
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int sent;

    assert_true(file >= 0 && count <= 1200);
    for (unsigned i = 0; i < count; i++)
        clients[i] = (struct accept_socket_client){.descriptor = file,
                                                   .address = (const struct sockaddr *)&PEER,
                                                   .address_length = sizeof(PEER)};
    sent = accept_socket_send(socket, clients, count);
    close(file);
    return sent;
}

static bool polls_writable(const struct accept_socket *socket) {
    struct pollfd event = {.fd = socket->master, .events = POLLOUT};

    return poll(&event, 1, 0) == 1 && (event.revents & POLLOUT);
}

/* What a worker does: 1 for a client, 0 for a probe, or what descriptor_receive() says. */
static int receive(int worker, struct native_client *ret_client) {
    struct descriptor_received received;
    char bytes[NATIVE_CLIENT_MAX];
    int error = descriptor_receive(worker, bytes, sizeof(bytes), &received);
    int count;

    memset(ret_client, 0, sizeof(*ret_client));
    if (error)
        return error;
    if (received.length == 0)
        return -ESHUTDOWN;
    assert_true(received.length >= sizeof(*ret_client));
    memcpy(ret_client, bytes, sizeof(*ret_client));
    count = (int)received.count;
    descriptor_discard(&received);
    return count;
}

/* ---- Creation ---- */

static void test_name_describes_the_socket(void **state) {
    struct accept_socket socket = make_socket(16);
    struct sockaddr_un own = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof(own);
    struct native_name name;
    struct sockaddr_in6 address;

    (void)state;
    assert_int_equal(getsockname(socket.worker, (struct sockaddr *)&own, &length), 0);
    assert_int_equal(length, offsetof(struct sockaddr_un, sun_path) + sizeof(name));
    memcpy(&name, own.sun_path, sizeof(name));
    assert_int_equal(name.zero[0], 0);
    assert_int_equal(name.magic, NATIVE_MAGIC);
    assert_int_equal(name.version, NATIVE_VERSION);
    assert_int_equal(name.listener, LISTENER);
    assert_int_equal(name.address_length, sizeof(address));
    memcpy(&address, name.address, sizeof(address));
    assert_int_equal(address.sin6_family, AF_INET6);
    assert_int_equal(ntohs(address.sin6_port), 8080);
    accept_socket_destroy(&socket);
}

static void test_names_differ(void **state) {
    struct accept_socket first = make_socket(16);
    struct accept_socket second = make_socket(16); /* bind() would say EADDRINUSE */

    (void)state;
    accept_socket_destroy(&first);
    accept_socket_destroy(&second);
}

static void test_unix_listener_has_no_address(void **state) {
    struct accept_socket socket;
    struct sockaddr_un own;
    socklen_t length = sizeof(own);
    struct native_name name;

    (void)state;
    assert_int_equal(accept_socket_create(&socket, LISTENER, 16, NULL, 0), 0);
    assert_int_equal(getsockname(socket.worker, (struct sockaddr *)&own, &length), 0);
    memcpy(&name, own.sun_path, sizeof(name));
    assert_int_equal(name.address_length, 0);
    accept_socket_destroy(&socket);
}

static void test_wrong_arguments(void **state) {
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    struct accept_socket socket;
    int before = count_open();

    (void)state;
    assert_int_equal(accept_socket_create(&socket, 1, 0, NULL, 0), -EINVAL);
    assert_int_equal(accept_socket_create(&socket, 1, ACCEPT_SOCKET_WINDOW_MAX + 1, NULL, 0),
                     -EINVAL);
    assert_int_equal(accept_socket_create(&socket, 1, 1, (const struct sockaddr *)&address, 29),
                     -EINVAL);
    assert_int_equal(count_open(), before);
}

static void test_descriptors_are_close_on_exec(void **state) {
    struct accept_socket socket = make_socket(1);
    int before = count_open();

    (void)state;
    assert_int_equal(fcntl(socket.master, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(socket.worker, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(socket.worker, F_GETFL) & O_NONBLOCK, 0);
    accept_socket_destroy(&socket);
    assert_int_equal(count_open(), before - 2);
    accept_socket_destroy(&socket);
}

static void test_every_window_is_exact(void **state) {
    (void)state;
    for (uint32_t window = 1; window <= ACCEPT_SOCKET_WINDOW_MAX; window++) {
        struct accept_socket socket = make_socket(window);

        accept_socket_destroy(&socket);
    }
}

/* ---- The window ---- */

static void check_window(uint32_t window) {
    struct accept_socket socket = make_socket(window);
    struct native_client client;

    assert_in_range(socket.refill, 1, socket.window);
    for (uint32_t sent = 0; sent < socket.window; sent++) {
        assert_int_equal(polls_writable(&socket), sent < socket.refill);
        assert_int_equal(send_clients(&socket, 1), 1);
        assert_int_equal(accept_socket_outstanding(&socket), sent + 1);
    }
    assert_false(polls_writable(&socket));
    assert_int_equal(send_clients(&socket, 1), 0);
    for (uint32_t left = socket.window - 1; left >= socket.refill; left--) {
        assert_int_equal(receive(socket.worker, &client), 1);
        assert_false(polls_writable(&socket));
    }
    assert_int_equal(receive(socket.worker, &client), 1);
    assert_true(polls_writable(&socket));
    assert_int_equal(send_clients(&socket, socket.window), socket.window - socket.refill + 1);
    assert_false(polls_writable(&socket));
    assert_int_equal(accept_socket_outstanding(&socket), socket.window);
    accept_socket_destroy(&socket);
}

static void test_window_is_exact(void **state) {
    static const uint32_t windows[] = {1, 2, 3, 16, 64, 300, ACCEPT_SOCKET_WINDOW_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        check_window(windows[i]);
}

static void test_clients_arrive_in_order(void **state) {
    struct accept_socket socket = make_socket(WINDOW_SURE);
    struct native_client client;
    struct sockaddr_in peer;

    (void)state;
    assert_int_equal(send_clients(&socket, 100), 100); /* more than one batch */
    assert_int_equal(send_clients(&socket, 100), WINDOW_SURE - 100);
    assert_int_equal(socket.sequence, WINDOW_SURE);
    for (uint64_t sequence = 1; sequence <= WINDOW_SURE; sequence++) {
        assert_int_equal(receive(socket.worker, &client), 1);
        assert_int_equal(client.magic, NATIVE_MAGIC);
        assert_int_equal(client.listener, LISTENER);
        assert_int_equal(client.sequence, sequence);
        assert_int_equal(client.address_length, sizeof(peer));
        memcpy(&peer, client.address, sizeof(peer));
        assert_int_equal(peer.sin_port, PEER.sin_port);
    }
    assert_int_equal(receive(socket.worker, &client), -EAGAIN);
    assert_int_equal(accept_socket_outstanding(&socket), 0);
    accept_socket_destroy(&socket);
}

static void test_unix_client_has_no_address(void **state) {
    struct accept_socket socket = make_socket(1);
    struct accept_socket_client unix_client = {.descriptor = socket.worker};
    struct native_client client;

    (void)state;
    assert_int_equal(accept_socket_send(&socket, &unix_client, 1), 1);
    assert_int_equal(receive(socket.worker, &client), 1);
    assert_int_equal(client.address_length, 0);
    accept_socket_destroy(&socket);
}

static void test_wrong_descriptor_is_an_error(void **state) {
    struct accept_socket socket = make_socket(16);
    struct accept_socket_client client = {.descriptor = 1000000};

    (void)state;
    assert_int_equal(accept_socket_send(&socket, &client, 1), -EBADF);
    assert_int_equal(socket.sequence, 0);
    assert_int_equal(accept_socket_outstanding(&socket), 0);
    accept_socket_destroy(&socket);
}

/* ---- Without privileges: in a process of its own, whose exit status is the outcome ---- */

static int exit_status_unprivileged(int (*body)(void)) {
    int status = -1;
    pid_t process = fork();

    if (process == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
            _exit(99);
        _exit(body());
    }
    waitpid(process, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* net.core.wmem_max may cut the window, but what is left must be exact. */
static int body_largest_window(void) {
    struct accept_socket socket;
    uint32_t sent = 0;

    if (accept_socket_create(&socket, LISTENER, ACCEPT_SOCKET_WINDOW_MAX, NULL, 0) != 0)
        return 1;
    while (polls_writable(&socket) && send_clients(&socket, 1) == 1)
        sent++;
    if (sent != socket.refill)
        return 2;
    while (send_clients(&socket, 1) == 1)
        sent++;
    return sent == socket.window && !polls_writable(&socket) ? 0 : 3;
}

static void test_window_without_privileges(void **state) {
    (void)state;
    assert_int_equal(exit_status_unprivileged(body_largest_window), 0);
}

/* Too many descriptors in flight is something to wait for: 0, and on with it when some arrived. */
static int body_too_many_in_flight(void) {
    const struct rlimit limit = {.rlim_cur = 40, .rlim_max = 40};
    struct accept_socket socket;
    struct native_client client;
    int first;

    if (accept_socket_create(&socket, LISTENER, 100, NULL, 0) != 0 ||
        setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    first = send_clients(&socket, 100);
    if (first < 1 || first >= 100 || socket.sequence != (uint64_t)first)
        return 2;
    if (send_clients(&socket, 1) != 0)
        return 3;
    if (receive(socket.worker, &client) != 1 || receive(socket.worker, &client) != 1)
        return 4;
    return send_clients(&socket, 1) == 1 ? 0 : 5;
}

static void test_too_many_in_flight(void **state) {
    (void)state;
    assert_int_equal(exit_status_unprivileged(body_too_many_in_flight), 0);
}

/* ---- Probes ---- */

static void test_probe_shows_a_receiver(void **state) {
    struct accept_socket socket = make_socket(2);
    struct native_client client;

    (void)state;
    assert_int_equal(accept_socket_probe(&socket), 0);
    assert_int_equal(accept_socket_outstanding(&socket), 1);
    assert_int_equal(receive(socket.worker, &client), 0);
    assert_int_equal(client.magic, NATIVE_MAGIC);
    assert_int_equal(client.sequence, 0);
    assert_int_equal(accept_socket_outstanding(&socket), 0);
    assert_int_equal(send_clients(&socket, 1), 1);
    assert_int_equal(socket.sequence, 1); /* the probe was not counted */
    accept_socket_destroy(&socket);
}

static void test_probe_respects_the_window(void **state) {
    struct accept_socket socket = make_socket(2);

    (void)state;
    assert_int_equal(send_clients(&socket, 2), 2);
    assert_int_equal(accept_socket_probe(&socket), 0);
    assert_int_equal(accept_socket_outstanding(&socket), 2);
    accept_socket_destroy(&socket);
}

/* ---- Taking back ---- */

static void test_take_back_all(void **state) {
    struct accept_socket socket = make_socket(16);
    struct accept_socket_returned returned;
    struct native_client client;
    int before = count_open();

    (void)state;
    assert_int_equal(accept_socket_probe(&socket), 0);
    assert_int_equal(send_clients(&socket, 10), 10);
    assert_int_equal(receive(socket.worker, &client), 0);
    assert_int_equal(receive(socket.worker, &client), 1);
    assert_int_equal(accept_socket_probe(&socket), 0);
    for (uint64_t sequence = 2; sequence <= 10; sequence++) {
        assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), 1);
        assert_int_equal(returned.sequence, sequence);
        assert_int_equal(fcntl(returned.descriptor, F_GETFD), FD_CLOEXEC);
        assert_int_equal(returned.address_length, sizeof(PEER));
        assert_memory_equal(&returned.address, &PEER, sizeof(PEER));
        close(returned.descriptor);
    }
    assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), 0);
    assert_int_equal(accept_socket_outstanding(&socket), 0);
    assert_int_equal(count_open(), before);
    accept_socket_destroy(&socket);
}

/* The worker's process is gone: nothing is an error, and everything comes back. */
static void test_take_back_after_the_worker_died(void **state) {
    struct accept_socket socket = make_socket(16);
    struct accept_socket_returned returned;
    pid_t worker;
    int status;

    (void)state;
    assert_int_equal(send_clients(&socket, 10), 10);
    worker = fork();
    if (worker == 0) {
        struct native_client client;

        receive(socket.worker, &client);
        _exit(receive(socket.worker, &client));
    }
    assert_int_equal(waitpid(worker, &status, 0), worker);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(send_clients(&socket, 1), 1);
    for (uint64_t sequence = 3; sequence <= 11; sequence++) {
        assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), 1);
        assert_int_equal(returned.sequence, sequence);
        close(returned.descriptor);
    }
    assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), 0);
    accept_socket_destroy(&socket);
}

static void test_worker_shuts_its_end_down(void **state) {
    struct accept_socket socket = make_socket(16);
    struct accept_socket_returned returned;

    (void)state;
    assert_int_equal(send_clients(&socket, 1), 1);
    assert_int_equal(shutdown(socket.worker, SHUT_RDWR), 0);
    assert_int_equal(send_clients(&socket, 1), -EPIPE);
    assert_int_equal(accept_socket_probe(&socket), -EPIPE);
    assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), 1);
    assert_int_equal(returned.sequence, 1);
    close(returned.descriptor);
    assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), 0);
    accept_socket_destroy(&socket);
}

static void test_take_back_needs_a_free_descriptor(void **state) {
    struct accept_socket socket = make_socket(16);
    struct accept_socket_returned returned;
    struct rlimit limit, lower;
    int lowest_free;

    (void)state;
    assert_int_equal(send_clients(&socket, 1), 1);
    lowest_free = dup(socket.master);
    close(lowest_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lower = limit;
    lower.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    assert_int_equal(accept_socket_take_back(&socket, INT_MAX, &returned), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(accept_socket_take_back(&socket, lowest_free, &returned), -EMFILE);
    assert_int_equal(accept_socket_take_back(&socket, lowest_free + 1, &returned), 1);
    assert_int_equal(returned.descriptor, lowest_free);
    /* The last one has taken the last number, and it is known to be the last. */
    assert_int_equal(accept_socket_take_back(&socket, lowest_free + 1, &returned), 0);
    close(returned.descriptor);
    accept_socket_destroy(&socket);
}

static void test_finish(void **state) {
    struct accept_socket socket = make_socket(16);
    struct native_client client;

    (void)state;
    assert_int_equal(send_clients(&socket, 2), 2);
    accept_socket_finish(&socket);
    assert_int_equal(send_clients(&socket, 1), -EPIPE);
    assert_int_equal(receive(socket.worker, &client), 1);
    assert_int_equal(receive(socket.worker, &client), 1);
    assert_int_equal(receive(socket.worker, &client), -ESHUTDOWN);
    accept_socket_destroy(&socket);
}

/* ---- A worker that receives while the master takes back ---- */

#define RACE_CLIENTS 20000

/* How often each client was received: by the worker's process and by ours. */
struct tally {
    atomic_uchar received[RACE_CLIENTS + 1];
    atomic_uchar returned[RACE_CLIENTS + 1];
};

static void wait_readable(int socket) {
    struct pollfd event = {.fd = socket, .events = POLLIN};

    poll(&event, 1, 1000);
}

static void run_worker(struct accept_socket *socket, struct tally *tally) {
    struct native_client client;
    int result;

    alarm(50);
    close(socket->master);
    do {
        result = receive(socket->worker, &client);
        if (result == 1)
            atomic_fetch_add(&tally->received[client.sequence], 1);
        if (result == -EAGAIN)
            wait_readable(socket->worker);
    } while (result >= 0 || result == -EAGAIN);
    _exit(result == -ESHUTDOWN ? 0 : 1);
}

static void take_back_some(struct accept_socket *socket, struct tally *tally, unsigned count) {
    struct accept_socket_returned returned;

    while (count-- > 0 && accept_socket_take_back(socket, INT_MAX, &returned) == 1) {
        atomic_fetch_add(&tally->returned[returned.sequence], 1);
        close(returned.descriptor);
    }
}

static void check_tally(struct tally *tally) {
    unsigned received = 0, returned = 0;

    for (size_t i = 1; i <= RACE_CLIENTS; i++) {
        assert_int_equal(tally->received[i] + tally->returned[i], 1);
        received += tally->received[i];
        returned += tally->returned[i];
    }
    print_message("received %u, taken back %u\n", received, returned);
    assert_true(received > 0);
    assert_true(returned > 0);
}

static void test_take_back_while_the_worker_receives(void **state) {
    struct tally *tally =
        mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct accept_socket socket = make_socket(64);
    unsigned round = 0;
    pid_t worker;
    int status;

    (void)state;
    assert_ptr_not_equal(tally, MAP_FAILED);
    worker = fork();
    if (worker == 0)
        run_worker(&socket, tally);
    while (socket.sequence < RACE_CLIENTS) {
        uint64_t rest = RACE_CLIENTS - socket.sequence;
        int sent = send_clients(&socket, rest < 64 ? (unsigned)rest : 64);

        assert_true(sent >= 0);
        if (sent == 0) {
            struct pollfd event = {.fd = socket.master, .events = POLLOUT};

            assert_int_equal(poll(&event, 1, 10000), 1);
        }
        if (++round % 3 == 0)
            take_back_some(&socket, tally, 20);
    }
    take_back_some(&socket, tally, RACE_CLIENTS);
    accept_socket_finish(&socket);
    assert_int_equal(waitpid(worker, &status, 0), worker);
    assert_int_equal(status, 0);
    check_tally(tally);
    accept_socket_destroy(&socket);
    munmap(tally, sizeof(*tally));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_describes_the_socket),
        cmocka_unit_test(test_names_differ),
        cmocka_unit_test(test_unix_listener_has_no_address),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_descriptors_are_close_on_exec),
        cmocka_unit_test(test_every_window_is_exact),
        cmocka_unit_test(test_window_is_exact),
        cmocka_unit_test(test_clients_arrive_in_order),
        cmocka_unit_test(test_unix_client_has_no_address),
        cmocka_unit_test(test_wrong_descriptor_is_an_error),
        cmocka_unit_test(test_window_without_privileges),
        cmocka_unit_test(test_too_many_in_flight),
        cmocka_unit_test(test_probe_shows_a_receiver),
        cmocka_unit_test(test_probe_respects_the_window),
        cmocka_unit_test(test_take_back_all),
        cmocka_unit_test(test_take_back_after_the_worker_died),
        cmocka_unit_test(test_worker_shuts_its_end_down),
        cmocka_unit_test(test_take_back_needs_a_free_descriptor),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_take_back_while_the_worker_receives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
