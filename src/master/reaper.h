/* Collects every process that ends below us: workers, and as PID 1 also orphans.
 *
 * start/close(cb). On SIGCHLD all ended children are waited for, without blocking, and announced.
 * It does not keep the loop alive: who waits for a process to end has a handle of its own.
 */
#ifndef BATON_MASTER_REAPER_H
#define BATON_MASTER_REAPER_H

#include <sys/types.h>
#include <uv.h>

struct reaper {
    uv_signal_t signal;
    void (*on_exit)(void *owner, pid_t pid, int status); /* status as of waitpid(2) */
    void (*on_closed)(void *owner);
    void *owner;
};

int reaper_start(struct reaper *reaper, uv_loop_t *loop,
                 void (*on_exit)(void *owner, pid_t pid, int status), void *owner);
void reaper_close(struct reaper *reaper, void (*on_closed)(void *owner));

#endif
