/* Looks at the oldest client of an accept socket through any descriptor of the worker's end, and
 * drops it afterwards: for whoever must know that the client has arrived elsewhere before it leaves
 * the socket. No call blocks. */
#ifndef BATON_IPC_ACCEPT_PEEK_H
#define BATON_IPC_ACCEPT_PEEK_H

#include "ipc/accept_socket.h"

/* 1 with *ret_client, whose descriptor is a duplicate that belongs to the caller; 0 when no client
 * is there (probes are dropped), UV_EPIPE when none will come any more, UV_EMFILE when our
 * descriptor table is full, or another UV_E*. The peer is not trusted. */
int accept_peek(int worker_end, struct accept_socket_returned *ret_client);

/* Receives the record that accept_peek() has shown, without its descriptor: it counts as accepted.
 */
void accept_drop(int worker_end);

#endif
