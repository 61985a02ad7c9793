#include "cli/query.h"

#include "http/target.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int query_add(struct buffer *target, const char *name, const char *value) {
    bool first = !memchr(buffer_data(target), '?', buffer_length(target));
    int result = buffer_print(target, "%c%s=", first ? '?' : '&', name);

    if (result == 0)
        result = http_target_encode(target, value);
    if (result == 0 && !buffer_reserve(target, 1))
        result = -ENOMEM;
    if (result == 0)
        buffer_data(target)[buffer_length(target)] = '\0';
    return result;
}
