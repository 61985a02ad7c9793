/* One pipe that a worker prints to, read as fast as its sink takes the bytes.
 *
 * The happy path: poll, read, offer, and what the sink leaves is kept for the next time. A
 * worker that prints without a break is read every 2 ms: so one that prints line by line is read in
 * batches, and one that floods is slowed to about 128 MB/s, whatever the sink. It can fail when the
 * sink is busy (nothing is read until it takes again, so that the worker waits, not we), and when
 * memory is out (what would have to be kept is lost).
 *
 * On the heap, with at most 512 KiB of bytes at any time and none while idle. It lives in its sink:
 * output_source_release() tells that its worker has ended, and then it goes by itself when no
 * descendant of the worker has the pipe open any more, or with output_sink_close(). */
#ifndef BATON_MASTER_OUTPUT_SOURCE_H
#define BATON_MASTER_OUTPUT_SOURCE_H

#include "base/buffer.h"
#include "base/list.h"
#include "master/output_sink.h"

#include <uv.h>

struct output_source {
    struct list in_sink;
    struct output_sink *sink;
    struct output_origin origin;
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned handles;   /* of the two that are open */
    int descriptor;     /* owned, not blocking */
    bool large;         /* the pipe was made larger, for somebody who fills it */
    bool busy;          /* the sink is: nothing is read until it has taken `line` */
    bool ended;         /* read to its end: nobody has it open any more */
    bool released;      /* its worker has ended */
    bool closing;       /* the handles are being closed */
    uint64_t read_ms;   /* the loop's time when it was last read */
    struct buffer line; /* what the sink has left */
};

/* Takes over `descriptor`, the reading end. 0 with *ret_source, or a UV_E* with the descriptor the
 * caller's still. */
int output_source_start(struct output_source **ret_source, uv_loop_t *loop,
                        struct output_sink *sink, int descriptor,
                        const struct output_origin *origin);

/* The worker has ended: what it has printed is read and offered before this returns (as much as a
 * pipe holds; a descendant may be writing still). The source is not the caller's any more. */
void output_source_release(struct output_source *source);

#endif
