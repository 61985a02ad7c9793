/* What the files of an app call of each other: app.c has its life, app_slots.c the table of its
 * slots, app_slot.c a slot and its workers, app_listeners.c its listeners, app_bypass.c finds
 * workers that go past it, app_reload.c exchanges its workers, app_end.c has its end. For them
 * alone. */
#ifndef BATON_MASTER_APP_INTERNAL_H
#define BATON_MASTER_APP_INTERNAL_H

#include "master/app.h"

/* --- app.c --- */

/* Announces a slot whose status or process has changed. */
void app_note(struct slot *slot);

bool app_is_wanted(const struct app *app); /* some slot is */

/* --- app_slots.c --- */

void app_free_slot(struct slot *slot);

/* Slots in the order of their numbers: NULL after the last. `number` is where to begin. */
struct slot *app_slot_from(const struct app *app, uint32_t number);

/* --- app_slot.c --- */

/* Starts a process for the slot, in the rotation as soon as it is ready (`serving`), or later by
 * child_serve(). 0 with *ret_child, or the UV_E* why it cannot be started. */
int app_start_child(struct slot *slot, bool serving, struct child **ret_child);

/* The slot is to have a worker from now on: false when it was already, or the app is closing. */
bool app_want_slot(struct slot *slot);

/* Gives a wanted slot that has no worker one. */
void app_fill_slot(struct slot *slot);

/* It is not started again because of what the next start would meet again: `reason`, which was
 * logged. Ends what is there of it. */
void app_fail_slot(struct slot *slot, const char *reason);

/* --- app_listeners.c: app_listen() and app_unlisten() as struct child_events has them --- */

/* The socket that all workers inherit (sd_listen_fds(3)): blocking, and listening already. 0, or a
 * UV_E* that was logged and is in app->bind_reason. */
int app_open_inherited(struct app *app);

int app_listen(void *owner, struct child *child, const struct child_listen_request *request,
               struct listener **ret_listener);
void app_unlisten(void *owner, struct child *child, struct child_member *member, bool asked);

/* While a slot has no worker, its next one may want the listener that nobody else wants. */
bool app_is_awaited(const struct app *app);

/* --- app_holder.c --- */

/* The other app of the host that holds the address, by a listener of ours or a worker's own socket;
 * NULL: none. It looks through all workers' descriptors: for when bind(2) has failed. */
const struct app *app_find_holder(const struct app *app, const struct listener_key *key);

/* --- app_bypass.c --- */

/* The worker is late: whether it listens by itself, and is READY by that. */
bool app_listens_by_itself(struct app *app, struct child *child);

/* Looks among the workers that have not been there for long, soon and not only when a worker is
 * late, for the others find its address in use. */
void app_look_for_bypass(struct app *app);

/* --- app_reload.c --- */

/* Begins the next renewal, if none is under way. */
void app_renew_next(struct app *app);

/* The slot's worker is ready: the successor takes over, or its turn is over. */
void app_successor_ready(struct slot *slot);
void app_first_ready(struct slot *slot);

/* The successor will not serve: it has ended, or not become ready in time. */
void app_successor_failed(struct slot *slot, int error, const char *reason);

/* The slot's own worker failed or was given up during its turn. */
void app_renewal_failed(struct slot *slot, int error, const char *reason);

/* The old worker ended while the successor was prepared: whoever is there now serves. */
void app_promote(struct slot *slot);

/* The slot's workers are all gone: true when its turn goes on with a new one. */
bool app_renewal_emptied(struct slot *slot);

/* Its worker has grown too large. */
void app_renew_large(struct slot *slot);

/* Its mark and turn are dropped. */
void app_cancel_renewal(struct slot *slot);

/* --- app_end.c --- */

/* No slot is wanted any more: whoever has connected is served, then all are drained. */
void app_begin_end(struct app *app);

/* Closes what is left when the last worker is gone and none is wanted. */
void app_check_end(struct app *app);

/* A timer or listener is closed: the app is freed with the last of them, if it is closed. */
void app_on_handle_closed(struct app *app);
void app_on_listener_closed(void *owner);

#endif
