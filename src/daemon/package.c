#include "daemon/package.h"

#include "base/json_read.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS_MAX 16

/* NULL for what is no file: a pipe of that name would have us wait for its writer. */
static FILE *open_file(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    FILE *file = NULL;

    if (descriptor < 0)
        return NULL;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
        file = fdopen(descriptor, "r");
    if (!file)
        close(descriptor);
    return file;
}

static char *version_of(const char *path) {
    FILE *file = open_file(path);
    json_error_t error;
    json_t *package = file ? json_read_file(file, 0, &error) : NULL;
    const char *version = json_string_value(json_object_get(package, "version"));
    char *copy = version ? strdup(version) : NULL;

    json_decref(package);
    if (file)
        fclose(file);
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

/* <prefix>/bin/node has <prefix>/include/node/node_version.h. */
static FILE *open_node_header(const char *program) {
    char *path = realpath(program, NULL);
    char header[PATH_MAX];
    FILE *file = NULL;

    for (int level = 0; level < 2 && path; level++) {
        char *slash = strrchr(path, '/');

        if (slash)
            *slash = '\0';
    }
    if (path && snprintf(header, sizeof header, "%s/include/node/node_version.h", path) <
                    (int)sizeof header)
        file = fopen(header, "re");
    free(path);
    return file;
}

char *package_node_version(const char *program) {
    static const char *const parts[] = {"MAJOR", "MINOR", "PATCH"};
    FILE *file = open_node_header(program);
    int numbers[3] = {-1, -1, -1};
    char line[256];
    char *version;

    if (!file)
        return NULL;
    while (fgets(line, sizeof line, file)) {
        char word[16];
        int number;

        if (sscanf(line, "#define NODE_%15[A-Z]_VERSION %d", word, &number) != 2)
            continue;
        for (int i = 0; i < 3; i++)
            if (strcmp(word, parts[i]) == 0)
                numbers[i] = number;
    }
    fclose(file);
    if (numbers[0] < 0 || numbers[1] < 0 || numbers[2] < 0 ||
        asprintf(&version, "%d.%d.%d", numbers[0], numbers[1], numbers[2]) < 0)
        return NULL;
    return version;
}
