/* How bytes become lines in files: see take() first. */
#include "daemon/app_log.h"

#include "base/clock.h"
#include "daemon/log_format.h"
#include "daemon/log_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REST_MS       5000
#define PROBLEM_MS    60000
#define SLOW_NS       50000000   /* a write that takes longer waits for the disk … */
#define PAUSE_SHARE   10         /* … and is followed by a pause of so many times as long … */
#define PAUSE_MAX_NS  2000000000 /* … or this */
#define OUR_MODE      0600
#define GIVEN_MODE    0640
#define RECENT_SIZE   4096
#define RECENT_COUNT  2 /* workers: of a reload the old one and the new one */
#define APP_NAME_MAX  128
#define USUAL_DATE    "YYYY-MM-DDTHH:mm:ss"
#define FORMATTED_MAX 65536 /* bytes of formatted lines that are written at once */

/* A log file, of as many streams as have its path. */
struct app_log_file {
    struct list in_log;
    struct log_file file;
    unsigned users;
};

struct app_log_stream {
    struct app_log_file *file; /* NULL: none */
    bool continued;            /* its last line is not finished */
};

/* The last bytes of one worker, both streams in the order of their reading. */
struct recent {
    pid_t pid;
    bool error; /* the last of them are of standard error */
    size_t length;
    char *bytes; /* RECENT_SIZE; NULL while it has printed nothing */
};

struct app_log_slot {
    uint32_t number;
    bool numbered; /* its files have the process's number in their names: … */
    uint32_t id;   /* … this */
    struct app_log_stream streams[2];
    struct app_log_file *combined; /* NULL: none */
    struct recent recent[RECENT_COUNT];
    unsigned latest; /* of them */
};

/* --- names --- */

static bool is_none(const char *path) {
    return strcmp(path, "NULL") == 0 || strcmp(path, SETTINGS_NO_FILE) == 0;
}

static int full(int length) {
    return length >= 0 && length < PATH_MAX ? 0 : UV_ENAMETOOLONG;
}

static const char *setting_of(const struct settings *settings, enum app_log_kind kind) {
    switch (kind) {
    case APP_LOG_OUT:
        return settings->out_file;
    case APP_LOG_ERROR:
        return settings->error_file;
    case APP_LOG_COMBINED:
    case APP_LOG_KINDS:
        break;
    }
    return settings->log_file;
}

/* The path before a process's number is put into it. */
static int base_path(const struct app_log *log, enum app_log_kind kind, char path[PATH_MAX]) {
    const struct settings *settings = log->options.settings;
    const char *given = setting_of(settings, kind);
    char name[APP_NAME_MAX];

    if (settings->disable_logs || (given && is_none(given)) || (!given && kind == APP_LOG_COMBINED))
        return UV_ENOENT;
    if (given && given[0] == '/')
        return full(snprintf(path, PATH_MAX, "%s", given));
    if (given)
        return full(snprintf(path, PATH_MAX, "%s/%s",
                             settings->cwd ? settings->cwd : log->options.home, given));
    log_name_of_app(log->options.name, name, sizeof name);
    return full(snprintf(path, PATH_MAX, "%s/logs/%s-%s.log", log->options.home, name,
                         kind == APP_LOG_OUT ? "out" : "error"));
}

/* A slot that is not the first does not share the first one's file unawares. */
static bool is_numbered(const struct app_log *log, uint32_t slot) {
    return log->numbered || (slot > 0 && !log->options.settings->merge_logs);
}

static const struct app_log_slot *slot_at(const struct app_log *log, uint32_t number) {
    return number < log->slot_count ? log->slots[number] : NULL;
}

int app_log_path(const struct app_log *log, uint32_t slot, enum app_log_kind kind,
                 char path[PATH_MAX]) {
    const struct app_log_slot *known = slot_at(log, slot);
    char base[PATH_MAX];
    int result = base_path(log, kind, base);

    if (result < 0)
        return result;
    if (known && known->numbered)
        return log_name_with_id(base, known->id, path, PATH_MAX);
    if (!known && is_numbered(log, slot))
        return log_name_with_id(base, log->options.process_id(log->options.owner, slot), path,
                                PATH_MAX);
    memcpy(path, base, strlen(base) + 1);
    return 0;
}

