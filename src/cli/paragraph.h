/* Texts for people in a terminal of the usual width: broken at blanks, never wider than 79. */
#ifndef BATON_CLI_PARAGRAPH_H
#define BATON_CLI_PARAGRAPH_H

#include <stddef.h>
#include <stdio.h>

/* One paragraph. */
void paragraph_print(FILE *file, const char *text);

/* `name` with two blanks before it, and from `column` on its explanation, in several lines where
 * one is not enough. A name that reaches the column stands in a line of its own. */
void paragraph_print_item(FILE *file, size_t column, const char *name, const char *text);

#endif
