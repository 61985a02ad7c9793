/* One system call of a worker that the kernel asks about (seccomp_filter.h): what it is, the
 * caller's memory and descriptors, and the ways to answer. No loop.
 *
 * The calling thread waits, but may be interrupted by a signal or killed at any time: then the call
 * is over, the answers say UV_ENOENT, and the thread's number may belong to another one. Whatever
 * was read by that number counts only after seccomp_call_waits(). */
#ifndef BATON_MASTER_SECCOMP_CALL_H
#define BATON_MASTER_SECCOMP_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct seccomp_call {
    int notification; /* the notification descriptor, not owned */
    uint64_t id;
    pid_t thread; /* in our numbering; 0 where it has none here */
    int number;   /* SYS_* */
    uint64_t arguments[6];
};

/* The next one. 0, UV_EAGAIN when there is none, UV_ENOENT when it was interrupted meanwhile (ask
 * again), UV_EOF when the last process under the filter is gone, or another UV_E*. Never blocks. */
int seccomp_call_receive(int notification, struct seccomp_call *ret_call);

/* Whether the thread still waits for the answer. */
bool seccomp_call_waits(const struct seccomp_call *call);

/* --- what it is about --- */

/* The inode number of the caller's descriptor: 0 with *ret_inode, UV_ENOTSOCK for what is no
 * socket, or UV_EBADF. Opens nothing, so that nothing of the caller's is closed by us last. */
int seccomp_call_inode(const struct seccomp_call *call, int descriptor, uint64_t *ret_inode);

/* The flags of its descriptor, as in /proc/PID/fdinfo: O_CLOEXEC is among them. */
int seccomp_call_flags(const struct seccomp_call *call, int descriptor, int *ret_flags);

/* A duplicate of the caller's descriptor, the caller's of this function, or a UV_E*. */
int seccomp_call_open(const struct seccomp_call *call, int descriptor);

/* A free number of the caller's, out of the way of the lowest ones, which programs expect to get,
 * and below 1024, so that the kernel's table does not grow. UV_EMFILE where numbers are scarce. */
int seccomp_call_spare_number(const struct seccomp_call *call);

/* All of it or UV_EFAULT, as the kernel would say. */
int seccomp_call_read(const struct seccomp_call *call, uint64_t address, void *bytes, size_t size);
int seccomp_call_write(const struct seccomp_call *call, uint64_t address, const void *bytes,
                       size_t size);

/* --- answers: each call gets one --- */

/* The kernel carries it out as if nobody had asked. */
void seccomp_call_continue(const struct seccomp_call *call);

/* It returns 0, or fails with this UV_E*. 0, or UV_ENOENT when it is over. */
int seccomp_call_answer(const struct seccomp_call *call, int result);

/* It returns a new descriptor for our `descriptor`, which stays ours: the lowest free number.
 * UV_EMFILE and others leave it unanswered. */
int seccomp_call_answer_descriptor(const struct seccomp_call *call, int descriptor, int flags);

/* Puts ours at this number of the caller's, over what is there; no answer yet. `flags`: O_CLOEXEC
 * or 0. */
int seccomp_call_replace(const struct seccomp_call *call, int descriptor, int number, int flags);

#endif
