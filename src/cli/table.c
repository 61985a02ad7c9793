/* Cells are escaped and measured as they come in; widths, which columns stay, and the lines are
 * found when the table is drawn. */
#include "cli/table.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define CELL_WIDTH_MIN   3  /* no column is cut to less */
#define CELL_WIDTH_USUAL 32 /* where there is no room, none is wider */

/* The characters that a box is made of. */
struct frame {
    const char *line;
    const char *bar;
    const char *top[3]; /* left, between, right */
    const char *middle[3];
    const char *bottom[3];
    const char *dots;
};

static const struct frame frames[] = {
    {"-", "|", {"+", "+", "+"}, {"+", "+", "+"}, {"+", "+", "+"}, "."},
    {"─", "│", {"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}, "…"},
};

/* One drawing of a table. */
struct drawing {
    const struct cli_table *table;
    const struct frame *frame;
    struct buffer *out;
    size_t widths[CLI_TABLE_COLUMNS_MAX];
    bool left_out[CLI_TABLE_COLUMNS_MAX];
    int failure;
};

void cli_table_init(struct cli_table *table, const struct cli_table_column *columns,
                    const struct draw_style *style) {
    *table = (struct cli_table){.columns = columns, .style = style};
    while (table->column_count < CLI_TABLE_COLUMNS_MAX && columns[table->column_count].head)
        table->column_count++;
    buffer_init(&table->texts);
    buffer_init(&table->cells);
}

void cli_table_clear(struct cli_table *table) {
    buffer_clear(&table->texts);
    buffer_clear(&table->cells);
}

void cli_table_add(struct cli_table *table, const char *text, enum draw_colour colour) {
    struct cli_table_cell cell = {.colour = colour};
    size_t start = buffer_length(&table->texts);

    if (table->failure < 0)
        return;
    table->failure = draw_escaped(&table->texts, table->style, text);
    if (table->failure < 0)
        return;
    cell.start = (uint32_t)start;
    cell.length = (uint32_t)(buffer_length(&table->texts) - start);
    cell.width = (uint32_t)draw_width(buffer_data(&table->texts) + start, cell.length);
    table->failure = buffer_append(&table->cells, &cell, sizeof(cell));
}

static size_t row_count(const struct cli_table *table) {
    return buffer_length(&table->cells) / sizeof(struct cli_table_cell) / table->column_count;
}

static const struct cli_table_cell *cell_at(const struct cli_table *table, size_t row,
                                            size_t column) {
    const void *cells = buffer_data(&table->cells);

    return (const struct cli_table_cell *)cells + row * table->column_count + column;
}

static const char *head_of(const struct drawing *drawing, size_t column) {
    const char *head = drawing->table->columns[column].head;

    /* The one head beyond ASCII, which PM2's users know. */
    return !drawing->table->style->utf8 && strcmp(head, "↺") == 0 ? "re" : head;
}

static bool has_heads(const struct cli_table *table) {
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].head[0] != '\0')
            return true;
    return false;
}

static void measure(struct drawing *drawing) {
    const struct cli_table *table = drawing->table;

    for (size_t column = 0; column < table->column_count; column++) {
        const char *head = head_of(drawing, column);
        size_t width = draw_width(head, strlen(head));

        for (size_t row = 0; row < row_count(table); row++)
            if (cell_at(table, row, column)->width > width)
                width = cell_at(table, row, column)->width;
        drawing->widths[column] = width;
    }
}

/* Of all columns that stay: their contents, a blank on either side, and the bars. */
static size_t total_width(const struct drawing *drawing) {
    size_t total = 1;

    for (size_t i = 0; i < drawing->table->column_count; i++)
        if (!drawing->left_out[i])
            total += drawing->widths[i] + 3;
    return total;
}

/* The column of the highest rank that is still there, or the number of columns. */
static size_t least_needed(const struct drawing *drawing) {
    const struct cli_table *table = drawing->table;
    size_t found = table->column_count;

    for (size_t i = 0; i < table->column_count; i++)
        if (!drawing->left_out[i] && table->columns[i].rank > 0 &&
            (found == table->column_count || table->columns[i].rank >= table->columns[found].rank))
            found = i;
    return found;
}

static size_t widest(const struct drawing *drawing) {
    size_t found = 0;

    for (size_t i = 1; i < drawing->table->column_count; i++)
        if (!drawing->left_out[i] &&
            (drawing->left_out[found] || drawing->widths[i] > drawing->widths[found]))
            found = i;
    return found;
}

/* Cuts the widest columns to the usual width, until there is room. */
static void cut_to_usual(struct drawing *drawing, size_t limit) {
    size_t column = widest(drawing);

    while (total_width(drawing) > limit && drawing->widths[column] > CELL_WIDTH_USUAL) {
        size_t excess = total_width(drawing) - limit;
        size_t most = drawing->widths[column] - CELL_WIDTH_USUAL;

        drawing->widths[column] -= excess < most ? excess : most;
        column = widest(drawing);
    }
}

