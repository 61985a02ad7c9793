/* The sockets of a worker: of all processes of its session, which it leads, as /proc(5) shows them,
 * and what they are, as sock_diag(7) tells.
 *
 * These read files of /proc and take up to milliseconds where there are many processes: for what
 * happens seldom. Connections and listeners of another network namespace than ours are not seen.
 * What cannot be read (a process of another user) counts as holding nothing. */
#ifndef BATON_MASTER_PROCESS_SOCKETS_H
#define BATON_MASTER_PROCESS_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a socket was found, so that it is looked for there first. init: all zero. */
struct process_place {
    pid_t pid;
    int descriptor;
};

/* Whether any process but ours has the socket of this inode number open: looks at those of the
 * session first, and then at all, for a child may have begun a session of its own. True also when
 * nobody can say: what the session's processes hold may not be read, or memory or our descriptors
 * are out. */
bool process_holds(pid_t session, ino_t inode, struct process_place *place);

/* A process of one of these sessions that has a listening TCP socket open, or 0; with `without` one
 * that has not mapped the file of this path. It takes about as long for many sessions as for one.
 */
pid_t process_find_listener(const pid_t *sessions, size_t count, const char *without);

/* Whether one of its processes has a TCP socket that listens at local port `port`. */
bool process_session_listens(pid_t session, uint16_t port);

/* How many open TCP connections to local port `port` its processes have; those that the other side
 * has closed for writing are among them. */
uint32_t process_session_connections(pid_t session, uint16_t port);

#endif
