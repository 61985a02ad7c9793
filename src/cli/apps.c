#include "cli/apps.h"

#include "base/text.h"
#include "cli/message.h"
#include "cli/run_options.h"
#include "config/attribute.h"
#include "config/check.h"
#include "config/process_file.h"
#include "config/program.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define STANDARD_INPUT "-"

extern char **environ;

json_t *cli_environment(void) {
    json_t *object = json_object();

    for (char **entry = environ; object && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char name[256];

        if (!equals || equals == *entry || (size_t)(equals - *entry) >= sizeof name)
            continue;
        memcpy(name, *entry, (size_t)(equals - *entry));
        name[equals - *entry] = '\0';
        json_object_set_new(object, name, json_string(equals + 1));
    }
    return object;
}

/* --- names --- */

/* PM2 calls an app by its script's base name without the last ending, a command line likewise. */
static void name_of_script(const char *script, char name[CLI_APP_NAME_MAX]) {
    const char *slash = strrchr(script, '/');
    const char *base = slash && slash[1] ? slash + 1 : script;
    const char *dot = strrchr(base, '.');
    int length = dot && dot != base ? (int)(dot - base) : (int)strlen(base);

    snprintf(name, CLI_APP_NAME_MAX, "%.*s", length, base);
}

void cli_app_name(const json_t *app, char name[CLI_APP_NAME_MAX]) {
    const char *own = json_string_value(json_object_get(app, "name"));
    const char *script = json_string_value(json_object_get(app, "script"));

    if (own)
        snprintf(name, CLI_APP_NAME_MAX, "%s", own);
    else
        name_of_script(script ? script : "", name);
}

/* --- flags --- */

/* Makes the paths that flags have given absolute: they are meant from the current directory, but
 * those of output from --cwd, as in a process file. */
static int resolve_paths(json_t *app, bool with_cwd) {
    bool given = json_object_get(app, "cwd") != NULL;
    char directory[PATH_MAX];
    int error = getcwd(directory, sizeof directory) ? attribute_resolve_paths(app, directory)
                                                    : uv_translate_sys_error(errno);

    if (!with_cwd && !given)
        json_object_del(app, "cwd");
    return error;
}

json_t *cli_apps_flags(const struct cli_call *call, bool with_cwd) {
    json_t *app = json_deep_copy(call->flags.app);
    json_t *args = json_array();

    for (int i = 0; i < call->words.rest_count; i++)
        json_array_append_new(args, json_string(call->words.rest[i]));
    if (call->words.rest_count > 0)
        json_object_set(app, "args", args);
    json_decref(args);
    if (app && resolve_paths(app, with_cwd) == 0)
        return app;
    json_decref(app);
    return NULL;
}

uint32_t cli_apps_instances(const struct cli_call *call) {
    const json_t *wanted = json_object_get(call->flags.app, "instances");
    char error[SETTINGS_ERROR_MAX];
    struct settings settings;
    uint32_t count = 0;

    settings_init(&settings);
    if (wanted && attribute_apply_one(&settings, "instances", wanted, error) == 0) {
        settings_count_instances(&settings);
        count = settings.instances;
    }
    settings_clear(&settings);
    return count;
}

/* --- process files --- */

static int read_standard_input(json_t **ret_apps, struct text_list *warnings,
                               char error[SETTINGS_ERROR_MAX]) {
    char directory[PATH_MAX];
    int result;

    if (getcwd(directory, sizeof directory))
        return process_file_read(STDIN_FILENO, directory, ret_apps, warnings, error);
    result = uv_translate_sys_error(errno);
    snprintf(error, SETTINGS_ERROR_MAX, "the current directory cannot be used: %s",
             uv_strerror(result));
    return result;
}

/* What the flags say goes before what the file says. */
static int apply_flags(const struct cli_call *call, json_t *app) {
    json_t *flags;
    int error;

    if (json_object_size(call->flags.app) == 0 && call->words.rest_count == 0)
        return 0;
    flags = cli_apps_flags(call, false);
    error = flags && json_object_update(app, flags) == 0 ? 0 : UV_ENOMEM;
    json_decref(flags);
    return error;
}

/* Appends those of the loaded apps that are meant. */
static int take_apps(const struct cli_call *call, const json_t *loaded, json_t *apps,
                     struct text_list *warnings) {
    json_t *environment = cli_environment();
    int error = environment ? 0 : UV_ENOMEM;
    char name[CLI_APP_NAME_MAX];
    json_t *app;
    size_t index;

    json_array_foreach(loaded, index, app) {
        cli_app_name(app, name);
        if (error < 0 || (call->flags.only && !text_lists(call->flags.only, name)))
            continue;
        error = attribute_merge_env(app, call->flags.env_name, warnings);
        if (error == 0)
            error = apply_flags(call, app);
        if (error == 0 && json_object_set(app, "environment", environment) < 0)
            error = UV_ENOMEM;
        if (error == 0 && json_array_append(apps, app) < 0)
            error = UV_ENOMEM;
    }
    json_decref(environment);
    return error;
}

