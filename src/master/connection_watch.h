/* Open connections of workers that tell us nothing: the kernel says when a TCP socket is destroyed.
 *
 * Each client's SO_COOKIE is noted at accept. The socket-diagnostics netlink groups for destroyed
 * TCP sockets (sock_diag(7), SKNLGRP_INET_TCP_DESTROY and its IPv6 twin) tell an unprivileged
 * process the cookie when the last copy of that socket is closed, in whichever process. Events that
 * were lost because we read too slowly (ENOBUFS) are made up for by looking which of the noted
 * sockets still exist; when that fails, after the next event. Where the kernel has no such groups
 * start fails, and policies go by un-acknowledged hand-overs. start/close(cb). */
#ifndef BATON_MASTER_CONNECTION_WATCH_H
#define BATON_MASTER_CONNECTION_WATCH_H

#include "base/list.h"
#include "base/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct member;

struct connection_watch {
    int descriptor; /* tells of destroyed sockets */
    uv_poll_t poll;
    int asking; /* answers which sockets exist; apart, for a full buffer has no room for answers */
    uv_poll_t asking_poll;
    unsigned handles;
    struct table records; /* by cookie: struct open_connection */
    uint64_t lost_total;  /* how often events were lost */
    bool overrun;         /* events were lost, and what is left has not been read yet */
    bool stale;           /* … it has: the kernel must be asked */
    bool dumping;         /* … and it is being asked */
    uint32_t request;     /* the number of the last one, which answers bear … */
    uint8_t family;       /* … and the sockets that it asks for */
    uint32_t generation;  /* of the dump: records that were seen in it bear it */
    void (*on_closed)(void *owner);
    void *owner;
};

/* 0, or a UV_E* where the kernel or a sandbox does not offer it; the memory must then hold until
 * the loop has run. */
int connection_watch_start(struct connection_watch *watch, uv_loop_t *loop);
void connection_watch_close(struct connection_watch *watch, void (*on_closed)(void *owner),
                            void *owner);

/* The client with this cookie was handed to the member: counts in member->open until its socket is
 * destroyed. */
void connection_watch_add(struct connection_watch *watch, uint64_t cookie, struct member *member);

/* It was taken back. */
void connection_watch_remove(struct connection_watch *watch, uint64_t cookie);

/* The member is going to be freed: its connections are followed no more. */
void connection_watch_forget(struct connection_watch *watch, struct member *member);

#endif
