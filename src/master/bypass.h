/* A worker that listens by itself, past the master, and why.
 *
 * The preload library sees a program's calls of libc. A program that makes its system calls itself
 * (Go, a static one) or was started without the library (env -i, a setuid program) binds its port
 * on its own: the first worker gets all clients, and the others find the address in use. */
#ifndef BATON_MASTER_BYPASS_H
#define BATON_MASTER_BYPASS_H

#include <stdbool.h>
#include <sys/types.h>

#define BYPASS_TEXT_MAX 512

enum bypass {
    BYPASS_NONE,     /* no process of the worker listens */
    BYPASS_UNSHARED, /* one does, on a port that is not to be shared: 0 or --private-port */
    BYPASS_UNSEEN,   /* one does, and the library did not see it */
};

/* Looks at all processes of the worker's session, or at the worker alone where no library is used:
 * a child of a Node worker may serve whom it likes. `library` is the path of the preload library,
 * or NULL. A sentence about what was found goes into `text`, with what can be done. Reads /proc: up
 * to some milliseconds. */
enum bypass bypass_find(pid_t session, const char *library, char text[BYPASS_TEXT_MAX]);

#endif
