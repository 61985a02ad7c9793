#include "daemon/activation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

/* Each test runs in a process of its own, for the descriptors from 3 on are the manager's. */
static void in_a_process(void (*run)(void)) {
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        for (int i = 3; i < 20; i++)
            close(i);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void set_variables(const char *count, pid_t pid, const char *names) {
    char text[16];

    snprintf(text, sizeof text, "%d", (int)pid);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_PID", text, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

static int listen_on(const struct sockaddr *address, socklen_t length, int type) {
    int descriptor = socket(address->sa_family, type, 0);

    CHECK(descriptor >= 3);
    CHECK(bind(descriptor, address, length) == 0);
    return descriptor;
}

static struct sockaddr_in loopback(in_port_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct sockaddr_in listen_on_loopback(int type) {
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int descriptor = listen_on((struct sockaddr *)&address, length, type);

    CHECK(getsockname(descriptor, (struct sockaddr *)&address, &length) == 0);
    return address;
}

/* The datagram socket on [::1], descriptor 4. */
static void lend_and_give_back(struct activation *activation) {
    struct sockaddr_in6 v6;
    socklen_t length = sizeof v6;
    struct sockaddr *address = (struct sockaddr *)&v6;

    CHECK(getsockname(4, address, &length) == 0);
    CHECK(activation_lend(activation, SOCK_STREAM, address, length) == -1);
    CHECK(activation_lend(activation, SOCK_DGRAM, address, length) == 4);
    CHECK(activation_lend(activation, SOCK_DGRAM, address, length) == -1);
    CHECK(activation_take(activation, address, length) == -1);
    activation_give_back(activation, 4);
    CHECK(activation_lend(activation, SOCK_DGRAM, address, length) == 4);
}

static void find_each(void) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_un file = {.sun_family = AF_UNIX};
    socklen_t un_length = offsetof(struct sockaddr_un, sun_path) + 1 + 20;
    struct sockaddr_in v4 = listen_on_loopback(SOCK_STREAM);
    struct sockaddr_in other = loopback(1);
    struct activation activation;
    char expected[64];
    int ends[2];

    memset(un.sun_path, 0, sizeof un.sun_path);
    snprintf(un.sun_path + 1, 21, "baton-%014d", (int)getpid());
    snprintf(file.sun_path, sizeof file.sun_path, "/tmp/baton-activation-%d", (int)getpid());
    listen_on((struct sockaddr *)&v6, sizeof v6, SOCK_DGRAM);
    listen_on((struct sockaddr *)&un, un_length, SOCK_STREAM);
    listen_on((struct sockaddr *)&file, sizeof file, SOCK_STREAM);
    unlink(file.sun_path);
    CHECK(pipe(ends) == 0);
    set_variables("5", getpid(), "web:dns::file");
    CHECK(activation_init(&activation) == 0);
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    CHECK(activation.count == 5);
    for (int i = 0; i < 5; i++) {
        CHECK(activation.sockets[i].descriptor == 3 + i);
        CHECK(fcntl(3 + i, F_GETFD) & FD_CLOEXEC);
    }
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(v4.sin_port));
    CHECK(strcmp(activation.sockets[0].address, expected) == 0);
    CHECK(strcmp(activation.sockets[0].name, "web") == 0);
    CHECK(activation.sockets[0].type == SOCK_STREAM);
    CHECK(strncmp(activation.sockets[1].address, "[::1]:", 6) == 0);
    CHECK(activation.sockets[1].type == SOCK_DGRAM);
    CHECK(activation.sockets[2].address[0] == '@');
    CHECK(strcmp(activation.sockets[2].address + 1, un.sun_path + 1) == 0);
    CHECK(strcmp(activation.sockets[2].name, "") == 0);
    CHECK(strcmp(activation.sockets[3].address, file.sun_path) == 0);
    CHECK(activation.sockets[4].type == -1); /* a pipe */
    CHECK(strcmp(activation.sockets[4].name, "unknown") == 0);

    CHECK(activation_take(&activation, (struct sockaddr *)&other, sizeof other) == -1);
    CHECK(activation_take(&activation, (struct sockaddr *)&v4, sizeof v4) == 3);
    CHECK(activation_take(&activation, (struct sockaddr *)&v4, sizeof v4) == -1); /* once */
    CHECK(activation_take(&activation, (struct sockaddr *)&un, un_length) == 5);
    CHECK(activation_take(&activation, (struct sockaddr *)&file, sizeof file) == 6);
    lend_and_give_back(&activation);
    activation_clear(&activation);
    CHECK(fcntl(3, F_GETFD) >= 0); /* taken: the caller's */
    CHECK(fcntl(4, F_GETFD) < 0);  /* only lent */
    CHECK(fcntl(7, F_GETFD) < 0);  /* nobody's */
    CHECK(activation.count == 0);
}

static void for_another_process(void) {
    struct activation activation;

    listen_on_loopback(SOCK_STREAM);
    set_variables("1", getppid(), NULL);
    CHECK(activation_init(&activation) == 0);
    CHECK(activation.count == 0);
    CHECK(!getenv("LISTEN_FDS"));
    CHECK(fcntl(3, F_GETFD) >= 0);
    activation_clear(&activation);
}

static void nonsense(void) {
    static const char *const counts[] = {"-1", "x", "", "99999999999", "4097"};
    struct activation activation;

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        set_variables(counts[i], getpid(), NULL);
        CHECK(activation_init(&activation) == UV_EINVAL);
        CHECK(activation.count == 0);
        CHECK(!getenv("LISTEN_FDS"));
    }
    set_variables("1", getpid(), NULL);
    setenv("LISTEN_PID", "me", 1);
    CHECK(activation_init(&activation) == UV_EINVAL);
    set_variables("2", getpid(), NULL); /* more than there are */
    listen_on_loopback(SOCK_STREAM);
    CHECK(activation_init(&activation) == UV_EBADF);
    CHECK(activation.count == 0);
    unsetenv("LISTEN_PID");
    CHECK(activation_init(&activation) == 0);
    CHECK(activation.count == 0);
}

static void test_sockets_are_found_by_address(void **state) {
    (void)state;
    in_a_process(find_each);
}

static void test_those_of_another_process_are_left_alone(void **state) {
    (void)state;
    in_a_process(for_another_process);
}

static void test_variables_that_make_no_sense(void **state) {
    (void)state;
    in_a_process(nonsense);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_are_found_by_address),
        cmocka_unit_test(test_those_of_another_process_are_left_alone),
        cmocka_unit_test(test_variables_that_make_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
