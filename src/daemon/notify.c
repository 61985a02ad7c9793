#include "daemon/notify.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_MS 50

static int send_text(const struct notify *notify, const char *text) {
    ssize_t sent;

    if (notify->descriptor < 0)
        return 0;
    do
        sent = sendto(notify->descriptor, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                      (const struct sockaddr *)&notify->address, notify->length);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? uv_translate_sys_error(errno) : 0;
}

/* A path, or the name of an abstract socket behind '@'. */
static int parse_address(struct notify *notify, const char *text) {
    size_t length = strlen(text);

    if (text[0] != '/' && text[0] != '@')
        return UV_EAFNOSUPPORT;
    if (length < 2 || length >= sizeof notify->address.sun_path)
        return UV_EINVAL;
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, text, length + 1);
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (text[0] == '/')
        notify->length++; /* the NUL */
    return 0;
}

static uint64_t watchdog_of_environment(void) {
    const char *time = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    int64_t microseconds;
    int64_t number;

    if (!time || text_to_number(time, 1, INT64_MAX, &microseconds) < 0)
        return 0;
    if (pid && (text_to_number(pid, 1, INT32_MAX, &number) < 0 || number != getpid()))
        return 0;
    return microseconds < 2000 ? 1 : (uint64_t)microseconds / 2000;
}

static void on_watchdog(uv_timer_t *timer) {
    const struct notify *notify = timer->data;

    (void)send_text(notify, "WATCHDOG=1"); /* the next one comes in time, too */
}

static int open_socket(struct notify *notify) {
    notify->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return notify->descriptor < 0 ? uv_translate_sys_error(errno) : 0;
}

static int read_environment(struct notify *notify) {
    const char *address = getenv("NOTIFY_SOCKET");
    int result = 0;

    if (address && address[0]) {
        result = parse_address(notify, address);
        notify->watchdog_ms = watchdog_of_environment();
        if (result == 0)
            result = open_socket(notify);
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return result;
}

int notify_start(struct notify *notify, uv_loop_t *loop) {
    int result;

    *notify = (struct notify){.descriptor = -1};
    result = read_environment(notify);
    if (result < 0)
        return result;
    uv_timer_init(loop, &notify->watchdog);
    uv_timer_init(loop, &notify->again);
    notify->watchdog.data = notify;
    notify->again.data = notify;
    uv_unref((uv_handle_t *)&notify->watchdog);
    uv_unref((uv_handle_t *)&notify->again);
    if (notify->watchdog_ms > 0)
        uv_timer_start(&notify->watchdog, on_watchdog, 0, notify->watchdog_ms);
    return 0;
}

static void on_again(uv_timer_t *timer) {
    struct notify *notify = timer->data;

    if (send_text(notify, notify->unsent) != UV_EAGAIN)
        uv_timer_stop(timer);
}

/* What the manager has no room for comes later, unless it is out of date by then. */
static int send_surely(struct notify *notify, const char *text) {
    int result = send_text(notify, text);

    if (notify->descriptor < 0)
        return 0;
    uv_timer_stop(&notify->again);
    if (result != UV_EAGAIN)
        return result;
    snprintf(notify->unsent, sizeof notify->unsent, "%s", text);
    uv_timer_start(&notify->again, on_again, AGAIN_MS, AGAIN_MS);
    return result;
}

/* `state`, and a STATUS= line where there is one. */
static int send_state(struct notify *notify, const char *state, const char *status) {
    char text[NOTIFY_MESSAGE_MAX];
    size_t start;

    if (!status)
        return send_surely(notify, state);
    snprintf(text, sizeof text, "%s\nSTATUS=", state);
    start = strlen(text);
    snprintf(text + start, NOTIFY_STATUS_MAX, "%s", status);
    for (char *at = text + start; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    return send_surely(notify, text);
}

int notify_ready(struct notify *notify, const char *status) {
    char state[64];

    snprintf(state, sizeof state, "READY=1\nMAINPID=%d", (int)getpid());
    return send_state(notify, state, status);
}

int notify_reloading(struct notify *notify) {
    char state[64];

    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ns() / 1000);
    return send_surely(notify, state);
}

int notify_stopping(struct notify *notify, const char *status) {
    return send_state(notify, "STOPPING=1", status);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct notify *notify = handle->data;

    if (--notify->handles == 0 && notify->on_closed)
        notify->on_closed(notify->owner);
}

void notify_close(struct notify *notify, void (*on_closed)(void *owner), void *owner) {
    notify->on_closed = on_closed;
    notify->owner = owner;
    notify->handles = 2;
    if (notify->descriptor >= 0)
        close(notify->descriptor);
    notify->descriptor = -1;
    uv_close((uv_handle_t *)&notify->watchdog, on_handle_closed);
    uv_close((uv_handle_t *)&notify->again, on_handle_closed);
}
