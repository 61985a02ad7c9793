/* Clients by accept socket: receiving is accepting, and the kernel's fill level is the
 * acknowledgement.
 *
 * start/close(cb). The window's credit comes from accept_socket_outstanding(); a worker whose
 * window is full is watched for writability, which the socket shows exactly while it has room. */
#ifndef BATON_MASTER_ACCEPT_DELIVERY_H
#define BATON_MASTER_ACCEPT_DELIVERY_H

#include "ipc/accept_socket.h"
#include "master/member.h"

#include <uv.h>

extern const struct delivery
    accept_delivery; /* for member.delivery; member.way is a struct accept_way */

enum accept_trace_kind {
    ACCEPT_TRACE_CLIENT,
    ACCEPT_TRACE_TAKEN_BACK,
    ACCEPT_TRACE_LEFT, /* `sequence` clients of a worker that is dead or has closed it */
    ACCEPT_TRACE_PROBE,
};

/* One record that crosses, for --trace. */
struct accept_trace {
    enum accept_trace_kind kind;
    const struct member *member;
    const struct client *client; /* NULL for a probe */
    uint64_t sequence;
    uint32_t record_size;
};

struct accept_way {
    struct accept_socket socket;
    struct member *member;
    uv_poll_t poll;
    uint32_t sent;        /* records sent and not known to be received */
    int descriptor_limit; /* a live worker's clients are taken back only to numbers below it, so
                             that some stay free; the caller may set it, else there is none */
    void (*trace)(void *owner, const struct accept_trace *crossing); /* or NULL */
    void *owner;
    void (*on_closed)(void *owner);
};

#define ACCEPT_DELIVERY_WINDOW 16 /* where the user sets none */

/* Opens the pair for a member, of a listener that is bound to `address`, and becomes its way. 0 or
 * a UV_E* with nothing left open. */
int accept_delivery_start(struct accept_way *way, uv_loop_t *loop, struct member *member,
                          const struct sockaddr *address, socklen_t length);

/* What was not received is lost: the member must have left its dispatcher before. */
void accept_delivery_close(struct accept_way *way, void (*on_closed)(void *owner));

#endif
