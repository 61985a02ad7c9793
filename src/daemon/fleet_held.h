/* Processes that are to start and wait until the apps serve that theirs depends on (depends_on).
 *
 * A process is held (record.h) by the action that starts it; whatever changes the state of any
 * process has all of them looked at again. */
#ifndef BATON_DAEMON_FLEET_HELD_H
#define BATON_DAEMON_FLEET_HELD_H

#include "daemon/fleet.h"

/* Starts what waited for others, once they serve with all their processes, and gives up what waits
 * for an app that is not there or does not run: that is logged, and fails in the operations. */
void fleet_release_held(struct fleet *fleet);

#endif
