#include "config/process_file.h"

#include "base/buffer.h"
#include "base/text.h"
#include "config/attribute.h"
#include "config/check.h"
#include "config/relaxed_json.h"
#include "config/script_file.h"
#include "config/yaml_value.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define SHOWN_MAX 128 /* of a file's name, in a sentence */

enum format { FORMAT_NONE, FORMAT_JSON, FORMAT_YAML, FORMAT_SCRIPT };

static enum format format_of(const char *path) {
    static const struct {
        const char *ending;
        enum format format;
    } endings[] = {
        {".json", FORMAT_JSON},         {".yml", FORMAT_YAML},
        {".yaml", FORMAT_YAML},         {".config.js", FORMAT_SCRIPT},
        {".config.cjs", FORMAT_SCRIPT}, {".config.mjs", FORMAT_SCRIPT},
    };

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (text_ends_with(path, endings[i].ending))
            return endings[i].format;
    return FORMAT_NONE;
}

bool process_file_is(const char *path) {
    return format_of(path) != FORMAT_NONE;
}

/* ---- From the top level to apps ---- */

/* What is being read, and where its sentences go. */
struct source {
    const char *name;      /* as it is called in sentences */
    const char *directory; /* absolute */
    struct text_list *warnings;
    char *error;
};

static int complain(const struct source *source, int result, const char *sentence) {
    char name[SHOWN_MAX];

    text_escape_utf8(name, sizeof name, source->name, strlen(source->name));
    if (result == UV_ENOMEM)
        sentence = "out of memory";
    snprintf(source->error, SETTINGS_ERROR_MAX, "%s: %s", name, sentence);
    return result;
}

/* A list of the one app; a new reference, or NULL with a sentence. */
static json_t *only(const struct source *source, json_t *app) {
    json_t *apps = json_pack("[O]", app);

    if (!apps)
        complain(source, UV_ENOMEM, NULL);
    return apps;
}

/* The list under whatever the top level is; a new reference, or NULL with a sentence. */
static json_t *find_apps(const struct source *source, json_t *top) {
    json_t *apps = json_is_object(top) ? json_object_get(top, "apps") : NULL;

    if (json_is_array(top))
        return json_incref(top);
    if (json_is_array(apps))
        return json_incref(apps);
    if (json_is_object(apps))
        return only(source, apps);
    if (json_is_object(top) && !apps && json_object_size(top) > 0)
        return only(source, top);
    complain(source, UV_EINVAL,
             json_is_null(top) || (json_is_object(top) && !apps)
                 ? "there are no apps in it"
                 : "an app, a list of apps or {apps: […]} is expected");
    return NULL;
}

/* Moves the warnings about an app to the list, with the file and its name before each. */
static int take_warnings(const struct source *source, const char *app,
                         const struct text_list *warnings) {
    char file[SHOWN_MAX];
    int result = 0;

    text_escape_utf8(file, sizeof file, source->name, strlen(source->name));

    for (size_t i = 0; i < warnings->count && source->warnings && result == 0; i++) {
        char *sentence;

        if (asprintf(&sentence, "%s: %s: %s", file, app, warnings->items[i]) < 0)
            return UV_ENOMEM;
        result = text_list_add(source->warnings, sentence);
        free(sentence);
    }
    return result;
}

/* How an app is called in sentences. */
static void name_app(const json_t *app, size_t number, char name[SHOWN_MAX]) {
    const char *given = json_string_value(json_object_get(app, "name"));
    const char *script = json_string_value(json_object_get(app, "script"));
    char base[SETTINGS_NAME_MAX] = "";
    char shown[SHOWN_MAX - 8];

    if (!given && script)
        settings_name_of_script(script, base);
    text_escape_utf8(shown, sizeof shown, given ? given : base, strlen(given ? given : base));
    if (shown[0])
        snprintf(name, SHOWN_MAX, "app '%s'", shown);
    else
        snprintf(name, SHOWN_MAX, "app %zu", number);
}

/* The normalised app, or NULL when memory is out. */
static json_t *normalize(const struct source *source, const json_t *app, json_t *deploy,
                         size_t number) {
    struct text_list warnings = {.items = NULL};
    json_t *normalized = attribute_normalize(app, &warnings);
    char name[SHOWN_MAX];
    int result = normalized ? 0 : UV_ENOMEM;

    name_app(normalized, number, name);
    if (result == 0)
        result = take_warnings(source, name, &warnings);
    if (result == 0 && deploy && !json_object_get(normalized, "deploy"))
        result = json_object_set(normalized, "deploy", deploy);
    if (result == 0)
        result = attribute_resolve_paths(normalized, source->directory);
    text_list_clear(&warnings);
    if (result == 0)
        return normalized;
    json_decref(normalized);
    return NULL;
}

static int check_apps(const struct source *source, const json_t *apps) {
    size_t count = json_array_size(apps);
    char sentence[64];

    if (count == 0)
        return complain(source, UV_EINVAL, "there are no apps in it");
    if (count > PROCESS_FILE_APPS_MAX)
        return complain(source, UV_EINVAL, "there are too many apps in it");
    for (size_t i = 0; i < count; i++) {
        if (json_is_object(json_array_get(apps, i)))
            continue;
        snprintf(sentence, sizeof sentence, "app %zu is no object of attributes", i + 1);
        return complain(source, UV_EINVAL, sentence);
    }
    return 0;
}

