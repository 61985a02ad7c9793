/* The worker socket: an abstract Unix socket on which workers that do not speak Node's protocol ask
 * for listeners.
 *
 * The happy path: a worker connects, sends one request, and gets one answer; both are records, so
 * nothing is ever half there. It can fail when the request is malformed, bears no worker's token or
 * comes from another user: it is answered with an error and counted, or just closed. Whoever
 * connects and says nothing is closed when WORKER_SOCKET_PENDING_MAX others have come; so is
 * whoever cannot be answered yet, because too many descriptors are in flight, when as many others
 * cannot. start/close(cb). */
#ifndef BATON_MASTER_WORKER_SOCKET_H
#define BATON_MASTER_WORKER_SOCKET_H

#include "base/list.h"
#include "ipc/descriptor.h"
#include "ipc/native_protocol.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define WORKER_SOCKET_NAME_MAX    64
#define WORKER_SOCKET_PENDING_MAX 64

/* A well-formed request. */
struct worker_request {
    const struct native_request *message;
    pid_t pid; /* who sent it, as the kernel says */
    uid_t uid;
    int descriptor; /* that came along, or -1; set it to -1 to keep it, else it is closed */
    bool truncated; /* one was lost, for none was free here */
    bool left;      /* whoever sent it has hung up: what the reply brings would be nobody's */
};

/* The answer, already addressed. The descriptors that go along stay whoever's they are,
 * unless they are `owned`. */
struct worker_reply {
    struct native_reply message;
    int descriptors[DESCRIPTOR_SEND_MAX];
    unsigned count;
    bool owned; /* the descriptors are the reply's own, closed when it has gone */
};

struct worker_socket_events {
    /* Fills the answer in; UV_EACCES in its error when nobody has that token. */
    void (*request)(void *owner, struct worker_request *request, struct worker_reply *reply);
};

struct worker_socket {
    int descriptor;
    uv_poll_t poll;
    char name[WORKER_SOCKET_NAME_MAX]; /* without the leading NUL; for the workers' environment */
    const struct worker_socket_events *events;
    void *owner;
    struct list pending;   /* connections that have not said anything yet, oldest first */
    struct list answering; /* connections whose reply could not be sent yet */
    unsigned pending_count;
    unsigned answering_count;
    uint64_t round_ms; /* uv_now() of the loop's last round in which something was asked … */
    uint64_t round_spent_ms; /* … and the time that the answers took in it */
    bool
        postponed; /* a pending one has asked and was put off: it comes before those not accepted */
    uv_timer_t pause; /* of accepting, while descriptors are short */
    unsigned handles; /* that must be closed before the owner's memory may go */
    uint64_t rejected_total;
    void (*on_closed)(void *owner);
};

int worker_socket_start(struct worker_socket *socket, uv_loop_t *loop,
                        const struct worker_socket_events *events, void *owner);
void worker_socket_close(struct worker_socket *socket, void (*on_closed)(void *owner));

#endif
