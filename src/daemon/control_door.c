#include "daemon/control_door.h"

#include "http/response.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH 64   /* clients in one go, before those who are being served get a turn */
#define SHORTAGE_MS  100  /* how long to leave clients in line when no descriptor is free */
#define GRACE_MS     2000 /* for answers that are not given yet at the end */

/* An answer for a client that is not let in, as far as the socket takes it; nothing is read. */
static void turn_away(int client, int status, const char *body) {
    char text[512];
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n"
                          "Content-Security-Policy: default-src 'self'\r\n\r\n%s",
                          status, http_reason(status), strlen(body), body);

    (void)send(client, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(client);
}

static void admit(struct control_door *door, int client) {
    struct http_server *http = &door->http;

    if (door->options.admits && !door->options.admits(client))
        turn_away(client, 403,
                  "{\"error\":{\"code\":\"forbidden\",\"message\":"
                  "\"this daemon is another user's\"}}\n");
    else if (http->connections >= door->options.connections_max && !http_server_evict(http))
        turn_away(client, 503,
                  "{\"error\":{\"code\":\"overloaded\",\"message\":\"too many clients\"}}\n");
    else
        http_server_open(http, client);
}

static void on_listening(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer) {
    struct control_door *door = timer->data;

    (void)uv_poll_start(&door->listening, UV_READABLE, on_listening);
}

/* Accepts a batch of clients. Whatever accepting fails with but a client that has left already, it
 * may work again later: clients wait in line meanwhile. */
static void on_listening(uv_poll_t *poll, int status, int events) {
    struct control_door *door = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && !door->on_closed; i++) {
        int client = accept4(door->options.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client >= 0) {
            admit(door, client);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        uv_poll_stop(poll);
        uv_timer_start(&door->pause, on_pause_over, SHORTAGE_MS, 0);
        return;
    }
}

int control_door_start(struct control_door *door, const struct control_door_options *options) {
    struct http_server_options http = http_server_default_options;
    int status;

    *door = (struct control_door){.options = *options};
    status = uv_poll_init(options->loop, &door->listening, options->listener);
    if (status < 0) {
        close(options->listener);
        return status;
    }
    door->listening.data = door;
    uv_timer_init(options->loop, &door->pause);
    door->pause.data = door;
    http.memory_max = options->memory_max;
    http_server_init(&door->http, options->loop, options->handler, door, &http);
    return uv_poll_start(&door->listening, UV_READABLE, on_listening);
}

/* --- The end --- */

static void on_handle_closed(struct control_door *door) {
    if (--door->handles == 0)
        door->on_closed(door->options.owner);
}

static void on_own_closed(uv_handle_t *handle) {
    on_handle_closed(handle->data);
}

static void on_http_closed(uv_handle_t *ticker) {
    struct http_server *http = ticker->data;

    on_handle_closed(http->owner);
}

static void on_drained(void *owner) {
    struct control_door *door = owner;

    http_server_close(&door->http, on_http_closed);
    uv_close((uv_handle_t *)&door->pause, on_own_closed);
}

static void on_grace_over(uv_timer_t *timer) {
    struct control_door *door = timer->data;

    http_server_abort(&door->http);
}

void control_door_close(struct control_door *door, void (*on_closed)(void *owner)) {
    door->on_closed = on_closed;
    door->handles = 3;
    uv_close((uv_handle_t *)&door->listening, on_own_closed);
    close(door->options.listener);
    uv_timer_start(&door->pause, on_grace_over, GRACE_MS, 0);
    http_server_drain(&door->http, on_drained);
}
