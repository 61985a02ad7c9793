/* Writes a state file (state_file.h) in the background, so that the loop never waits for the disk:
 * one at a time, and of several that come meanwhile the latest.
 *
 * start/close(cb). */
#ifndef BATON_DAEMON_STATE_SAVER_H
#define BATON_DAEMON_STATE_SAVER_H

#include "daemon/state_file.h"

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct state_saver {
    uv_work_t work;
    uv_timer_t idle; /* never runs; closed when nothing is to be written */
    uv_loop_t *loop;
    char *path;
    struct state_file_content writing; /* what a thread has now; no text: nothing */
    struct state_file_content waiting; /* the latest one that came meanwhile */
    bool busy;                         /* a thread writes, or its result is being announced */
    bool closing;
    struct state_file_known known; /* the thread's, while there is one */
    int result;                    /* of the thread */
    /* A write is over: 0 or as state_file_write(). Not called for those that were overtaken. */
    void (*on_saved)(void *owner, int result);
    void (*on_closed)(void *owner);
    void *owner;
};

int state_saver_start(struct state_saver *saver, uv_loop_t *loop, const char *path,
                      void (*on_saved)(void *owner, int result), void *owner);

/* Takes the value as it is now. 0 or UV_ENOMEM. */
int state_saver_save(struct state_saver *saver, const json_t *value, bool force);

/* Once everything is written. */
void state_saver_close(struct state_saver *saver, void (*on_closed)(void *owner));

#endif