/* --- files --- */

/* A full disk is the same problem in every file. */
static void on_problem(void *owner, const struct log_problem *problem) {
    struct app_log *log = owner;
    uint64_t now_ms = uv_now(log->options.loop);

    if (!log->options.on_problem || (log->problem_error == problem->error && log->problem_ms &&
                                     now_ms - log->problem_ms < PROBLEM_MS))
        return;
    log->problem_ms = now_ms;
    log->problem_error = problem->error;
    log->options.on_problem(log->options.owner, problem);
}

static struct app_log_file *find_file(struct app_log *log, const char *path) {
    LIST_EACH(node, following, &log->files) {
        struct app_log_file *file = LIST_ENTRY(node, struct app_log_file, in_log);

        if (strcmp(file->file.path, path) == 0)
            return file;
    }
    return NULL;
}

static struct app_log_file *create_file(struct app_log *log, const char *path, mode_t mode) {
    struct log_file_options options = {.loop = log->options.loop,
                                       .path = path,
                                       .mode = mode,
                                       .max_size = log->options.settings->max_log_size,
                                       .keep = log->options.settings->log_keep,
                                       .problem = on_problem,
                                       .owner = log};
    struct app_log_file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    if (log_file_init(&file->file, &options, uv_now(log->options.loop)) < 0) {
        free(file);
        return NULL;
    }
    list_push_back(&log->files, &file->in_log);
    return file;
}

/* 0 with *ret_file, NULL where there shall be none; or UV_ENOMEM. */
static int open_file(struct app_log *log, uint32_t slot, enum app_log_kind kind,
                     struct app_log_file **ret_file) {
    char path[PATH_MAX];
    struct app_log_file *file;
    mode_t mode = setting_of(log->options.settings, kind) ? GIVEN_MODE : OUR_MODE;

    *ret_file = NULL;
    if (app_log_path(log, slot, kind, path) < 0)
        return 0;
    file = find_file(log, path);
    if (!file)
        file = create_file(log, path, mode);
    if (!file)
        return UV_ENOMEM;
    file->users++;
    *ret_file = file;
    return 0;
}

static void release_file(struct app_log_file **file) {
    if (*file && --(*file)->users == 0) {
        log_file_clear(&(*file)->file);
        list_remove(&(*file)->in_log);
        free(*file);
    }
    *file = NULL;
}

static void release_files(struct app_log_slot *slot) {
    release_file(&slot->streams[false].file);
    release_file(&slot->streams[true].file);
    release_file(&slot->combined);
}

static int open_files(struct app_log *log, struct app_log_slot *slot) {
    int result;

    slot->id = log->options.process_id(log->options.owner, slot->number);
    result = open_file(log, slot->number, APP_LOG_OUT, &slot->streams[false].file);

    if (result == 0)
        result = open_file(log, slot->number, APP_LOG_ERROR, &slot->streams[true].file);
    if (result == 0)
        result = open_file(log, slot->number, APP_LOG_COMBINED, &slot->combined);
    return result;
}

/* --- compression of what was rotated --- */

static uint64_t rest_ms(const struct app_log *log) {
    return log->options.rest_ms ? log->options.rest_ms : REST_MS;
}

static void on_timer(uv_timer_t *timer) {
    struct app_log *log = timer->data;
    bool more = false;

    LIST_EACH(node, following, &log->files)
        more |=
            log_file_compress(&LIST_ENTRY(node, struct app_log_file, in_log)->file, rest_ms(log));
    if (more)
        uv_timer_start(timer, on_timer, rest_ms(log), 0);
}

static void compress_later(struct app_log *log, const struct log_file *file) {
    if (file->waits && !uv_is_active((uv_handle_t *)&log->timer))
        uv_timer_start(&log->timer, on_timer, rest_ms(log), 0);
}

/* --- slots --- */

static void free_slot(struct app_log_slot *slot) {
    release_files(slot);
    for (unsigned i = 0; i < RECENT_COUNT; i++)
        free(slot->recent[i].bytes);
    free(slot);
}

