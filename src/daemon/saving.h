/* What the daemon writes down: the list of apps at each change (HOME/state.json), from which the
 * next daemon goes on after a crash, and the dump that a person asks for (HOME/dump.json).
 *
 * The happy path: saving_changed() at each change; in the loop's next round the list is drawn once
 * for all of them and written in the background; while saving_is_pending() nobody is told that his
 * change is done; `settled` when everything is on the disk. A list that cannot be written is
 * settled, too, with an error: the daemon goes on, and the next change tries again.
 *
 * start/close; closed when the loop has run out. */
#ifndef BATON_DAEMON_SAVING_H
#define BATON_DAEMON_SAVING_H

#include "base/list.h"
#include "daemon/control.h"
#include "daemon/state_saver.h"

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct saving_options {
    uv_loop_t *loop;
    const char *home; /* borrowed */
    /* The list as it is now, a new reference, or NULL when memory is out. */
    json_t *(*draw)(void *owner);
    /* Nothing is pending any more: 0, or the UV_E* of the last write. */
    void (*settled)(void *owner, int result);
    void *owner;
};

struct saving {
    struct saving_options options;
    struct state_saver state;
    struct state_saver dump;
    uv_timer_t timer;     /* until the loop's next round */
    struct list requests; /* struct dump_request.node: whoever waits for the dump */
    bool pending;
};

/* 0 or a UV_E*. */
int saving_start(struct saving *saving, const struct saving_options *options);

/* The list is another. */
void saving_changed(struct saving *saving);

/* Whether a change is not on the disk yet. */
bool saving_is_pending(const struct saving *saving);

/* Answers the request once the dump is written: {"path", "apps"}; 409 when nothing would replace
 * something, unless with `force`. */
void saving_dump(struct saving *saving, struct control_request *request, bool force);

/* What is pending is written first. No request is waiting any more. */
void saving_close(struct saving *saving);

#endif
