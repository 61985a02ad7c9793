/* What the files of an app call of each other: app.c has its slots and workers, app_listeners.c its
 * listeners, app_reload.c the exchange of its workers, app_end.c its end. For them alone. */
#ifndef BATON_MASTER_APP_INTERNAL_H
#define BATON_MASTER_APP_INTERNAL_H

#include "master/app.h"

/* --- app.c --- */

/* Starts a process for the slot, in the rotation as soon as it is ready (`serving`), or later by
 * child_serve(). 0 with *ret_child, or the UV_E* why it cannot be started. */
int app_start_child(struct slot *slot, bool serving, struct child **ret_child);

/* Gives an empty slot a worker, unless it is over or the app ends. */
void app_start_slot(struct slot *slot);

/* --- app_listeners.c --- */

/* The socket that all workers inherit (sd_listen_fds(3)): blocking, and listening already. 0, or a
 * UV_E* that was logged. */
int app_open_inherited(struct app *app);

/* As struct child_events has them; the owner is the app. */
int app_listen(void *owner, struct child *child, const struct child_listen_request *request,
               struct listener **ret_listener);
void app_unlisten(void *owner, struct child *child, struct child_member *member, bool asked);

/* While a slot has no worker, its next one may want the listener that nobody else wants. */
bool app_is_awaited(const struct app *app);

/* --- app_reload.c --- */

/* A successor did not get ready; outside a reload it was to replace a worker that had grown too
 * large. */
void app_successor_failed(struct slot *slot, const char *why);

/* The slot has its new worker, or needs none any more: on to the next, if it was this one's turn.
 */
void app_continue_reload(struct app *app, const struct slot *slot);

/* --- app_end.c --- */

/* Takes the next step of the end when the last worker, listener or timer is gone. */
void app_finish_if_empty(struct app *app);
void app_on_listener_closed(void *owner);

#endif
