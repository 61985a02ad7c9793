#include "config/attribute.h"

#include "base/text.h"
#include "config/attribute_value.h"
#include "config/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* ---- Environments by name ---- */

static int update(json_t *env, json_t *other) {
    return json_is_object(other) && json_object_update(env, other) < 0 ? UV_ENOMEM : 0;
}

static int warn_missing(const json_t *app, const char *env_name, struct text_list *warnings) {
    const char *name = json_string_value(json_object_get(app, "name"));
    char sentence[256];
    char words[2][64];

    if (!warnings)
        return 0;
    text_escape_utf8(words[0], sizeof words[0], name ? name : "", name ? strlen(name) : 0);
    text_escape_utf8(words[1], sizeof words[1], env_name, strlen(env_name));
    snprintf(sentence, sizeof sentence, "the app%s%s%s has no env_%s", name ? " '" : "", words[0],
             name ? "'" : "", words[1]);
    return text_list_add(warnings, sentence);
}

/* A new object, or NULL when memory is out. */
static json_t *merge(const json_t *app, json_t *deployed, json_t *named) {
    json_t *env = json_object();

    if (env && update(env, deployed) == 0 && update(env, json_object_get(app, "env")) == 0 &&
        update(env, named) == 0)
        return env;
    json_decref(env);
    return NULL;
}

static void remove_named(json_t *app) {
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(app, next, name, value) {
        if (strncmp(name, "env_", 4) == 0 || strcmp(name, "deploy") == 0)
            json_object_del(app, name);
    }
}

static bool is_true(const json_t *value) {
    const char *text = json_string_value(value);

    return json_is_true(value) || (text && strcmp(text, "true") == 0);
}

static int append_to_name(json_t *app, const char *env_name) {
    const char *name = json_string_value(json_object_get(app, "name"));
    const char *script = json_string_value(json_object_get(app, "script"));
    char scripts[SETTINGS_NAME_MAX] = "";
    json_t *text;

    if (!name && script)
        settings_name_of_script(script, scripts);
    text = json_sprintf("%s-%s", name ? name : scripts, env_name);
    return text && json_object_set_new(app, "name", text) == 0 ? 0 : UV_ENOMEM;
}

static int merge_named(json_t *app, const char *env_name, struct text_list *warnings) {
    json_t *deploy = json_object_get(json_object_get(app, "deploy"), env_name);
    json_t *deployed = json_object_get(deploy, "env");
    char attribute[256];
    json_t *named;
    json_t *env;

    snprintf(attribute, sizeof attribute, "env_%s", env_name);
    named = json_object_get(app, attribute);
    if (!named && !deployed && warn_missing(app, env_name, warnings) < 0)
        return UV_ENOMEM;
    env = merge(app, deployed, named);
    if (!env || json_object_set_new(app, "env", env) < 0)
        return UV_ENOMEM;
    if (is_true(json_object_get(app, "append_env_to_name")))
        return append_to_name(app, env_name);
    return 0;
}

int attribute_merge_env(json_t *app, const char *env_name, struct text_list *warnings) {
    json_t *own = json_object_get(app, "env");
    int result = 0;

    /* One that is no object is attribute_apply()'s to refuse. */
    if (env_name && (!own || json_is_null(own) || json_is_object(own)))
        result = merge_named(app, env_name, warnings);
    remove_named(app);
    return result;
}

/* ---- Paths ---- */

/* A new text, or NULL when memory is out. */
static json_t *join(const char *directory, const char *path) {
    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    if (path[0] == '/')
        return json_string(path);
    if (path[0] == '\0' || strcmp(path, ".") == 0)
        return json_string(directory);
    return json_sprintf("%s%s%s", directory, strcmp(directory, "/") == 0 ? "" : "/", path);
}

/* What is no path is attribute_apply()'s to refuse. */
static int make_absolute(json_t *app, const char *name, const char *directory) {
    char *path;
    json_t *absolute;
    int result = attribute_value_text(json_object_get(app, name), &path);

    if (result < 0)
        return result == UV_ENOMEM ? result : 0;
    absolute = join(directory, path);
    free(path);
    return absolute && json_object_set_new(app, name, absolute) == 0 ? 0 : UV_ENOMEM;
}

static bool is_word(const json_t *app, const char *name, const char *word) {
    const char *text = json_string_value(json_object_get(app, name));

    return text && strcmp(text, word) == 0;
}

static int make_files_absolute(json_t *app, const char *directory) {
    static const char *const files[] = {"out_file", "error_file", "log_file", "pid_file"};
    int result = 0;

    for (size_t i = 0; i < sizeof files / sizeof files[0] && result == 0; i++)
        if (!is_word(app, files[i], "NULL") && !is_word(app, files[i], ""))
            result = make_absolute(app, files[i], directory);
    return result;
}

int attribute_resolve_paths(json_t *app, const char *directory) {
    const char *interpreter = json_string_value(json_object_get(app, "interpreter"));
    json_t *cwd = json_object_get(app, "cwd");
    const char *from;
    int result;

    if (!cwd || json_is_null(cwd) || is_word(app, "cwd", ""))
        result = json_object_set_new(app, "cwd", json_string(directory)) < 0 ? UV_ENOMEM : 0;
    else
        result = make_absolute(app, "cwd", directory);
    if (result == 0 && interpreter && strchr(interpreter, '/'))
        result = make_absolute(app, "interpreter", directory);
    from = json_string_value(json_object_get(app, "cwd"));
    return result == 0 ? make_files_absolute(app, from ? from : directory) : result;
}
