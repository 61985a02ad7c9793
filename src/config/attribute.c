#include "config/attribute.h"

#include "base/text.h"
#include "config/attribute_table.h"
#include "config/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* What is wrong with a cron expression is worth more than what one looks like. */
static bool explain_cron(const struct attribute *attribute, const json_t *value,
                         char error[SETTINGS_ERROR_MAX]) {
    const char *text = json_string_value(value);
    char sentence[CRON_ERROR_MAX];
    struct cron cron;

    if (strcmp(attribute->name, "cron_restart") != 0 || !text ||
        cron_parse(&cron, text, sentence) == 0)
        return false;
    snprintf(error, SETTINGS_ERROR_MAX, "%s: %s", attribute->name, sentence);
    return true;
}

static void explain(const struct attribute *attribute, const json_t *value,
                    char error[SETTINGS_ERROR_MAX]) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    char word[80] = "";

    if (text)
        text_escape_utf8(word, sizeof word, text, strlen(text));
    if (!explain_cron(attribute, value, error))
        snprintf(error, SETTINGS_ERROR_MAX, "%s takes %s, not %s", attribute->name,
                 attribute->expects, word);
    free(text);
}

static int apply(const struct attribute *attribute, struct settings *settings, const json_t *value,
                 char error[SETTINGS_ERROR_MAX]) {
    int result = json_is_null(value) ? 0 : attribute->apply(attribute, settings, value);

    if (result == UV_ENOMEM)
        snprintf(error, SETTINGS_ERROR_MAX, "out of memory");
    else if (result < 0)
        explain(attribute, value, error);
    return result;
}

int attribute_apply_one(struct settings *settings, const char *name, const json_t *value,
                        char error[SETTINGS_ERROR_MAX]) {
    const struct attribute *attribute = attribute_find(name);

    return attribute ? apply(attribute, settings, value, error) : UV_ENOENT;
}

static int apply_named(struct settings *settings, const char *name, const json_t *value,
                       struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    int result = attribute_apply_one(settings, name, value, error);

    if (result != UV_ENOENT)
        return result;
    if (attribute_is_kept(name) || attribute_is_ignored(name))
        return 0;
    result = attribute_warn_unknown(warnings, name);
    if (result < 0)
        snprintf(error, SETTINGS_ERROR_MAX, "out of memory");
    return result;
}

int attribute_apply(struct settings *settings, const json_t *description,
                    struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    const char *name;
    json_t *value;
    int result;

    if (!json_is_object(description)) {
        snprintf(error, SETTINGS_ERROR_MAX, "an app is described by an object");
        return UV_EINVAL;
    }
    json_object_foreach(attribute_iterable(description), name, value) {
        result = apply_named(settings, name, value, warnings, error);
        if (result < 0)
            return result;
    }
    return 0;
}
