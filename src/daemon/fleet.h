/* All apps that the daemon has.
 *
 * The happy path: fleet_add() and fleet_select() (fleet_selection.h) are asked by the routes of the
 * control API; fleet_act() (fleet_actions.h) begins an action on what was selected and its
 * operation answers when that is over; every change of a process and every line that somebody
 * follows is announced; fleet_close() stops everything. start/close(cb). */
#ifndef BATON_DAEMON_FLEET_H
#define BATON_DAEMON_FLEET_H

#include "base/list.h"
#include "daemon/operation.h"
#include "daemon/record.h"
#include "daemon/schedule.h"

#include <jansson.h>
#include <stdbool.h>
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
    const json_t *defaults; /* attributes for what descriptions do not say, or NULL; borrowed */
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

/* Of fleet->records. */
static inline struct record *fleet_record(struct list *node) {
    return LIST_ENTRY(node, struct record, in_fleet);
}

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

/* Whether lines are announced: counted. */
void fleet_follow(struct fleet *fleet, bool followed);

#endif
