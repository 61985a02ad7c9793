#include "daemon/log_tail.h"

#include "daemon/log_name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FIRST_READ      65536 /* from the end; four times as much each time it is not enough */
#define BLOCK_SIZE      32768
#define PREDECESSOR_MAX 1000

/* Files are read from the newest to the oldest, until `text` has enough newlines or is full. */
struct search {
    const char *path;
    size_t newlines; /* wanted still */
    size_t room;     /* bytes that `text` may still get */
    struct buffer text;
    ino_t last; /* the file read last: after a rotation meanwhile it comes again */
    bool found;
    const struct log_tail_end *end; /* NULL: none */
};

static size_t count_newlines(const char *text, size_t length) {
    size_t count = 0;
    const char *end = text + length;

    while (text < end && (text = memchr(text, '\n', (size_t)(end - text)))) {
        count++;
        text++;
    }
    return count;
}

/* Takes the older text over. */
static int put_before(struct search *search, struct buffer *older) {
    size_t length = buffer_length(older);
    size_t newlines = count_newlines(buffer_data(older), length);
    int result = 0;

    if (buffer_length(&search->text) > 0)
        result = buffer_append(older, buffer_data(&search->text), buffer_length(&search->text));
    if (result < 0)
        return UV_ENOMEM;
    buffer_clear(&search->text);
    search->text = *older;
    buffer_init(older);
    search->room -= length;
    search->newlines -= newlines < search->newlines ? newlines : search->newlines;
    return 0;
}

/* --- one file --- */

static int read_at(int descriptor, struct buffer *text, size_t length, off_t offset) {
    char *room = buffer_reserve(text, length + 1);
    size_t done = 0;

    if (!room)
        return UV_ENOMEM;
    while (done < length) {
        ssize_t count = pread(descriptor, room + done, length - done, offset + (off_t)done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return uv_translate_sys_error(errno);
        if (count == 0)
            break; /* truncated meanwhile */
        done += (size_t)count;
    }
    buffer_commit(text, done);
    return 0;
}

/* Ever more of its end, until that is enough. */
static int read_plain(const struct search *search, int descriptor, struct buffer *text,
                      size_t size) {
    size_t most = size < search->room ? size : search->room;
    size_t length = 0;
    int result = 0;

    while (result == 0 && length < most) {
        length = length ? length * 4 : FIRST_READ;
        length = length < most ? length : most;
        buffer_clear(text);
        result = read_at(descriptor, text, length, (off_t)(size - length));
        if (count_newlines(buffer_data(text), buffer_length(text)) >= search->newlines)
            break;
    }
    return result;
}

static void keep_end(struct buffer *text, size_t length) {
    if (buffer_length(text) > length)
        buffer_consume(text, buffer_length(text) - length);
}

/* From front to back, for there is no other way; what is too far from the end is dropped. */
static int read_compressed(const struct search *search, int descriptor, struct buffer *text) {
    gzFile file = gzdopen(descriptor, "rb");
    char block[BLOCK_SIZE];
    int length = 0;
    int result = 0;

    if (!file) {
        close(descriptor);
        return UV_ENOMEM;
    }
    while (result == 0 && (length = gzread(file, block, sizeof block)) > 0) {
        result = buffer_append(text, block, (size_t)length) < 0 ? UV_ENOMEM : 0;
        if (buffer_length(text) >= 2 * search->room)
            keep_end(text, search->room);
    }
    gzclose(file);
    keep_end(text, search->room);
    return length < 0 && result == 0 ? UV_EIO : result;
}

/* Whether it is a file that was begun after the end of what is wanted. */
static bool is_later(const struct search *search, const struct stat *status) {
    return search->end && !search->found &&
           (status->st_ino != search->end->inode || status->st_dev != search->end->device);
}

/* How much of it is wanted: of the file that was written to at the end, no more than that. */
static size_t size_of(const struct search *search, const struct stat *status) {
    bool last = search->end && !search->found && search->end->size < status->st_size;

    return (size_t)(last ? search->end->size : status->st_size);
}

static int read_file(struct search *search, int descriptor, bool compressed) {
    struct buffer text;
    struct stat status;
    size_t size;
    int result;

    if (fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode) || is_later(search, &status) ||
        (search->found && status.st_ino == search->last)) {
        close(descriptor);
        return 0;
    }
    size = size_of(search, &status);
    search->last = status.st_ino;
    search->found = true;
    buffer_init(&text);
    if (compressed) {
        result = read_compressed(search, descriptor, &text);
    } else {
        result = read_plain(search, descriptor, &text, size);
        close(descriptor);
    }
    if (result == 0 && buffer_length(&text) > 0)
        result = put_before(search, &text);
    buffer_clear(&text);
    return result;
}

