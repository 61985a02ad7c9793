/* The part of a child that speaks Node's cluster protocol: what its messages mean, and clients sent
 * inline.
 *
 * Rules: docs/ipc-protocol.md; names as in Node's own messages. */
#ifndef BATON_MASTER_NODE_WORKER_H
#define BATON_MASTER_NODE_WORKER_H

#include "ipc/node_message.h"
#include "master/listener.h"
#include "master/member.h"

struct child_language;

extern const struct child_language node_worker; /* for child_options.language */
extern const struct delivery inline_delivery;   /* member.way is the child */

/* What a queryServer message asks for. 0, or the UV_E* to answer with. Pure. */
int node_worker_key(const struct node_listen_request *request, struct listener_key *ret_key);

#endif