static void free_slots(struct app_log *log) {
    for (uint32_t i = 0; i < log->slot_count; i++)
        free_slot(log->slots[i]);
    free(log->slots);
    log->slots = NULL;
    log->slot_count = 0;
}

static struct app_log_slot *add_slot(struct app_log *log) {
    struct app_log_slot **slots = realloc(log->slots, (log->slot_count + 1) * sizeof *log->slots);
    struct app_log_slot *slot;

    if (!slots)
        return NULL;
    log->slots = slots;
    slot = calloc(1, sizeof *slot);
    if (!slot)
        return NULL;
    slot->number = log->slot_count;
    slot->numbered = is_numbered(log, slot->number);
    log->slots[log->slot_count++] = slot;
    if (open_files(log, slot) < 0) {
        log->slot_count--;
        free_slot(slot);
        return NULL;
    }
    return slot;
}

static int add_slots(struct app_log *log, uint32_t slots) {
    while (log->slot_count < slots)
        if (!add_slot(log))
            return UV_ENOMEM;
    return 0;
}

/* A slot that was given up and taken again has another process. */
static int renew_slots(struct app_log *log) {
    int result = 0;

    for (uint32_t i = 0; i < log->slot_count && result == 0; i++) {
        struct app_log_slot *slot = log->slots[i];

        if (!slot->numbered || log->options.process_id(log->options.owner, i) == slot->id)
            continue;
        release_files(slot);
        result = open_files(log, slot);
    }
    return result;
}

/* --- the last lines --- */

static struct recent *recent_of(struct app_log_slot *slot, pid_t pid) {
    struct recent *recent = &slot->recent[slot->latest];

    for (unsigned i = 0; i < RECENT_COUNT; i++)
        if (slot->recent[i].pid == pid && slot->recent[i].bytes)
            return &slot->recent[i];
    if (recent->bytes)
        slot->latest = (slot->latest + 1) % RECENT_COUNT;
    recent = &slot->recent[slot->latest];
    if (!recent->bytes)
        recent->bytes = malloc(RECENT_SIZE);
    recent->pid = pid;
    recent->length = 0;
    return recent;
}

static void keep_bytes(struct recent *recent, const char *bytes, size_t length) {
    size_t excess;

    if (length > RECENT_SIZE) {
        bytes += length - RECENT_SIZE;
        length = RECENT_SIZE;
    }
    excess = recent->length + length > RECENT_SIZE ? recent->length + length - RECENT_SIZE : 0;
    memmove(recent->bytes, recent->bytes + excess, recent->length - excess);
    recent->length -= excess;
    memcpy(recent->bytes + recent->length, bytes, length);
    recent->length += length;
}

static void remember(struct app_log_slot *slot, const struct output_origin *origin,
                     const char *bytes, size_t length) {
    struct recent *recent = recent_of(slot, origin->pid);

    if (!recent->bytes || length == 0)
        return;
    if (recent->error != origin->error && recent->length > 0 &&
        recent->bytes[recent->length - 1] != '\n')
        keep_bytes(recent, "\n", 1);
    recent->error = origin->error;
    keep_bytes(recent, bytes, length);
}

/* Where the last lines begin. */
static const char *last_lines(const struct recent *recent) {
    const char *start = recent->bytes + recent->length;
    const char *newline;

    for (unsigned lines = 0; lines < APP_LOG_LAST_LINES && start > recent->bytes; lines++) {
        newline = memrchr(recent->bytes, '\n', (size_t)(start - recent->bytes) - 1);
        if (!newline && recent->length == RECENT_SIZE && lines > 0)
            break; /* its beginning is lost */
        start = newline ? newline + 1 : recent->bytes;
    }
    return start;
}

static int add_lines(struct buffer *text, const char *line, const char *end) {
    int result = 0;

    while (line < end && result == 0) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;

        result = log_format_text(text, line, (size_t)(stop - line));
        if (result == 0)
            result = buffer_append(text, "\n", 1);
        line = newline ? newline + 1 : end;
    }
    return result;
}

