#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_KEEP 4096 /* an empty buffer keeps at most this much */

void buffer_init(struct buffer *buffer) {
    *buffer = (struct buffer){.bytes = NULL};
}

void buffer_clear(struct buffer *buffer) {
    free(buffer->bytes);
    buffer_init(buffer);
}

static void move_to_front(struct buffer *buffer) {
    if (buffer->start == 0 || !buffer->bytes)
        return;
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer_length(buffer));
    buffer->end -= buffer->start;
    buffer->start = 0;
}

char *buffer_reserve(struct buffer *buffer, size_t length) {
    size_t wanted = buffer_length(buffer) + length;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    char *bytes;

    if (buffer->bytes && buffer->capacity - buffer->end >= length)
        return buffer->bytes + buffer->end;
    move_to_front(buffer);
    if (buffer->capacity >= wanted && buffer->bytes)
        return buffer->bytes + buffer->end;
    while (capacity < wanted)
        capacity *= 2;
    bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return NULL;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return buffer->bytes + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t length) {
    assert(length <= buffer->capacity - buffer->end);
    buffer->end += length;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length) {
    char *room;

    if (length == 0)
        return 0;
    room = buffer_reserve(buffer, length);
    if (!room)
        return -ENOMEM;
    memcpy(room, bytes, length);
    buffer->end += length;
    return 0;
}

int buffer_print(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    int length;
    char *room;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -EINVAL;
    room = buffer_reserve(buffer, (size_t)length + 1);
    if (!room)
        return -ENOMEM;
    va_start(arguments, format);
    vsnprintf(room, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->end += (size_t)length;
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t length) {
    assert(length <= buffer_length(buffer));
    buffer->start += length;
    if (buffer->start != buffer->end)
        return;
    buffer->start = 0;
    buffer->end = 0;
    if (buffer->capacity > BUFFER_KEEP)
        buffer_clear(buffer);
}
