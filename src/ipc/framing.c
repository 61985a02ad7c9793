#include "ipc/framing.h"

#include <errno.h>
#include <string.h>

void framing_init(struct framing *framing) {
    buffer_init(&framing->pending);
    framing->skipped = 0;
}

void framing_clear(struct framing *framing) {
    buffer_clear(&framing->pending);
    framing->skipped = 0;
}

/* Adds to the unfinished line what there is room for; the rest is only counted. */
static int keep(struct framing *framing, const char *bytes, size_t length) {
    size_t room = FRAMING_LINE_MAX - buffer_length(&framing->pending);
    size_t kept = length < room ? length : room;
    int error = buffer_append(&framing->pending, bytes, kept);

    if (error)
        return error;
    framing->skipped += length - kept;
    return 0;
}

static bool is_over_hard_limit(const struct framing *framing, size_t more) {
    size_t length = buffer_length(&framing->pending) + framing->skipped;

    return more > FRAMING_LINE_HARD_MAX || length > FRAMING_LINE_HARD_MAX - more;
}

/* A line of which nothing came before: handed out from where it lies. */
static int hand_out_whole(const char *bytes, size_t length,
                          int (*on_line)(void *owner, const struct framing_line *line),
                          void *owner) {
    struct framing_line line = {.bytes = bytes, .length = length};

    if (length > FRAMING_LINE_MAX) {
        line.length = FRAMING_LINE_MAX;
        line.cut = true;
    }
    return on_line(owner, &line);
}

static int hand_out_pending(struct framing *framing,
                            int (*on_line)(void *owner, const struct framing_line *line),
                            void *owner) {
    struct framing_line line = {.bytes = buffer_data(&framing->pending),
                                .length = buffer_length(&framing->pending),
                                .cut = framing->skipped > 0};
    int result = on_line(owner, &line);

    buffer_consume(&framing->pending, line.length);
    framing->skipped = 0;
    return result;
}

int framing_feed(struct framing *framing, const char *bytes, size_t length,
                 int (*on_line)(void *owner, const struct framing_line *line), void *owner) {
    const char *end = bytes + length;
    int result = 0;

    while (result == 0 && bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t piece = (size_t)((newline ? newline : end) - bytes);

        if (is_over_hard_limit(framing, piece))
            return -EMSGSIZE;
        if (newline && buffer_length(&framing->pending) == 0) {
            result = hand_out_whole(bytes, piece, on_line, owner);
        } else {
            result = keep(framing, bytes, piece);
            if (result == 0 && newline)
                result = hand_out_pending(framing, on_line, owner);
        }
        bytes += newline ? piece + 1 : piece;
    }
    return result;
}
