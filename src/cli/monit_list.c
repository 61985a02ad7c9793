#include "cli/monit_screen.h"

#include "cli/monit_figures.h"

#include <stdio.h>
#include <string.h>

#define NAME_MIN 12
#define NAME_MAX 30
#define BARS_MIN 12 /* columns that three bars need together */

/* Columns of the values, right-aligned, with a blank before them. */
enum { CLIENTS_COLUMNS = 7, CPU_COLUMNS = 5, MEMORY_COLUMNS = 8 };

/* " 3/4": how many processes of an app are online; nothing for a single one. */
static void write_count(const struct monit_screen *screen, const struct monit_row *row,
                        char text[2 * DRAW_NUMBER_MAX]) {
    text[0] = '\0';
    if (row->count > 1)
        snprintf(text, 2 * DRAW_NUMBER_MAX, " %zu/%zu", monit_figures_sum(screen->view, row).online,
                 row->count);
}

static void find_longest_name(struct monit_screen *screen) {
    screen->longest_name = NAME_MIN;
    for (size_t i = 0; i < screen->view->row_count; i++) {
        const struct monit_row *row = &screen->view->rows[i];
        char text[MONIT_TEXT_MAX];
        char count[2 * DRAW_NUMBER_MAX];
        size_t width;

        if (!row->is_app)
            continue;
        write_count(screen, row, count);
        monit_printable(screen, text, sizeof(text), row->app);
        width = 2 + draw_width(text, strlen(text)) + strlen(count);
        if (width > screen->longest_name)
            screen->longest_name = (unsigned)width;
    }
}

static void find_most(struct monit_screen *screen) {
    screen->most_open = 1;
    screen->most_rate = 1;
    screen->most_memory = 1;
    for (size_t i = 0; i < screen->view->listed_count; i++) {
        struct monit_figures one = monit_figures_of(screen->view->listed[i]);

        if (one.open > screen->most_open)
            screen->most_open = one.open;
        if (one.rate > screen->most_rate)
            screen->most_rate = one.rate;
        if (one.memory > screen->most_memory)
            screen->most_memory = one.memory;
    }
}

/* As wide as the longest name needs, within reason. */
static unsigned name_columns(const struct monit_screen *screen) {
    unsigned most = monit_smaller(screen->list.columns / 3, NAME_MAX);

    return most < NAME_MIN ? NAME_MIN : monit_smaller(screen->longest_name, most);
}

/* How wide a bar is, 0 for none: all three, or connections alone. */
static unsigned bar_columns(const struct monit_screen *screen, bool first) {
    unsigned taken = name_columns(screen) + CLIENTS_COLUMNS + CPU_COLUMNS + MEMORY_COLUMNS;
    unsigned room = screen->list.columns - monit_smaller(screen->list.columns, taken);

    if (room >= BARS_MIN)
        return room / 3 - 1;
    return first && room >= 4 ? room - 1 : 0;
}

/* One of the three figures of a row. */
struct metric {
    unsigned bar; /* columns of its bar, 0: none */
    double share; /* of it that is full */
    enum draw_colour colour;
    unsigned columns; /* of its value */
    const char *text;
};

static unsigned full_cells(unsigned width, double share) {
    unsigned full;

    if (!(share > 0)) /* nor what is no number */
        return 0;
    full = share >= 1 ? width : (unsigned)(share * width + 0.5);
    return full > 0 ? full : 1; /* a little is not nothing */
}

static void put_bar(struct monit_screen *screen, struct monit_place place,
                    const struct metric *metric) {
    const char *full = screen->style->utf8 ? "█" : "#";
    const char *empty = screen->style->utf8 ? "░" : ".";
    unsigned count = full_cells(metric->bar, metric->share);

    for (unsigned i = 0; i < metric->bar; i++)
        monit_put(screen, &screen->list, monit_at(place.row, place.column + i),
                  i < count ? full : empty,
                  i < count ? (struct monit_look){.colour = metric->colour} : monit_grey);
}

