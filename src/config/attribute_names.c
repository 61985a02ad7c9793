#include "config/attribute_table.h"

#include "base/text.h"
#include "config/attribute.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define NAME_LENGTH_MAX 63
#define LIKENESS        3 /* letters that a typed name may differ in, and be meant */

/* PM2's own: what they are for does not exist here, or needs no switch. */
static const char *const ignored[] = {
    "pmx",
    "vizion",
    "automation",
    "source_map_support",
    "disable_source_map_support",
    "deep_monitoring",
    "disable_trace",
    "km_link",
    "windows_hide",
    "force",
    "write",
    NULL,
};

static bool is_in(const char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* "maxMemoryRestart" to "max_memory_restart"; false when it is too long to be a name. */
static bool to_snake_case(const char *name, char snake[NAME_LENGTH_MAX + 1]) {
    size_t length = 0;

    for (; *name; name++) {
        if (length + 2 > NAME_LENGTH_MAX)
            return false;
        if (isupper((unsigned char)*name) && length > 0)
            snake[length++] = '_';
        snake[length++] = (char)tolower((unsigned char)*name);
    }
    snake[length] = '\0';
    return true;
}

static bool is_among(const char *words, const char *name) {
    size_t length = strlen(name);

    for (const char *at = words; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (length > 0 && strcspn(at, " ") == length && strncmp(at, name, length) == 0)
            return true;
    }
    return false;
}

static const struct attribute *find_snake(const char *name) {
    for (const struct attribute *attribute = attribute_table; attribute->name; attribute++)
        if (strcmp(attribute->name, name) == 0 || is_among(attribute->aliases, name))
            return attribute;
    return NULL;
}

const struct attribute *attribute_find(const char *name) {
    char snake[NAME_LENGTH_MAX + 1];

    return to_snake_case(name, snake) ? find_snake(snake) : NULL;
}

const char *attribute_canonical_name(const char *name) {
    const struct attribute *attribute = attribute_find(name);

    return attribute ? attribute->name : NULL;
}

bool attribute_is_ignored(const char *name) {
    char snake[NAME_LENGTH_MAX + 1];

    return to_snake_case(name, snake) && is_in(ignored, snake);
}

bool attribute_is_kept(const char *name) {
    return strncmp(name, "env_", 4) == 0 || strcmp(name, "deploy") == 0;
}

/* A short name must not be taken for any other short one. */
static const char *nearest(const char *name) {
    unsigned distance = LIKENESS + 1;
    const char *best = NULL;

    for (const struct attribute *attribute = attribute_table; attribute->name; attribute++) {
        unsigned other = text_distance(attribute->name, name);

        if (other >= distance || other * 2 >= strlen(attribute->name))
            continue;
        distance = other;
        best = attribute->name;
    }
    return best;
}

int attribute_warn_unknown(struct text_list *warnings, const char *name) {
    char snake[NAME_LENGTH_MAX + 1] = "";
    char sentence[256];
    char word[80];
    const char *meant;

    if (!warnings)
        return 0;
    text_escape_utf8(word, sizeof word, name, strlen(name));
    meant = to_snake_case(name, snake) ? nearest(snake) : NULL;
    if (meant)
        snprintf(sentence, sizeof sentence, "there is no attribute '%s'; did you mean '%s'?", word,
                 meant);
    else
        snprintf(sentence, sizeof sentence, "there is no attribute '%s'; it is ignored", word);
    return text_list_add(warnings, sentence);
}

/* One attribute of a description that is to be normalised. */
static int take(json_t *normalized, const char *name, json_t *value, struct text_list *warnings) {
    const char *first = attribute_canonical_name(name);
    char sentence[256];
    char word[80];

    if (!first && attribute_is_kept(name))
        first = name;
    if (!first)
        return attribute_is_ignored(name) ? 0 : attribute_warn_unknown(warnings, name);
    text_escape_utf8(word, sizeof word, name, strlen(name));
    snprintf(sentence, sizeof sentence, "'%s' is there under another name, too; this one counts",
             word);
    if (warnings && json_object_get(normalized, first) && text_list_add(warnings, sentence) < 0)
        return UV_ENOMEM;
    return json_object_set(normalized, first, value) < 0 ? UV_ENOMEM : 0;
}

json_t *attribute_normalize(const json_t *app, struct text_list *warnings) {
    json_t *normalized = json_object();
    const char *name;
    json_t *value;

    if (!normalized)
        return NULL;
    json_object_foreach(attribute_iterable(app), name, value) {
        if (take(normalized, name, value, warnings) == 0)
            continue;
        json_decref(normalized);
        return NULL;
    }
    return normalized;
}
