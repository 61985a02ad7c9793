/* What the files of the daemon share: daemon.c has its life, routes.c what it reads out, actions.c
 * what it is told to do with what it has, new_apps.c what else it is to run, dump.c the
 * lists of apps in files, followers.c who listens to events. For them alone. */
#ifndef BATON_DAEMON_DAEMON_INTERNAL_H
#define BATON_DAEMON_DAEMON_INTERNAL_H

#include "daemon/activation.h"
#include "daemon/control.h"
#include "daemon/control_reply.h"
#include "daemon/daemon.h"
#include "daemon/event_stream.h"
#include "daemon/fleet.h"
#include "daemon/fleet_actions.h"
#include "daemon/fleet_saved.h"
#include "daemon/fleet_selection.h"
#include "daemon/lock.h"
#include "daemon/log_file.h"
#include "daemon/notify.h"
#include "daemon/saving.h"
#include "daemon/survivors.h"
#include "master/host.h"

#include <limits.h>
#include <uv.h>

#define DAEMON_SIGNALS  4
#define DAEMON_LOST_MAX (STATE_FILE_ERROR_MAX + 64)

struct daemon {
    const struct daemon_options *options;
    const char *home;
    uv_loop_t loop;
    struct host host;
    struct fleet fleet;
    struct control control;
    struct activation activation;         /* sockets that the service manager opened */
    struct listener_source given_sockets; /* … as the apps' listeners see them */
    unsigned reloads;                     /* under way: the service manager knows */
    int tcp_listener;                     /* of the control API, until `control` has it; -1: none */
    struct control_tcp_address tcp_address;
    char token[CONTROL_TCP_TOKEN_SIZE];
    struct notify notify;
    struct lock lock;
    struct saving saving;
    int ready_descriptor;      /* as in the options, until it was told */
    uv_timer_t down_timer;     /* until everything is believed to be down */
    int code;                  /* that it ends with */
    uv_timer_t trim_timer;     /* until the memory is given back that changes took */
    uv_timer_t patience_timer; /* until our starter waits no longer for what ran before */
    struct log_file log;
    uv_signal_t signals[DAEMON_SIGNALS];
    struct list followers; /* struct follower.node */
    size_t recalls_held;   /* bytes, see daemon/recall.h */
    struct survivors_end survivors_end;
    bool ending_survivors;
    bool fleet_closed;  /* every app has ended */
    unsigned restoring; /* what ran before and does not serve yet: operations, and their start */
    bool ending;
    char lost[DAEMON_LOST_MAX]; /* why nobody knows what ran before; "": it is known */
    bool forgets;               /* a person ended it: what ran is not started again by itself */
    uint64_t started_ms;
    struct control_answer *kill_answer; /* of whoever told us to end */
};

/* The routing table, whose owner is the daemon. */
extern const struct control_route daemon_routes[];

/* --- daemon.c --- */

/* Stops everything, then the loop. Harmless when it ends already. With `forget` what ran is not
 * started by the next daemon, unless it is told to resurrect the dump. */
void daemon_end(struct daemon *daemon, bool forget);

/* The apps' and its own, for whoever has renamed them. */
void daemon_reopen_logs(struct daemon *daemon);

/* --- what requests say, routes.c --- */

/* What `targets` of the body, or `target` of the query, means; all processes when there is none and
 * `all_by_default`. False when that is nothing or nonsense, which the client has been told. */
bool daemon_select(struct daemon *daemon, struct control_request *request, bool all_by_default,
                   struct fleet_selection *selection);

/* Answers 400 with a sentence. */
void daemon_bad_request(struct control_request *request, const char *sentence);

/* How many apps are to be renewed at once; 0: the daemon knows what the machine bears. */
uint32_t daemon_read_parallel(const json_t *body);

/* --- actions.c --- */

void daemon_on_action(void *owner, struct control_request *request);
void daemon_on_reopen_logs(void *owner, struct control_request *request);
void daemon_on_kill(void *owner, struct control_request *request);

/* --- new_apps.c --- */

void daemon_on_apps(void *owner, struct control_request *request);

/* --- dump.c --- */

/* The list of the file, a new reference; NULL: there is nothing. That it cannot be read is logged,
 * and clients are told until there is an app; the file is kept as PATH.broken. */
json_t *daemon_read_list(struct daemon *daemon, const char *path);

void daemon_on_save(void *owner, struct control_request *request);
void daemon_on_resurrect(void *owner, struct control_request *request);
void daemon_on_clear_dump(void *owner, struct control_request *request);

/* --- followers.c --- */

void daemon_on_events(void *owner, struct control_request *request);
void daemon_on_logs(void *owner, struct control_request *request);
void daemon_announce_process(struct daemon *daemon, struct record *record, uint32_t slot);
void daemon_announce_removed(struct daemon *daemon, struct record *record, uint32_t pm_id);
void daemon_announce_line(struct daemon *daemon, struct record *record,
                          const struct log_line *line);
void daemon_end_followers(struct daemon *daemon);

#endif
