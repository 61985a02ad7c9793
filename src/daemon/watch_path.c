#include "daemon/watch_path.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

bool watch_path_is_beneath(const char *path, const char *directory) {
    size_t length = strlen(directory);

    if (strcmp(directory, "/") == 0)
        return path[0] == '/' && path[1] != '\0';
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

bool watch_path_is_at_or_beneath(const char *path, const char *directory) {
    return strcmp(path, directory) == 0 || watch_path_is_beneath(path, directory);
}

int watch_path_join(const char *directory, const char *name, char path[PATH_MAX]) {
    int length = snprintf(path, PATH_MAX, "%s%s%s", directory,
                          text_ends_with(directory, "/") ? "" : "/", name);

    return length < 0 || length >= PATH_MAX ? UV_ENAMETOOLONG : 0;
}

static const char *skip_dots(const char *path) {
    while (path[0] == '.' && (path[1] == '/' || path[1] == '\0'))
        path += path[1] ? 2 : 1;
    return path;
}

int watch_path_whole(const char *cwd, const char *path, char whole[PATH_MAX]) {
    char typed[PATH_MAX];
    size_t length;

    path = skip_dots(path);
    if (strlen(path) >= sizeof typed)
        return UV_ENAMETOOLONG;
    if (path[0] == '/')
        memcpy(typed, path, strlen(path) + 1);
    else if (watch_path_join(cwd, path, typed) < 0)
        return UV_ENAMETOOLONG;
    for (length = strlen(typed); length > 1 && typed[length - 1] == '/';)
        typed[--length] = '\0';
    if (!realpath(typed, whole))
        memcpy(whole, typed, length + 1);
    return 0;
}
