#include "http/target.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The path of the absolute form begins after the authority; it may be missing, which means "/". */
static const char *after_authority(const char *target) {
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);

        if (strncasecmp(target, schemes[i], length) == 0)
            return target + length + strcspn(target + length, "/?");
    }
    return NULL;
}

int http_target_split(const char *target, struct http_target *ret_target) {
    const char *path =
        target[0] == '/' || strcmp(target, "*") == 0 ? target : after_authority(target);
    const char *query;

    if (!path || strchr(path, '#'))
        return -EINVAL;
    query = strchr(path, '?');
    *ret_target = (struct http_target){
        .path = path,
        .path_length = query ? (size_t)(query - path) : strlen(path),
        .query = query ? query + 1 : NULL,
    };
    if (ret_target->path_length == 0) {
        ret_target->path = "/";
        ret_target->path_length = 1;
    }
    return 0;
}

static int hex_value(char digit) {
    static const char digits[] = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit | (digit >= 'A' ? 0x20 : 0));

    return found ? (int)(found - digits) : -1;
}

/* The byte that the code at `text` stands for, or -EINVAL. */
static int decode_byte(const char *text, size_t length) {
    int high;
    int low;

    if (length < 3)
        return -EINVAL;
    high = hex_value(text[1]);
    low = hex_value(text[2]);
    if (high < 0 || low < 0)
        return -EINVAL;
    return high * 16 + low == 0 || high * 16 + low == '/' ? -EINVAL : high * 16 + low;
}

int http_target_decode(const struct http_target *target, char *decoded) {
    size_t i = 0;

    while (i < target->path_length) {
        const char *text = target->path + i;
        int byte;

        if (*text != '%') {
            *decoded++ = *text;
            i++;
            continue;
        }
        byte = decode_byte(text, target->path_length - i);
        if (byte < 0)
            return byte;
        *decoded++ = (char)byte;
        i += 3;
    }
    *decoded = '\0';
    return 0;
}

static bool is_unreserved(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~", byte));
}

int http_target_encode(struct buffer *out, const char *text) {
    static const char digits[] = "0123456789ABCDEF";
    char *end = buffer_reserve(out, strlen(text) * 3 + 1);
    const char *start = end;

    if (!end)
        return -ENOMEM;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (is_unreserved(*text)) {
            *end++ = *text;
            continue;
        }
        *end++ = '%';
        *end++ = digits[byte >> 4];
        *end++ = digits[byte & 15];
    }
    buffer_commit(out, (size_t)(end - start));
    return 0;
}