static void fit(struct drawing *drawing) {
    size_t limit = drawing->table->style->columns;
    size_t column;

    if (limit == 0)
        return;
    cut_to_usual(drawing, limit);
    while (total_width(drawing) > limit) {
        column = least_needed(drawing);
        if (column < drawing->table->column_count) {
            drawing->left_out[column] = true;
            continue;
        }
        column = widest(drawing);
        if (drawing->widths[column] <= CELL_WIDTH_MIN)
            return;
        drawing->widths[column]--;
    }
}

static void put(struct drawing *drawing, const char *text, size_t length) {
    if (drawing->failure == 0)
        drawing->failure = buffer_append(drawing->out, text, length);
}

static void put_text(struct drawing *drawing, const char *text) {
    put(drawing, text, strlen(text));
}

static void put_repeated(struct drawing *drawing, const char *text, size_t count) {
    while (count-- > 0)
        put_text(drawing, text);
}

static void put_colour(struct drawing *drawing, enum draw_colour colour) {
    if (drawing->table->style->colour)
        put_text(drawing, colour == DRAW_PLAIN ? "\033[0m" : draw_colour_code(colour));
}

/* A horizontal line; `joints` are its left end, its crossings and its right end. */
static void put_line(struct drawing *drawing, const char *const joints[3]) {
    const char *joint = joints[0];

    put_colour(drawing, DRAW_GREY);
    for (size_t i = 0; i < drawing->table->column_count; i++) {
        if (drawing->left_out[i])
            continue;
        put_text(drawing, joint);
        put_repeated(drawing, drawing->frame->line, drawing->widths[i] + 2);
        joint = joints[1];
    }
    put_text(drawing, joints[2]);
    put_colour(drawing, DRAW_PLAIN);
    put_text(drawing, "\n");
}

static void put_bar(struct drawing *drawing) {
    put_colour(drawing, DRAW_GREY);
    put_text(drawing, drawing->frame->bar);
    put_colour(drawing, DRAW_PLAIN);
}

/* A text in the cell of a column, cut or filled up. */
static void put_cell(struct drawing *drawing, const char *text, const struct cli_table_cell *cell,
                     size_t column) {
    bool right = drawing->table->columns[column].right;
    size_t room = drawing->widths[column];
    size_t length = cell->length;
    size_t width = cell->width;
    bool cut = width > room;

    if (cut) {
        length = draw_fitting(text, length, room - 1);
        width = draw_width(text, length) + 1;
    }
    put_repeated(drawing, " ", right ? room - width + 1 : 1);
    if (cell->colour != DRAW_PLAIN)
        put_colour(drawing, cell->colour);
    put(drawing, text, length);
    put_text(drawing, cut ? drawing->frame->dots : "");
    if (cell->colour != DRAW_PLAIN)
        put_colour(drawing, DRAW_PLAIN);
    put_repeated(drawing, " ", right ? 1 : room - width + 1);
}

static void put_heads(struct drawing *drawing) {
    for (size_t i = 0; i < drawing->table->column_count; i++) {
        const char *head = head_of(drawing, i);
        struct cli_table_cell cell = {.length = (uint32_t)strlen(head), .colour = DRAW_HEAD};

        if (drawing->left_out[i])
            continue;
        cell.width = (uint32_t)draw_width(head, cell.length);
        put_bar(drawing);
        put_cell(drawing, head, &cell, i);
    }
    put_bar(drawing);
    put_text(drawing, "\n");
}

static void put_row(struct drawing *drawing, size_t row) {
    const struct cli_table *table = drawing->table;

    for (size_t i = 0; i < table->column_count; i++) {
        const struct cli_table_cell *cell = cell_at(table, row, i);

        if (drawing->left_out[i])
            continue;
        put_bar(drawing);
        put_cell(drawing, buffer_data(&table->texts) + cell->start, cell, i);
    }
    put_bar(drawing);
    put_text(drawing, "\n");
}

int cli_table_draw(const struct cli_table *table, struct buffer *out) {
    struct drawing drawing = {.table = table,
                              .frame = &frames[table->style->utf8],
                              .out = out,
                              .failure = table->failure};

    if (drawing.failure < 0)
        return drawing.failure;
    measure(&drawing);
    fit(&drawing);
    put_line(&drawing, drawing.frame->top);
    if (has_heads(table)) {
        put_heads(&drawing);
        put_line(&drawing, drawing.frame->middle);
    }
    for (size_t row = 0; row < row_count(table); row++)
        put_row(&drawing, row);
    put_line(&drawing, drawing.frame->bottom);
    return drawing.failure;
}
