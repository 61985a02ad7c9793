#include "daemon/log_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static int check(int length, size_t size) {
    return length >= 0 && (size_t)length < size ? 0 : UV_ENAMETOOLONG;
}

int log_name_predecessor(const char *path, uint32_t number, bool compressed, char *name,
                         size_t size) {
    return check(snprintf(name, size, "%s.%u%s", path, number, compressed ? ".gz" : ""), size);
}

int log_name_with_id(const char *path, uint32_t id, char *name, size_t size) {
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *ending = strrchr(base, '.');

    if (!ending || ending == base)
        ending = path + strlen(path);
    return check(snprintf(name, size, "%.*s-%u%s", (int)(ending - path), path, id, ending), size);
}

void log_name_of_app(const char *app, char *name, size_t size) {
    size_t length = 0;

    for (; app[length] && length + 1 < size; length++) {
        unsigned char byte = (unsigned char)app[length];

        name[length] = isascii(byte) && (isalnum(byte) || byte == '.') ? app[length] : '-';
    }
    name[length] = '\0';
}