int cli_apps_load(const struct cli_call *call, const char *file, json_t *apps) {
    size_t before = json_array_size(apps);
    struct text_list warnings = {.count = 0};
    char sentence[SETTINGS_ERROR_MAX] = "out of memory";
    json_t *loaded = NULL;
    int error = strcmp(file, STANDARD_INPUT) == 0
                    ? read_standard_input(&loaded, &warnings, sentence)
                    : process_file_load(file, &loaded, &warnings, sentence);

    if (error == 0)
        error = take_apps(call, loaded, apps, &warnings);
    cli_warn_each(call, &warnings);
    if (error < 0) {
        cli_fail(call, "%s", sentence);
    } else if (json_array_size(apps) == before) {
        error = UV_ENOENT;
        cli_fail(call, call->flags.only ? "%s has no app named %s" : "%s has no app", file,
                 call->flags.only);
    }
    text_list_clear(&warnings);
    json_decref(loaded);
    return error;
}

/* 0, or a UV_E* with a sentence. */
static int check_app(const json_t *app, char sentence[SETTINGS_ERROR_MAX]) {
    struct settings settings;
    int error;

    snprintf(sentence, SETTINGS_ERROR_MAX, "out of memory");
    settings_init(&settings);
    error = attribute_apply(&settings, app, NULL, sentence);
    settings_supervise_by_default(&settings);
    if (error == 0)
        error = settings_check(&settings, sentence);
    if (error == 0)
        error = settings_check_name(&settings, NULL, sentence);
    settings_clear(&settings);
    return error;
}

int cli_apps_check(const struct cli_call *call, const char *file, const json_t *apps) {
    char sentence[SETTINGS_ERROR_MAX];
    char name[CLI_APP_NAME_MAX];
    char shown[CLI_APP_NAME_MAX];
    json_t *app;
    size_t index;

    json_array_foreach(apps, index, app) {
        int error = check_app(app, sentence);

        if (error == 0)
            continue;
        cli_app_name(app, name);
        text_escape_utf8(shown, sizeof shown, name, strlen(name));
        cli_fail(call, "%s: app '%s': %s",
                 strcmp(file, STANDARD_INPUT) == 0 ? "standard input" : file, shown, sentence);
        return error;
    }
    return 0;
}

/* --- scripts --- */

/* The description that the flags have given, of a script in the current directory. */
static json_t *description_of(const struct cli_call *call, const char *word) {
    json_t *app = cli_apps_flags(call, true);

    if (app && json_object_set_new(app, "script", json_string(word)) == 0)
        return app;
    json_decref(app);
    return NULL;
}

static int check(const struct cli_call *call, const json_t *app,
                 struct cli_app_summary *ret_summary) {
    struct text_list warnings = {.count = 0};
    char sentence[SETTINGS_ERROR_MAX] = "out of memory";
    struct settings settings;
    bool is_line;
    int error;

    settings_init(&settings);
    error = attribute_apply(&settings, app, &warnings, sentence);
    settings_supervise_by_default(&settings);
    is_line = program_is_command_line(&settings);
    if (error == 0)
        error = settings_check(&settings, sentence);
    if (error == 0)
        error = settings_check_name(&settings, NULL, sentence); /* the daemon warns */
    if (error < 0) {
        cli_fail(call, "%s", sentence);
    } else if (settings.policy && run_check_policy(settings.policy) < 0) {
        error = UV_EINVAL;
    } else {
        cli_warn_each(call, &warnings);
        *ret_summary = (struct cli_app_summary){
            .script = settings.script,
            .is_command_line = is_line,
            .cluster = settings.intercept != SETTINGS_INTERCEPT_NONE,
            .instances = settings.instances,
        };
        settings.script = NULL;
    }
    settings_clear(&settings);
    text_list_clear(&warnings);
    return error;
}

int cli_apps_describe(const struct cli_call *call, const char *word, json_t *apps,
                      struct cli_app_summary *ret_summary) {
    json_t *environment = cli_environment();
    json_t *app = description_of(call, word);
    int error = 0;

    *ret_summary = (struct cli_app_summary){.script = NULL};
    if (!environment || !app || json_object_set(app, "environment", environment) < 0)
        error = cli_fail_memory(call);
    else
        error = check(call, app, ret_summary);
    if (error == 0 && !ret_summary->is_command_line)
        error = json_object_set_new(app, "script", json_string(ret_summary->script));
    if (error == 0)
        error = json_array_append(apps, app);
    if (error != 0) {
        free(ret_summary->script);
        ret_summary->script = NULL;
    }
    json_decref(app);
    json_decref(environment);
    return error == 0 ? 0 : UV_EINVAL;
}
