/* One app: what the user named and wants running. Owns its slots, their workers and its listeners.
 * It lives as long as it is known, also while nothing of it runs.
 *
 * The happy path: app_create() gives it a slot per instance, all stopped; app_start_slot() starts a
 * slot's worker; the first worker that asks for an address makes the app bind it; a worker that
 * ends is replaced as the restart rule says; app_renew_slot() exchanges workers one slot after the
 * other; app_stop_slot() drains; app_close() does so with all, closes the listeners and frees. It
 * can fail when a worker cannot be started or nothing of the app ever serves (the slot is errored:
 * `start_failed`), when a slot is given up (errored), and when a renewal's new worker does not get
 * ready (`renewed` with the reason; in a reload the old one stays).
 *
 * create/close(cb). Slots are named by their numbers: the instance number that the worker sees.
 * They start at 0 and may have holes after app_remove_slot(). Functions that take a number answer
 * UV_ENOENT, or do nothing, where there is no such slot. Every function may be called from every
 * event below, app_close() too. */
#ifndef BATON_MASTER_APP_H
#define BATON_MASTER_APP_H

#include "config/settings.h"
#include "master/app_status.h"
#include "master/child.h"
#include "master/host.h"
#include "master/listener_set.h"
#include "master/restart.h"
#include "master/trace.h"

#include <uv.h>

struct app;

#define APP_REASON_MAX 512

/* How a slot gets a new worker. */
enum app_renewal {
    APP_RENEW_NONE,
    APP_RELOAD,  /* the new one first; the old one is drained when it is ready. Where the program
                    listens by itself (intercept none) there is no such way: as APP_RESTART */
    APP_RESTART, /* the old one is drained and has ended before the new one is started */
};

/* The end of one slot's renewal. It answers every request for the slot up to this number. */
struct app_renewed {
    uint32_t slot;
    uint64_t request;
    int error;    /* 0; UV_ECANCELED: another slot's failed, or it was stopped; else a UV_E* */
    bool untried; /* its turn never came, and its worker is the one that it was */
    const char *reason; /* a sentence where error is not 0, else NULL; holds during the event */
    pid_t pid; /* of the new worker that failed, -1: there was none; 0: of another, or unknown */
};

/* What the app announces; all but slot_changed may be NULL. */
struct app_events {
    /* The status or the process of a slot is another (app_slot_status()). */
    void (*slot_changed)(void *owner, struct app *app, uint32_t slot);
    void (*renewed)(void *owner, struct app *app, const struct app_renewed *renewed);
    /* A reload's new worker is ready: true when app_examined() will tell whether it may serve,
     * which is never called from here. NULL or false: it may. */
    bool (*examine)(void *owner, struct app *app, uint32_t slot);
    /* A slot is errored because of something that its next start would meet again; the sentence is
     * its reason, and was logged. */
    void (*start_failed)(void *owner, struct app *app, uint32_t slot, const char *reason);
    void (*serving)(void *owner, struct app *app,
                    const struct listener *listener); /* a new address */
    void (*ready)(void *owner, struct app *app);      /* all wanted slots are, for the first time */
    /* Each line and descriptor that crosses; only where the settings ask for a trace. */
    void (*trace)(void *owner, const struct trace_message *message);
    /* Adds what a worker is to find in its environment besides its settings' variables and what the
     * master sets: with text_list_set_variable(). 0 or a UV_E*, and then it is not started. */
    int (*environment)(void *owner, struct app *app, uint32_t slot, struct text_list *variables);
};

struct app_options {
    struct host *host;         /* outlives the app */
    struct settings *settings; /* checked; a reference is taken */
    struct output_sink *sink;  /* takes what workers print and outlives the app; NULL: they write to
                                  our output themselves */
    const struct app_events *events;
    void *owner;
};

/* A wish to renew, and who wished. */
struct app_mark {
    enum app_renewal how; /* APP_RENEW_NONE: no wish */
    uint64_t request;
    const char *why; /* of app_replace_slot(), or NULL */
};

/* Where a renewal stands. */
enum app_renewal_step {
    RENEWAL_IDLE,
    RENEWAL_ENDING,   /* of the old worker */
    RENEWAL_STARTING, /* of the new worker */
    RENEWAL_PROVING,  /* it is ready, and has not lived for min_uptime yet */
    RENEWAL_EXAMINED, /* … it has, and app_examined() is awaited */
};

