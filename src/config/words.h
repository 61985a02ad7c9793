/* Words as a shell parts them, without a shell: for arguments that people write as one text. */
#ifndef BATON_CONFIG_WORDS_H
#define BATON_CONFIG_WORDS_H

#include "config/settings.h"

/* Appends the words of `text`. Blanks part them; '…' holds everything as it is, in "…" a backslash
 * holds ", \, $ and `, and outside any byte. Nothing else has a meaning: no variables, no patterns.
 * 0, UV_EINVAL when a quote is not closed (then some words may be there), or UV_ENOMEM. */
int words_split(struct text_list *words, const char *text);

#endif
