#include "daemon/notify.h"

#include "component/loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct notify notify;
static int manager = -1; /* the service manager's end */
static bool closed;
static char path[64];

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &notify);
    closed = true;
}

static int set_up(void **state) {
    int result = loop_set_up(state);

    closed = false;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    snprintf(path, sizeof path, "/tmp/baton-notify-%d", (int)getpid());
    return result;
}

static int tear_down(void **state) {
    if (manager >= 0)
        close(manager);
    manager = -1;
    unlink(path);
    return loop_tear_down(state);
}

/* Listens where `name` says, '@' for abstract, and tells the environment so. */
static void open_manager(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

    strcpy(address.sun_path, name);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address, length), 0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void start(void) {
    assert_int_equal(notify_start(&notify, &loop), 0);
    assert_null(getenv("NOTIFY_SOCKET")); /* no worker shall talk to it */
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

static void stop(void) {
    notify_close(&notify, on_closed, &notify);
    LOOP_UNTIL(closed);
}

/* The next message, "" when there is none. */
static const char *message(void) {
    static char text[1024];
    ssize_t length = recv(manager, text, sizeof text - 1, 0);

    text[length > 0 ? length : 0] = '\0';
    return text;
}

static void test_what_the_manager_is_told(void **state) {
    char expected[128];

    (void)state;
    open_manager(path);
    start();
    assert_int_equal(notify_ready(&notify, "3 apps\nREADY=0"), 0);
    snprintf(expected, sizeof expected, "READY=1\nMAINPID=%d\nSTATUS=3 apps READY=0",
             (int)getpid());
    assert_string_equal(message(), expected);
    assert_int_equal(notify_ready(&notify, NULL), 0);
    snprintf(expected, sizeof expected, "READY=1\nMAINPID=%d", (int)getpid());
    assert_string_equal(message(), expected);
    assert_int_equal(notify_reloading(&notify), 0);
    assert_memory_equal(message(), "RELOADING=1\nMONOTONIC_USEC=", 27);
    assert_int_equal(notify_stopping(&notify, NULL), 0);
    assert_string_equal(message(), "STOPPING=1");
    assert_string_equal(message(), "");
    stop();
}

static void test_a_long_status_is_cut(void **state) {
    char status[2 * NOTIFY_STATUS_MAX];

    (void)state;
    memset(status, 'x', sizeof status);
    status[sizeof status - 1] = '\0';
    open_manager(path);
    start();
    assert_int_equal(notify_stopping(&notify, status), 0);
    assert_int_equal(strlen(message()), strlen("STOPPING=1\nSTATUS=") + NOTIFY_STATUS_MAX - 1);
    stop();
}

static void test_an_abstract_address(void **state) {
    char name[64];

    (void)state;
    snprintf(name, sizeof name, "@baton-notify-%d", (int)getpid());
    open_manager(name);
    start();
    assert_int_equal(notify_stopping(&notify, NULL), 0);
    assert_string_equal(message(), "STOPPING=1");
    stop();
}

static void test_without_a_manager_nothing_happens(void **state) {
    (void)state;
    start();
    assert_int_equal(notify_ready(&notify, "x"), 0);
    assert_false(uv_loop_alive(&loop)); /* nor does it keep the loop */
    stop();
}

static void test_the_watchdog_is_fed_while_the_loop_turns(void **state) {
    unsigned count = 0;

    (void)state;
    open_manager(path);
    setenv("WATCHDOG_USEC", "20000", 1);
    start();
    assert_int_equal(notify.watchdog_ms, 10);
    assert_string_equal(message(), "");
    for (int i = 0; i < 5; i++) {
        const char *text;

        LOOP_UNTIL((text = message())[0]);
        assert_string_equal(text, "WATCHDOG=1");
        count++;
    }
    assert_int_equal(count, 5);
    stop();
}

static void test_the_watchdog_of_another_process_is_not_fed(void **state) {
    (void)state;
    open_manager(path);
    setenv("WATCHDOG_USEC", "1000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    start();
    assert_int_equal(notify.watchdog_ms, 0);
    loop_run(20);
    assert_string_equal(message(), "");
    stop();
}

static void test_addresses_that_cannot_be(void **state) {
    char name[200];

    (void)state;
    memset(name, 'x', sizeof name);
    name[0] = '/';
    name[199] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(notify_start(&notify, &loop), UV_EINVAL);
    assert_null(getenv("NOTIFY_SOCKET"));
    setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
    assert_int_equal(notify_start(&notify, &loop), UV_EAFNOSUPPORT);
    setenv("NOTIFY_SOCKET", "@", 1);
    assert_int_equal(notify_start(&notify, &loop), UV_EINVAL);
}

/* The manager has gone, or does not read: an error, and nothing waits. */
static void test_a_manager_that_does_not_listen(void **state) {
    int result = 0;

    (void)state;
    open_manager(path);
    start();
    for (int i = 0; i < 100000 && result == 0; i++)
        result = notify_ready(&notify, "more");
    assert_int_equal(result, UV_EAGAIN);
    close(manager);
    manager = -1;
    assert_int_equal(notify_ready(&notify, "gone"), UV_ECONNREFUSED);
    stop();
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_the_manager_is_told),
        TEST(a_long_status_is_cut),
        TEST(an_abstract_address),
        TEST(without_a_manager_nothing_happens),
        TEST(the_watchdog_is_fed_while_the_loop_turns),
        TEST(the_watchdog_of_another_process_is_not_fed),
        TEST(addresses_that_cannot_be),
        TEST(a_manager_that_does_not_listen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
