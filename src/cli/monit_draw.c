/* How the view looks: the screen is divided, and each part drawn for itself. */
#include "cli/monit_screen.h"

#include <stdio.h>
#include <string.h>

#define BESIDE_FROM      60 /* columns from which list and output stand side by side */
#define LIST_COLUMNS_MAX 100

/* --- the parts of the screen --- */

static unsigned detail_rows(unsigned rows) {
    return rows >= 20 ? 4 : rows >= 16 ? 2 : rows >= 8 ? 1 : 0;
}

static void divide(struct monit_screen *screen) {
    unsigned rows = screen->grid->rows;
    unsigned columns = screen->grid->columns;
    unsigned details = detail_rows(rows);
    unsigned below = details + (details > 0) + (rows > 1); /* the line above them, the last row */
    unsigned above = rows - monit_smaller(rows, below);
    unsigned list = columns < 100 ? columns * 3 / 5 : columns / 2;

    screen->beside = columns >= BESIDE_FROM;
    screen->list = (struct monit_area){.rows = above, .columns = columns};
    if (screen->beside) {
        screen->list.columns = monit_smaller(list, LIST_COLUMNS_MAX);
        screen->output = (struct monit_area){.column = screen->list.columns + 2,
                                             .rows = above,
                                             .columns = columns - screen->list.columns - 2};
    } else {
        screen->list.rows = above - above / 3;
        screen->output =
            (struct monit_area){.row = screen->list.rows, .rows = above / 3, .columns = columns};
    }
    screen->details =
        (struct monit_area){.row = above + (details > 0), .rows = details, .columns = columns};
    screen->bottom = (struct monit_area){.row = rows - 1, .rows = rows > 1, .columns = columns};
}

static void draw_lines(struct monit_screen *screen) {
    struct monit_area all = {.rows = screen->grid->rows, .columns = screen->grid->columns};
    const char *bar = screen->style->utf8 ? "│" : "|";
    const char *line = screen->style->utf8 ? "─" : "-";
    unsigned column = screen->list.columns;

    for (unsigned row = 0; screen->beside && row < screen->list.rows; row++)
        monit_put(screen, &all, monit_at(row, column), bar, monit_grey);
    for (unsigned i = 0; screen->details.rows > 0 && i < all.columns; i++)
        monit_put(screen, &all, monit_at(screen->details.row - 1, i),
                  screen->beside && i == column && screen->style->utf8 ? "┴" : line, monit_grey);
}

/* --- the last line, and help --- */

static void draw_keys(struct monit_screen *screen) {
    static const char *const forms[] = {
        "arrows choose  / filter  r restart  l reload  + - scale  s stop  ? help  q quit",
        "r restart  l reload  + - scale  s stop  ? help  q quit",
        "? help  q quit",
    };
    size_t form = 0;

    while (form < 2 && strlen(forms[form]) > screen->bottom.columns)
        form++;
    monit_put(screen, &screen->bottom, monit_at(0, 0), forms[form], monit_grey);
}

static void draw_bottom(struct monit_screen *screen, const struct monit_row *chosen) {
    const struct monit_view *view = screen->view;
    struct monit_look look = {.colour = view->message_is_bad ? DRAW_RED : DRAW_GREEN};
    const struct monit_look alarm = {.colour = DRAW_RED, .reverse = true};
    char subject[MONIT_TEXT_MAX];
    char text[MONIT_TEXT_MAX + 64];

    if (view->gone) {
        monit_put(screen, &screen->bottom, monit_at(0, 0),
                  "the daemon has ended; waiting for it  q quit", alarm);
    } else if (view->silent_seconds > 0) {
        snprintf(text, sizeof(text), "no answer from the daemon for %u s: old figures  q quit",
                 view->silent_seconds);
        monit_put(screen, &screen->bottom, monit_at(0, 0), text, alarm);
    } else if (view->filtering) {
        monit_put(screen, &screen->bottom, monit_at(0, 0),
                  "type a part of a name  enter keep  escape all", monit_bold);
    } else if (view->asks_to_stop && chosen) {
        monit_write_subject(screen, chosen, subject, sizeof(subject));
        snprintf(text, sizeof(text), "stop %s? y or n", subject);
        monit_put(screen, &screen->bottom, monit_at(0, 0), text,
                  (struct monit_look){.reverse = true});
    } else if (view->message[0] != '\0') {
        monit_put(screen, &screen->bottom, monit_at(0, 0),
                  monit_printable(screen, text, sizeof(text), view->message), look);
    } else {
        draw_keys(screen);
    }
}

static void draw_help(struct monit_screen *screen) {
    static const char *const lines[][2] = {
        {"arrows, j k", "choose an app or a process"},
        {"pages, g G", "further, to the ends"},
        {"enter", "fold an app, or unfold it"},
        {"/", "only apps of this name; escape: all"},
        {"[ ]", "older output, newer output"},
        {"r", "restart"},
        {"l, R", "reload: nobody loses a request"},
        {"+ -", "one instance more, one less"},
        {"s", "stop"},
        {"q", "quit; the apps go on"},
        {"", ""},
        {"clients", "open connections, or new ones a second (12/s)"},
    };
    struct monit_area all = {.rows = screen->grid->rows, .columns = screen->grid->columns};
    unsigned row = all.rows > 10;

    monit_put(screen, &all, monit_at(row++, 1), "Keys; any of them leaves this page", monit_head);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++, row++) {
        monit_put(screen, &all, monit_at(row, 1), lines[i][0], monit_bold);
        monit_put(screen, &all, monit_at(row, 14), lines[i][1], monit_plain);
    }
}

/* Scrolls so far that what is chosen can be seen, and no further than needed. */
static void scroll(struct monit_view *view, unsigned rows) {
    view->page = rows;
    if (view->chosen < view->top)
        view->top = view->chosen;
    if (rows > 0 && view->chosen >= view->top + rows)
        view->top = view->chosen - rows + 1;
    if (view->top + rows > view->row_count)
        view->top = view->row_count > rows ? view->row_count - rows : 0;
}

void monit_view_draw(struct monit_view *view, struct monit_grid *grid,
                     const struct draw_style *style, int64_t now_ms) {
    struct monit_screen screen = {.view = view, .grid = grid, .style = style, .now_ms = now_ms};
    const struct monit_row *chosen;

    monit_grid_blank(grid);
    if (view->help) {
        draw_help(&screen);
        return;
    }
    divide(&screen);
    scroll(view, screen.list.rows - monit_smaller(screen.list.rows, 1));
    chosen = view->chosen < view->row_count ? &view->rows[view->chosen] : NULL;
    draw_lines(&screen);
    monit_draw_list(&screen);
    if (chosen) {
        view->back = monit_draw_output(&screen, chosen);
        monit_draw_details(&screen, chosen);
    }
    draw_bottom(&screen, chosen);
}
