/* One daemon for each home: the lock on HOME/daemon.pid.
 *
 * The file's existence and the number in it mean nothing; the kernel's locks on it do, and they end
 * with the process, however it ends. Byte 0 is locked by the open file description (fcntl(2),
 * F_OFD_SETLK): that is the exclusion, which no close of another descriptor of the file can lose.
 * Byte 1 is locked by the process (F_SETLK): that is who it is, for of such a lock the kernel tells
 * the owner. The number in the file is for people and scripts.
 *
 * take/release: an embedded value that owns a descriptor. It is to be taken by the process that
 * stays: a lock by the process is not inherited through fork(2). */
#ifndef BATON_DAEMON_LOCK_H
#define BATON_DAEMON_LOCK_H

#include <sys/types.h>

struct lock {
    int descriptor; /* -1: not taken */
    dev_t device;   /* of the file */
    ino_t inode;
};

/* Takes the lock and writes our number into the file (0600). 0; UV_EEXIST when another process has
 * it, *ret_holder is then its number, or 0 when that cannot be known (it is about to begin or to
 * end, or belongs to another PID namespace); or another UV_E*. ret_holder may be NULL. Never waits.
 */
int lock_take(struct lock *lock, const char *path, pid_t *ret_holder);

/* Removes the file, if it is still ours, and lets go. Whoever dies without it leaves a file behind
 * that stops nobody. Nothing happens when it is not taken. */
void lock_release(struct lock *lock, const char *path);

/* Who holds it: 0 with *ret_holder, which may be 0 as above, or UV_ESRCH when nobody does. */
int lock_holder(const char *path, pid_t *ret_holder);

#endif
