/* The way of bytes from a worker into the files of its slot, and to whoever follows: raw, or line
 * by line with a date or as JSON.
 *
 * Raw lines that nobody follows, in a file of their own, are no lines to us: the bytes are written
 * as they come. Otherwise whole lines are taken, and of an unfinished one nothing until it is long.
 * When memory is out lines are lost. */
#ifndef BATON_DAEMON_LOG_PASSAGE_H
#define BATON_DAEMON_LOG_PASSAGE_H

#include "base/buffer.h"
#include "daemon/app_log_internal.h"
#include "daemon/log_format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one stream, read at one time. Log, slot, stream and error are filled in by the caller,
 * the rest by log_passage_write(). */
struct log_passage {
    struct app_log *log;
    struct app_log_slot *slot;
    struct app_log_stream *stream;
    bool error;
    int64_t time_ms;
    char date[LOG_DATE_MAX]; /* as the format has it */
    size_t date_length;
    struct buffer json_end; /* of each record */
};

/* How many bytes from the front pass now; `end`: nothing follows them. */
size_t log_passage_length(const struct log_passage *passage, const char *bytes, size_t length,
                          bool end);

/* Writes and announces so many; at least one. */
void log_passage_write(struct log_passage *passage, const char *bytes, size_t length);

/* Nothing follows: whatever comes next into the file is not the rest of its last line, except that
 * raw bytes in a file of their own are left as they are. */
void log_passage_finish(struct log_passage *passage);

#endif
