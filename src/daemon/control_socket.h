/* The listening Unix socket of the control server: who may reach it, and its file. No loop. */
#ifndef BATON_DAEMON_CONTROL_SOCKET_H
#define BATON_DAEMON_CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

/* Makes `directory` one that only we can enter: creates it, or takes the others' permissions away.
 * 0; -EPERM when it is another user's; -ENOTDIR; any other negative errno. */
int control_socket_prepare(const char *directory);

/* A non-blocking listener at `path` with mode 0600, in place of a socket that is there already.
 * -EEXIST when something else is; any other negative errno. */
int control_socket_listen(const char *path);

/* Whether the peer of a connected socket is our own user or root. */
bool control_socket_is_ours(int socket);

#endif
