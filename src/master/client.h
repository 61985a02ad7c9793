/* One accepted client socket that no worker has taken yet.
 *
 * It is in exactly one list: the waiting line of a dispatcher, or the `handed` list of a member.
 * create/destroy: destroy closes the descriptor. */
#ifndef BATON_MASTER_CLIENT_H
#define BATON_MASTER_CLIENT_H

#include "base/list.h"

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

struct client {
    struct list node;
    int descriptor;   /* owned */
    uint64_t arrival; /* counts a dispatcher's clients; the line is kept in this order */
    uint64_t accepted_ms;
    uint64_t handed_ms;       /* of the last hand-over */
    uint64_t key;             /* of the source address, for keyed policies; 0 for a Unix client */
    uint64_t cookie;          /* SO_COOKIE, where open connections are followed; else 0 */
    uint64_t sequence;        /* of the Node message that carries it … */
    uint64_t handle;          /* … which is the how-manieth with a descriptor on its channel */
    socklen_t address_length; /* 0 for a Unix client */
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address; /* the client's */
};

/* Takes over `descriptor`. NULL when memory is out; the descriptor is then still the caller's. */
struct client *client_create(int descriptor);
void client_destroy(struct client *client);

/* Copies the peer's address, if it is of the Internet; others are left empty. */
void client_set_address(struct client *client, const struct sockaddr *address, socklen_t length);

/* Reads SO_COOKIE, by which the kernel names the socket when it is destroyed (connection_watch.h).
 */
void client_note_cookie(struct client *client);

#endif
