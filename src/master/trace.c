#include "master/trace.h"

#include "base/text.h"

#include <stdio.h>

size_t trace_format(char line[TRACE_LINE_MAX], const struct trace_message *message,
                    uint32_t seconds, uint32_t microseconds) {
    size_t length = message->text_length;
    char descriptor[24] = "";
    int prefix;

    if (length > 0 && message->text[length - 1] == '\n')
        length--;
    if (message->descriptor >= 0)
        snprintf(descriptor, sizeof descriptor, "  fd %d", message->descriptor);
    prefix = snprintf(line, TRACE_LINE_MAX, "%02u:%02u:%02u.%06u %s worker %u  %zu bytes%s  ",
                      seconds / 3600, seconds / 60 % 60, seconds % 60, microseconds,
                      message->outgoing ? "->" : "<-", message->slot, message->length, descriptor);
    return (size_t)prefix +
           text_escape(line + prefix, TRACE_LINE_MAX - (size_t)prefix, message->text, length);
}
