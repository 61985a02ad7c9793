#include "http/event_reader.h"

#include <string.h>
#include <uv.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";

void event_reader_init(struct event_reader *reader, event_reader_function on_event, void *owner) {
    *reader = (struct event_reader){.on_event = on_event, .owner = owner, .first_line = true};
    buffer_init(&reader->line);
    buffer_init(&reader->data);
}

void event_reader_clear(struct event_reader *reader) {
    buffer_clear(&reader->line);
    buffer_clear(&reader->data);
}

static int append(struct buffer *buffer, const char *bytes, size_t length) {
    if (buffer_length(buffer) + length > EVENT_SIZE_MAX)
        return UV_EMSGSIZE;
    return buffer_append(buffer, bytes, length) < 0 ? UV_ENOMEM : 0;
}

/* An event without data is none. The newline behind its last line becomes the NUL. */
static int announce(struct event_reader *reader) {
    size_t length = buffer_length(&reader->data);
    const char *name = reader->name[0] ? reader->name : "message";
    int status = 0;

    if (length > 0) {
        buffer_data(&reader->data)[length - 1] = '\0';
        status = reader->on_event(reader->owner, name, buffer_data(&reader->data), length - 1);
        buffer_consume(&reader->data, length);
    }
    reader->name[0] = '\0';
    return status < 0 ? status : 0;
}

static bool is_field(const char *line, size_t length, const char *name) {
    return length == strlen(name) && memcmp(line, name, length) == 0;
}

static int take_field(struct event_reader *reader, const char *line, size_t name_length,
                      const char *value, size_t length) {
    if (is_field(line, name_length, "event") && length < sizeof reader->name) {
        memcpy(reader->name, value, length);
        reader->name[length] = '\0';
        return 0;
    }
    if (!is_field(line, name_length, "data"))
        return 0;
    if (append(&reader->data, value, length) < 0 || append(&reader->data, "\n", 1) < 0)
        return UV_EMSGSIZE;
    return 0;
}

/* "name: value", of which the first blank is no part; "name"; ": comment". */
static int take_line(struct event_reader *reader, const char *line, size_t length) {
    const char *colon = memchr(line, ':', length);
    size_t name_length = colon ? (size_t)(colon - line) : length;
    size_t skipped = name_length + (colon != NULL);

    if (colon && skipped < length && line[skipped] == ' ')
        skipped++;
    return take_field(reader, line, name_length, line + skipped, length - skipped);
}

static int end_line(struct event_reader *reader) {
    size_t length = buffer_length(&reader->line);
    const char *line = length > 0 ? buffer_data(&reader->line) : "";
    size_t skipped = 0;
    int status;

    if (reader->first_line && length >= 3 && memcmp(line, byte_order_mark, 3) == 0)
        skipped = 3;
    reader->first_line = false;
    if (length == skipped)
        status = announce(reader);
    else
        status = take_line(reader, line + skipped, length - skipped);
    buffer_consume(&reader->line, length);
    return status;
}

/* How many bytes stand before the end of the line, or `length`. */
static size_t line_length(const char *bytes, size_t length) {
    const char *newline = memchr(bytes, '\n', length);
    size_t limit = newline ? (size_t)(newline - bytes) : length;
    const char *carriage_return = memchr(bytes, '\r', limit);

    return carriage_return ? (size_t)(carriage_return - bytes) : limit;
}

int event_reader_feed(struct event_reader *reader, const char *bytes, size_t length) {
    while (length > 0) {
        size_t taken = reader->skip_newline && bytes[0] == '\n' ? 1 : 0;
        int status;

        bytes += taken;
        length -= taken;
        reader->skip_newline = false;
        taken = line_length(bytes, length);
        status = append(&reader->line, bytes, taken);
        if (status < 0 || taken == length)
            return status;
        reader->skip_newline = bytes[taken] == '\r';
        bytes += taken + 1;
        length -= taken + 1;
        status = end_line(reader);
        if (status < 0)
            return status;
    }
    return 0;
}
