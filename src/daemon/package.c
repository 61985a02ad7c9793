#include "daemon/package.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEVELS_MAX 16

static char *version_of(const char *path) {
    json_t *package = json_load_file(path, 0, NULL);
    const char *version = json_string_value(json_object_get(package, "version"));
    char *copy = version ? strdup(version) : NULL;

    json_decref(package);
    return copy;
}

char *package_version(const char *script) {
    char path[PATH_MAX];
    char *slash;

    if (snprintf(path, sizeof path, "%s", script) >= (int)sizeof path)
        return NULL;
    for (int level = 0; level < LEVELS_MAX && (slash = strrchr(path, '/')); level++) {
        size_t room = sizeof path - (size_t)(slash - path);

        if (snprintf(slash, room, "/package.json") < (int)room && access(path, R_OK) == 0)
            return version_of(path);
        *slash = '\0';
    }
    return NULL;
}
