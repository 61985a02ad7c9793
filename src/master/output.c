#include "master/output.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PREFIX_MAX 96
#define PIECE                                                                                      \
    4096 /* at most PIPE_BUF: a pipe that polls writable takes it whole, without blocking */

_Static_assert(OUTPUT_LINE_MAX + PREFIX_MAX <= PIECE, "a line is one piece");

/* Readable on dark and light backgrounds; slots go round. */
static const char *const colors[] = {"\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[33m",
                                     "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m", "\x1b[93m"};
#define COLOR_COUNT (sizeof colors / sizeof colors[0])

bool output_captures(const struct output *output) {
    return output->prefix || output->time;
}

static bool is_writable(int descriptor) {
    struct pollfd poll_descriptor = {.fd = descriptor, .events = POLLOUT};

    return poll(&poll_descriptor, 1, 0) > 0;
}

/* Whoever reads our output may be slow; then the rest is dropped rather than the master stopped.
 * Workers' lines are written after a look whether they are taken, so it is our own that can meet
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

static size_t print_prefix(const struct output *output, uint32_t slot, char *text, size_t size) {
    const char *color = output->color ? colors[slot % COLOR_COUNT] : "";
    size_t length = 0;

    if (output->time)
        length = print_time(text, size);
    if (output->prefix)
        length += (size_t)snprintf(text + length, size - length, "%s%u |%s ", color, slot,
                                   output->color ? "\x1b[0m" : "");
    return length;
}

static void write_line(struct output *output, const struct output_origin *origin, const char *line,
                       size_t length) {
    int descriptor = origin->error ? STDERR_FILENO : STDOUT_FILENO;
    char text[OUTPUT_LINE_MAX + PREFIX_MAX]; /* one piece: taken whole or not at all */
    size_t prefix = print_prefix(output, origin->slot, text, sizeof text);

    memcpy(text + prefix, line, length);
    text[prefix + length] = '\n';
    erase_table(output);
    write_all(descriptor, text, prefix + length + 1);
}

/* How many bytes the line at the front has, its newline included: all of them if it does not end
 * there and need not, 0 if its end is to be waited for. At most OUTPUT_LINE_MAX and a newline. */
static size_t line_size(const char *bytes, size_t length, bool end) {
    const char *newline = memchr(bytes, '\n', length);
    size_t line = newline ? (size_t)(newline - bytes) : length;

    if (line > OUTPUT_LINE_MAX)
        return OUTPUT_LINE_MAX;
    if (newline)
        return line + 1;
    return end || line == OUTPUT_LINE_MAX ? line : 0;
}

static struct output_taken take(struct output_sink *sink, const struct output_origin *origin,
                                const char *bytes, size_t length, bool end) {
    struct output *output = LIST_ENTRY(sink, struct output, sink);
    struct output_taken taken = {.length = 0};

    while (taken.length < length) {
        const char *line = bytes + taken.length;
        size_t size = line_size(line, length - taken.length, end);

        if (size == 0)
            break;
        taken.busy = !is_writable(origin->error ? STDERR_FILENO : STDOUT_FILENO);
        if (taken.busy)
            break;
        write_line(output, origin, line, size - (line[size - 1] == '\n'));
        taken.length += size;
    }
    return taken;
}

void output_init(struct output *output, bool color, bool time) {
    bool terminal = isatty(STDOUT_FILENO);

    *output = (struct output){.prefix = terminal, .color = terminal && color, .time = time};
    output_sink_init(&output->sink, take);
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
