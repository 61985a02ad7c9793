/* The master's side of one accept socket (see native_protocol.h), on bare descriptors.
 *
 * The kernel's own fill level is the acknowledgement: what the worker has received has left the
 * send buffer. The send buffer is sized so that the socket polls writable exactly while fewer than
 * `refill` clients are in it: half a window, so that whoever waits for room is woken for a batch
 * and not for each client, while the worker still has some in stock. The master keeps a copy of the
 * worker's end: through it, what was sent and not received is read back when the worker dies or is
 * stuck. create/destroy; no loop, no clock. */
#ifndef BATON_IPC_ACCEPT_SOCKET_H
#define BATON_IPC_ACCEPT_SOCKET_H

#include <stdint.h>
#include <sys/socket.h>

#define ACCEPT_SOCKET_WINDOW_MAX 1024

struct accept_socket {
    int master;           /* what clients are sent on */
    int worker;           /* our copy of the worker's end */
    uint32_t listener;    /* goes into each record */
    uint32_t window;      /* most clients sent and not received */
    uint32_t refill;      /* polls writable while fewer than this many are; at most the window */
    uint32_t pending;     /* at least as many as are sent and not received */
    uint32_t record_size; /* bytes of a record: a refill of 1 needs larger ones, for the buffer has
                             a least size */
    uint32_t unit;        /* what one record takes of the send buffer, measured */
    uint64_t sequence;    /* of the last client sent */
};

/* A client to send; nothing is owned here. */
struct accept_socket_client {
    int descriptor;
    socklen_t address_length; /* 0 for a Unix client */
    const struct sockaddr *address;
};

/* One client that was taken back: its descriptor belongs to the caller. */
struct accept_socket_returned {
    int descriptor;
    uint64_t sequence;
    socklen_t address_length;
    struct sockaddr_storage address;
};

/* `address` is what the listener is bound to (its length 0 for a Unix listener): it goes into the
 * name of the worker's end, struct native_name. Where net.core.wmem_max does not allow so large a
 * send buffer and we are not privileged, ->window is less than asked for: go by it.
 *
 * 0, UV_EINVAL for a window outside 1 to ACCEPT_SOCKET_WINDOW_MAX or an address longer than a
 * sockaddr_in6, or the error of a system call; then nothing is left open. */
int accept_socket_create(struct accept_socket *ret_socket, uint32_t listener, uint32_t window,
                         const struct sockaddr *address, socklen_t address_length);

/* Closes both ends. What was not received goes with it: take it back before. */
void accept_socket_destroy(struct accept_socket *socket);

/* Sends `count` clients in order, never more than the window has room for. How many were taken;
 * their descriptors may be closed now. 0 when the window is full or too many descriptors are in
 * flight, or UV_EPIPE when the worker has shut its end down. A worker that closes its end or dies
 * is no error here, for our copy keeps that end open: its death is learnt elsewhere. */
int accept_socket_send(struct accept_socket *socket, const struct accept_socket_client *clients,
                       unsigned count);

/* How many records were sent and are not received yet, probes among them. */
uint32_t accept_socket_outstanding(const struct accept_socket *socket);

/* Sends a record without a descriptor: when accept_socket_outstanding() falls afterwards, somebody
 * receives. A full window needs none, so none is sent then. 0 or an error as above. */
int accept_socket_probe(struct accept_socket *socket);

/* Reads back the oldest record that the worker has not received, also while the worker goes on
 * receiving. 1 with *ret_client, 0 when nothing is left, or a UV_E*; UV_EMFILE, when no descriptor
 * below `descriptor_limit` is free, leaves the client where it is. Probes are skipped. */
int accept_socket_take_back(struct accept_socket *socket, int descriptor_limit,
                            struct accept_socket_returned *ret_client);

/* No more clients will come: the worker reads what is left, then end of file. */
void accept_socket_finish(struct accept_socket *socket);

#endif
