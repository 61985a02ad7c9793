#include "daemon/control_check.h"

#include <string.h>
#include <strings.h>

static bool is_localhost(const char *host, size_t length) {
    static const char name[] = "localhost";

    return length == sizeof name - 1 && strncasecmp(host, name, length) == 0;
}

const char *control_check_target_host(const struct http_request *request) {
    const char *target = http_request_target(request);
    const char *scheme = strstr(target, "://");

    return target[0] == '/' || !scheme ? NULL : scheme + strlen("://");
}

bool control_check_host(const struct http_request *request) {
    const char *host = http_request_header(request, "Host");
    const char *named = control_check_target_host(request);

    if (named && !is_localhost(named, strcspn(named, "/?")))
        return false;
    if (!host)
        return http_request_minor_version(request) == 0;
    return host[0] == '\0' || is_localhost(host, strlen(host));
}

bool control_check_type(const struct http_request *request) {
    static const char json[] = "application/json";
    const char *type = http_request_header(request, "Content-Type");
    size_t length = sizeof json - 1;

    if (!type || strncasecmp(type, json, length) != 0)
        return false;
    length += strspn(type + length, " \t");
    return type[length] == '\0' || type[length] == ';';
}

bool control_check_events(const struct http_request *request) {
    const char *accept = http_request_header(request, "Accept");

    return accept && strcasestr(accept, "text/event-stream");
}

/* The place of the quote that ends the string before `i`, or `length`. */
static size_t skip_string(const char *text, size_t length, size_t i) {
    while (i < length && text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
    return i;
}

bool control_check_values(const char *text, size_t length) {
    size_t values = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            i = skip_string(text, length, i + 1);
        else
            values += text[i] == ',' || text[i] == ':' || text[i] == '[' || text[i] == '{';
    }
    return values <= CONTROL_VALUES_MAX;
}

bool control_check_path(const char *path, const char *pattern, const char **ret_segment) {
    const char *star = strrchr(pattern, '/');
    size_t length = star ? (size_t)(star + 1 - pattern) : 0;

    if (!star || strcmp(star, "/*") != 0) {
        *ret_segment = NULL;
        return strcmp(path, pattern) == 0;
    }
    if (strncmp(path, pattern, length) != 0 || path[length] == '\0' || strchr(path + length, '/'))
        return false;
    *ret_segment = path + length;
    return true;
}

static int hex_value(char digit) {
    static const char digits[] = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit | (digit >= 'A' ? 0x20 : 0));

    return found ? (int)(found - digits) : -1;
}

/* Decodes the byte at `text` of `length` bytes, or says -1; *ret_used is how long its code is. */
static int decode_byte(const char *text, size_t length, size_t *ret_used) {
    int high;
    int low;

    *ret_used = 1;
    if (*text != '%')
        return *text == '+' ? ' ' : (unsigned char)*text;
    *ret_used = 3;
    if (length < 3)
        return -1;
    high = hex_value(text[1]);
    low = hex_value(text[2]);
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

bool control_check_encoding(const char *query) {
    size_t used;

    for (; query && *query; query += used)
        if (decode_byte(query, strnlen(query, 3), &used) < 0)
            return false;
    return true;
}

static void decode(const char *text, size_t length, char *value, size_t size) {
    size_t end = 0;

    for (size_t i = 0; i < length && end + 1 < size;) {
        size_t used;

        value[end++] = (char)decode_byte(text + i, length - i, &used);
        i += used;
    }
    value[end] = '\0';
}

bool control_check_query(const char *query, const char *name, size_t index, char *value,
                         size_t size) {
    size_t name_length = strlen(name);

    while (query && *query) {
        size_t length = strcspn(query, "&");
        bool named = strncmp(query, name, name_length) == 0 &&
                     (name_length == length || query[name_length] == '=');

        if (named && index-- == 0) {
            size_t skipped = name_length == length ? length : name_length + 1;

            decode(query + skipped, length - skipped, value, size);
            return true;
        }
        query += length + (query[length] == '&');
    }
    return false;
}
