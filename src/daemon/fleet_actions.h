/* Starts, stops, restarts, reloads and deletions of selected processes.
 *
 * The happy path: fleet_operation() makes the operation that will answer; fleet_act() adds the
 * processes to it, begins the action on each, and the operation answers once all of them are where
 * they should be. Apps are renewed some at a time; the next ones follow when those are over. What
 * fails or is late is said in the answer (operation.h). */
#ifndef BATON_DAEMON_FLEET_ACTIONS_H
#define BATON_DAEMON_FLEET_ACTIONS_H

#include "daemon/fleet.h"
#include "daemon/fleet_selection.h"
#include "daemon/operation.h"

/* An operation of the fleet that answers `request`, as operation_create(). */
struct operation *fleet_operation(struct fleet *fleet, struct control_request *request);

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

/* A renewal is over, or its process gone: others may begin. */
void fleet_renew_more(struct fleet *fleet);

#endif
