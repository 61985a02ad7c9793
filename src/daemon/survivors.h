/* Workers that a daemon left behind when it crashed: found by the next one, and ended once its own
 * workers serve.
 *
 * A worker is a session of its own and lives on. Its note (worker_note.h) tells who it is; its
 * number alone would not do, for numbers are used again. What it has started and put into the
 * background in a session of its own is known by the worker's token in its environment, which is
 * looked for once, in all processes, and only when there are notes. A process is ended only by a
 * descriptor of it (pidfd_open(2)) that was opened before it was compared with what is known of it,
 * so that a number which is given to another process meanwhile does no harm. */
#ifndef BATON_DAEMON_SURVIVORS_H
#define BATON_DAEMON_SURVIVORS_H

#include "master/worker_note.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Whether the process that has this number now is the one of the note. Pure. */
bool survivor_is(const struct worker_note *note, const char *boot, uint64_t started_now);

struct survivors {
    struct worker_note *items; /* of what a worker has started: its number, all else is the
                                  worker's */
    size_t count;
};

/* The workers of this home that still live, and what is left of them and of the others that are
 * noted; the notes of those of whom nothing is left are removed. To be called by the holder of the
 * lock, before it starts workers. 0 or a UV_E*, with the list empty. */
int survivors_find(struct survivors *survivors, const char *home);
void survivors_clear(struct survivors *survivors);

/* Ends survivors: SIGINT, after its kill_timeout SIGKILL, to each: to those that listen by
 * themselves at the start, for their successors need their ports, to the others when
 * survivors_end_rest() is called. With treekill what else is in a worker's session may take as
 * long, also when the worker itself has ended. What they print meanwhile is read and forgotten, for
 * whoever cannot write cannot end in good order. start/close(cb); several may be at work. */
struct survivors_end {
    uv_timer_t timer;
    int notes; /* the directory; -1: it could not be opened, and no note is removed */
    struct survivors_end_one *ones;
    size_t count;
    size_t failed;
    bool rest; /* the others, too */
    void (*on_done)(void *owner, size_t failed);
    void (*on_closed)(void *owner);
    void *owner;
};

struct survivors_end_options {
    uv_loop_t *loop;
    const char *home;
    const struct survivors *survivors;
    /* All are gone, or cannot be ended: `failed` of them, because they may not be signalled or
     * outlived SIGKILL by 5 s. Always later, from the loop. Then close. */
    void (*on_done)(void *owner, size_t failed);
    void *owner;
};

/* Copies what it needs of the home and the survivors. 0, or a UV_E* with nothing left open. */
int survivors_end_start(struct survivors_end *end, const struct survivors_end_options *options);

/* Nobody needs them any more. Harmless when it was called before. */
void survivors_end_rest(struct survivors_end *end);

/* Before on_done: those that are left live on, and keep their notes. */
void survivors_end_close(struct survivors_end *end, void (*on_closed)(void *owner));

#endif
