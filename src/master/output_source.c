#include "master/output_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE  262144
#define PIPE_SIZE  262144 /* of a worker that has filled its pipe */
#define PIPE_FULL  32768  /* bytes at once: a pipe of the usual size is at least half full */
#define BUSY_MS    10
#define BATCH_MS   2
#define LAST_READS 8 /* at most, when the worker has ended: 2 MiB */

void output_sink_init(struct output_sink *sink,
                      struct output_taken (*take)(struct output_sink *sink,
                                                  const struct output_origin *origin,
                                                  const char *bytes, size_t length, bool end)) {
    *sink = (struct output_sink){.take = take};
    list_init(&sink->sources);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct output_source *source = handle->data;
    struct output_sink *sink = source->sink;

    if (--source->handles > 0)
        return;
    list_remove(&source->in_sink);
    buffer_clear(&source->line);
    free(source);
    if (sink->closing && list_empty(&sink->sources) && sink->on_closed)
        sink->on_closed(sink->owner);
}

static void close_source(struct output_source *source) {
    if (source->closing)
        return;
    source->closing = true;
    uv_close((uv_handle_t *)&source->poll, on_handle_closed);
    uv_close((uv_handle_t *)&source->pause, on_handle_closed);
    close(source->descriptor);
}

/* Offers `bytes`; what the sink leaves is kept. */
static void offer(struct output_source *source, const char *bytes, size_t length) {
    struct output_taken taken =
        source->sink->take(source->sink, &source->origin, bytes, length, source->ended);
    size_t rest = length - taken.length;

    source->busy = rest > 0 && (taken.busy || rest >= OUTPUT_HELD_MAX);
    if (source->ended && !source->busy)
        rest = 0;
    if (buffer_length(&source->line) > 0)
        buffer_consume(&source->line, buffer_length(&source->line));
    buffer_append(&source->line, bytes + length - rest, rest);
}

/* The same with what it has left before. */
static void offer_again(struct output_source *source) {
    struct output_taken taken =
        source->sink->take(source->sink, &source->origin, buffer_data(&source->line),
                           buffer_length(&source->line), source->ended);
    size_t rest = buffer_length(&source->line) - taken.length;

    source->busy = rest > 0 && (taken.busy || rest >= OUTPUT_HELD_MAX);
    if (source->ended && !source->busy)
        rest = 0;
    buffer_consume(&source->line, buffer_length(&source->line) - rest);
}

static void enlarge_pipe(struct output_source *source) {
    source->large = true;
    fcntl(source->descriptor, F_SETPIPE_SZ, PIPE_SIZE); /* or it stays as it is */
}

/* Reads once and offers it: true when something was there. At the end `ended` is set. */
static bool read_once(struct output_source *source) {
    char bytes[OUTPUT_HELD_MAX + READ_SIZE];
    size_t held = buffer_length(&source->line);
    ssize_t length = read(source->descriptor, bytes + held, READ_SIZE);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    source->ended = length <= 0;
    if (length < 0)
        length = 0;
    if (length >= PIPE_FULL && !source->large)
        enlarge_pipe(source);
    if (held > 0)
        memcpy(bytes, buffer_data(&source->line), held);
    offer(source, bytes, held + (size_t)length);
    return !source->ended;
}

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_pause(uv_timer_t *pause);

/* libuv asks the kernel to forget the descriptor even when it knows nothing of it. */
static void stop_polling(struct output_source *source) {
    if (uv_is_active((uv_handle_t *)&source->poll))
        uv_poll_stop(&source->poll);
}

static void pause_reading(struct output_source *source, uint64_t milliseconds) {
    stop_polling(source);
    uv_timer_start(&source->pause, on_pause, milliseconds, 0);
}

/* After a look: polls on, waits, or is done. */
static void go_on(struct output_source *source, bool again_soon) {
    if (source->busy)
        pause_reading(source, BUSY_MS);
    else if (source->ended && source->released)
        close_source(source);
    else if (source->ended)
        stop_polling(source);
    else if (again_soon)
        pause_reading(source, BATCH_MS);
    else if (!uv_is_active((uv_handle_t *)&source->poll))
        uv_poll_start(&source->poll, UV_READABLE, on_readable);
}

static void on_pause(uv_timer_t *pause) {
    struct output_source *source = pause->data;
    bool found = false;

    if (source->busy)
        offer_again(source);
    else if (!source->ended)
        found = read_once(source);
    source->read_ms = found ? uv_now(pause->loop) : source->read_ms;
    go_on(source, found);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct output_source *source = poll->data;
    uint64_t now_ms = uv_now(poll->loop);
    bool soon = now_ms - source->read_ms <= BATCH_MS;

    (void)status; /* an error is found by reading */
    (void)events;
    source->read_ms = now_ms;
    go_on(source, read_once(source) && soon);
}

int output_source_start(struct output_source **ret_source, uv_loop_t *loop,
                        struct output_sink *sink, int descriptor,
                        const struct output_origin *origin) {
    struct output_source *source = calloc(1, sizeof *source);
    int result;

    if (!source)
        return UV_ENOMEM;
    result = uv_poll_init(loop, &source->poll, descriptor);
    if (result < 0) {
        free(source);
        return result;
    }
    uv_timer_init(loop, &source->pause);
    source->poll.data = source;
    source->pause.data = source;
    source->handles = 2;
    source->sink = sink;
    source->origin = *origin;
    source->descriptor = descriptor;
    buffer_init(&source->line);
    list_push_back(&sink->sources, &source->in_sink);
    uv_poll_start(&source->poll, UV_READABLE, on_readable);
    *ret_source = source;
    return 0;
}

static void read_what_is_there(struct output_source *source) {
    int reads = LAST_READS;

    if (source->busy)
        offer_again(source);
    while (reads-- > 0 && !source->busy && !source->ended && read_once(source))
        ;
}

void output_source_release(struct output_source *source) {
    source->released = true;
    if (source->closing)
        return;
    read_what_is_there(source);
    go_on(source, false);
}

/* The unfinished line, too. */
static void finish(struct output_source *source) {
    read_what_is_there(source);
    if (source->ended)
        return;
    source->ended = true;
    offer_again(source);
}

void output_sink_close(struct output_sink *sink, void (*on_closed)(void *owner), void *owner) {
    sink->closing = true;
    sink->on_closed = on_closed;
    sink->owner = owner;
    if (list_empty(&sink->sources) && on_closed)
        on_closed(owner);
    LIST_EACH(node, following, &sink->sources) {
        struct output_source *source = LIST_ENTRY(node, struct output_source, in_sink);

        if (!source->closing)
            finish(source);
        close_source(source);
    }
}
