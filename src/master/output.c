#include "master/output.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE  65536
#define RETRY_MS   10
#define PREFIX_MAX 96
#define PIECE                                                                                      \
    4096 /* at most PIPE_BUF: a pipe that polls writable takes it whole, without blocking */

_Static_assert(OUTPUT_LINE_MAX + PREFIX_MAX <= PIECE, "a line is one piece");

/* Readable on dark and light backgrounds; slots go round. */
static const char *const colors[] = {"\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[33m",
                                     "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m", "\x1b[93m"};
#define COLOR_COUNT (sizeof colors / sizeof colors[0])

void output_init(struct output *output, bool color, bool time) {
    bool terminal = isatty(STDOUT_FILENO);

    *output = (struct output){.prefix = terminal, .color = terminal && color, .time = time};
}

bool output_captures(const struct output *output) {
    return output->prefix || output->time;
}

static bool is_writable(int descriptor) {
    struct pollfd poll_descriptor = {.fd = descriptor, .events = POLLOUT};

    return poll(&poll_descriptor, 1, 0) > 0;
}

/* Whoever reads our output may be slow; then the rest is dropped rather than the master stopped.
 * Sources look before they write, so it is the last lines of the dead and our own that can meet
 * this. */
static void write_all(int descriptor, const char *bytes, size_t length) {
    while (length > 0 && is_writable(descriptor)) {
        ssize_t written = write(descriptor, bytes, length < PIECE ? length : PIECE);

        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
}

static void erase_table(struct output *output) {
    char command[32];

    if (output->table_lines == 0)
        return;
    snprintf(command, sizeof command, "\r\x1b[%uA\x1b[J", output->table_lines);
    write_all(STDOUT_FILENO, command, strlen(command));
    output->table_lines = 0;
}

static size_t print_time(char *text, size_t size) {
    struct timespec now;
    struct tm parts;
    size_t length;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    return length +
           (size_t)snprintf(text + length, size - length, ".%03ld ", now.tv_nsec / 1000000);
}

static size_t print_prefix(const struct output_source *source, char *text, size_t size) {
    const struct output *output = source->output;
    const char *color = output->color ? colors[source->slot % COLOR_COUNT] : "";
    size_t length = 0;

    if (output->time)
        length = print_time(text, size);
    if (output->prefix)
        length += (size_t)snprintf(text + length, size - length, "%s%u |%s ", color, source->slot,
                                   output->color ? "\x1b[0m" : "");
    return length;
}

static void write_line(struct output_source *source, const char *line, size_t length) {
    int descriptor = source->error ? STDERR_FILENO : STDOUT_FILENO;
    char text[OUTPUT_LINE_MAX + PREFIX_MAX]; /* one piece: taken whole or not at all */
    size_t prefix = print_prefix(source, text, sizeof text);

    memcpy(text + prefix, line, length);
    text[prefix + length] = '\n';
    erase_table(source->output);
    write_all(descriptor, text, prefix + length + 1);
}

/* Writes the whole lines that are there, as long as the reader of our output takes them: false when
 * some are left. With `rest` all are written or dropped, the unfinished one too. */
static bool write_lines(struct output_source *source, bool rest) {
    while (buffer_length(&source->line) > 0) {
        const char *data = buffer_data(&source->line);
        size_t available = buffer_length(&source->line);
        const char *newline = memchr(data, '\n', available);
        size_t length = newline ? (size_t)(newline - data) : available;
        bool whole = newline != NULL;

        if (length > OUTPUT_LINE_MAX) {
            length = OUTPUT_LINE_MAX;
            whole = false;
        } else if (!newline && !rest && length < OUTPUT_LINE_MAX) {
            return true;
        }
        if (!rest && !is_writable(source->error ? STDERR_FILENO : STDOUT_FILENO))
            return false;
        write_line(source, data, length);
        buffer_consume(&source->line, length + whole);
    }
    return true;
}

/* Reads once: 1, 0 when nothing is there, UV_EOF at the end or when it cannot be read. */
static int read_once(struct output_source *source) {
    char *room = buffer_reserve(&source->line, READ_SIZE);
    ssize_t length;

    if (!room)
        return 0; /* tried again when memory is there */
    length = read(source->descriptor, room, READ_SIZE);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (length <= 0)
        return UV_EOF;
    buffer_commit(&source->line, (size_t)length);
    return 1;
}

static void on_readable(uv_poll_t *poll, int status, int events);

/* While our reader is slow nothing is read: so the worker is slow, too. */
static void on_retry(uv_timer_t *retry) {
    struct output_source *source = retry->data;

    if (write_lines(source, false))
        uv_poll_start(&source->poll, UV_READABLE, on_readable);
    else
        uv_timer_start(retry, on_retry, RETRY_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct output_source *source = poll->data;

    (void)events;
    if (status < 0 || read_once(source) < 0) {
        uv_poll_stop(poll);
        return;
    }
    if (write_lines(source, false))
        return;
    uv_poll_stop(poll);
    uv_timer_start(&source->retry, on_retry, RETRY_MS, 0);
}

int output_source_start(struct output_source *source, uv_loop_t *loop, struct output *output,
                        int descriptor, uint32_t slot, bool error) {
    int result = uv_poll_init(loop, &source->poll, descriptor);

    if (result < 0)
        return result;
    source->output = output;
    source->descriptor = descriptor;
    source->slot = slot;
    source->error = error;
    source->poll.data = source;
    uv_timer_init(loop, &source->retry);
    source->retry.data = source;
    source->handles = 2;
    buffer_init(&source->line);
    return uv_poll_start(&source->poll, UV_READABLE, on_readable);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct output_source *source = handle->data;

    if (--source->handles == 0)
        source->on_closed(source->owner);
}

void output_source_close(struct output_source *source, void (*on_closed)(void *owner),
                         void *owner) {
    int reads = 16; /* a pipe holds 64 KiB; a descendant may still be writing */

    source->on_closed = on_closed;
    source->owner = owner;
    while (reads-- > 0 && read_once(source) > 0)
        ;
    write_lines(source, true);
    buffer_clear(&source->line);
    uv_close((uv_handle_t *)&source->poll, on_handle_closed);
    uv_close((uv_handle_t *)&source->retry, on_handle_closed);
    close(source->descriptor);
    source->descriptor = -1;
}

void output_size(unsigned *ret_columns, unsigned *ret_rows) {
    struct winsize size = {.ws_col = 0};

    *ret_columns = 0;
    *ret_rows = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return;
    *ret_columns = size.ws_col;
    *ret_rows = size.ws_row;
}

void output_log_line(void *owner, const char *line) {
    struct output *output = owner;

    erase_table(output);
    write_all(STDERR_FILENO, line, strlen(line));
    write_all(STDERR_FILENO, "\n", 1);
}

/* Whatever does not fit the terminal's width is cut off by it: a wrapped line could not be drawn
 * over. */
void output_table(struct output *output, const char *table, size_t length) {
    static const char no_wrap[] = "\x1b[?7l";
    static const char wrap[] = "\x1b[?7h";
    unsigned lines = 0;

    erase_table(output);
    if (!isatty(STDOUT_FILENO)) {
        write_all(STDOUT_FILENO, table, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        lines += table[i] == '\n';
    write_all(STDOUT_FILENO, no_wrap, sizeof no_wrap - 1);
    write_all(STDOUT_FILENO, table, length);
    write_all(STDOUT_FILENO, wrap, sizeof wrap - 1);
    output->table_lines = lines;
}