/* Bar, if wanted, and value, right-aligned: the columns that they take together. */
static unsigned put_metric(struct monit_screen *screen, struct monit_place place,
                           const struct metric *metric, struct monit_look look, bool with_bar) {
    unsigned bar = metric->bar > 0 ? metric->bar + 1 : 0;
    unsigned length = (unsigned)strlen(metric->text);
    unsigned blanks = metric->columns > length ? metric->columns - length : 1;

    if (with_bar)
        put_bar(screen, monit_at(place.row, place.column + 1), metric);
    monit_put(screen, &screen->list, monit_at(place.row, place.column + bar + blanks), metric->text,
              look);
    return bar + metric->columns;
}

static enum draw_colour cpu_colour(double cpu) {
    return cpu >= 80 ? DRAW_RED : cpu >= 50 ? DRAW_YELLOW : DRAW_GREEN;
}

static double share_of_clients(const struct monit_screen *screen,
                               const struct monit_figures *figures) {
    return figures->open >= 0 ? figures->open / screen->most_open
                              : figures->rate / screen->most_rate;
}

static void put_metrics(struct monit_screen *screen, unsigned row, const struct metric metrics[3],
                        struct monit_look look, bool with_bars) {
    unsigned column = name_columns(screen);

    for (size_t i = 0; i < 3; i++)
        column += put_metric(screen, monit_at(row, column), &metrics[i], look, with_bars);
}

/* An app's sums have no bars. */
static void put_figures(struct monit_screen *screen, unsigned row,
                        const struct monit_figures *figures, bool with_bars) {
    char open[DRAW_NUMBER_MAX];
    char cpu[DRAW_NUMBER_MAX];
    char memory[DRAW_NUMBER_MAX];
    const struct metric metrics[3] = {
        {bar_columns(screen, true), share_of_clients(screen, figures), DRAW_CYAN, CLIENTS_COLUMNS,
         open},
        {bar_columns(screen, false), figures->cpu / 100, cpu_colour(figures->cpu), CPU_COLUMNS,
         cpu},
        {bar_columns(screen, false), figures->memory / screen->most_memory, DRAW_BLUE,
         MEMORY_COLUMNS, memory},
    };

    monit_write_clients(open, figures);
    snprintf(cpu, sizeof(cpu), "%.0f%%", figures->cpu < 1e6 ? figures->cpu : 0);
    draw_bytes(memory, (int64_t)figures->memory);
    put_metrics(screen, row, metrics, with_bars ? monit_plain : monit_bold, with_bars);
}

/* In the place of the head: not all apps are in the list. */
static void put_filter(struct monit_screen *screen) {
    struct monit_area area = screen->list;
    char text[MONIT_TEXT_MAX];

    area.columns = monit_smaller(area.columns, name_columns(screen));
    monit_put(screen, &area, monit_at(0, 0), "/ ", monit_head);
    monit_put(screen, &area, monit_at(0, 2),
              monit_printable(screen, text, sizeof(text), screen->view->filter), monit_bold);
}

static void draw_list_head(struct monit_screen *screen) {
    const struct metric metrics[3] = {
        {bar_columns(screen, true), 0, DRAW_PLAIN, CLIENTS_COLUMNS, "clients"},
        {bar_columns(screen, false), 0, DRAW_PLAIN, CPU_COLUMNS, "cpu"},
        {bar_columns(screen, false), 0, DRAW_PLAIN, MEMORY_COLUMNS, "mem"},
    };

    if (screen->view->filter[0] != '\0')
        put_filter(screen);
    else
        monit_put(screen, &screen->list, monit_at(0, 2), "app", monit_head);
    put_metrics(screen, 0, metrics, monit_head, false);
}

