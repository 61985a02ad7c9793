/* One listening socket of the master, and the waiting line of its clients.
 *
 * The happy path: the socket polls readable, clients are accepted on bare descriptors until it is
 * empty, a batch is full or the credit is used up, and the dispatcher hands them over. It can fail
 * when descriptors run short (accepting pauses before accept would fail, and clients stay in the
 * kernel's backlog) or the socket itself breaks. A listener belongs to the app: it outlives any
 * worker, so that clients wait, not fail, while workers restart. start/close(cb). */
#ifndef BATON_MASTER_LISTENER_H
#define BATON_MASTER_LISTENER_H

#include "base/list.h"
#include "master/address.h"
#include "master/dispatcher.h"
#include "master/listener_source.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

enum listener_kind { LISTENER_TCP, LISTENER_UNIX, LISTENER_UDP };

/* What two workers must both ask for to share a listener. */
struct listener_key {
    enum listener_kind kind;
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    } address;
    socklen_t length;
    bool any_host; /* the worker named no host: [::] for both families, or 0.0.0.0 where there is no
                      IPv6 */
    bool ipv6_only;
    bool reuse_port;    /* SO_REUSEPORT: others may bind the same address on purpose */
    bool reuse_address; /* UDP only; TCP always sets SO_REUSEADDR */
    int32_t index;      /* with port 0: the how-manieth such listen of a worker */
    mode_t chmod;       /* added to a Unix socket's permissions */
};

/* Whether a worker that asks for `one` gets the listener of `other`: same kind, address and, for
 * port 0, index. */
bool listener_key_equal(const struct listener_key *one, const struct listener_key *other);

struct listener;

struct listener_events {
    void (*opened)(void *owner, struct client *client,
                   struct member *member); /* may be NULL, as in the dispatcher */
    void (*taken_back)(void *owner, struct client *client, struct member *member);
    void (*stuck)(void *owner, struct member *member, uint64_t held_ms);
    void (*expired)(void *owner, struct member *member, uint64_t held_ms);
    void (*examine)(void *owner, struct listener *listener); /* a look at stuck members is due, some
                                                                may be removed; may be NULL */
    void (*failed)(void *owner, struct listener *listener, int error); /* it accepts no more */
};

struct listener {
    struct list in_set;
    struct listener_key key;
    struct sockaddr_storage bound; /* what the socket is bound to */
    socklen_t bound_length;
    int descriptor;
    uv_poll_t poll;
    uv_timer_t timer; /* dispatcher_tick() */
    bool polling;
    bool starved;   /* paused because descriptors are short */
    bool listening; /* listen(2) was called on it; a socket that is only bound refuses */
    int backlog;    /* the largest asked for */
    bool given;     /* the socket is one that a worker brought */
    const struct listener_source *lender; /* whose the socket is, or NULL */
    struct linger linger; /* what was asked of it, if that has a time (listener_option.h) */
    bool shared;          /* the workers accept */
    bool stopped;         /* accepts no more: finished, broken or shared */
    bool finished;        /* its socket is closed; clients in line are still served */
    int descriptor_limit; /* clients are accepted only below it */
    bool wants_cookies;   /* note each client's SO_COOKIE */
    struct dispatcher dispatcher;
    const struct listener_events *events;
    void *owner;
    unsigned handles; /* open libuv handles */
    void (*on_closed)(void *owner, struct listener *listener);
    char *
        data; /* JSON text that the first Node worker sent along: goes to all; owned, may be NULL */
    unsigned members; /* workers that have asked for it and not given it up */

    uint64_t examined_ms;
    uint64_t accepted_total;
    uint64_t paused_total;  /* how often accepting paused for lack of credit */
    uint64_t starved_total; /* … of descriptors */
};

struct listener_options {
    const struct listener_key *key;
    int backlog;
    bool bind_only; /* `socket` is bound, and listens from listener_listen() on */
    int socket;     /* with bind_only: an unbound TCP socket; taken over when the start succeeds,
                       unless `source` lends one: then it stays the caller's */
    struct policy *policy; /* taken over when the start succeeds */
    struct dispatcher_limits limits;
    int descriptor_limit;
    bool wants_cookies;
    bool shared;                          /* bind only: the workers listen and accept themselves */
    const struct listener_source *source; /* asked for the address before it is bound; NULL: none */
};

/* Binds and, unless bind_only says otherwise, listens. 0, or UV_EADDRINUSE, UV_EACCES,
 * UV_EADDRNOTAVAIL … with nothing left open (UV_ENOENT of a Unix path is UV_EACCES, as Node has
 * it). */
int listener_start(struct listener *listener, uv_loop_t *loop,
                   const struct listener_options *options, const struct listener_events *events,
                   void *owner);

/* Listens from now on, or with a longer backlog. 0 or the UV_E* of listen(2). */
int listener_listen(struct listener *listener, int backlog);

/* For a shared listener, where the workers accept: it listens, and blocks until a worker wants it
 * otherwise, as a socket of its own would; all share that, so only the first may say it. 0 or the
 * UV_E* of listen(2). */
int listener_share(struct listener *listener, int backlog);

/* Closes the socket, and a Unix socket's file, or gives back what was lent; clients in line are
 * closed. on_closed comes from the loop. */
void listener_close(struct listener *listener,
                    void (*on_closed)(void *owner, struct listener *listener));

/* Accepts what is in the backlog once more, then closes the socket: whoever has connected is served
 * before the end, whoever comes later is refused at once. */
void listener_finish(struct listener *listener);

/* Takes a SO_LINGER that has a time off the socket and notes it. */
void listener_keep_linger(struct listener *listener);

/* Closes the socket without a look at the backlog: it is not ours any more. */
void listener_abandon(struct listener *listener);

/* The bound address as text. */
void listener_describe(const struct listener *listener, char text[ADDRESS_TEXT_MAX]);

#endif
