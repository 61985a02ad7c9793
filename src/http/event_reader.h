/* Reads server-sent events (WHATWG HTML, 9.2): fed with bytes as they come, announces each event
 * once its empty line is there. Comments, `id` and `retry` are passed over. Pure.
 *
 * init/clear: an embedded value that owns its buffers. */
#ifndef BATON_HTTP_EVENT_READER_H
#define BATON_HTTP_EVENT_READER_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#define EVENT_NAME_MAX 64                         /* bytes of an event's name and a NUL */
#define EVENT_SIZE_MAX ((size_t)64 * 1024 * 1024) /* bytes of one line, or of one event's data */

/* `event` is "message" where the sender has named none; `data`, ended by NUL, holds until the
 * return. A negative answer ends the feeding and is what it returns. */
typedef int (*event_reader_function)(void *owner, const char *event, const char *data,
                                     size_t length);

struct event_reader {
    event_reader_function on_event;
    void *owner;
    struct buffer line; /* without its end, which has not come */
    struct buffer data; /* lines of data, each ended by a newline */
    char name[EVENT_NAME_MAX];
    bool skip_newline; /* the line before ended with CR: an LF now belongs to it */
    bool first_line;   /* a byte order mark may come */
};

void event_reader_init(struct event_reader *reader, event_reader_function on_event, void *owner);
void event_reader_clear(struct event_reader *reader);

/* 0; UV_EMSGSIZE for an event beyond bounds; UV_ENOMEM; what on_event has returned. After a failure
 * only clear. */
int event_reader_feed(struct event_reader *reader, const char *bytes, size_t length);

#endif
