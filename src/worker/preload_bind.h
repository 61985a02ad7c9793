/* bind(2), and taking it back for connect(2): one descriptor number is first the program's TCP
 * socket, then an accept socket. */
#ifndef BATON_WORKER_PRELOAD_BIND_H
#define BATON_WORKER_PRELOAD_BIND_H

#include <stdint.h>
#include <sys/socket.h>

/* bind(2) on any descriptor. An unbound TCP socket that asks for a port the master binds, and an
 * accept socket takes its number; everything else is the kernel's. When the master cannot be asked
 * it fails (see preload_ask_master()) and the socket stays as it was: bound past the master, this
 * worker would take the port from all others. 0 or a negative errno. */
int preload_bind(int descriptor, const void *address, socklen_t length);

/* Puts the TCP socket back in the place of an accept socket that does not listen. */
int preload_retrieve(int descriptor, uint32_t listener);

/* Closes what BIND kept open for accept sockets that no longer are. */
void preload_close_kept(void);

#endif
