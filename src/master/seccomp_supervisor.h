/* Speaks for one worker that knows nothing of the master and does not call libc: answers its system
 * calls bind, listen, accept and getsockname (seccomp_filter.h) in the kernel's place.
 *
 * The happy path: bind() with a TCP socket becomes a BIND, and the accept socket that it
 * answers with is put in the program's descriptor's place; listen() on it becomes LISTEN; accept()
 * takes the oldest client from it and installs the client in the caller, which is one step of the
 * kernel: whoever is interrupted before it leaves the client where it was. A blocking accept() with
 * nobody there waits here. It can fail when the caller is interrupted or killed (its call is
 * forgotten), its pointers are bad or its descriptor table is full (it gets that error, the client
 * stays). Calls on other descriptors go on as if nobody had asked. Every call is answered, or its
 * thread waits for a client.
 *
 * Installing a descriptor blocks the loop until the kernel has run the calling thread. That thread
 * waits for nothing but a processor, but for that as long as its priority and its cgroup's quota
 * make it (docs/decisions/0014-seccomp.md).
 *
 * The memory is the owner's, who may free it when on_closed() of seccomp_supervisor_close() is
 * called. Calls that are made after that function fail with ENOSYS, unless the worker still has the
 * copy of the notification descriptor that it was given: then they wait. */
#ifndef BATON_MASTER_SECCOMP_SUPERVISOR_H
#define BATON_MASTER_SECCOMP_SUPERVISOR_H

#include "base/list.h"
#include "master/worker_socket.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* How many threads of a worker may wait in accept(); the others get ENOMEM. */
#define SECCOMP_WAITING_MAX 1024

struct seccomp_events {
    /* The worker would say BIND, with its socket, or LISTEN, had it known of the master: fills the
     * reply in, as native_worker_request() does. */
    void (*request)(void *owner, struct worker_request *request, struct worker_reply *reply);
    /* Whether it still has the listener of this number. */
    bool (*has_listener)(void *owner, uint32_t listener);
};

/* How many copies of no use are remembered: as many as seccomp_call_spare_number() finds places. */
#define SECCOMP_FREE_COPIES_MAX 64

/* The master's end of an accept socket, at a high number in the worker, so that nothing hangs up
 * there when the master is gone. */
struct seccomp_copy {
    int number; /* or -1 */
    uint64_t inode;
};

struct seccomp_supervisor {
    int notification;      /* owned */
    int epoll;             /* the notification descriptor, and accept sockets that are waited for: a
                              uv_poll_t on one of those would make the worker's end non-blocking */
    uv_poll_t poll;        /* of `epoll` */
    uv_timer_t timer;      /* runs while accept() waits somewhere with a receive timeout */
    struct list listeners; /* what bind() was answered with */
    unsigned waiting_count;
    bool copied; /* the worker was given the notification descriptor */
    struct seccomp_copy free_copies[SECCOMP_FREE_COPIES_MAX]; /* of no use, oldest first */
    unsigned free_copy_count;
    unsigned handles; /* open libuv handles */
    const struct seccomp_events *events;
    void *owner;
    void (*on_closed)(void *owner);
};

/* Takes over `notification` when it succeeds. 0, or a UV_E* with nothing left open but that. */
int seccomp_supervisor_start(struct seccomp_supervisor *supervisor, uv_loop_t *loop,
                             int notification, const struct seccomp_events *events, void *owner);

/* Once, after a start that succeeded; `on_closed` is called with the owner, from the loop. */
void seccomp_supervisor_close(struct seccomp_supervisor *supervisor, void (*on_closed)(void *));

#endif
