/* What Baton itself says, one event a line, on standard error: "[baton] text".
 *
 * Only the layer that decides logs, and in a sentence that a user can act on. Bytes from outside
 * must pass text_escape() first. The level is the one mutable global of the project. */
#ifndef BATON_BASE_LOG_H
#define BATON_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above this level are not written; LOG_LEVEL_INFO at the start. */
void log_set_level(enum log_level level);

/* Where a finished line goes, without its newline; NULL: standard error. The foreground view uses
 * it to keep its table below the lines. */
void log_set_sink(void (*sink)(void *owner, const char *line), void *owner);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
