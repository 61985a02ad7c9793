/* What /proc tells of a process (proc(5)). */
#ifndef BATON_MASTER_PROCESS_STATS_H
#define BATON_MASTER_PROCESS_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Processor time used so far in ms, and resident memory in bytes. 0, or UV_ESRCH when it is gone.
 */
int process_stats(pid_t pid, uint64_t *ret_cpu_ms, uint64_t *ret_memory);

/* Whether the process was started by us, or by one that was: its parents are followed, which works
 * for orphans, too, as they become our children (PR_SET_CHILD_SUBREAPER). */
bool process_is_descendant(pid_t pid);

/* Whether the process has the file of this path mapped, as a program or library that it runs. False
 * where that may not be known. */
bool process_has_mapped(pid_t pid, const char *path);

#endif