int app_log_last_lines(const struct app_log *log, uint32_t slot, pid_t pid, struct buffer *text) {
    const struct app_log_slot *known = slot_at(log, slot);

    if (!known)
        return 0;
    for (unsigned i = 0; i < RECENT_COUNT; i++) {
        const struct recent *recent = &known->recent[i];

        if (recent->bytes && (pid ? recent->pid == pid : i == known->latest))
            return add_lines(text, last_lines(recent), recent->bytes + recent->length);
    }
    return 0;
}

/* --- from bytes to lines --- */

/* Bytes on their way: of one stream, read at one time. */
struct passage {
    struct app_log *log;
    struct app_log_slot *slot;
    struct app_log_stream *stream;
    bool error;
    int64_t time_ms;
    char date[LOG_DATE_MAX]; /* as the format has it */
    size_t date_length;
    struct buffer json_end; /* of each record */
};

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

static size_t line_size(const char *bytes, size_t length) {
    const char *newline = memchr(bytes, '\n', length);

    return newline ? (size_t)(newline - bytes) + 1 : length;
}

static void write_file(struct passage *passage, struct app_log_file *file, const char *bytes,
                       size_t length) {
    struct app_log *log = passage->log;

    if (!file)
        return;
    log_file_write(&file->file, bytes, length, uv_now(log->options.loop));
    compress_later(log, &file->file);
}

static void write_files(struct passage *passage, const char *bytes, size_t length) {
    write_file(passage, passage->stream->file, bytes, length);
    if (passage->slot->combined != passage->stream->file)
        write_file(passage, passage->slot->combined, bytes, length);
}

