/* A control group for each worker (cgroups(7), version 2), where ours has been delegated to us, as
 * systemd does with Delegate=yes and says by an extended attribute. Nothing that a worker starts
 * can leave its group, whatever it does to its session and environment.
 *
 * Below the directory of our own group each worker has one, named by its token. No controller is
 * enabled there: our own processes may stay where they are, and limits of the whole hold. */
#ifndef BATON_MASTER_CGROUP_H
#define BATON_MASTER_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The directory of our own group: 0 with a descriptor, or UV_ENOTSUP when there is none or it is
 * not ours to divide. */
int cgroup_open(int *ret_directory);

/* Makes the group of a worker: a descriptor by which it enters (cgroup_enter()), or a UV_E*. */
int cgroup_create(int directory, const char *token);

/* The calling process enters the group: one system call, for the child of vfork(2). 0 or an errno.
 */
int cgroup_enter(int group);

/* Whether anybody is in it. */
bool cgroup_populated(int directory, const char *token);

/* Whether that process is in it, or below it. */
bool cgroup_has(pid_t pid, const char *token);

/* SIGKILL to whoever is in it or below it (cgroup.kill, Linux 5.14). Harmless when there is none.
 */
void cgroup_kill(int directory, const char *token);

/* Removes it; one that is populated stays. */
void cgroup_remove(int directory, const char *token);

/* Kills and removes the groups of workers that `is_known` does not know. */
void cgroup_sweep(int directory, bool (*is_known)(void *owner, const char *token), void *owner);

#endif
