/* What a request changes of the apps that it means, before it acts on them: docs/api.md's "env" and
 * "app" of the actions. */
#ifndef BATON_DAEMON_CHANGE_H
#define BATON_DAEMON_CHANGE_H

#include "config/settings.h"
#include "daemon/fleet.h"
#include "daemon/fleet_selection.h"

#include <jansson.h>

/* Gives the apps of a selection, for workers to come, another environment of whoever asks
 * (`environment`) and other attributes (`app`); what is no object is no change. `warnings` gets a
 * sentence for each unknown attribute. 0, or a UV_E* and a sentence; then no app is another, unless
 * memory or a file of output has failed. */
int change_apply(const struct fleet *fleet, const struct fleet_selection *selection,
                 const json_t *body, struct text_list *warnings, char error[SETTINGS_ERROR_MAX]);

#endif
