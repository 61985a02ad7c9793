/* The part of a child that speaks Node's cluster protocol: what its messages mean, and clients sent
 * inline.
 *
 * Rules: docs/ipc-protocol.md; names as in Node's own messages. */
#ifndef BATON_MASTER_NODE_WORKER_H
#define BATON_MASTER_NODE_WORKER_H

#include "ipc/node_message.h"
#include "master/listener.h"
#include "master/member.h"

struct child;

extern const struct node_channel_events node_worker_events; /* the owner is the child */
extern const struct delivery inline_delivery;               /* member.way is the child */

/* Asks the worker to close its listeners, finish its connections and go. */
void node_worker_disconnect(struct child *child);

/* What a queryServer message asks for. 0, or the UV_E* to answer with. Pure. */
int node_worker_key(const struct node_listen_request *request, struct listener_key *ret_key);

#endif
