/* The part of a child that speaks the native protocol: requests of the worker socket, clients by
 * accept socket. */
#ifndef BATON_MASTER_NATIVE_WORKER_H
#define BATON_MASTER_NATIVE_WORKER_H

#include "ipc/native_protocol.h"
#include "master/listener.h"
#include "master/worker_socket.h"

#include <stdbool.h>

struct child;
struct child_member;

/* A request of the worker socket that bears this child's token: fills in *reply. */
void native_worker_request(struct child *child, struct worker_request *request,
                           struct worker_reply *reply);

/* What a LISTEN or BIND request asks for: 0, or the UV_E* to answer with. Pure. */
int native_worker_key(const struct native_request *request, struct listener_key *ret_key);

/* What BIND and LISTEN by number do, for others that speak for a program that does not know of the
 * master.
 *
 * bind: the worker becomes a member with an accept socket (member->way), or of a shared listener
 * (its policy's type says so), but gets no clients yet. 0; UV_ENOTSUP when the port is not to be
 * shared; or the UV_E* of bind(2). `socket` is taken over if it has become the listener's
 * (member->listener->descriptor), and is the caller's otherwise. */
struct native_bind {
    const struct listener_key *key;
    int socket;      /* the program's own, unbound */
    bool reuse_port; /* SO_REUSEPORT is set on it */
};

int native_worker_bind(struct child *child, const struct native_bind *wanted,
                       struct child_member **ret_member);

/* Gives a member an accept socket (member->way). 0 or a UV_E*. */
int native_worker_open_way(struct child *child, struct child_member *member);

/* Clients may come for the member of this number. 0, or the UV_E* of listen(2). */
int native_worker_listen(struct child *child, uint32_t id, int backlog);

#endif
