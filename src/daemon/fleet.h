/* All apps that the daemon has, and the actions on them.
 *
 * The happy path: fleet_add() and fleet_select() are asked by the routes of the control API;
 * fleet_act() begins an action on what was selected and its operation answers when that is over;
 * every change of a process and every line that somebody follows is announced; fleet_close() stops
 * everything. start/close(cb). */
#ifndef BATON_DAEMON_FLEET_H
#define BATON_DAEMON_FLEET_H

#include "base/list.h"
#include "daemon/operation.h"
#include "daemon/record.h"
#include "daemon/schedule.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet_events {
    /* What would be saved is another; and whether the last of it is. */
    void (*changed)(void *owner);
    bool (*is_saved)(void *owner);
    void (*process)(void *owner, struct record *record, uint32_t slot); /* status or worker */
    /* It is forgotten. The record is, too, if it was its last. */
    void (*removed)(void *owner, struct record *record, uint32_t pm_id);
    void (*line)(void *owner, struct record *record, const struct log_line *line);
};

struct fleet {
    uv_loop_t *loop;
    struct host *host;
    const char *home;
    const struct fleet_events *events;
    void *owner;
    struct schedule schedule;
    struct list records;
    struct list operations;
    uint32_t next_pm_id;
    uint64_t next_request; /* of renewals */
    uint32_t parallel;     /* apps that one operation renews at once, where it does not say */
    unsigned followers;    /* of lines */
    bool acting;           /* in fleet_act(): nobody's wait for others is judged yet */
    bool closing;
    void (*on_closed)(void *owner);
};

/* A process that is meant by somebody. */
struct fleet_process {
    struct record *record;
    uint32_t slot;
    uint32_t pm_id;
};

struct fleet_selection {
    struct fleet_process *processes; /* by pm_id, each once; owned */
    size_t count;
};

int fleet_start(struct fleet *fleet, struct host *host, const char *home,
                const struct fleet_events *events, void *owner);

/* Stops and forgets everything; operations are answered. on_closed comes from the loop. */
void fleet_close(struct fleet *fleet, void (*on_closed)(void *owner));

/* The app of this name, or NULL. */
struct record *fleet_find(const struct fleet *fleet, const char *name);

/* The same, of this script (absolute; NULL: any). */
struct record *fleet_find_program(const struct fleet *fleet, const char *name, const char *script);

/* Adds an app, all its processes stopped. Takes references as record_create(). */
int fleet_add(struct fleet *fleet, json_t *description, struct settings *settings,
              struct record **ret_record, char error[SETTINGS_ERROR_MAX]);

/* Whether no process runs, or is to be started by itself. */
bool fleet_is_down(const struct fleet *fleet);

/* --- selections --- */

void fleet_selection_clear(struct fleet_selection *selection);

/* Adds what one target means: 0, UV_ENOENT when that is nothing, UV_EINVAL for a broken
 * expression, or UV_ENOMEM. */
int fleet_select(const struct fleet *fleet, const char *target, struct fleet_selection *selection);

/* Adds one process, if it is not there yet. 0 or UV_ENOMEM. */
int fleet_selection_add(struct fleet_selection *selection, const struct fleet_process *process);

/* Adds every process of a record. 0 or UV_ENOMEM. */
int fleet_select_record(struct record *record, struct fleet_selection *selection);

/* --- actions --- */

enum fleet_action { FLEET_START, FLEET_STOP, FLEET_RESTART, FLEET_RELOAD, FLEET_DELETE };

/* Begins the action on each process and adds them to the operation, which begins after that: it may
 * be gone when this returns. */
void fleet_act(struct fleet *fleet, enum fleet_action action,
               const struct fleet_selection *selection, struct operation *operation);

/* The same for two selections at once: `known` is acted on, `fresh` is started. */
void fleet_act_both(struct fleet *fleet, enum fleet_action action,
                    const struct fleet_selection *known, const struct fleet_selection *fresh,
                    struct operation *operation);

/* The operation is over: its answer shows these processes. */
void fleet_show(const struct fleet_selection *selection, struct operation *operation);

struct operation *fleet_operation(struct fleet *fleet, struct control_request *request);

/* Whether lines are announced: counted. */
void fleet_follow(struct fleet *fleet, bool followed);

/* --- what is saved --- */

/* An array of {"description", "processes": [{"pm_id", "stopped"}]}; a new reference or NULL. */
json_t *fleet_save(const struct fleet *fleet);

/* Adds the apps of a saved array that are not there by name, and starts those of their processes
 * that ran. Returns how many apps were added; each that cannot work is logged. */
size_t fleet_restore(struct fleet *fleet, const json_t *saved, struct operation *operation);

#endif
