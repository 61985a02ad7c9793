/* getsockopt(2), setsockopt(2) on an accept socket: as if it were the TCP socket that it stands
 * for. What is the same for every worker is asked of the master's shared socket and set there, so
 * that accepted sockets inherit it; what a Unix socket would take and lose is so, too. 0 or a
 * negative errno. */
#ifndef BATON_WORKER_PRELOAD_OPTIONS_H
#define BATON_WORKER_PRELOAD_OPTIONS_H

#include "ipc/native_protocol.h"

#include <sys/socket.h>

struct preload_option {
    int level;
    int name;
};

int preload_get_option(int descriptor, const struct native_name *name, struct preload_option option,
                       void *value, socklen_t *length);
int preload_set_option(int descriptor, const struct native_name *name, struct preload_option option,
                       const void *value, socklen_t length);

#endif
