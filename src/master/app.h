/* One app: what the user named and wants running. Owns its slots, their workers and its listeners.
 *
 * The happy path: app_start() starts a worker per slot; the first that asks for an address makes
 * the app bind it; a worker that ends is replaced as the restart rule says; app_reload() replaces
 * one worker after the other, each only when its successor is ready; app_stop() serves whoever has
 * connected, drains all and announces `finished`. It can fail at the start (nothing can be
 * executed, nobody listens, the port is taken), when every slot is given up, and when a reload's
 * new worker does not get ready (the old ones stay). create/destroy; destroy only after `finished`.
 */
#ifndef BATON_MASTER_APP_H
#define BATON_MASTER_APP_H

#include "config/settings.h"
#include "master/child.h"
#include "master/connection_watch.h"
#include "master/listener_set.h"
#include "master/restart.h"
#include "master/trace.h"

#include <sys/resource.h>
#include <uv.h>

struct app;

/* How an app came to its end. */
enum app_outcome {
    APP_STOPPED,      /* it was told to */
    APP_DONE,         /* all workers ended as they may */
    APP_FAILED_START, /* it never served */
    APP_GIVEN_UP,     /* workers died too often */
};

struct app_events {
    void (*finished)(void *owner, struct app *app, enum app_outcome outcome);
    void (*serving)(void *owner, struct app *app,
                    const struct listener *listener); /* a new address */
    void (*ready)(void *owner, struct app *app);      /* all slots are, for the first time */
    void (*trace)(void *owner, const struct trace_message *message); /* or NULL */
};

/* What the app needs of the master; all of it outlives the app. */
struct app_options {
    const struct settings *settings;
    uv_loop_t *loop;
    const char *socket_name; /* of the worker socket */
    struct rlimit worker_descriptors;
    int descriptor_limit;           /* accept clients only below this number */
    struct connection_watch *watch; /* NULL where the kernel does not tell of closed connections */
    struct output_sink *output;     /* NULL: workers write to our output themselves */
    int input;
    const char *preload;      /* the preload library; NULL where workers do without */
    struct identity identity; /* whom workers run as */
};

struct slot {
    struct app *app;
    uint32_t number;
    struct child *current; /* in the rotation, or about to be; NULL while none */
    struct child *next;    /* a reload's, until it is ready */
    struct restart_history history;
    uv_timer_t timer; /* until the next start */
    bool over;        /* not to be started again */
    bool gave_up;     /* … and that is a failure */
};

struct app {
    struct app_options options;
    const struct settings *settings;
    const struct app_events *events;
    void *owner;
    struct slot *slots;
    uint32_t slot_count;
    struct list children; /* all that exist, draining ones too */
    uint32_t child_count;
    struct listener_set listeners;
    struct listener *inherited; /* by all workers, with --intercept listen-fds; else NULL */
    uint64_t serials;
    bool served;   /* some worker was READY once */
    bool listened; /* some worker has a listener, or had */
    bool announced_ready;
    int bind_error; /* of the last listener that could not be opened, 0 since one could; … */
    struct listener_key bind_key; /* … and which it was */
    bool bypass_said;             /* that workers listen past the master */
    uint64_t looked_ms;           /* when that was last looked for */
    bool starting;                /* inside app_start() */
    bool stopping;
    bool closing; /* all workers are gone, handles are being closed */
    uint64_t stopping_since_ms;
    uv_timer_t stop_timer;     /* until no client waits any more */
    uv_timer_t unwanted_timer; /* until a listener that nobody wants any more is closed */
    enum app_outcome outcome;
    int32_t reloading; /* number of the slot whose turn it is; -1: no reload */
    bool reload_again; /* asked for while one was under way */
    unsigned handles;  /* slots' timers and listeners that must be closed before the end */
    uint64_t reloads;
};

/* 0 with *ret_app and the workers being started, or a UV_E* why the program cannot be executed. */
int app_start(struct app **ret_app, const struct app_options *options,
              const struct app_events *events, void *owner);

/* Frees; after `finished` only. */
void app_destroy(struct app *app);

void app_reload(struct app *app);
void app_stop(struct app *app, enum app_outcome outcome);

/* SIGKILL to every worker, while stopping. */
void app_kill(struct app *app);

/* Whether the ended process was one of this app's workers. */
bool app_child_exited(struct app *app, pid_t pid, int status);

/* The worker with this token, or NULL. */
struct child *app_find_token(struct app *app, const uint8_t token[NATIVE_TOKEN_SIZE]);

/* Once a second: reads each worker's cpu and memory; a worker over max_memory is replaced as in a
 * reload. */
void app_sample(struct app *app, uint64_t now_ms);

#endif
