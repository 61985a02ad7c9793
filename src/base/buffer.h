/* A growing run of bytes: appended at the end, consumed from the front.
 *
 * init/clear: an embedded value that owns one heap block. Pointers into it hold until the next
 * append or clear. */
#ifndef BATON_BASE_BUFFER_H
#define BATON_BASE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *bytes;     /* NULL while nothing was ever stored */
    size_t start;    /* first byte that is not consumed */
    size_t end;      /* one past the last byte */
    size_t capacity; /* of `bytes` */
};

void buffer_init(struct buffer *buffer);

/* Frees the block; the buffer may be used again as after init. */
void buffer_clear(struct buffer *buffer);

static inline size_t buffer_length(const struct buffer *buffer) {
    return buffer->end - buffer->start;
}

static inline char *buffer_data(const struct buffer *buffer) {
    return buffer->bytes ? buffer->bytes + buffer->start : NULL;
}

/* Room for `length` more bytes at the end: their address, or NULL when memory is out. What is
 * written there counts only after buffer_commit(). */
char *buffer_reserve(struct buffer *buffer, size_t length);
void buffer_commit(struct buffer *buffer, size_t length);

/* Copies `length` bytes to the end. 0, or -ENOMEM with the buffer unchanged. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/* printf at the end. 0, or -ENOMEM with the buffer unchanged. */
int buffer_print(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops `length` bytes from the front; at most buffer_length(). A buffer that gets empty and is
 * larger than a page gives its block back, so that one large message does not stay in memory for
 * ever. */
void buffer_consume(struct buffer *buffer, size_t length);

#endif