struct slot {
    struct app *app;
    uint32_t number;
    enum slot_wish wish;
    struct child *current; /* in the rotation, or about to be; NULL while none */
    struct child *next;    /* a reload's, until it serves */
    unsigned children;     /* records that exist, draining ones too */
    struct restart_history history;
    uint32_t renewals;    /* asked for, in which the old worker gave way */
    uv_timer_t timer;     /* until the next start; in RENEWAL_PROVING until that is over */
    struct app_mark mark; /* the renewal that waits for its turn */
    struct app_mark turn; /* the renewal under way */
    enum app_renewal_step step;
    int64_t created_ms; /* wall clock */
    int64_t up_ms;      /* wall clock, when the last worker was started; 0: never */
    bool ended;         /* a worker has, and: */
    int status;         /* waitpid(2)'s, of the last one that ended */
    bool failed;        /* its end was a failure: given up, or no good exit and no restart wanted */
    char reason[APP_REASON_MAX]; /* the last end, or why it was given up */
    enum app_status said_status; /* … with the last slot_changed */
    pid_t said_pid;
    bool removed;
};

struct app {
    struct list in_host;
    struct host *host;
    struct settings *settings; /* of the workers to come; a reference */
    const struct app_events *events;
    void *owner;
    struct output_sink *sink;
    struct identity identity;       /* whom workers run as */
    const char *preload;            /* the preload library; NULL where workers do without */
    struct connection_watch *watch; /* NULL where it is not needed, or the kernel does not tell */
    struct slot **slots;            /* by number; NULL where there is none */
    uint32_t slot_capacity;         /* of the table: numbers are below it */
    uint32_t slot_count;            /* slots that exist */
    struct list children;           /* all that exist, draining ones too */
    uint32_t child_count;
    struct listener_set listeners;
    struct listener *inherited; /* by all workers, with --intercept listen-fds; else NULL */
    uint64_t serials;
    bool served;   /* some worker was READY once since nothing ran */
    bool listened; /* some worker has a listener, or had */
    bool announced_ready;
    int bind_error; /* of the last listener that could not be opened, 0 since one could; … */
    struct listener_key bind_key;     /* … which it was, … */
    char bind_reason[APP_REASON_MAX]; /* … and what was said */
    bool bypass_said;                 /* that workers listen past the master */
    char bypass_reason[APP_REASON_MAX];
    uint64_t looked_ms;        /* when that was last looked for */
    bool closing;              /* app_close() was called … */
    bool closing_handles;      /* … and all workers are gone */
    uint64_t ending_since_ms;  /* no slot is wanted, and whoever has connected is served first */
    uv_timer_t ending_timer;   /* until no client waits any more */
    uv_timer_t unwanted_timer; /* until a listener that nobody wants any more is closed */
    int32_t renewing;          /* the slot whose renewal is under way; -1: none */
    bool advancing;            /* in app_renew_next() */
    bool proven;               /* the reload's first new worker has lived for min_uptime */
    unsigned handles;          /* timers that must be closed before the end */
    uint64_t reloads;          /* runs of renewals that were completed */
    bool run_failed;           /* a renewal of this run, which lasts while there are marks … */
    uint64_t run_request;      /* … and its highest request; 0: none from outside */
    void (*on_closed)(void *owner);
    void *close_owner;
};

/* 0 with *ret_app and all its slots stopped, or a UV_E* and a sentence why such an app cannot run
 * here: the user is unknown, the preload library is not there. Reads the user database. */
int app_create(struct app **ret_app, const struct app_options *options,
               char error[SETTINGS_ERROR_MAX]);

/* Stops everything, renewals included, and then frees the app; on_closed (or NULL) comes from the
 * loop. Once. */
void app_close(struct app *app, void (*on_closed)(void *owner), void *owner);

/* SIGKILL to every worker. While the app is closing that hastens its end; else the restart rule is
 * asked. */
void app_kill(struct app *app);

/* Workers to come go by these settings, the others by theirs until they have ended: whoever wants
 * to see them at work renews the slots. The policy is another at once. `instances` is not looked at
 * (app_resize()). 0, or as app_create() with nothing changed. */
int app_set_settings(struct app *app, struct settings *settings, char error[SETTINGS_ERROR_MAX]);

/* --- slots --- */

/* The slot, or NULL. */
struct slot *app_slot(const struct app *app, uint32_t number);

/* Adds stopped slots with the lowest free numbers until there are `count`; never removes. 0,
 * UV_EINVAL past SETTINGS_INSTANCES_MAX, or UV_ENOMEM with some added. */
int app_resize(struct app *app, uint32_t count);

/* Forgets a slot that is APP_STOPPED or APP_ERRORED, else UV_EBUSY. */
int app_remove_slot(struct app *app, uint32_t number);

/* Starts the slot's worker, also after it was given up; while an old one is still stopping, when
 * that has ended. Nothing when it runs. What fails is announced: slot_changed, start_failed. */
