/* The table of attributes: for attribute*.c alone. */
#ifndef BATON_CONFIG_ATTRIBUTE_TABLE_H
#define BATON_CONFIG_ATTRIBUTE_TABLE_H

#include "config/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attribute {
    const char *name;    /* snake_case */
    const char *aliases; /* other names in snake_case, parted by blanks, or NULL */
    const char *expects; /* "takes …", for the sentence about a value that it cannot take */
    int (*apply)(const struct attribute *attribute, struct settings *settings, const json_t *value);
    size_t offset; /* of the field in settings, for what has one field of a plain type */
    int64_t low;
    int64_t high; /* of a number */
};

extern const struct attribute attribute_table[]; /* ends with a NULL name */

/* By any of its names, in snake_case or camelCase; NULL when there is none. */
const struct attribute *attribute_find(const char *name);

/* Whether it is accepted without a word, as PM2's own are, and env_NAME and deploy, which
 * attribute_merge_env() is for. */
bool attribute_is_ignored(const char *name);
bool attribute_is_kept(const char *name);

/* Adds the warning about an unknown one; `warnings` may be NULL. 0 or UV_ENOMEM. */
int attribute_warn_unknown(struct text_list *warnings, const char *name);

/* jansson's iterators change nothing, but do not say so. */
static inline json_t *attribute_iterable(const json_t *object) {
    const union {
        const json_t *given;
        json_t *taken;
    } pointer = {.given = object};

    return pointer.taken;
}

#endif
