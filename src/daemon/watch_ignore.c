#include "daemon/watch.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>

/* Without "./" in front, and without slashes and stars behind, of which the last is a slash's. */
static bool trim(const char *pattern, char trimmed[PATH_MAX]) {
    size_t length;
    size_t end;

    while (strncmp(pattern, "./", 2) == 0)
        pattern += 2;
    length = strlen(pattern);
    if (length == 0 || length >= PATH_MAX)
        return false;
    memcpy(trimmed, pattern, length + 1);
    end = length;
    while (end > 0 && trimmed[end - 1] == '*')
        end--;
    if (end > 1 && trimmed[end - 1] == '/')
        trimmed[end - 1] = '\0';
    return true;
}

static bool fits(const char *pattern, const char *base, const char *relative,
                 const char *absolute) {
    if (fnmatch(pattern, base, 0) == 0 || fnmatch(pattern, relative, 0) == 0 ||
        fnmatch(pattern, absolute, 0) == 0)
        return true;
    return strncmp(pattern, "**/", 3) == 0 && fits(pattern + 3, base, relative, absolute);
}

/* Of one path, whatever it is in. */
static bool is_ignored(const struct text_list *patterns, const char *relative,
                       const char *absolute) {
    const char *slash = strrchr(relative, '/');
    const char *base = slash ? slash + 1 : relative;
    char pattern[PATH_MAX];

    if (strcmp(base, "node_modules") == 0)
        return true;
    if (base[0] == '.' && strcmp(base, ".") != 0 && strcmp(base, "..") != 0)
        return true;
    for (size_t i = 0; i < patterns->count; i++)
        if (trim(patterns->items[i], pattern) && fits(pattern, base, relative, absolute))
            return true;
    return false;
}

bool watch_ignores(const struct text_list *patterns, const char *relative, const char *absolute) {
    size_t before = strlen(absolute) - strlen(relative);
    char above[PATH_MAX];

    if (strlen(absolute) >= sizeof above)
        return true;
    memcpy(above, absolute, strlen(absolute) + 1);
    for (char *slash = strchr(above + before, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (is_ignored(patterns, above + before, above))
            return true;
        *slash = '/';
    }
    return is_ignored(patterns, relative, absolute);
}
