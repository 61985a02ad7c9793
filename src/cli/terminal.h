/* What stands behind a descriptor that something is drawn to: how wide, with colours or without,
 * UTF-8 or not.
 *
 * Colours: never with --no-color, NO_COLOR (not empty) or FORCE_COLOR=0; always with FORCE_COLOR
 * (anything else); otherwise on a terminal whose TERM is set and not "dumb". Characters beyond
 * ASCII: unless LC_ALL, LC_CTYPE or LANG, the first that is set, names another character set; when
 * none is set (a container) they are taken for granted, as every terminal of today shows them.
 * Width: what the terminal says, else COLUMNS; a pipe without COLUMNS has no limit. */
#ifndef BATON_CLI_TERMINAL_H
#define BATON_CLI_TERMINAL_H

#include "cli/draw_text.h"

#include <stdbool.h>

/* What is known before it is decided. Texts are borrowed, NULL: not set. */
struct terminal_facts {
    bool is_terminal;
    bool no_color_option;  /* --no-color */
    unsigned size_columns; /* as the terminal says; 0: it does not */
    unsigned size_rows;
    const char *columns; /* COLUMNS */
    const char *lines;   /* LINES */
    const char *no_color;
    const char *force_color;
    const char *term;
    const char *lc_all;
    const char *lc_ctype;
    const char *lang;
};

struct terminal {
    struct draw_style style;
    unsigned rows; /* 0: unknown */
};

/* Decides; pure. */
void terminal_decide(struct terminal *terminal, const struct terminal_facts *facts);

/* Looks at `descriptor` and the environment and decides. Sets the process's LC_CTYPE, which
 * wcwidth(3) and ncurses go by: to be called before anything is drawn. */
void terminal_look(struct terminal *terminal, int descriptor, bool no_color_option);

#endif
