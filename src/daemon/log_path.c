#include "daemon/log_path.h"

#include "daemon/log_name.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define APP_NAME_MAX 128

static bool is_none(const char *path) {
    return strcmp(path, "NULL") == 0 || strcmp(path, SETTINGS_NO_FILE) == 0;
}

static int full(int length) {
    return length >= 0 && length < PATH_MAX ? 0 : UV_ENAMETOOLONG;
}

static const char *given_path(const struct settings *settings, enum log_path_kind kind) {
    switch (kind) {
    case LOG_PATH_OUT:
        return settings->out_file;
    case LOG_PATH_ERROR:
        return settings->error_file;
    case LOG_PATH_COMBINED:
        break;
    }
    return settings->log_file;
}

bool log_path_is_given(const struct settings *settings, enum log_path_kind kind) {
    return given_path(settings, kind) != NULL;
}

int log_path(const struct settings *settings, const char *home, const char *name,
             enum log_path_kind kind, char path[PATH_MAX]) {
    const char *given = given_path(settings, kind);
    char file_name[APP_NAME_MAX];

    if (settings->disable_logs || (given && is_none(given)) ||
        (!given && kind == LOG_PATH_COMBINED))
        return UV_ENOENT;
    if (given && given[0] == '/')
        return full(snprintf(path, PATH_MAX, "%s", given));
    if (given)
        return full(snprintf(path, PATH_MAX, "%s/%s", settings->cwd ? settings->cwd : home, given));
    log_name_of_app(name, file_name, sizeof file_name);
    return full(snprintf(path, PATH_MAX, "%s/logs/%s-%s.log", home, file_name,
                         kind == LOG_PATH_OUT ? "out" : "error"));
}
