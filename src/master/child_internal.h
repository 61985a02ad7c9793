/* What the files of a child call of each other: child.c has its state, child_start.c its start,
 * child_members.c its memberships, child_end.c its end. For them alone. */
#ifndef BATON_MASTER_CHILD_INTERNAL_H
#define BATON_MASTER_CHILD_INTERNAL_H

#include "master/child.h"
#include "master/worker_note.h"

#include <uv.h>

/* --- child_start.c --- */

/* One of the handles in child->open_handles is closed: the record is freed with the last. */
void child_handle_closed(void *owner);

/* Closes all that child_start() opened but the timer; and that. */
void child_close_handles(struct child *child);
void child_close_timer(struct child *child);

/* In hexadecimal, as the environment has it. */
void child_print_token(const struct child *child, char text[WORKER_NOTE_TOKEN_MAX]);

/* --- child_members.c --- */

/* A membership that gets no clients yet. 0 with *ret_member, or UV_ENOMEM. */
int child_create_member(struct child *child, struct listener *listener,
                        const struct child_listen_request *request,
                        struct child_member **ret_member);

/* --- child_end.c --- */

/* The step that child->timer_step names is due. */
void child_on_timer(uv_timer_t *timer);

#endif
