/* A screen full of character cells, before it is shown. Pure.
 *
 * init/clear: an embedded value that owns one heap block. What is put outside of it is cut off, so
 * that a layout need not know how small a terminal can be. */
#ifndef BATON_CLI_MONIT_GRID_H
#define BATON_CLI_MONIT_GRID_H

#include "base/buffer.h"
#include "cli/draw_text.h"

#define MONIT_CELL_MAX 16 /* bytes of a character with what combines with it, and a NUL */

struct monit_cell {
    char text[MONIT_CELL_MAX]; /* UTF-8; "" behind a character of two columns */
    enum draw_colour colour;
    bool reverse;
};

struct monit_grid {
    unsigned rows;
    unsigned columns;
    struct monit_cell *cells; /* row by row */
};

/* A part of it. */
struct monit_area {
    unsigned row;
    unsigned column;
    unsigned rows;
    unsigned columns;
};

/* Within an area. */
struct monit_place {
    unsigned row;
    unsigned column;
};

static inline struct monit_place monit_at(unsigned row, unsigned column) {
    return (struct monit_place){.row = row, .column = column};
}

/* How something is put. */
struct monit_look {
    enum draw_colour colour;
    bool reverse;
};

/* All blank. 0 or -ENOMEM, with nothing to clear. */
int monit_grid_init(struct monit_grid *grid, unsigned rows, unsigned columns);
void monit_grid_clear(struct monit_grid *grid);

/* Blanks all cells. */
void monit_grid_blank(struct monit_grid *grid);

/* Puts printable UTF-8 into one row of an area, cut at its right edge: the columns it took.
 * A tab becomes a blank. */
unsigned monit_grid_put(struct monit_grid *grid, const struct monit_area *area,
                        struct monit_place place, const char *text, struct monit_look look);

/* Gives a whole row of an area a look, whatever is in it. */
void monit_grid_mark(struct monit_grid *grid, const struct monit_area *area, unsigned row,
                     struct monit_look look);

/* Appends a row as text without trailing blanks, for tests. 0 or -ENOMEM. */
int monit_grid_print(const struct monit_grid *grid, unsigned row, struct buffer *out);

#endif
