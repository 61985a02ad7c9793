/* A table in a box: rows of cells under column heads, as wide as its contents, and as the terminal
 * is at most.
 *
 *   ┌────┬──────┐      +----+------+     where UTF-8 is not to be had (LANG=C and the like,
 *   │ id │ name │      | id | name |     see terminal.h); a pipe gets the same as a terminal,
 *   ├────┼──────┤      +----+------+     as PM2 does it
 *   │ 0  │ api  │      | 0  | api  |
 *   └────┴──────┘      +----+------+
 *
 * Too wide for the terminal: first every column is cut to 32, so that one long name does not cost
 * the others their place; then the columns with the highest `rank` are left out, one by one; when
 * only those of rank 0 are left, the widest is cut further. "…" stands at a cut ("." in ASCII).
 *
 * init/clear: an embedded value that owns one heap block. Texts are copied and escaped. The first
 * failure (-ENOMEM) is kept and answered by cli_table_draw(), so that cells need no checks. */
#ifndef BATON_CLI_TABLE_H
#define BATON_CLI_TABLE_H

#include "base/buffer.h"
#include "cli/draw_text.h"

#include <stddef.h>

#define CLI_TABLE_COLUMNS_MAX 20

struct cli_table_column {
    const char *head; /* NULL ends the list; "" in all of them: the table has no line of heads */
    unsigned rank;    /* 0: never left out; otherwise the highest goes first */
    bool right;       /* numbers, to be compared: the blanks stand before them */
};

struct cli_table_cell {
    uint32_t start; /* of its text in `texts` */
    uint32_t length;
    uint32_t width; /* in columns of the terminal */
    enum draw_colour colour;
};

struct cli_table {
    const struct cli_table_column *columns;
    size_t column_count;
    const struct draw_style *style;
    struct buffer texts; /* of all cells, escaped */
    struct buffer cells; /* struct cli_table_cell, row by row */
    int failure;         /* the first one, or 0 */
};

/* `columns` and `style` must outlive the table. */
void cli_table_init(struct cli_table *table, const struct cli_table_column *columns,
                    const struct draw_style *style);
void cli_table_clear(struct cli_table *table);

/* The next cell, in the order of the columns; after the last one of a row a new row begins. */
void cli_table_add(struct cli_table *table, const char *text, enum draw_colour colour);

/* Appends the box, each line with "\n". A row that is not complete is left out. 0 or -ENOMEM. */
int cli_table_draw(const struct cli_table *table, struct buffer *out);

#endif