/* --- all of them --- */

/* 0, UV_ENOENT, or another UV_E*. */
static int try_name(struct search *search, const char *name, bool compressed) {
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    return read_file(search, descriptor, compressed);
}

static int try_predecessor(struct search *search, uint32_t number) {
    int result = UV_ENOENT;

    for (int compressed = 0; compressed < 2 && result == UV_ENOENT; compressed++) {
        char name[PATH_MAX];

        result = log_name_predecessor(search->path, number, compressed, name, sizeof name);
        if (result == 0)
            result = try_name(search, name, compressed);
    }
    return result;
}

static int read_files(struct search *search) {
    int result = try_name(search, search->path, false);

    if (result == 0 ? !search->found && !search->end : result != UV_ENOENT)
        return result; /* no file, but a device; or an error */
    for (uint32_t number = 1; number <= PREDECESSOR_MAX; number++) {
        if (search->newlines == 0 || search->room == 0)
            break;
        result = try_predecessor(search, number);
        if (result < 0)
            break;
    }
    /* An old file that cannot be read is where the lines begin. */
    return search->found && result != UV_ENOMEM ? 0 : result;
}

/* Where the last lines begin. */
static size_t find_lines(const char *text, size_t length, size_t lines) {
    size_t end = length > 0 && text[length - 1] == '\n' ? length - 1 : length;

    if (lines == 0 || length == 0)
        return length;
    for (;;) {
        const char *newline = memrchr(text, '\n', end);

        if (!newline)
            return 0;
        end = (size_t)(newline - text);
        if (--lines == 0)
            return end + 1;
    }
}

/* Of a line whose beginning did not fit nothing is given, unless it is all there is. */
static size_t skip_part(const char *text, size_t length) {
    const char *newline = memchr(text, '\n', length);

    return newline && newline + 1 < text + length ? (size_t)(newline - text) + 1 : 0;
}

int log_tail_look(const char *path, struct log_tail_end *ret_end) {
    struct stat status;

    if (stat(path, &status) < 0)
        return uv_translate_sys_error(errno);
    *ret_end = (struct log_tail_end){
        .device = status.st_dev, .inode = status.st_ino, .size = status.st_size};
    return 0;
}

int log_tail_read(struct buffer *ret_text, const char *path, size_t lines, size_t max_bytes,
                  const struct log_tail_end *end) {
    struct search search = {.path = path,
                            .newlines = lines < SIZE_MAX ? lines + 1 : lines,
                            .room = max_bytes,
                            .end = end};
    const char *text;
    size_t start;
    size_t length;
    int result;

    buffer_init(&search.text);
    result = read_files(&search);
    text = buffer_data(&search.text);
    length = buffer_length(&search.text);
    if (result == 0 && length > 0) {
        start = find_lines(text, length, lines);
        if (start == 0 && search.room == 0)
            start = skip_part(text, length);
        if (buffer_append(ret_text, text + start, length - start) < 0)
            result = UV_ENOMEM;
    }
    buffer_clear(&search.text);
    return result;
}

/* --- in the background --- */

static void read_in_thread(uv_work_t *work) {
    struct log_tail *tail = work->data;

    tail->result =
        log_tail_read(&tail->text, tail->path, tail->lines, LOG_TAIL_MAX_BYTES, &tail->end);
}

static void on_read(uv_work_t *work, int status) {
    struct log_tail *tail = work->data;

    if (status < 0)
        tail->result = status;
    tail->on_done(tail->owner, tail);
    buffer_clear(&tail->text);
    free(tail->path);
    free(tail);
}

int log_tail_start(uv_loop_t *loop, const struct log_tail_wish *wish,
                   void (*on_done)(void *owner, struct log_tail *tail), void *owner) {
    struct log_tail *tail = calloc(1, sizeof *tail);

    if (!tail)
        return UV_ENOMEM;
    tail->path = strdup(wish->path);
    if (!tail->path) {
        free(tail);
        return UV_ENOMEM;
    }
    tail->work.data = tail;
    tail->lines = wish->lines;
    tail->end = wish->end;
    buffer_init(&tail->text);
    tail->on_done = on_done;
    tail->owner = owner;
    return uv_queue_work(loop, &tail->work, read_in_thread, on_read);
}
