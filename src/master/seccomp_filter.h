/* The filter by which the kernel asks the master about some system calls of a worker, in place of
 * carrying them out (seccomp user notification, seccomp_unotify(2)): for programs that a preload
 * library does not reach, because they do not call libc.
 *
 * It is no sandbox: it forbids nothing. bind, listen, accept, accept4 and getsockname are asked
 * about; a foreign system call convention (32-bit programs, x32) is not. It is inherited by all
 * children and survives exec; programs with set-user-ID bits get no privileges under it. */
#ifndef BATON_MASTER_SECCOMP_FILTER_H
#define BATON_MASTER_SECCOMP_FILTER_H

#include <stdbool.h>

/* Whether this kernel (5.14 and up), its architecture and our own confinement allow it. Tried in a
 * child that it waits for: call it at the start, not while the loop runs. */
bool seccomp_supported(void);

/* In the new process: installs the filter and sends its notification descriptor on `socket`
 * (AF_UNIX). System calls only, for it runs in a vfork child. 0 or an errno. Our own descriptor
 * stays open, but is close-on-exec. */
int seccomp_filter_install(int socket);

/* In the parent: what was sent on the other end. 0 with *ret_notification, close-on-exec and the
 * caller's, or a UV_E*. */
int seccomp_filter_receive(int socket, int *ret_notification);

#endif