static int take_apps(const struct source *source, const json_t *apps, json_t *deploy,
                     json_t **ret_apps) {
    json_t *taken = json_array();

    for (size_t i = 0; i < json_array_size(apps) && taken; i++) {
        json_t *app = normalize(source, json_array_get(apps, i), deploy, i + 1);

        if (app && json_array_append_new(taken, app) == 0)
            continue;
        json_decref(taken);
        taken = NULL;
    }
    if (!taken)
        return complain(source, UV_ENOMEM, NULL);
    *ret_apps = taken;
    return 0;
}

static int read_top(const struct source *source, json_t *top, json_t **ret_apps) {
    json_t *deploy = json_is_object(top) ? json_object_get(top, "deploy") : NULL;
    json_t *apps = find_apps(source, top);
    int result = apps ? check_apps(source, apps) : UV_EINVAL;

    if (result == 0)
        result = take_apps(source, apps, deploy, ret_apps);
    json_decref(apps);
    return result;
}

/* ---- Reading ---- */

static int parse(const struct source *source, enum format format, const struct buffer *text,
                 json_t **ret_top) {
    const char *bytes = buffer_length(text) > 0 ? buffer_data(text) : "";
    char sentence[RELAXED_JSON_ERROR_MAX > YAML_VALUE_ERROR_MAX ? RELAXED_JSON_ERROR_MAX
                                                                : YAML_VALUE_ERROR_MAX];
    int result = format == FORMAT_YAML
                     ? yaml_value_parse(bytes, buffer_length(text), ret_top, sentence)
                     : relaxed_json_parse(bytes, buffer_length(text), ret_top, sentence);

    return result < 0 ? complain(source, result, sentence) : 0;
}

static int read_all(int file, struct buffer *text) {
    ssize_t count;

    do {
        char *room = buffer_reserve(text, 65536);

        if (!room)
            return UV_ENOMEM;
        count = read(file, room, 65536);
        if (count > 0)
            buffer_commit(text, (size_t)count);
        if (buffer_length(text) > PROCESS_FILE_SIZE_MAX)
            return UV_E2BIG;
    } while (count > 0 || (count < 0 && errno == EINTR));
    return count < 0 ? uv_translate_sys_error(errno) : 0;
}

static int complain_of_file(const struct source *source, int result) {
    char sentence[128];

    if (result == UV_ENOENT)
        return complain(source, result, "there is no such file");
    if (result == UV_E2BIG)
        return complain(source, result, "it is larger than a process file may be (8 MiB)");
    snprintf(sentence, sizeof sentence, "it cannot be read: %s", uv_strerror(result));
    return complain(source, result, sentence);
}

static int read_text(const struct source *source, enum format format, int file, json_t **ret_top) {
    struct buffer text;
    int result;

    buffer_init(&text);
    result = read_all(file, &text);
    result = result < 0 ? complain_of_file(source, result) : parse(source, format, &text, ret_top);
    buffer_clear(&text);
    return result;
}

static int load_text(const struct source *source, enum format format, json_t **ret_top) {
    int file = open(source->name, O_RDONLY | O_CLOEXEC);
    int result;

    if (file < 0)
        return complain_of_file(source, uv_translate_sys_error(errno));
    result = read_text(source, format, file, ret_top);
    close(file);
    return result;
}

static int load_script(const struct source *source, const char *path, json_t **ret_top) {
    char sentence[SCRIPT_FILE_ERROR_MAX];
    struct stat status;
    int result;

    if (stat(path, &status) < 0)
        return complain_of_file(source, uv_translate_sys_error(errno));
    if (S_ISDIR(status.st_mode))
        return complain_of_file(source, UV_EISDIR);
    result = script_file_evaluate(path, ret_top, sentence);
    return result < 0 ? complain(source, result, sentence) : 0;
}

/* Links stay as they are, as everywhere. */
static bool make_absolute(const char *path, char absolute[PATH_MAX]) {
    char directory[PATH_MAX];

    if (path[0] == '/')
        return snprintf(absolute, PATH_MAX, "%s", path) < PATH_MAX;
    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    return getcwd(directory, sizeof directory) &&
           snprintf(absolute, PATH_MAX, "%s/%s", directory, path) < PATH_MAX;
}

static void directory_of(const char *path, char directory[PATH_MAX]) {
    char *slash;

    snprintf(directory, PATH_MAX, "%s", path);
    slash = strrchr(directory, '/');
    slash[slash == directory ? 1 : 0] = '\0';
}

int process_file_load(const char *path, json_t **ret_apps, struct text_list *warnings,
                      char error[SETTINGS_ERROR_MAX]) {
    char directory[PATH_MAX] = "/";
    char absolute[PATH_MAX];
    struct source source = {
        .name = path, .directory = directory, .warnings = warnings, .error = error};
    enum format format = format_of(path);
    json_t *top = NULL;
    int result;

    if (format == FORMAT_NONE)
        return complain(&source, UV_EINVAL,
                        "a process file ends in .json, .yml, .yaml or .config.js, .cjs, .mjs");
    if (!make_absolute(path, absolute))
        return complain(&source, UV_ENAMETOOLONG, "its path is too long");
    directory_of(absolute, directory);
    result = format == FORMAT_SCRIPT ? load_script(&source, absolute, &top)
                                     : load_text(&source, format, &top);
    if (result == 0)
        result = read_top(&source, top, ret_apps);
    json_decref(top);
    return result;
}

int process_file_read(int input, const char *directory, json_t **ret_apps,
                      struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    struct source source = {
        .name = "standard input", .directory = directory, .warnings = warnings, .error = error};
    json_t *top = NULL;
    int result = read_text(&source, FORMAT_JSON, input, &top);

    if (result == 0)
        result = read_top(&source, top, ret_apps);
    json_decref(top);
    return result;
}
