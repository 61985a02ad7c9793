#include "cli/monit_grid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int monit_grid_init(struct monit_grid *grid, unsigned rows, unsigned columns) {
    struct monit_cell *cells = calloc((size_t)rows * columns + 1, sizeof(*cells));

    if (!cells)
        return -ENOMEM;
    *grid = (struct monit_grid){.rows = rows, .columns = columns, .cells = cells};
    monit_grid_blank(grid);
    return 0;
}

void monit_grid_clear(struct monit_grid *grid) {
    free(grid->cells);
    *grid = (struct monit_grid){.cells = NULL};
}

void monit_grid_blank(struct monit_grid *grid) {
    for (size_t i = 0; i < (size_t)grid->rows * grid->columns; i++)
        grid->cells[i] = (struct monit_cell){.text = " "};
}

static size_t character_bytes(const char *text) {
    unsigned char byte = (unsigned char)text[0];
    size_t size = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    size_t i = 1;

    while (i < size && ((unsigned char)text[i] & 0xc0) == 0x80)
        i++;
    return i;
}

/* The cell at a place of an area, or NULL where there is none. */
static struct monit_cell *find_cell(struct monit_grid *grid, const struct monit_area *area,
                                    unsigned row, unsigned column) {
    if (row >= area->rows || column >= area->columns || area->row + row >= grid->rows ||
        area->column + column >= grid->columns)
        return NULL;
    return &grid->cells[(size_t)(area->row + row) * grid->columns + area->column + column];
}

/* A character of no width joins the one before it, as far as there is room. */
static void combine(struct monit_cell *cell, const char *character, size_t size) {
    size_t length = cell ? strlen(cell->text) : 0;

    if (length > 0 && length + size < MONIT_CELL_MAX) {
        memcpy(cell->text + length, character, size);
        cell->text[length + size] = '\0';
    }
}

static void set_cell(struct monit_cell *cell, const char *character, size_t size,
                     struct monit_look look) {
    *cell = (struct monit_cell){.colour = look.colour, .reverse = look.reverse};
    if (size == 1 && (unsigned char)character[0] < 0x20)
        character = " ";
    memcpy(cell->text, character, size);
}

unsigned monit_grid_put(struct monit_grid *grid, const struct monit_area *area,
                        struct monit_place place, const char *text, struct monit_look look) {
    unsigned begin = place.column;
    struct monit_cell *last = NULL;
    size_t size;

    for (; *text != '\0'; text += size) {
        unsigned width;
        struct monit_cell *cell = find_cell(grid, area, place.row, place.column);

        size = character_bytes(text);
        width = (unsigned)draw_width(text, size);
        if (width == 0) {
            combine(last, text, size);
            continue;
        }
        if (!cell || !find_cell(grid, area, place.row, place.column + width - 1))
            break;
        set_cell(cell, text, size, look);
        for (unsigned i = 1; i < width; i++)
            set_cell(cell + i, "", 0, look);
        last = cell;
        place.column += width;
    }
    return place.column - begin;
}

void monit_grid_mark(struct monit_grid *grid, const struct monit_area *area, unsigned row,
                     struct monit_look look) {
    struct monit_cell *cell;

    for (unsigned column = 0; (cell = find_cell(grid, area, row, column)); column++) {
        cell->colour = look.colour;
        cell->reverse = look.reverse;
    }
}

int monit_grid_print(const struct monit_grid *grid, unsigned row, struct buffer *out) {
    size_t length;
    int result = 0;

    for (unsigned i = 0; result == 0 && i < grid->columns; i++) {
        const char *text = grid->cells[(size_t)row * grid->columns + i].text;

        result = buffer_append(out, text, strlen(text));
    }
    for (length = buffer_length(out); length > 0 && buffer_data(out)[length - 1] == ' '; length--)
        out->end--;
    return result;
}
