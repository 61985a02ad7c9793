/* Where the bytes go that workers print: the contract between whoever reads their pipes
 * (output_source.h) and whoever takes what they print (output.h: our terminal; the daemon: its
 * log files).
 *
 * A sink belongs to whoever embeds it and outlives every source that writes to it: output_sink_init
 * at first, output_sink_close at last. It never blocks. */
#ifndef BATON_MASTER_OUTPUT_SINK_H
#define BATON_MASTER_OUTPUT_SINK_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A sink that is not busy leaves less than this, of a line that is not finished. */
#define OUTPUT_HELD_MAX 65536

struct output_sink;

/* Whose bytes they are. */
struct output_origin {
    uint32_t slot;
    bool error; /* its standard error */
    pid_t pid;  /* 0 while the worker is not started */
};

/* What a sink made of the bytes it was offered. */
struct output_taken {
    size_t length; /* so many from the front are the sink's now */
    bool busy;     /* the others it cannot take yet: they are offered again after a pause, and until
                      then the worker is not read. Not busy: they are an unfinished line, and come
                      again with what follows */
};

struct output_sink {
    /* `end`: nothing follows from this origin, and what is not taken now is lost unless the sink is
     * busy; `length` may be 0 then. */
    struct output_taken (*take)(struct output_sink *sink, const struct output_origin *origin,
                                const char *bytes, size_t length, bool end);
    struct list sources; /* that write to it (output_source.h) */
    void (*on_closed)(void *owner);
    void *owner;
    bool closing;
};

void output_sink_init(struct output_sink *sink,
                      struct output_taken (*take)(struct output_sink *sink,
                                                  const struct output_origin *origin,
                                                  const char *bytes, size_t length, bool end));

/* Closes the sources that are left, those whose workers have ended but not their descendants. What
 * is in their pipes is read (64 KiB of each at least), offered, and lost if the sink is busy.
 * on_closed (or NULL) comes at once when there is none, else from the loop. */
void output_sink_close(struct output_sink *sink, void (*on_closed)(void *owner), void *owner);

#endif
