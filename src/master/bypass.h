/* A worker that listens by itself, past the master, and why.
 *
 * The preload library sees a program's calls of libc. A program that makes its system calls itself
 * (Go, a static one) or was started without the library (env -i, a setuid program) binds its port
 * on its own: the first worker gets all clients, and the others find the address in use. */
#ifndef BATON_MASTER_BYPASS_H
#define BATON_MASTER_BYPASS_H

#include <stddef.h>
#include <sys/types.h>

#define BYPASS_TEXT_MAX 512

enum bypass {
    BYPASS_NONE,     /* no process of the worker listens */
    BYPASS_UNSHARED, /* one does, on a port that is not to be shared: 0 or --private-port */
    BYPASS_UNSEEN,   /* one does, and the library did not see it */
};

/* A worker to look at is known by its session; `text` gets a sentence about what was found, with
 * what can be done. */
struct bypass_found {
    enum bypass kind;
    pid_t session;
    char text[BYPASS_TEXT_MAX];
};

/* With the path of the preload library: a process of these workers' sessions that listens and has
 * not loaded it. With NULL: one of the workers themselves that listens, not a child, which may
 * serve whom it likes. Reads /proc once, however many workers there are: up to some milliseconds,
 * or tens where there are hundreds. */
void bypass_find(const pid_t *sessions, size_t count, const char *library,
                 struct bypass_found *ret_found);

#endif
