/* What the files of a seccomp supervisor call of each other: seccomp_supervisor.c has its loop,
 * seccomp_listener.c what bind() was answered with, seccomp_waiting.c the calls of accept() that
 * wait, seccomp_copy.c what the worker keeps for the time after the master, seccomp_accept.c and
 * seccomp_bind.c these calls. For them alone, and on the loop only. */
#ifndef BATON_MASTER_SECCOMP_INTERNAL_H
#define BATON_MASTER_SECCOMP_INTERNAL_H

#include "base/list.h"
#include "ipc/native_protocol.h"
#include "master/seccomp_call.h"
#include "master/seccomp_supervisor.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a bind() was answered with. */
struct seccomp_listener {
    struct list node; /* in the supervisor's listeners, which own it */
    uint32_t number;  /* in requests to the master */
    bool shared;      /* a TCP socket: it is kept only while `binder` is not 0 */
    uint64_t inode;   /* by which it is known in the worker */
    int socket;       /* our own copy of the worker's end */
    struct native_name name;
    struct list waiting; /* calls of accept(), oldest first; of seccomp_waiting.c */
    bool watched;        /* in the supervisor's epoll */
    bool listening;      /* listen() was called */
    pid_t binder;        /* the thread that called bind(), until it makes another call: a signal may
                            have kept the answer from it, and then it calls again */
    uint64_t bind_arguments[3];
    uint64_t original; /* the inode of the program's own socket */
    struct seccomp_copy copy;
};

/* --- seccomp_supervisor.c --- */

/* What the master says to the request. */
struct worker_reply seccomp_ask(struct seccomp_supervisor *supervisor,
                                struct worker_request *request);

/* --- seccomp_listener.c --- */

struct seccomp_listener *seccomp_listener_of(struct list *node);

/* The inode number of a descriptor of ours, or 0. */
uint64_t seccomp_listener_inode(int socket);

/* Of a reply to BIND with a descriptor, which stays the reply's. NULL when memory or descriptors
 * are out. */
struct seccomp_listener *seccomp_listener_create(struct seccomp_supervisor *supervisor,
                                                 const struct worker_reply *reply);

/* Whoever still waits there goes on waiting. */
void seccomp_listener_destroy(struct seccomp_supervisor *supervisor,
                              struct seccomp_listener *listener);

/* Destroys those that the master does not have any more, for a worker may bind any number of times
 * in its life. Whoever waits is told what a socket that was shut down would say. */
void seccomp_listener_destroy_given_up(struct seccomp_supervisor *supervisor);

/* The one that the call's first argument is, but for shared ones; or NULL. */
struct seccomp_listener *seccomp_listener_find(struct seccomp_supervisor *supervisor,
                                               const struct seccomp_call *call);

/* --- seccomp_waiting.c --- */

/* The call waits for a client, or it gets ENOMEM. A receive timeout of the socket is honoured. */
void seccomp_waiting_add(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                         const struct seccomp_call *call);

/* Something has come for those that wait: `serve` is called for the oldest, and for the next one
 * for as long as it answers 1, the call is answered or over. Any other result means that no client
 * is there, and UV_EPIPE that none will come any more. */
void seccomp_waiting_serve(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                           int (*serve)(const struct seccomp_listener *listener,
                                        const struct seccomp_call *call));

/* They fail with this UV_E*. */
void seccomp_waiting_fail(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                          int error);

/* They stay unanswered. */
void seccomp_waiting_forget_all(struct seccomp_supervisor *supervisor,
                                struct seccomp_listener *listener);

/* A thread makes one call at a time: a new one tells that the one before is over. */
void seccomp_waiting_forget_thread(struct seccomp_supervisor *supervisor, pid_t thread);

/* --- seccomp_copy.c --- */

/* The notification descriptor, once in the life of the supervisor. A signal at the very moment
 * leaves the worker without, here and in the next. */
void seccomp_copy_leave_notification(struct seccomp_supervisor *supervisor,
                                     const struct seccomp_call *call);

/* Puts our `socket` where the caller has a copy of no use, or else at a spare number: so a process
 * has no more copies than it ever had listeners at once. */
struct seccomp_copy seccomp_copy_leave(const struct seccomp_supervisor *supervisor,
                                       const struct seccomp_call *call, int socket);

/* It is of no use any more. It is remembered even when its place was taken by another: processes
 * that were forked since have it, too, each at the same number, and its inode tells who still has.
 * Of too many the oldest is forgotten: whoever still has that one keeps it. */
void seccomp_copy_give_up(struct seccomp_supervisor *supervisor, struct seccomp_copy copy);

/* --- seccomp_accept.c --- */

/* accept() or accept4() on this listener. */
void seccomp_accept(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                    const struct seccomp_call *call);

/* The listener's socket is readable. */
void seccomp_accept_clients(struct seccomp_supervisor *supervisor,
                            struct seccomp_listener *listener);

/* --- seccomp_bind.c --- */

/* bind() on any descriptor. */
void seccomp_bind(struct seccomp_supervisor *supervisor, const struct seccomp_call *call);

/* Its thread will not repeat an earlier bind() any more, unless that is what this call does. */
void seccomp_bind_forget_thread(struct seccomp_supervisor *supervisor,
                                const struct seccomp_call *call);

#endif
