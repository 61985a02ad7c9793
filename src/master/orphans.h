/* What a worker that has ended has left behind.
 *
 * We are a subreaper (host.h): when a process ends, its children become ours. So everything that a
 * worker has started is below one of our own children, which the kernel lists, and no other process
 * has to be looked at. It is that worker's if it is in its session, or has its token in the
 * environment that it was started with: that is how a program that has put itself in the background
 * is known, which has a session of its own. What is started without BATON_TOKEN in a session of its
 * own is left alone. */
#ifndef BATON_MASTER_ORPHANS_H
#define BATON_MASTER_ORPHANS_H

#include "master/worker_note.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whose they are. */
struct orphans_of {
    pid_t session;     /* the worker's number, or 0 when that is another's by now */
    const char *token; /* hexadecimal */
    bool grouped;      /* it had a control group (cgroup.h) */
    bool (*is_worker)(void *owner, pid_t pid); /* a child of ours that is none */
    void *owner;
};

/* Sends the signal to each, and to the group that it leads; 0: to none. How many there are of which
 * we know, and children of ours that are ending, of which we do not know whose they were; those in
 * the worker's own group are not looked at. Where the kernel does not list children
 * (CONFIG_PROC_CHILDREN) none is found. */
size_t orphans_signal(const struct orphans_of *whose, int number);

/* The token that a process has in the environment that it was started with: false when it has none,
 * or that may not be read. Looks at the first ORPHANS_ENVIRONMENT_MAX bytes. */
#define ORPHANS_ENVIRONMENT_MAX (512 * 1024)
bool orphans_read_token(pid_t pid, char ret_token[WORKER_NOTE_TOKEN_MAX]);

#endif
