#include "daemon/log_passage.h"

#include "daemon/log_format.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define FORMATTED_MAX 65536 /* bytes of formatted lines that are written at once */

static bool is_formatted(const struct app_log *log) {
    return log->date_format || log->options.settings->log_type_json;
}

/* Nobody else's bytes may come between those of a line here. */
static bool is_shared(const struct app_log_slot *slot, const struct app_log_stream *stream) {
    return slot->combined || (stream->file && stream->file->users > 1);
}

/* How many bytes at the front are whole lines; the rest is to be short. */
static size_t whole_lines(const char *bytes, size_t length, bool end) {
    const char *newline = end || length == 0 ? NULL : memrchr(bytes, '\n', length);
    size_t lines = newline ? (size_t)(newline - bytes) + 1 : 0;

    return end || length - lines >= OUTPUT_HELD_MAX ? length : lines;
}

size_t log_passage_length(const struct log_passage *passage, const char *bytes, size_t length,
                          bool end) {
    const struct app_log *log = passage->log;

    if (log->followed || is_formatted(log) || is_shared(passage->slot, passage->stream))
        return whole_lines(bytes, length, end);
    return length;
}

static size_t line_size(const char *bytes, size_t length) {
    const char *newline = memchr(bytes, '\n', length);

    return newline ? (size_t)(newline - bytes) + 1 : length;
}

static void write_file(struct log_passage *passage, struct app_log_file *file, const char *bytes,
                       size_t length) {
    struct app_log *log = passage->log;

    if (!file)
        return;
    log_file_write(&file->file, bytes, length, uv_now(log->options.loop));
    app_log_compress_later(log, &file->file);
}

static void write_files(struct log_passage *passage, const char *bytes, size_t length) {
    write_file(passage, passage->stream->file, bytes, length);
    if (passage->slot->combined != passage->stream->file)
        write_file(passage, passage->slot->combined, bytes, length);
}

static void begin_passage(struct log_passage *passage) {
    struct timespec now;
    struct log_time time;

    clock_gettime(CLOCK_REALTIME, &now);
    passage->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (!is_formatted(passage->log))
        return;
    if (!passage->log->date_format) {
        passage->date_length = log_format_iso_date(passage->date, passage->time_ms);
        return;
    }
    time = log_time_local(passage->time_ms);
    passage->date_length = log_format_date(passage->date, passage->log->date_format, &time);
}

static int format_json_end(struct log_passage *passage) {
    const struct app_log_options *options = &passage->log->options;
    struct log_record record = {.timestamp = passage->date,
                                .type = passage->error ? "err" : "out",
                                .process_id =
                                    options->process_id(options->owner, passage->slot->number),
                                .app_name = options->name};

    return log_format_json_end(&passage->json_end, &record);
}

/* "date: line", and the date only where a line begins. */
static int format_dated(struct log_passage *passage, const char *line, size_t size) {
    struct buffer *lines = &passage->log->lines;
    char *room = buffer_reserve(lines, passage->date_length + 2 + size);
    size_t length = 0;

    if (!room)
        return -ENOMEM;
    if (!passage->stream->continued) {
        memcpy(room, passage->date, passage->date_length);
        length = passage->date_length;
        room[length++] = ':';
        room[length++] = ' ';
    }
    memcpy(room + length, line, size);
    length += size;
    passage->stream->continued = line[size - 1] != '\n';
    buffer_commit(lines, length);
    return 0;
}

static void write_formatted(struct log_passage *passage) {
    struct buffer *lines = &passage->log->lines;

    write_files(passage, buffer_data(lines), buffer_length(lines));
    lines->start = 0; /* the block is kept while there is more to format */
    lines->end = 0;
}

/* When memory is out the line is lost. */
static void format_lines(struct log_passage *passage, const char *bytes, size_t length) {
    struct buffer *lines = &passage->log->lines;
    bool json = passage->log->options.settings->log_type_json;

    buffer_init(&passage->json_end);
    if (json && format_json_end(passage) < 0)
        return;
    while (length > 0) {
        size_t size = line_size(bytes, length);

        if (json)
            log_format_json(lines, bytes, size, &passage->json_end);
        else
            format_dated(passage, bytes, size);
        bytes += size;
        length -= size;
        if (buffer_length(lines) >= FORMATTED_MAX || length == 0)
            write_formatted(passage);
    }
    buffer_clear(&passage->json_end);
    buffer_clear(lines);
}

static void announce_lines(struct log_passage *passage, const char *bytes, size_t length) {
    struct app_log *log = passage->log;

    while (length > 0) {
        size_t size = line_size(bytes, length);
        struct log_line line = {
            .slot = passage->slot->number, .error = passage->error, .time_ms = passage->time_ms};

        log->text.start = 0;
        log->text.end = 0;
        if (log_format_text(&log->text, bytes, size - (bytes[size - 1] == '\n')) == 0) {
            line.text = log->text.bytes ? log->text.bytes : "";
            line.length = buffer_length(&log->text);
            log->options.on_line(log->options.owner, &line);
        }
        bytes += size;
        length -= size;
    }
    buffer_clear(&log->text);
}

void log_passage_write(struct log_passage *passage, const char *bytes, size_t length) {
    struct app_log *log = passage->log;

    begin_passage(passage);
    if (is_formatted(log))
        format_lines(passage, bytes, length);
    else
        write_files(passage, bytes, length);
    if (log->followed)
        announce_lines(passage, bytes, length);
    passage->stream->continued = bytes[length - 1] != '\n';
}

void log_passage_finish(struct log_passage *passage) {
    const struct app_log *log = passage->log;
    bool json = log->options.settings->log_type_json;

    if (passage->stream->continued && !json &&
        (log->date_format || is_shared(passage->slot, passage->stream)))
        write_files(passage, "\n", 1);
    passage->stream->continued = false;
}
