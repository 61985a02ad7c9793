#include "daemon/recall.h"

#include "base/buffer.h"
#include "daemon/log_format.h"
#include "daemon/log_tail.h"
#include "master/output_sink.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_COST 1024 /* bytes of a kept line beside its text */

struct part {
    struct recall_file file; /* its path and its name are these: */
    char *path;
    char *name;
    struct log_tail_end end;
    char *beginning; /* of a line whose rest is not printed yet; NULL: none */
};

struct recall {
    struct recall_options options;
    struct part *parts;
    size_t count;
    size_t next;
    struct buffer text; /* of parts[next], from the first line that is not sent */
    size_t text_held;   /* bytes of it that are counted; 0: it does not wait for the client */
    bool has_text;
    bool reading; /* a thread has a file of it */
    bool done;
    bool destroyed; /* while a thread had a file of it */
    json_t *kept;   /* lines that were printed meanwhile; NULL: none */
    size_t kept_next;
    size_t held; /* bytes, also in *options.held */
};

json_t *recall_draw(const struct recall_file *file, int64_t time_ms, const char *text,
                    size_t length) {
    return json_pack("{s:I, s:s, s:s, s:I, s:s%}", "pm_id", (json_int_t)file->pm_id, "name",
                     file->name, "stream", file->error ? "err" : "out", "time", (json_int_t)time_ms,
                     "line", text, length);
}

/* --- what is held for slow clients --- */

static bool hold(struct recall *recall, size_t bytes) {
    if (*recall->options.held + bytes > RECALL_HELD_MAX)
        return false;
    recall->held += bytes;
    *recall->options.held += bytes;
    return true;
}

static void let_go(struct recall *recall, size_t bytes) {
    recall->held -= bytes;
    *recall->options.held -= bytes;
}

/* --- life --- */

struct recall *recall_create(const struct recall_options *options) {
    struct recall *recall = calloc(1, sizeof *recall);

    if (!recall)
        return NULL;
    recall->options = *options;
    buffer_init(&recall->text);
    return recall;
}

static void clear_part(struct part *part) {
    free(part->path);
    free(part->name);
    free(part->beginning);
}

void recall_destroy(struct recall *recall) {
    if (!recall)
        return;
    let_go(recall, recall->held);
    recall->destroyed = true;
    if (recall->reading)
        return;
    for (size_t i = 0; i < recall->count; i++)
        clear_part(&recall->parts[i]);
    free(recall->parts);
    buffer_clear(&recall->text);
    json_decref(recall->kept);
    free(recall);
}

static bool is_added(const struct recall *recall, const char *path) {
    for (size_t i = 0; i < recall->count; i++)
        if (strcmp(recall->parts[i].file.path, path) == 0)
            return true;
    return false;
}

int recall_add(struct recall *recall, const struct recall_file *file) {
    struct part *parts;
    struct part part = {.file = *file};

    if (is_added(recall, file->path) || log_tail_look(file->path, &part.end) < 0)
        return 0;
    parts = realloc(recall->parts, (recall->count + 1) * sizeof *parts);
    if (!parts)
        return UV_ENOMEM;
    recall->parts = parts;
    part.file.path = part.path = strdup(file->path);
    part.file.name = part.name = strdup(file->name);
    if (!part.path || !part.name) {
        clear_part(&part);
        return UV_ENOMEM;
    }
    parts[recall->count++] = part;
    return 0;
}

/* --- lines whose beginning is in a file --- */

static bool is_of(const struct recall_file *file, const json_t *line) {
    const char *stream = json_string_value(json_object_get(line, "stream"));

    return json_integer_value(json_object_get(line, "pm_id")) == (json_int_t)file->pm_id &&
           stream && strcmp(stream, file->error ? "err" : "out") == 0;
}

static struct part *part_of(struct recall *recall, const json_t *line) {
    for (size_t i = 0; i < recall->count; i++)
        if (recall->parts[i].beginning && is_of(&recall->parts[i].file, line))
            return &recall->parts[i];
    return NULL;
}

/* Sends the line with its beginning before it. */
static void send_joined(struct recall *recall, struct part *part, json_t *line) {
    const char *rest = json_string_value(json_object_get(line, "line"));
    json_t *whole = json_copy(line);

    if (whole && json_object_set_new(whole, "line",
                                     json_sprintf("%s%s", part->beginning, rest ? rest : "")) == 0)
        event_stream_send(recall->options.stream, "log", whole);
    else
        event_stream_lose(recall->options.stream);
    json_decref(whole);
    free(part->beginning);
    part->beginning = NULL;
}

