/* One readable line for each message and descriptor that crosses a channel (--trace):
 *
 *     12:00:01.234567 -> worker 0  102 bytes  fd 17  {"cmd":"NODE_HANDLE",…
 *
 * "->" is to the worker, "<-" from it. Bytes are escaped; a long line is cut. */
#ifndef BATON_MASTER_TRACE_H
#define BATON_MASTER_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_LINE_MAX 1024

struct trace_message {
    uint32_t slot;
    bool outgoing;
    const char *text; /* the line itself, or for a binary record what it says */
    size_t text_length;
    size_t length;  /* bytes that cross */
    int descriptor; /* its number here in the master; -1: none */
};

/* The line without newline; its length. `seconds` and `microseconds` are the local time of day.
 * Pure. */
size_t trace_format(char line[TRACE_LINE_MAX], const struct trace_message *message,
                    uint32_t seconds, uint32_t microseconds);

#endif
