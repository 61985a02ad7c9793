#include "config/home.h"

#include "base/text.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static bool is_given(const char *text) {
    return text && text[0];
}

static int join(const char *directory, const char *name, char *path, size_t size) {
    const char *slash = text_ends_with(directory, "/") ? "" : "/";
    int length = snprintf(path, size, "%s%s%s", directory, slash, name);

    return length < 0 || (size_t)length >= size ? UV_ENAMETOOLONG : 0;
}

static void drop_last_slashes(char *path) {
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

int home_path(const struct home_source *source, char *path, size_t size) {
    const char *name = source->pm2 ? HOME_DIRECTORY_PM2 : HOME_DIRECTORY;
    const char *base = source->user;
    char whole[PATH_MAX];
    int result;

    if (is_given(source->given)) {
        name = source->given;
        base = name[0] == '/' ? "/" : source->cwd;
    }
    if (!base || base[0] != '/')
        return UV_ENOENT;
    result = join(base, name + strspn(name, "/"), whole, sizeof whole);
    if (result < 0)
        return result;
    drop_last_slashes(whole);
    if (strlen(whole) >= size)
        return UV_ENAMETOOLONG;
    memcpy(path, whole, strlen(whole) + 1);
    return 0;
}

int home_file(const char *home, const char *name, char *path, size_t size) {
    return join(home, name, path, size);
}

int home_find(bool pm2, char *path, size_t size) {
    char cwd[PATH_MAX];
    struct home_source source = {
        .pm2 = pm2,
        .given = getenv(pm2 ? HOME_VARIABLE_PM2 : HOME_VARIABLE),
        .user = getenv("HOME"),
        .cwd = getcwd(cwd, sizeof cwd),
    };
    const struct passwd *user;

    if (!is_given(source.given) && !is_given(source.user)) {
        user = getpwuid(getuid());
        source.user = user ? user->pw_dir : NULL;
    }
    return home_path(&source, path, size);
}
