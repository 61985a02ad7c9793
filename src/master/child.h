/* The master's record of one worker process.
 *
 * It lives once: a restart makes a new one. The happy path: child_start() forks; the worker asks
 * for listeners (on its Node channel, or by the worker socket) and becomes a member of each; READY
 * when it listens; child_drain() takes it out of the rotation and asks it to end; the reaper's word
 * brings child_exited(), which gives back what the worker had not accepted. It can fail when exec
 * fails (child_start), the worker dies at any time (child_exited), breaks the protocol (it is
 * killed, then as before) or does not end (SIGINT after drain_timeout, SIGKILL after kill_timeout).
 *
 * create on the heap by child_start(); freed by itself after `ended`. Everything about the process
 * is here; what the worker wants of the app's listeners goes to the owner. */
#ifndef BATON_MASTER_CHILD_H
#define BATON_MASTER_CHILD_H

#include "config/settings.h"
#include "ipc/native_protocol.h"
#include "ipc/node_channel.h"
#include "master/accept_delivery.h"
#include "master/child_state.h"
#include "master/identity.h"
#include "master/listener.h"
#include "master/member.h"
#include "master/output_source.h"
#include "master/process_sockets.h"
#include "master/seccomp_supervisor.h"
#include "master/trace.h"

#include <sys/resource.h>
#include <uv.h>

struct child;
struct child_member;
struct host;

/* What a worker asks of the app. */
struct child_listen_request {
    const struct listener_key *key;
    int backlog;
    const char *data; /* JSON text of a Node worker, or NULL */
    bool bind_only;   /* it listens later, when child_member_listens() is called … */
    int socket;      /* … on this socket of the worker, taken over when it becomes a listener's */
    bool reuse_port; /* it may have the listener already */
};

struct child_events {
    /* The worker wants this listener: 0 with *ret_listener, or a UV_E* for the worker. */
    int (*listen)(void *owner, struct child *child, const struct child_listen_request *request,
                  struct listener **ret_listener);
    /* It is a member no more; `asked` when it said so itself, and not when it has died or was found
     * to have closed its accept socket. The app may close a listener that nobody wants. */
    void (*unlisten)(void *owner, struct child *child, struct child_member *member, bool asked);
    void (*ready)(void *owner, struct child *child);
    /* It leaves of its own accord but is not gone yet. */
    void (*retiring)(void *owner, struct child *child);
    /* Not READY within listen_timeout. */
    void (*slow)(void *owner, struct child *child);
    /* The process is gone and so is everything it held, and where the host wants that what it has
     * left behind (host_options.end_groups); the record follows when this returns. */
    void (*ended)(void *owner, struct child *child);
    /* Each line and descriptor that crosses; only where the settings ask for a trace. */
    void (*trace)(void *owner, const struct trace_message *message);
};

/* One membership: the dispatcher's view, the accept socket if it has one, and the listener. */
struct child_member {
    struct member member;
    struct listener *listener;
    struct child *child;
    struct accept_way way;      /* in use when member.delivery is accept_delivery */
    bool bound;                 /* the program does not know of the master: by BIND, or Node */
    bool listening;             /* clients may come */
    bool leaving;               /* given up by the worker, which still owes answers */
    struct process_place place; /* who was last seen with the accept socket */
};

/* Sums over members. */
struct child_counts {
    uint64_t handed;
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t returned;
    uint64_t waiting; /* handed and not acknowledged */
    int64_t open;     /* or POLICY_OPEN_UNKNOWN */
};

/* How a worker that has a channel speaks on it (node_worker.h). */
struct child_language {
    const struct node_channel_events *channel_events; /* the owner is the child */
    bool (*disconnect)(struct child *child); /* asks the worker to finish and go; false: it cannot
                                                be asked, and gets the stop signal */
    void (*shutdown)(struct child *child);   /* says 'shutdown' to it, where that comes before
                                                disconnect(); NULL: it does not */
    bool alone;                              /* it is no worker of Node's cluster */
};

/* What the child's timer is waiting for. */
enum child_timer_step {
    CHILD_TIMER_LISTEN,
    CHILD_TIMER_TAKE,    /* looks again and again whether it has taken its last clients */
    CHILD_TIMER_IDLE,    /* looks again and again whether it has an open connection */
    CHILD_TIMER_MESSAGE, /* it was told 'shutdown', and closes its listeners when it likes */
    CHILD_TIMER_DRAIN,
    CHILD_TIMER_KILL,
    CHILD_TIMER_ORPHANS, /* it has ended, its children have not */
};

struct child_options {
    struct host *host;         /* outlives the child */
    struct settings *settings; /* a reference is taken */
    uint32_t slot;
    uint64_t serial;            /* unique among the workers of its app */
    struct output_sink *output; /* takes what it prints; NULL: it has our standard output itself */
    const struct text_list *variables;     /* "NAME=value": more of its environment, or NULL */
    const struct child_language *language; /* NULL: it gets no channel */
    const char *preload;                   /* library to be loaded into it, or NULL */
    struct listener *inherits;             /* it is given this one's socket; or NULL */
    const struct identity *identity;       /* whom the worker runs as */
    bool serving; /* clients may come as soon as it listens; else only after child_serve() */
};

