/* What all apps of one process share: the loop, the reaper, the worker socket, the watch over
 * connections, descriptor limits, an empty standard input, and the preload library.
 *
 * The happy path: host_start() raises the descriptor limit and opens the worker socket; apps are
 * created in it (app.h); an ended process and a request of a worker find their app here; when the
 * last app is closed host_close() ends the rest. The watch and the library are looked for when the
 * first app needs them. It can fail at the start (descriptors) and when an app wants what is not to
 * be had (host_library). One host in a process: it waits for every child. start/close(cb); apps
 * must be closed before it.
 *
 * What it costs to be idle: with no worker, no timer runs. With workers one does, once a second;
 * /proc is read in it for workers with a memory limit, every HOST_SAMPLE_IDLE_MS for the others,
 * and in host_sample_now() when somebody wants to see figures. */
#ifndef BATON_MASTER_HOST_H
#define BATON_MASTER_HOST_H

#include "base/list.h"
#include "config/settings.h"
#include "master/connection_watch.h"
#include "master/listener_source.h"
#include "master/reaper.h"
#include "master/worker_note.h"
#include "master/worker_socket.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <uv.h>

#define HOST_SAMPLE_MS      1000  /* how often workers with a memory limit are looked at */
#define HOST_SAMPLE_IDLE_MS 30000 /* … and the others: 100 of them cost 0.3 s of CPU an hour */

struct host_options {
    uv_loop_t *loop;

    /* Workers are given copies of our ends of their channel and output pipes, so that none of these
     * ends when we are killed: they finish their connections, and print up to a pipe's length. */
    bool keep_channels;

    /* A worker's standard input is a pipe that app_send() writes to; else it is empty. */
    bool open_inputs;

    /* A Node program that is only supervised gets a channel (node_alone.h). */
    bool open_channels;

    /* What a worker with treekill leaves behind is ended (orphans.h): a worker counts as ended when
     * that has. Without, only those are that would wait on an accept socket for ever. */
    bool end_groups;

    /* The directory of the workers' notes (worker_note.h); NULL: they leave none. */
    const char *notes;

    /* A worker that has not listened within its listen timeout, of an app of which none ever did,
     * counts as ready: jobs and queue workers serve nobody by a port. Without it such an app's
     * start fails. */
    bool silent_workers;

    /* A reload puts its first new worker into the rotation only when it has lived for min_uptime:
     * one that dies sooner leaves the old one serving. */
    bool prove_reloads;

    /* Sockets that are bound already, for the apps that want their addresses; or NULL. Outlives the
     * host. */
    const struct listener_source *listener_source;
};

enum host_part { HOST_PART_UNTRIED, HOST_PART_READY, HOST_PART_FAILED };

struct host {
    struct host_options options;
    uv_loop_t *loop;
    struct reaper reaper;
    struct worker_socket worker_socket;
    struct connection_watch watch;
    enum host_part watch_part;
    struct rlimit worker_descriptors; /* what we were started with: workers get that back */
    int descriptor_limit;             /* clients are accepted only below this number */
    int null_input;
    int notes; /* the directory; -1: none */
    char boot[WORKER_NOTE_BOOT_MAX];
    int cgroup; /* the directory in which workers have theirs, with end_groups; -1: none */
    char library[PATH_MAX];
    enum host_part library_part;
    uv_timer_t tick; /* runs while there are workers */
    struct list apps;
    unsigned workers; /* child records of all apps, those included that wait for what their
                         processes have left behind */
    bool closing;
    unsigned handles; /* that must be closed before `on_closed` */
    void (*on_closed)(void *owner);
    void *owner;
};

/* Also ignores SIGPIPE and makes what workers leave behind our children
 * (PR_SET_CHILD_SUBREAPER). 0 or a UV_E*; nothing is left open then, once the loop has run. */
int host_start(struct host *host, const struct host_options *options);

/* Every app is closed. What workers have left behind is reaped until now. on_closed (or NULL) comes
 * from the loop. */
void host_close(struct host *host, void (*on_closed)(void *owner), void *owner);

/* Samples every worker whose figures are older than HOST_SAMPLE_MS: cpu_percent is then an average
 * since the sample before, at most HOST_SAMPLE_IDLE_MS. */
void host_sample_now(struct host *host);

/* --- for app.c and child.c --- */

/* The watch over connections, started if it was not yet; NULL where the kernel does not tell, which
 * is logged once with the policy that would need it. */
struct connection_watch *host_watch(struct host *host, const char *policy);

/* The path of the preload library. 0 with *ret_path, or a UV_E* and a sentence. */
int host_library(struct host *host, const char **ret_path, char error[SETTINGS_ERROR_MAX]);

/* A worker's record has come, or is gone: the tick runs while there are some. */
void host_worker_started(struct host *host);
void host_worker_ended(struct host *host);

/* Kills what is left in the control groups of workers that are not ours: of a daemon before us. To
 * be called when those workers have ended. */
void host_sweep_groups(struct host *host);

/* Whether a process is the one of a worker that has not ended. */
bool host_is_worker(const struct host *host, pid_t pid);

#endif
