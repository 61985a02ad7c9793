/* The part of a child that speaks the native protocol: requests of the worker socket, clients by
 * accept socket. */
#ifndef BATON_MASTER_NATIVE_WORKER_H
#define BATON_MASTER_NATIVE_WORKER_H

#include "ipc/native_protocol.h"
#include "master/listener.h"

struct child;

/* A request of the worker socket that bears this child's token. Fills in *reply, and
 * *ret_descriptor with a descriptor to send along, which stays ours, or -1. */
void native_worker_request(struct child *child, const struct native_request *request,
                           struct native_reply *reply, int *ret_descriptor);

/* What a LISTEN request asks for: 0, or the UV_E* to answer with. Pure. */
int native_worker_key(const struct native_request *request, struct listener_key *ret_key);

#endif
