#include "daemon/recent_output.h"

#include "daemon/log_format.h"

#include <stdlib.h>
#include <string.h>

void recent_output_clear(struct recent_output *recent) {
    for (unsigned i = 0; i < RECENT_OUTPUT_WORKERS; i++)
        free(recent->workers[i].bytes);
    *recent = (struct recent_output){.latest = 0};
}

/* A third worker takes the place of the one that has been silent for longer. */
static struct recent_bytes *bytes_of(struct recent_output *recent, pid_t pid) {
    struct recent_bytes *worker = &recent->workers[recent->latest];

    for (unsigned i = 0; i < RECENT_OUTPUT_WORKERS; i++)
        if (recent->workers[i].pid == pid && recent->workers[i].bytes)
            return &recent->workers[i];
    if (worker->bytes)
        recent->latest = (recent->latest + 1) % RECENT_OUTPUT_WORKERS;
    worker = &recent->workers[recent->latest];
    if (!worker->bytes)
        worker->bytes = malloc(RECENT_OUTPUT_SIZE);
    worker->pid = pid;
    worker->length = 0;
    return worker;
}

static void keep(struct recent_bytes *worker, const char *bytes, size_t length) {
    size_t excess;

    if (length > RECENT_OUTPUT_SIZE) {
        bytes += length - RECENT_OUTPUT_SIZE;
        length = RECENT_OUTPUT_SIZE;
    }
    excess = worker->length + length > RECENT_OUTPUT_SIZE
                 ? worker->length + length - RECENT_OUTPUT_SIZE
                 : 0;
    memmove(worker->bytes, worker->bytes + excess, worker->length - excess);
    worker->length -= excess;
    memcpy(worker->bytes + worker->length, bytes, length);
    worker->length += length;
}

void recent_output_add(struct recent_output *recent, const struct output_origin *origin,
                       const char *bytes, size_t length) {
    struct recent_bytes *worker = bytes_of(recent, origin->pid);

    if (!worker->bytes || length == 0)
        return;
    if (worker->error != origin->error && worker->length > 0 &&
        worker->bytes[worker->length - 1] != '\n')
        keep(worker, "\n", 1);
    worker->error = origin->error;
    keep(worker, bytes, length);
}

/* Where the last lines begin. */
static const char *last_lines(const struct recent_bytes *worker) {
    const char *start = worker->bytes + worker->length;
    const char *newline;

    for (unsigned lines = 0; lines < RECENT_OUTPUT_LINES && start > worker->bytes; lines++) {
        newline = memrchr(worker->bytes, '\n', (size_t)(start - worker->bytes) - 1);
        if (!newline && worker->length == RECENT_OUTPUT_SIZE && lines > 0)
            break; /* its beginning is lost */
        start = newline ? newline + 1 : worker->bytes;
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

int recent_output_last_lines(const struct recent_output *recent, pid_t pid, struct buffer *text) {
    for (unsigned i = 0; i < RECENT_OUTPUT_WORKERS; i++) {
        const struct recent_bytes *worker = &recent->workers[i];

        if (worker->bytes && (pid ? worker->pid == pid : i == recent->latest))
            return add_lines(text, last_lines(worker), worker->bytes + worker->length);
    }
    return 0;
}