static void send_line(struct recall *recall, json_t *line) {
    struct part *part = part_of(recall, line);

    if (part)
        send_joined(recall, part, line);
    else
        event_stream_send(recall->options.stream, "log", line);
}

static size_t cost_of(const json_t *line) {
    return json_string_length(json_object_get(line, "line")) + KEPT_COST;
}

static void keep(struct recall *recall, json_t *line) {
    size_t cost = cost_of(line);

    if (!recall->kept)
        recall->kept = json_array();
    if (!hold(recall, cost)) {
        event_stream_lose(recall->options.stream);
    } else if (json_array_append(recall->kept, line) < 0) {
        let_go(recall, cost);
        event_stream_lose(recall->options.stream);
    }
}

bool recall_take(struct recall *recall, json_t *line) {
    struct part *part;

    if (!recall)
        return false;
    if (!recall->done) {
        keep(recall, line);
        return true;
    }
    part = part_of(recall, line);
    if (part)
        send_joined(recall, part, line);
    return part != NULL;
}

/* --- sending --- */

/* What could not be held does not wait. */
static bool has_room(struct recall *recall) {
    return (recall->has_text && recall->text_held == 0) ||
           event_stream_has_room(recall->options.stream, recall->options.on_room);
}

/* `text` is UTF-8. */
static void show(struct recall *recall, const struct part *part, const struct buffer *text) {
    json_t *data =
        recall_draw(&part->file, 0, text->bytes ? buffer_data(text) : "", buffer_length(text));

    if (data)
        event_stream_send(recall->options.stream, "log", data);
    else
        event_stream_lose(recall->options.stream);
    json_decref(data);
}

/* A line of the file, or a piece of one; `finished`: its newline follows. */
static void show_line(struct recall *recall, const char *line, size_t length, bool finished) {
    struct part *part = &recall->parts[recall->next];
    struct buffer text;

    buffer_init(&text);
    if (log_format_text(&text, line, length) < 0)
        event_stream_lose(recall->options.stream);
    else if (finished || !recall->options.follows)
        show(recall, part, &text);
    else
        part->beginning = strndup(buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
}

static void forget_text(struct recall *recall) {
    let_go(recall, recall->text_held);
    recall->text_held = 0;
    recall->has_text = false;
    buffer_clear(&recall->text);
}

/* A line that is longer than those that are announced comes in pieces, as they do. False: the rest
 * has to wait for the client. */
static bool send_text(struct recall *recall) {
    while (buffer_length(&recall->text) > 0) {
        const char *text = buffer_data(&recall->text);
        size_t length = buffer_length(&recall->text);
        const char *newline = memchr(text, '\n', length);
        bool piece;

        if (!has_room(recall))
            return false;
        length = newline ? (size_t)(newline - text) : length;
        piece = length > OUTPUT_HELD_MAX;
        length = piece ? OUTPUT_HELD_MAX : length;
        show_line(recall, text, length, newline || piece);
        buffer_consume(&recall->text, length + (newline && !piece));
    }
    return true;
}

static bool send_kept(struct recall *recall) {
    while (recall->kept_next < json_array_size(recall->kept)) {
        json_t *line = json_array_get(recall->kept, recall->kept_next);

        if (!has_room(recall))
            return false;
        send_line(recall, line);
        let_go(recall, cost_of(line));
        recall->kept_next++;
    }
    json_decref(recall->kept);
    recall->kept = NULL;
    return true;
}

/* --- reading --- */

static void on_read(void *owner, struct log_tail *read) {
    struct recall *recall = owner;

    recall->reading = false;
    if (recall->destroyed) {
        recall_destroy(recall);
        return;
    }
    if (read->result == 0) {
        recall->text = read->text;
        buffer_init(&read->text);
        if (hold(recall, buffer_length(&recall->text)))
            recall->text_held = buffer_length(&recall->text);
    }
    recall->has_text = true;
    recall_go_on(recall);
}

/* False when the file cannot be read for want of memory. */
static bool read_next(struct recall *recall) {
    const struct part *part = &recall->parts[recall->next];
    struct log_tail_wish wish = {
        .path = part->file.path, .lines = recall->options.lines, .end = part->end};

    recall->reading = log_tail_start(recall->options.loop, &wish, on_read, recall) == 0;
    return recall->reading;
}

void recall_go_on(struct recall *recall) {
    if (recall->reading || recall->done)
        return;
    while (recall->next < recall->count) {
        if (!recall->has_text && read_next(recall))
            return;
        if (!send_text(recall))
            return;
        forget_text(recall);
        recall->next++;
    }
    if (!send_kept(recall))
        return;
    recall->done = true;
    recall->options.on_done(recall->options.owner);
}

void recall_start(struct recall *recall) {
    recall_go_on(recall);
}
