#include "cli/query.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* RFC 3986, 2.3 */
static bool is_unreserved(char byte) {
    static const char others[] = "0123456789-._~";

    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte != '\0' && strchr(others, byte));
}

static int add_encoded(struct buffer *target, const char *value) {
    int result = 0;

    for (; *value && result == 0; value++)
        result = is_unreserved(*value) ? buffer_append(target, value, 1)
                                       : buffer_print(target, "%%%02X", (unsigned char)*value);
    return result;
}

int query_add(struct buffer *target, const char *name, const char *value) {
    bool first = !memchr(buffer_data(target), '?', buffer_length(target));
    int result = buffer_print(target, "%c%s=", first ? '?' : '&', name);

    if (result == 0)
        result = add_encoded(target, value);
    if (result == 0 && !buffer_reserve(target, 1))
        result = -ENOMEM;
    if (result == 0)
        buffer_data(target)[buffer_length(target)] = '\0';
    return result;
}
