/* For a client that wants log lines: those that were printed before it came, read from the ends of
 * files, and then, if it follows, what was printed while they were read: no line is lost between
 * both and none comes twice.
 *
 * The happy path: recall_create(); recall_add() for each file, which notes how long it is at this
 * moment: what is before that is read, what comes after is announced; recall_start(); meanwhile
 * every line that the client is to have is given to recall_take(), which keeps it; the files are
 * read one after the other in the thread pool and sent as fast as the client takes them; then what
 * was kept, then on_done. A file may end within a line: its beginning is kept until the rest of it
 * is printed, so recall_take() is asked after on_done, too.
 *
 * What fails: a file that cannot be read has no lines. The daemon holds at most RECALL_HELD_MAX
 * bytes for all who are slow; what is above that is not waited with, and the client is told how
 * much it has lost (event_stream.h).
 *
 * create/destroy; destroyed at any time except from within its callbacks, on_done apart. */
#ifndef BATON_DAEMON_RECALL_H
#define BATON_DAEMON_RECALL_H

#include "daemon/event_stream.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RECALL_HELD_MAX ((size_t)16 * 1024 * 1024)

struct recall;

/* A file and whose it is. Where several share one, its lines are the first one's. */
struct recall_file {
    const char *path; /* absolute */
    uint32_t pm_id;
    const char *name; /* of the app */
    bool error;       /* standard error */
};

struct recall_options {
    uv_loop_t *loop;
    struct event_stream *stream;  /* outlives it */
    size_t *held;                 /* bytes held by all recalls; the daemon's */
    size_t lines;                 /* of each file */
    bool follows;                 /* beginnings of lines wait for their ends */
    void (*on_done)(void *owner); /* everything was sent; from the loop or recall_start() */
    void (*on_room)(void *owner); /* of the stream, whose owner shall call recall_go_on() */
    void *owner;
};

/* NULL: memory is out. */
struct recall *recall_create(const struct recall_options *options);
void recall_destroy(struct recall *recall);

/* Each file once, however often it is added. 0 or UV_ENOMEM. */
int recall_add(struct recall *recall, const struct recall_file *file);

void recall_start(struct recall *recall);

/* The client has taken something. */
void recall_go_on(struct recall *recall);

/* Takes a line (borrowed) that was printed after the beginning; false: the caller sends it. NULL
 * for `recall` is one that takes nothing. */
bool recall_take(struct recall *recall, json_t *line);

/* The event `log` of a line; NULL when memory is out. `length` bytes of UTF-8. */
json_t *recall_draw(const struct recall_file *file, int64_t time_ms, const char *text,
                    size_t length);

#endif
