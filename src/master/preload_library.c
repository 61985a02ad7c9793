#include "master/preload_library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* From the folder of the program. */
static const char *const places[] = {".", BATON_LIBDIR_FROM_BINDIR "/baton"};

int preload_library_find(char path[PATH_MAX]) {
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    if (length < 0)
        return uv_translate_sys_error(errno);
    program[length] = '\0';
    slash = strrchr(program, '/');
    if (!slash)
        return UV_ENOENT;
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char candidate[2 * PATH_MAX];

        snprintf(candidate, sizeof candidate, "%s/%s/%s", program, places[i], PRELOAD_LIBRARY_NAME);
        if (realpath(candidate, path))
            return path[strcspn(path, " :\t\n")] ? UV_EINVAL : 0;
    }
    return UV_ENOENT;
}