struct child {
    struct list in_app;
    struct host *host;
    struct settings *settings; /* a reference */
    const struct child_language *language;
    const struct child_events *events;
    void *owner;
    uv_loop_t *loop;
    uint32_t slot;
    pid_t pid;
    uid_t uid; /* that it runs as */
    enum child_state state;
    uint64_t started_ms;
    int64_t started_wall_ms; /* since 1970 */
    int status;              /* of waitpid(2), once EXITED */
    pid_t heir;          /* a process that has taken its accept socket to the background, or 0 */
    bool serving;        /* its members join as soon as they are there */
    bool wants_to_serve; /* … as soon as it is READY */
    bool draining;       /* child_drain() was called */
    bool listened;       /* it has a listener, or had one */
    bool said_ready;
    bool was_ready;
    bool late;        /* it was not READY within listen_timeout */
    bool bind_failed; /* its last listen was answered with an error */
    bool retiring;
    const char *reason;   /* why we killed it: a sentence, static; or NULL */
    const char *replaced; /* why another took its place: likewise */
    uint8_t token[NATIVE_TOKEN_SIZE];
    struct list members;
    struct child_counts removed; /* of members that it has given up */
    uint32_t next_member;
    struct node_channel channel;
    bool has_channel;
    const char *preload; /* the library that it was to load, or NULL */
    struct seccomp_supervisor supervisor;
    bool supervised;       /* it is under the filter, and the supervisor runs */
    uint64_t handles_sent; /* NODE_HANDLE lines, and the answers to them, which come in order */
    uint64_t handles_answered;
    uv_timer_t timer; /* listen timeout; then the steps of draining */
    enum child_timer_step timer_step;
    uint64_t drain_until_ms; /* while it drains, or once it has ended CHILD_TIMER_ORPHANS' end */
    int input; /* of ours, the end of its standard input that is written to; -1: none */
    struct output_source *output; /* NULL when it has our standard output itself, or it has ended */
    struct output_source *error;
    unsigned open_handles; /* what must be closed before the memory may go */

    uint64_t stuck_total;   /* how often it held a client past the soft limit … */
    uint64_t stuck_said_ms; /* … and when that was last said; 0: never */
    uint64_t cpu_ms;        /* used in all, at the last sample */
    uint64_t sampled_ms;
    double cpu_percent; /* of one CPU, between the last two samples */
    uint64_t memory;    /* resident bytes */
};

/* Forks. 0 with *ret_child, or the UV_E* why the program could not be started. */
int child_start(struct child **ret_child, const struct child_options *options,
                const struct child_events *events, void *owner);

/* The worker joins the rotation with all its members, now and in future. */
void child_serve(struct child *child, uint64_t now_ms);

/* Out of the rotation, then asked to end; forced after the timeouts. A program that does not know
 * of the master is asked when its connections are closed, or drain_timeout has passed. What it has
 * not accepted goes to the other workers. Harmless when it drains already. */
void child_drain(struct child *child, uint64_t now_ms);

/* The same for the end of all, when there are no others: it serves whoever it was sent first. */
void child_finish(struct child *child);

/* SIGKILL to it and its process group. `reason` (static text, or NULL) goes into the log when it
 * has ended. */
void child_kill(struct child *child, const char *reason);

/* Tells it that process `pid` has ended with this status. */
void child_exited(struct child *child, int status, uint64_t now_ms);

/* It has said that it can serve, where that is waited for. */
void child_said_ready(struct child *child);

/* How it ended, for the log: "exited with code 1 after 80 ms". */
#define CHILD_END_MAX 256
void child_describe_end(const struct child *child, char text[CHILD_END_MAX]);

/* As app_send(). */
int child_send(struct child *child, const char *bytes, size_t length);

/* Reads its processor time and memory. */
void child_sample(struct child *child, uint64_t now_ms);

/* What its members, those it has given up included, have counted. */
void child_count(const struct child *child, struct child_counts *ret_counts);

/* --- for node_worker.c and native_worker.c, which translate what the worker says --- */

/* Makes the worker a member of the listener it asked for; UV_EADDRINUSE when it is one already, or
 * with reuse_port the member that is there. */
int child_add_member(struct child *child, const struct child_listen_request *request,
                     struct child_member **ret_member);

/* Whether it is a member of the listener with this key. */
bool child_has_key(const struct child *child, const struct listener_key *key);

/* It gives the membership up, or `asked` is false: it lost it. */
void child_remove_member(struct child *child, struct child_member *member, bool asked, bool dead);

/* Ends the membership of a worker of which no process has the accept socket open any more: true
 * when that was so. */
bool child_check_member(struct child *child, struct child_member *member);

/* Clients may come for this member: it joins the rotation if the worker serves. */
void child_join_member(struct child *child, struct child_member *member);

void child_set_state(struct child *child, enum child_state state);

/* It has given a membership up: one that was told to end is asked for the rest when it was the
 * last.
 */
void child_closed_listener(struct child *child);

/* The Node channel has reached its end: nothing can be handed over or acknowledged any more. */
void child_channel_ended(struct child *child);

#endif
