/* Listening sockets that somebody else has bound for our apps: a service manager. A listener that
 * wants one of their addresses has it lent; they are never closed by it, so that clients who come
 * while no app listens wait in the socket. */
#ifndef BATON_MASTER_LISTENER_SOURCE_H
#define BATON_MASTER_LISTENER_SOURCE_H

#include <sys/socket.h>

struct listener_source {
    /* A socket of this type (SOCK_STREAM …) that is bound to this address and not lent, for the
     * listener alone until it is given back; -1: none. */
    int (*lend)(void *owner, int type, const struct sockaddr *address, socklen_t length);
    void (*give_back)(void *owner, int descriptor);
    void *owner;
};

#endif
