#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

static enum log_level log_level = LOG_LEVEL_INFO;
static void (*log_sink)(void *owner, const char *line);
static void *log_sink_owner;

void log_set_level(enum log_level level) {
    log_level = level;
}

void log_set_sink(void (*sink)(void *owner, const char *line), void *owner) {
    log_sink = sink;
    log_sink_owner = owner;
}

__attribute__((format(printf, 3, 0))) static void log_write(enum log_level level, const char *mark,
                                                            const char *format, va_list arguments) {
    char line[LOG_LINE_MAX];
    int prefix;
    size_t length;

    if (level > log_level)
        return;
    prefix = snprintf(line, sizeof line, "[baton] %s", mark);
    vsnprintf(line + prefix, sizeof line - (size_t)prefix - 1, format, arguments);
    if (log_sink) {
        log_sink(log_sink_owner, line);
        return;
    }
    length = strlen(line);
    line[length] = '\n';
    /* Nothing sensible is left to do when standard error itself fails. */
    if (write(STDERR_FILENO, line, length + 1) < 0)
        return;
}

void log_error(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    log_write(LOG_LEVEL_ERROR, "error: ", format, arguments);
    va_end(arguments);
}

void log_warning(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    log_write(LOG_LEVEL_WARNING, "warning: ", format, arguments);
    va_end(arguments);
}

void log_info(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    log_write(LOG_LEVEL_INFO, "", format, arguments);
    va_end(arguments);
}

void log_debug(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    log_write(LOG_LEVEL_DEBUG, "debug: ", format, arguments);
    va_end(arguments);
}
