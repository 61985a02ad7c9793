/* The master's end of a Node worker's channel: lines and descriptors over the Unix socket that
 * NODE_CHANNEL_FD names.
 *
 * The happy path: the loop says readable, whole lines are decoded and announced one by one; lines
 * are sent at once, or queued until the socket has room. It can fail when the worker closes (ended
 * with 0, after everything it had sent was announced), speaks no protocol, sends descriptors that
 * no message announces, or lets what we must answer pile up (ended with a UV_E*): the owner then
 * cuts it off. start/close(cb); the owner's memory must hold until the close callback. */
#ifndef BATON_IPC_NODE_CHANNEL_H
#define BATON_IPC_NODE_CHANNEL_H

#include "base/list.h"
#include "ipc/descriptor.h"
#include "ipc/framing.h"
#include "ipc/node_message.h"

#include <stdbool.h>
#include <uv.h>

#define NODE_CHANNEL_QUEUE_MAX                                                                     \
    (1024u * 1024) /* bytes that may wait for a worker that does not read */

struct node_channel;

struct node_channel_events {
    /* One message, which holds until the call returns. */
    void (*message)(void *owner, const struct node_message *message);
    /* Nothing more will come or can be sent; `reason` 0 is end of file. Called once, and never
     * inside a send. */
    void (*ended)(void *owner, int reason);
    /* The queue has run empty after node_channel_send_clients() had not taken all. */
    void (*drained)(void *owner);
    /* Every line and descriptor that crosses, for --trace; may be NULL. `descriptor` is -1 for
     * none. */
    void (*trace)(void *owner, bool outgoing, const char *line, size_t length, int descriptor);
};

struct node_channel {
    int descriptor; /* owned */
    uv_poll_t poll;
    int watched; /* UV_READABLE | UV_WRITABLE as the poll is set */
    const struct node_channel_events *events;
    void *owner;
    struct framing framing;
    struct list queue; /* what could not be sent at once */
    size_t queued;     /* bytes in it */
    size_t plain;      /* bytes sent since the last descriptor: see node_channel_send_clients() */
    bool wants_drained;
    bool ended;
    int send_error;                       /* why the worker is to be cut off, found while sending */
    int64_t sequence;                     /* of our next message */
    int received[DESCRIPTOR_RECEIVE_MAX]; /* descriptors whose line is not finished yet */
    unsigned received_count;
    unsigned descriptors_received; /* in all */
    void (*on_closed)(void *owner);
};

/* Takes over `descriptor`, a non-blocking stream socket. 0 or a UV_E*, and then `descriptor` is
 * still the caller's. */
int node_channel_start(struct node_channel *channel, uv_loop_t *loop, int descriptor,
                       const struct node_channel_events *events, void *owner);

/* Ends the channel; on_closed(owner) comes from the loop. No other event comes after this call. */
void node_channel_close(struct node_channel *channel, void (*on_closed)(void *owner));

/* The sequence number for our next message. */
int64_t node_channel_sequence(struct node_channel *channel);

/* Sends one line (with its newline), with a copy of `descriptor` unless that is -1. What does not
 * fit now is queued. 0 or UV_ENOMEM or another UV_E*; a broken channel announces itself by `ended`.
 */
int node_channel_send(struct node_channel *channel, const char *line, size_t length,
                      int descriptor);

/* Sends lines, each with a client's descriptor, in order: how many were taken; `drained` follows
 * when it was not all of them.
 *
 * Node reads at most 65,536 bytes at once and gives a descriptor to the first unfinished line of
 * that read, so a line that straddles two reads would get another one's descriptor. Where that
 * could happen the JSON is sent first and its newline alone carries the descriptor
 * (docs/ipc-protocol.md, "The straddling line"). */
unsigned node_channel_send_clients(struct node_channel *channel,
                                   const struct descriptor_message *clients, unsigned count);

/* Reads until nothing is left: for a worker that has died, before what it held is dealt again. */
void node_channel_drain(struct node_channel *channel);

#endif
