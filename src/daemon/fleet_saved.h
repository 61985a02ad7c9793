/* The list of apps as it is saved, and how it becomes apps again. */
#ifndef BATON_DAEMON_FLEET_SAVED_H
#define BATON_DAEMON_FLEET_SAVED_H

#include "daemon/fleet.h"

#include <jansson.h>
#include <stddef.h>

/* An array of {"description", "processes": [{"pm_id", "stopped"}]}; a new reference or NULL. */
json_t *fleet_save(const struct fleet *fleet);

/* Adds the apps of a saved array that are not there by name, and starts those of their processes
 * that ran. Returns how many apps were added; each that cannot work is logged. */
size_t fleet_restore(struct fleet *fleet, const json_t *saved, struct operation *operation);

#endif