/* The name of an app, or the number of a process, cut to its column. */
static void put_name(struct monit_screen *screen, unsigned row, const struct monit_row *it,
                     struct monit_look look) {
    struct monit_area area = screen->list;
    char text[MONIT_TEXT_MAX];
    char count[2 * DRAW_NUMBER_MAX];
    unsigned width = name_columns(screen);

    area.columns = monit_smaller(area.columns, width);
    if (!it->is_app) {
        snprintf(text, sizeof(text), "%lld",
                 (long long)draw_member_number(screen->view->listed[it->first], "pm_id", -1));
        monit_put(screen, &area, monit_at(row, 4), text, look);
        return;
    }
    write_count(screen, it, count);
    area.columns -= monit_smaller(area.columns, (unsigned)strlen(count));
    width = monit_put(screen, &area, monit_at(row, 2),
                      monit_printable(screen, text, sizeof(text), it->app), look);
    area.columns = monit_smaller(screen->list.columns, name_columns(screen));
    monit_put(screen, &area, monit_at(row, 2 + width), count, look);
}

static void put_fold_mark(struct monit_screen *screen, unsigned row, const struct monit_row *it) {
    bool folded = json_object_get(screen->view->folded, it->app) != NULL;

    if (!it->is_app || it->count < 2)
        return;
    if (screen->style->utf8)
        monit_put(screen, &screen->list, monit_at(row, 0), folded ? "▸" : "▾", monit_grey);
    else
        monit_put(screen, &screen->list, monit_at(row, 0), folded ? "+" : "-", monit_grey);
}

/* What is not online has no figures worth a bar: its status, and why. */
static void put_status(struct monit_screen *screen, unsigned row, const json_t *process) {
    const char *status = monit_status(process);
    const char *reason = draw_member_text(json_object_get(process, "baton"), "reason", NULL);
    struct monit_look look = {.colour = draw_status_colour(status)};
    unsigned column = name_columns(screen) + 1;
    char text[MONIT_TEXT_MAX];

    column += monit_put(screen, &screen->list, monit_at(row, column),
                        monit_printable(screen, text, sizeof(text), status), look);
    if (!reason || strcmp(status, "stopped") == 0)
        return;
    column += monit_put(screen, &screen->list, monit_at(row, column), ": ", look);
    monit_put(screen, &screen->list, monit_at(row, column),
              monit_printable(screen, text, sizeof(text), reason), monit_plain);
}

static enum draw_colour row_colour(const struct monit_view *view, const struct monit_row *row) {
    struct monit_figures sum = monit_figures_sum(view, row);

    if (row->count == 1)
        return draw_status_colour(monit_status(view->listed[row->first]));
    return sum.online == row->count ? DRAW_GREEN : sum.online > 0 ? DRAW_YELLOW : DRAW_RED;
}

static void draw_row(struct monit_screen *screen, unsigned row, const struct monit_row *it) {
    const json_t *process = screen->view->listed[it->first];
    struct monit_figures figures = monit_figures_sum(screen->view, it);

    put_fold_mark(screen, row, it);
    put_name(screen, row, it, (struct monit_look){.colour = row_colour(screen->view, it)});
    if (it->count == 1 && !monit_is_online(process))
        put_status(screen, row, process);
    else
        put_figures(screen, row, &figures, it->count == 1);
}

static void draw_empty_list(struct monit_screen *screen) {
    monit_put(screen, &screen->list, monit_at(1, 2),
              !screen->view->processes         ? "waiting for the daemon"
              : screen->view->listed_count > 0 ? "no app of that name"
                                               : "no apps",
              monit_grey);
}

void monit_draw_list(struct monit_screen *screen) {
    const struct monit_view *view = screen->view;

    find_most(screen);
    find_longest_name(screen);
    draw_list_head(screen);
    if (view->row_count == 0)
        draw_empty_list(screen);
    for (unsigned row = 1; row < screen->list.rows; row++) {
        size_t i = view->top + row - 1;

        if (i >= view->row_count)
            break;
        draw_row(screen, row, &view->rows[i]);
        if (i == view->chosen)
            monit_grid_mark(screen->grid, &screen->list, row, (struct monit_look){.reverse = true});
    }
}
