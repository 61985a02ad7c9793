/* accept4(2) on an accept socket. */
#ifndef BATON_WORKER_PRELOAD_ACCEPT_H
#define BATON_WORKER_PRELOAD_ACCEPT_H

#include <sys/socket.h>

/* The client's descriptor or a negative errno, as accept4(2) would answer on the TCP socket that
 * this stands for. When `listener` turns out to be something else it is -ENOTCONN, -ENOTSOCK,
 * -EOPNOTSUPP, -EINVAL or -EPROTO, and nothing has happened. */
int preload_accept(int listener, void *address, socklen_t *length, int flags);

#endif
