/* However a stream is cut into pieces, the same lines come out of it. A first byte picks how it is
 * cut; a byte 0xfe stands for a long run, so that lines reach the length at which they are cut. */
#include "ipc/framing.h"

#include "check.h"

#include <stdint.h>
#include <string.h>

#define LONG_RUN     30000
#define LONG_RUN_MAX 6

/* A digest of the lines that came out, and of their number and lengths (FNV-1a). */
struct digest {
    uint64_t value;
    size_t lines;
};

static void add(struct digest *digest, const void *bytes, size_t length) {
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        digest->value = (digest->value ^ at[i]) * 0x100000001b3u;
}

static int on_line(void *owner, const struct framing_line *line) {
    struct digest *digest = owner;
    unsigned char cut = line->cut;

    check(line->length <= FRAMING_LINE_MAX);
    check(!line->cut || line->length == FRAMING_LINE_MAX);
    check(!memchr(line->bytes ? line->bytes : "", '\n', line->length));
    digest->lines++;
    add(digest, &line->length, sizeof(line->length));
    add(digest, &cut, 1);
    /* The ends of a long line tell its bytes well enough, and faster. */
    add(digest, line->bytes, line->length < 64 ? line->length : 64);
    if (line->length > 64)
        add(digest, line->bytes + line->length - 64, 64);
    return 0;
}

static struct buffer expand(const uint8_t *bytes, size_t length) {
    struct buffer stream;
    int runs = 0;

    buffer_init(&stream);
    for (size_t i = 0; i < length; i++) {
        bool is_run = bytes[i] == 0xfe && runs < LONG_RUN_MAX;
        size_t count = is_run ? LONG_RUN : 1;
        char *room = buffer_reserve(&stream, count);

        check(room != NULL);
        memset(room, bytes[i], count);
        buffer_commit(&stream, count);
        runs += is_run;
    }
    return stream;
}

static struct digest feed(const struct buffer *stream, size_t piece) {
    struct digest digest = {.value = 0xcbf29ce484222325u};
    struct framing framing;
    size_t length = buffer_length(stream);

    framing_init(&framing);
    for (size_t at = 0; at < length; at += piece) {
        size_t count = length - at < piece ? length - at : piece;

        check(framing_feed(&framing, buffer_data(stream) + at, count, on_line, &digest) == 0);
        check(buffer_length(&framing.pending) <= FRAMING_LINE_MAX);
    }
    framing_clear(&framing);
    return digest;
}

static size_t count_newlines(const uint8_t *bytes, size_t length) {
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += bytes[i] == '\n';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct buffer stream;
    struct digest whole, pieces;
    size_t piece;

    if (length < 2)
        return 0;
    stream = expand(bytes + 1, length - 1);
    piece = buffer_length(&stream) > LONG_RUN ? 7919u * (bytes[0] % 16u + 1) : bytes[0] % 61u + 1;
    whole = feed(&stream, buffer_length(&stream));
    pieces = feed(&stream, piece);
    check(whole.lines == count_newlines(bytes + 1, length - 1));
    check(whole.lines == pieces.lines && whole.value == pieces.value);
    buffer_clear(&stream);
    return 0;
}
