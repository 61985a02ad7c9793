/* Tells a service manager how the daemon is: the protocol of sd_notify(3), a datagram of lines to
 * the socket that NOTIFY_SOCKET names. Without that variable everything here does nothing.
 *
 * start/close(cb). Nothing waits: where the manager's socket has no room the latest message of a
 * state is sent again until it has, and a sign of life is lost, as the next one comes in time. */
#ifndef BATON_DAEMON_NOTIFY_H
#define BATON_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#define NOTIFY_STATUS_MAX  256
#define NOTIFY_MESSAGE_MAX (NOTIFY_STATUS_MAX + 128)

struct notify {
    int descriptor; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t length;
    uv_timer_t watchdog;  /* sends WATCHDOG=1 at half of the time that the manager allows */
    uint64_t watchdog_ms; /* 0: no watchdog */
    uv_timer_t again;     /* runs while `unsent` has a message */
    char unsent[NOTIFY_MESSAGE_MAX];
    unsigned handles; /* to be closed yet */
    void (*on_closed)(void *owner);
    void *owner;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so
 * that no worker talks to the manager in our name. The watchdog begins at once: it tells that this
 * loop turns. 0, or UV_E* when the address cannot be used; then nothing is left open. */
int notify_start(struct notify *notify, uv_loop_t *loop);

/* Each 0, or a UV_E* when the manager could not be told, which is no reason to stop; UV_EAGAIN when
 * it will be. `status` is one line for people, or NULL; control bytes in it become blanks. */
int notify_ready(struct notify *notify, const char *status); /* with MAINPID */
int notify_reloading(struct notify *notify);                 /* then notify_ready() once more */
int notify_stopping(struct notify *notify, const char *status);

void notify_close(struct notify *notify, void (*on_closed)(void *owner), void *owner);

#endif
