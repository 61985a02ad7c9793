/* Bytes and then perhaps a part of a file, on their way into a non-blocking socket. No loop: the
 * caller waits for the socket to become writable and calls again. sendfile(2) knows no
 * MSG_NOSIGNAL, so the process must ignore SIGPIPE.
 *
 * init/clear: an embedded value that owns its buffer and its file. */
#ifndef BATON_HTTP_TRANSMISSION_H
#define BATON_HTTP_TRANSMISSION_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct http_transmission {
    struct buffer bytes; /* sent first; append to it while there is no file */
    int file;            /* -1: none */
    int64_t offset;      /* next byte of the file */
    uint64_t remaining;  /* bytes of the file still to be sent */
};

void http_transmission_init(struct http_transmission *transmission);
void http_transmission_clear(struct http_transmission *transmission);

/* Adds `length` bytes of `file` from `offset` on behind the bytes; `file` becomes the
 * transmission's. At most one at a time. */
void http_transmission_add_file(struct http_transmission *transmission, int file, int64_t offset,
                                uint64_t length);

static inline bool http_transmission_has_file(const struct http_transmission *transmission) {
    return transmission->file >= 0;
}

/* Sends what the socket takes, at most about a megabyte of a file so that others get their turn.
 * 0: everything is sent and the transmission is as after init. -EAGAIN: more is left. Any other
 * negative errno: the client cannot be served any more; -EIO when the file has got shorter. */
int http_transmission_send(struct http_transmission *transmission, int socket);

#endif