static void begin_passage(struct passage *passage) {
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

static int format_json_end(struct passage *passage) {
    const struct app_log_options *options = &passage->log->options;
    struct log_record record = {.timestamp = passage->date,
                                .type = passage->error ? "err" : "out",
                                .process_id =
                                    options->process_id(options->owner, passage->slot->number),
                                .app_name = options->name};

    return log_format_json_end(&passage->json_end, &record);
}

/* "date: line", and the date only where a line begins. */
static int format_dated(struct passage *passage, const char *line, size_t size) {
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

static void write_formatted(struct passage *passage) {
    struct buffer *lines = &passage->log->lines;

    write_files(passage, buffer_data(lines), buffer_length(lines));
    lines->start = 0; /* the block is kept while there is more to format */
    lines->end = 0;
}

/* When memory is out the line is lost. */
static void format_lines(struct passage *passage, const char *bytes, size_t length) {
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

static void announce_lines(struct passage *passage, const char *bytes, size_t length) {
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

static void pass(struct passage *passage, const char *bytes, size_t length) {
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

/* Whatever comes next into the file is not the rest of its last line, except that raw bytes in a
 * file of their own are left as they are. */
static void finish_line(struct passage *passage) {
    const struct app_log *log = passage->log;
    bool json = log->options.settings->log_type_json;

    if (passage->stream->continued && !json &&
        (log->date_format || is_shared(passage->slot, passage->stream)))
        write_files(passage, "\n", 1);
    passage->stream->continued = false;
}

/* Writing waits for the disk when too much is to be written to it: the workers shall wait then, and
 * we but for a small part of the time. */
static void pause_after(struct app_log *log, uint64_t start_ns) {
    uint64_t now_ns = clock_ns();
    uint64_t pause_ns = (now_ns - start_ns) * PAUSE_SHARE;

    if (now_ns - start_ns < SLOW_NS)
        return;
    log->busy_until_ns = now_ns + (pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
}

static bool is_busy(struct app_log *log) {
    if (log->busy_until_ns == 0 || log->sink.closing)
        return false;
    if (clock_ns() < log->busy_until_ns)
        return true;
    log->busy_until_ns = 0;
    return false;
}

/* Raw lines that nobody follows, in a file of their own, are no lines to us: the bytes are written
 * as they come. Otherwise whole lines are taken, and of an unfinished one nothing until it is long.
 */
static struct output_taken take(struct output_sink *sink, const struct output_origin *origin,
                                const char *bytes, size_t length, bool end) {
    struct app_log *log = LIST_ENTRY(sink, struct app_log, sink);
    struct passage passage = {.log = log, .error = origin->error};
    uint64_t start_ns;

    if (is_busy(log))
        return (struct output_taken){.busy = true};
    if (add_slots(log, origin->slot + 1) < 0)
        return (struct output_taken){.length = length}; /* memory is out */
    passage.slot = log->slots[origin->slot];
    passage.stream = &passage.slot->streams[origin->error];
    if (log->followed || is_formatted(log) || is_shared(passage.slot, passage.stream))
        length = whole_lines(bytes, length, end);
    if (length > 0) {
        start_ns = clock_ns();
        remember(passage.slot, origin, bytes, length);
        pass(&passage, bytes, length);
        pause_after(log, start_ns);
    }
    if (end)
        finish_line(&passage);
    return (struct output_taken){.length = length};
}

/* --- from outside --- */

static void apply(struct app_log *log, const struct settings *settings) {
    log->options.settings = settings;
    if (settings->name)
        log->options.name = settings->name;
    log->numbered = settings->instances > 1 && !settings->merge_logs;
    log->date_format = settings->log_date_format;
    if (!log->date_format && settings->time)
        log->date_format = USUAL_DATE;
}

/* What a daemon before us has rotated and not compressed. */
static void compress_what_waits(struct app_log *log) {
    LIST_EACH(node, following, &log->files)
        compress_later(log, &LIST_ENTRY(node, struct app_log_file, in_log)->file);
}

int app_log_resize(struct app_log *log, uint32_t slots) {
    int result;

    log->numbered = slots > 1 && !log->options.settings->merge_logs;
    result = renew_slots(log);
    if (result == 0)
        result = add_slots(log, slots);
    compress_what_waits(log);
    return result;
}

int app_log_start(struct app_log *log, const struct app_log_options *options) {
    int result;

    *log = (struct app_log){.options = *options};
    output_sink_init(&log->sink, take);
    list_init(&log->files);
    apply(log, options->settings);
    result = add_slots(log, options->settings->instances);
    if (result < 0) {
        free_slots(log);
        return result;
    }
    uv_timer_init(options->loop, &log->timer);
    log->timer.data = log;
    compress_what_waits(log);
    return 0;
}

static void on_timer_closed(uv_handle_t *timer) {
    struct app_log *log = timer->data;

    if (log->on_closed)
        log->on_closed(log->owner);
}

static void on_sources_closed(void *owner) {
    struct app_log *log = owner;

    free_slots(log);
    buffer_clear(&log->lines);
    buffer_clear(&log->text);
    uv_close((uv_handle_t *)&log->timer, on_timer_closed);
}

void app_log_close(struct app_log *log, void (*on_closed)(void *owner), void *owner) {
    log->on_closed = on_closed;
    log->owner = owner;
    output_sink_close(&log->sink, on_sources_closed, log);
}

static int open_all_anew(struct app_log *log) {
    int result = 0;

    for (uint32_t i = 0; i < log->slot_count; i++)
        release_files(log->slots[i]);
    for (uint32_t i = 0; i < log->slot_count; i++) {
        log->slots[i]->numbered = is_numbered(log, i);
        if (open_files(log, log->slots[i]) < 0)
            result = UV_ENOMEM;
    }
    compress_what_waits(log);
    return result;
}

int app_log_configure(struct app_log *log, const struct settings *settings) {
    const struct settings *old = log->options.settings;
    int result;

    apply(log, settings);
    result = open_all_anew(log);
    if (result == 0)
        return 0;
    apply(log, old);
    open_all_anew(log);
    return result;
}

void app_log_follow(struct app_log *log, bool followed) {
    log->followed = followed;
}

void app_log_flush(struct app_log *log) {
    LIST_EACH(node, following, &log->files)
        log_file_flush(&LIST_ENTRY(node, struct app_log_file, in_log)->file);
}

void app_log_reopen(struct app_log *log) {
    LIST_EACH(node, following, &log->files)
        log_file_reopen(&LIST_ENTRY(node, struct app_log_file, in_log)->file,
                        uv_now(log->options.loop));
}