void app_start_slot(struct app *app, uint32_t number);

/* Starts all slots that do not run. */
void app_start(struct app *app);

/* Out of the rotation, drained, stopped; a renewal of it is canceled. The last one first serves
 * whoever has connected, and then the listeners are closed. Over when the status is APP_STOPPED. */
void app_stop_slot(struct app *app, uint32_t number);

/* The same for all slots at once: all of them serve whoever has connected. */
void app_stop(struct app *app);

/* Marks the slot for a renewal. Marked slots are renewed one after the other, those first that do
 * not serve anyway: of N that serve never fewer than N-1 do. `request` names who wishes; numbers
 * grow with time from 1 (0: a worker had grown too large). When one fails, the marks with its
 * number or a lower one are dropped (`renewed` with UV_ECANCELED for each). Marking again while the
 * slot's renewal is under way renews it again afterwards. A slot that is not wanted is started
 * instead, in its turn. */
void app_renew_slot(struct app *app, uint32_t number, enum app_renewal how, uint64_t request);

/* As app_renew_slot() with APP_RELOAD and request 0, for nobody has asked for it. `why` (static
 * text) ends the sentence "it was replaced because …", which is part of its worker's end. */
void app_replace_slot(struct app *app, uint32_t number, const char *why);

/* Whether a slot is marked, or a renewal is under way. */
bool app_is_renewing(const struct app *app);

/* Writes to the worker's standard input, all or nothing, at most PIPE_BUF bytes. 0, UV_ENOENT,
 * UV_ESRCH without a worker, UV_ENOTSUP where the host has no open_inputs, UV_E2BIG, UV_EAGAIN when
 * the worker does not read, or what write(2) says. */
int app_send(struct app *app, uint32_t number, const char *bytes, size_t length);

/* A TCP connection to the slot's worker and to no other, as if a client of this machine had
 * connected to `port` of the app; 0: to the first TCP address that the worker listens on. 0 with
 * *ret_descriptor (non-blocking, the caller's); UV_ENOENT, UV_ESRCH where it is not ready,
 * UV_ENOTSUP where it listens on no such address or its workers accept by themselves, UV_EAGAIN
 * where it takes no client now, or what keeps us from making one. */
int app_connect_slot(struct app *app, uint32_t number, uint16_t port, int *ret_descriptor);

/* The same for the new worker that is being examined; UV_ESRCH where there is none. */
int app_connect_examined(struct app *app, uint32_t number, uint16_t port, int *ret_descriptor);

/* What the examination came to: NULL, or why the new worker must not serve, and then the old one
 * goes on. Harmless when it is not awaited any more. */
void app_examined(struct app *app, uint32_t number, const char *failure);

/* The slot's counters back to 0, the restart rule's memory too. */
void app_reset_slot(struct app *app, uint32_t number);

/* What there is to know of a slot. */
struct app_slot_status {
    enum app_status status;
    pid_t pid;                  /* 0 while no worker serves or is about to */
    uint32_t restart_time;      /* restarts and renewals, not attempts that left the old worker */
    uint32_t unstable_restarts; /* of workers that did not live for min_uptime, in a row */
    int64_t created_ms;         /* wall clock: the slot */
    int64_t up_ms;              /* wall clock: its last worker; 0: never started */
    bool ended;                 /* a worker has, … */
    int exit_code;              /* … with this code, or 0 and … */
    int exit_signal;            /* … by this signal, or 0 */
    bool failed;                /* that was a failure, and it is not started again */
    const char *reason;         /* "exited with code 1 after 80 ms", or ""; the slot's */
    double cpu_percent;         /* at the last sample (host_sample_now()) */
    uint64_t memory;
    uint64_t stuck;
    struct child_counts counts; /* of its current worker */
};

/* 0 or UV_ENOENT. */
int app_slot_status(const struct app *app, uint32_t number, struct app_slot_status *ret_status);

/* --- for host.c --- */

/* Whether the ended process was one of this app's workers. */
bool app_child_exited(struct app *app, pid_t pid, int status);

/* The worker with this token, or NULL. */
struct child *app_find_token(struct app *app, const uint8_t token[NATIVE_TOKEN_SIZE]);

/* The host's tick: looks for workers that go past the master; reads cpu and memory where they are
 * due, and where max_memory is set replaces whoever is over it, as in a reload. */
void app_tick(struct app *app, uint64_t now_ms);

/* Reads the cpu and memory of each worker of whom they are older than max_age_ms, or unknown. */
void app_sample(struct app *app, uint64_t now_ms, uint64_t max_age_ms);

#endif
