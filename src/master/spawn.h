/* Starts a worker process.
 *
 * vfork, so that a start costs no copy of the master's memory. The worker gets its own session, the
 * signal dispositions and the mask of a fresh program, the descriptor limit that we were started
 * with, and exactly the descriptors that are named here. Nobody is notified: its end comes with
 * SIGCHLD (reaper.h). */
#ifndef BATON_MASTER_SPAWN_H
#define BATON_MASTER_SPAWN_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What the worker's channel is called there, as NODE_CHANNEL_FD says. */
#define SPAWN_CHANNEL_DESCRIPTOR 3

#define SPAWN_KEPT_MAX 4

struct spawn_options {
    char *const *arguments;   /* the program's path first; ends with NULL */
    char *const *environment; /* ends with NULL */
    const char *cwd;          /* or NULL: ours */
    int input;                /* becomes standard input */
    int output;               /* standard output and error; -1: ours */
    int error;
    int channel;              /* becomes SPAWN_CHANNEL_DESCRIPTOR; -1: none */
    int kept[SPAWN_KEPT_MAX]; /* descriptors that the worker is to hold open and knows nothing of:
                                 the first free numbers behind the channel */
    unsigned kept_count;
    int note_directory;     /* where the worker notes itself (worker_note.h), … */
    const char *note_token; /* … by this name; NULL: nowhere */
    const char *note_text;
    int cgroup;     /* what it enters at first (cgroup.h); -1: it stays in ours */
    char *pid_text; /* where the environment wants the worker's process number, in decimal, with
                       room for 11 characters, blank; or NULL */
    struct rlimit descriptors;
    bool change_user; /* setgroups, setresgid, setresuid, no new privileges */
    uid_t uid;
    gid_t gid;
    int *ret_notification; /* wanted: the notification descriptor of a filter that is installed in
                              the worker (seccomp_filter.h), -1 on failure; or NULL: no filter */
};

/* 0 with *ret_pid, or the UV_E* of whatever failed up to exec itself. */
int spawn(const struct spawn_options *options, pid_t *ret_pid);

#endif
