/* Descriptor passing: SCM_RIGHTS over a Unix socket, in one place (unix(7), cmsg(3)).
 *
 * Descriptors that arrive are close-on-exec from birth. Whatever arrives beyond what the caller can
 * take is closed here, so that a peer can never fill our descriptor table. No call blocks. */
#ifndef BATON_IPC_DESCRIPTOR_H
#define BATON_IPC_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The most descriptors that one message may bring; the kernel's own limit is SCM_MAX_FD, 253. */
#define DESCRIPTOR_RECEIVE_MAX 4

/* One message to send: bytes, and a descriptor to go with them or -1. Nothing here is owned. */
struct descriptor_message {
    const void *bytes;
    size_t length;
    int descriptor;
};

/* What one read brought. */
struct descriptor_received {
    size_t length;                           /* bytes; 0 is the end of the connection */
    int descriptors[DESCRIPTOR_RECEIVE_MAX]; /* owned by the caller from now on */
    unsigned count;                          /* of descriptors */
    unsigned dropped;                        /* that came on top of those and were closed here */
    bool truncated; /* the kernel lost some: our descriptor table is full (MSG_CTRUNC) */
};

/* Sends one message. The number of bytes taken (on a stream it may be fewer than asked; the
 * descriptor has gone with the first of them), or UV_EAGAIN when the socket is full,
 * UV_ETOOMANYREFS when too many descriptors of this user are in flight (wait for both), UV_EPIPE or
 * UV_ECONNRESET when the peer is gone, or another UV_E*. */
ssize_t descriptor_send(int socket, const struct descriptor_message *message);

/* The same for one message that brings several descriptors, at most DESCRIPTOR_SEND_MAX: for
 * records only, and never on a Node channel, where each message has one. */
#define DESCRIPTOR_SEND_MAX 2
ssize_t descriptor_send_several(int socket, const void *bytes, size_t length,
                                const int *descriptors, unsigned count);

/* Sends several messages, in order, in one system call; each keeps its own descriptor. The number
 * of messages taken whole, which may be 0, or the error of the first one. At most 64 are looked at.
 * On a stream socket a message that was taken in part counts as not taken: use it there only for
 * messages far below the free send buffer. */
#define DESCRIPTOR_BATCH_MAX 64
int descriptor_send_batch(int socket, const struct descriptor_message *messages, unsigned count);

/* Reads once. 0 with *ret_received filled in, or UV_EAGAIN, or another UV_E*. */
int descriptor_receive(int socket, void *bytes, size_t size,
                       struct descriptor_received *ret_received);

/* Closes every descriptor that a read brought. */
void descriptor_discard(struct descriptor_received *received);

#endif
