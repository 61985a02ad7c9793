/* Arrays of many short items, set in columns. Pure. */
#ifndef BATON_CLI_PRETTY_COLUMNS_H
#define BATON_CLI_PRETTY_COLUMNS_H

#include "cli/pretty_entries.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PRETTY_COLUMNS_MAX 12
#define PRETTY_ITEMS_MAX   100 /* of an array; one more entry says how many others there are */

/* What is known of the items of an array, without the word on how many more there are. */
struct pretty_columns {
    size_t items;
    size_t total; /* width of all, with a comma and a blank behind each */
    size_t widest;
    size_t count;                      /* of columns */
    size_t widths[PRETTY_COLUMNS_MAX]; /* of the columns, with comma and blank */
    bool right;                        /* all are numbers: set to the right */
};

/* Whether the entries, of this array, are to be set in columns, and how. */
bool pretty_columns_plan(struct pretty_columns *columns, const struct pretty_entries *entries,
                         const json_t *array, size_t indentation);

/* Replaces the items by lines of them. 0, or -ENOMEM with the entries as they were. */
int pretty_columns_apply(struct pretty_entries *entries, const struct pretty_columns *columns);

#endif
