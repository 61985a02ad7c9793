/* The part of a child that speaks the native protocol: requests of the worker socket, clients by
 * accept socket. */
#ifndef BATON_MASTER_NATIVE_WORKER_H
#define BATON_MASTER_NATIVE_WORKER_H

#include "ipc/native_protocol.h"
#include "master/listener.h"

struct child;

/* No more clients will come on any of its accept sockets: it finishes what it has and ends. */
void native_worker_finish(struct child *child);

/* What a LISTEN request asks for: 0, or the UV_E* to answer with. Pure. */
int native_worker_key(const struct native_request *request, struct listener_key *ret_key);

#endif
