#include "config/process_file.h"

#include "base/text.h"
#include "config/attribute.h"
#include "config/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* What is found, and where it goes. */
struct findings {
    const char *file;
    struct text_list *problems;
    struct text_list *warnings;
};

static int add(const char *file, struct text_list *list, const char *name, const char *sentence) {
    char shown_file[128];
    char shown[128];
    char *text;
    int result;

    text_escape_utf8(shown_file, sizeof shown_file, file, strlen(file));
    text_escape_utf8(shown, sizeof shown, name, strlen(name));
    if (asprintf(&text, "%s: app '%s': %s", shown_file, shown, sentence) < 0)
        return UV_ENOMEM;
    result = text_list_add(list, text);
    free(text);
    return result;
}

static int warn_of_all(struct findings *findings, const char *name,
                       const struct text_list *sentences) {
    int result = 0;

    for (size_t i = 0; i < sentences->count && result == 0; i++)
        result = add(findings->file, findings->warnings, name, sentences->items[i]);
    return result;
}

/* What the app is called, as far as it is known by now. */
static const char *name_of(const struct settings *settings, const json_t *app,
                           char name[SETTINGS_NAME_MAX]) {
    const char *given = json_string_value(json_object_get(app, "name"));
    const char *script = json_string_value(json_object_get(app, "script"));

    if (settings->name || given)
        return settings->name ? settings->name : given;
    settings_name_of_script(script ? script : "", name);
    return name;
}

static int check_depends_on(const struct settings *settings, const struct text_list *names,
                            struct findings *findings) {
    int result = 0;

    for (size_t i = 0; i < settings->depends_on.count && result == 0; i++) {
        const char *wanted = settings->depends_on.items[i];
        bool known = false;
        char sentence[256];

        for (size_t j = 0; j < names->count; j++)
            known = known || strcmp(names->items[j], wanted) == 0;
        snprintf(sentence, sizeof sentence, "it depends on '%.128s', which is not in this file",
                 wanted);
        if (!known)
            result = add(findings->file, findings->warnings, settings->name, sentence);
    }
    return result;
}

/* 0 whether or not it can work; UV_ENOMEM. */
static int check_app(json_t *app, const char *env_name, const struct text_list *names,
                     struct findings *findings) {
    struct text_list warnings = {.items = NULL};
    char error[SETTINGS_ERROR_MAX] = "";
    char room[SETTINGS_NAME_MAX];
    struct settings settings;
    int result = attribute_merge_env(app, env_name, &warnings);
    int wrong = 0;

    settings_init(&settings);
    if (result == 0)
        wrong = attribute_apply(&settings, app, &warnings, error);
    settings_supervise_by_default(&settings);
    if (result == 0 && wrong == 0)
        wrong = settings_check(&settings, error);
    if (result == 0 && wrong == 0)
        wrong = settings_check_name(&settings, &warnings, error);
    if (result == 0 && wrong < 0)
        result = add(findings->file, findings->problems, name_of(&settings, app, room), error);
    if (result == 0)
        result = warn_of_all(findings, name_of(&settings, app, room), &warnings);
    if (result == 0 && wrong == 0)
        result = check_depends_on(&settings, names, findings);
    settings_clear(&settings);
    text_list_clear(&warnings);
    return result;
}

/* The names that the apps will have; a second app of a name is worth a warning. */
static int collect_names(const json_t *apps, struct text_list *names, struct findings *findings) {
    int result = 0;

    for (size_t i = 0; i < json_array_size(apps) && result == 0; i++) {
        const struct settings none = {.name = NULL};
        char room[SETTINGS_NAME_MAX];
        const char *name = name_of(&none, json_array_get(apps, i), room);

        for (size_t j = 0; j < names->count && result == 0; j++)
            if (strcmp(names->items[j], name) == 0)
                result =
                    add(findings->file, findings->warnings, name, "another app has this name, too");
        if (result == 0)
            result = text_list_add(names, name);
    }
    return result;
}

/* The number of apps that are checked, or UV_ENOMEM. */
static int check_apps(json_t *apps, const struct process_file_choice *choice,
                      const struct text_list *names, struct findings *findings) {
    int count = 0;

    for (size_t i = 0; i < json_array_size(apps); i++) {
        if (choice->only && !text_lists(choice->only, names->items[i]))
            continue;
        if (check_app(json_array_get(apps, i), choice->env_name, names, findings) < 0)
            return UV_ENOMEM;
        count++;
    }
    return count;
}

int process_file_validate(const char *path, const struct process_file_choice *choice,
                          struct text_list *problems, struct text_list *warnings) {
    struct findings findings = {.file = path, .problems = problems, .warnings = warnings};
    struct text_list names = {.items = NULL};
    char error[SETTINGS_ERROR_MAX];
    json_t *apps = NULL;
    int result = process_file_load(path, &apps, warnings, error);

    if (result < 0)
        return text_list_add(problems, error) < 0 ? UV_ENOMEM : result;
    result = collect_names(apps, &names, &findings);
    if (result == 0)
        result = check_apps(apps, choice, &names, &findings);
    text_list_clear(&names);
    json_decref(apps);
    return result;
}
