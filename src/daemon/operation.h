/* One action of the control API on some processes, until the last of them is where it is to be:
 * starts, stops, renewals. It acts on nothing itself: whoever began it asks the apps, and tells it
 * what became of each process.
 *
 * The happy path: operation_create() with the request; operation_add() for each process;
 * operation_begin() when all were asked; each report counts one process off, as progress; the last
 * one sends the answer, and the operation frees itself. A process may fail, which is part of the
 * answer; the client may leave, which ends nothing; a process that is neither there nor failed in
 * time fails. At the daemon's end operation_abandon() answers what is left. */
#ifndef BATON_DAEMON_OPERATION_H
#define BATON_DAEMON_OPERATION_H

#include "base/list.h"
#include "config/settings.h"
#include "daemon/control_reply.h"
#include "master/app.h"
#include "master/app_status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Where a process is to get. */
enum operation_goal {
    OPERATION_ONLINE,  /* serving; or ended in good order, for a program that just runs once */
    OPERATION_STOPPED, /* without a worker */
    OPERATION_RENEWED, /* its renewal is over, operation_renewed() */
    OPERATION_GONE,    /* forgotten, operation_gone() */
};

#define OPERATION_NO_PROCESS UINT32_MAX

struct operation;

struct operation_item {
    uint32_t pm_id;
    enum operation_goal goal;
    bool waiting; /* for its app's turn: not asked yet */
    bool over;
    bool failed;
    bool untried; /* then its worker has nothing to say about why */
    pid_t pid;    /* whose output says why: struct app_renewed */
    char *name;   /* of the app; owned */
    char *reason; /* why it failed; owned */
};

struct operation_events {
    /* The process as docs/api.md draws it, a new reference, or NULL when it is gone. */
    json_t *(*draw)(void *owner, uint32_t pm_id);
    /* An array of the lines that its worker `pid` printed last (0: whichever printed), a new
     * reference, or NULL. */
    json_t *(*output)(void *owner, uint32_t pm_id, pid_t pid);
    /* Whether what was done so far would survive us: the answer waits for it. */
    bool (*is_saved)(void *owner);
};

struct operation {
    struct list node; /* in the owner's list of operations */
    const struct operation_events *events;
    void *owner;
    struct control_answer *answer; /* NULL: the client has left, or there never was one */
    void (*on_over)(void *owner);  /* it has been answered; set by who began it, or NULL */
    void *over_owner;
    struct operation_item *items;
    size_t count;
    size_t over;
    json_t *warnings; /* array, owned */
    uv_timer_t timer; /* until those that are neither there nor failed are late */
    uint64_t limit_ms;
    uint64_t request;  /* of its renewals */
    uint32_t parallel; /* apps that are renewed at once; 0: as many as the fleet says */
    bool reloads;      /* … and they are reloads, else restarts */
    bool begun;
    bool closing;
};

/* Answers `request`, or nobody when it is NULL. On the heap, in `operations`. NULL when memory is
 * out; the client has been told then. */
struct operation *operation_create(struct list *operations, uv_loop_t *loop,
                                   struct control_request *request,
                                   const struct operation_events *events, void *owner);

/* A sentence for the answer. */
void operation_warn(struct operation *operation, const char *sentence);

/* One process more, which may take limit_ms (0: any time). 0 or UV_ENOMEM. */
int operation_add(struct operation *operation, uint32_t pm_id, const char *name,
                  enum operation_goal goal, uint64_t limit_ms);

/* An app that could not even be made: part of what failed. 0 or UV_ENOMEM. */
int operation_fail(struct operation *operation, const char *name, const char *reason);

/* One process more that only is in the answer. 0 or UV_ENOMEM. */
int operation_show(struct operation *operation, uint32_t pm_id);

/* All processes were added and asked. It may be over, and gone, when this returns. */
void operation_begin(struct operation *operation);

/* Reports, for each operation in the list; harmless when a process is part of none. `reason` is how
 * its last worker ended, and may be NULL. `failing`: that was a failure, whatever becomes of it
 * now. */
void operation_status(struct list *operations, uint32_t pm_id, enum app_status status, bool failing,
                      const char *reason);

/* A renewal is over that answers every request for the process up to its number: an operation with
 * a later one goes on waiting. */
void operation_renewed(struct list *operations, uint32_t pm_id, const struct app_renewed *renewed);
void operation_gone(struct list *operations, uint32_t pm_id);

/* What was done so far is saved: whatever is over is answered. `warning` (may be NULL) is part of
 * the answers: it could not be saved. */
void operation_saved(struct list *operations, const char *warning);

/* Every operation in the list is answered: "the daemon ends". */
void operation_abandon_all(struct list *operations);

#endif
