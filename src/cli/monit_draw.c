/* How the view looks. The screen is divided first; each part is then drawn for itself and cut at
 * its edges, so that no size is too small. */
#include "cli/monit_view.h"

#include "base/text.h"
#include "cli/draw_logs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX         512
#define BESIDE_FROM      60 /* columns from which list and output stand side by side */
#define LIST_COLUMNS_MAX 100
#define NAME_MIN         12
#define NAME_MAX         30
#define BARS_MIN         12 /* columns that three bars need together */
#define OUTPUT_LINES_MAX 512

/* Columns of the values, right-aligned, with a blank before them. */
enum { CLIENTS_COLUMNS = 7, CPU_COLUMNS = 5, MEMORY_COLUMNS = 8 };

static const struct monit_look plain = {.colour = DRAW_PLAIN};
static const struct monit_look head = {.colour = DRAW_HEAD};
static const struct monit_look bold = {.colour = DRAW_BOLD};
static const struct monit_look grey = {.colour = DRAW_GREY};

/* One drawing. */
struct screen {
    const struct monit_view *view;
    struct monit_grid *grid;
    const struct draw_style *style;
    int64_t now_ms;
    struct monit_area list;
    struct monit_area output;
    struct monit_area details;
    struct monit_area bottom;
    bool beside;           /* a vertical line between list and output */
    unsigned longest_name; /* columns of the list's first part */
    double most_open;      /* what a full bar means */
    double most_rate;
    double most_memory;
};

/* Figures of a row. */
struct figures {
    double open; /* -1: not known */
    double rate; /* of new clients a second; -1: it gets none from us */
    double cpu;
    double memory;
    int64_t restarts;
    size_t online;
};

/* Text from outside, printable. */
static const char *printable(const struct screen *screen, char *text, size_t size,
                             const char *outside) {
    if (screen->style->utf8)
        text_escape_utf8(text, size, outside, strlen(outside));
    else
        text_escape(text, size, outside, strlen(outside));
    return text;
}

static unsigned put(struct screen *screen, const struct monit_area *area, struct monit_place place,
                    const char *text, struct monit_look look) {
    return monit_grid_put(screen->grid, area, place, text, look);
}

/* --- the parts of the screen --- */

static unsigned smaller(unsigned one, unsigned other) {
    return one < other ? one : other;
}

static unsigned detail_rows(unsigned rows) {
    return rows >= 20 ? 4 : rows >= 16 ? 2 : rows >= 8 ? 1 : 0;
}

static void divide(struct screen *screen) {
    unsigned rows = screen->grid->rows;
    unsigned columns = screen->grid->columns;
    unsigned details = detail_rows(rows);
    unsigned below = details + (details > 0) + (rows > 1); /* the line above them, the last row */
    unsigned above = rows - smaller(rows, below);
    unsigned list = columns < 100 ? columns * 3 / 5 : columns / 2;

    screen->beside = columns >= BESIDE_FROM;
    screen->list = (struct monit_area){.rows = above, .columns = columns};
    if (screen->beside) {
        screen->list.columns = smaller(list, LIST_COLUMNS_MAX);
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

static void draw_lines(struct screen *screen) {
    struct monit_area all = {.rows = screen->grid->rows, .columns = screen->grid->columns};
    const char *bar = screen->style->utf8 ? "│" : "|";
    const char *line = screen->style->utf8 ? "─" : "-";
    unsigned column = screen->list.columns;

    for (unsigned row = 0; screen->beside && row < screen->list.rows; row++)
        put(screen, &all, monit_at(row, column), bar, grey);
    for (unsigned i = 0; screen->details.rows > 0 && i < all.columns; i++)
        put(screen, &all, monit_at(screen->details.row - 1, i),
            screen->beside && i == column && screen->style->utf8 ? "┴" : line, grey);
}

/* --- figures --- */

static const json_t *env_of(const json_t *process) {
    return json_object_get(process, "pm2_env");
}

static const char *status_of(const json_t *process) {
    return draw_member_text(env_of(process), "status", "");
}

static bool is_online(const json_t *process) {
    return strcmp(status_of(process), "online") == 0;
}

/* The master deals clients to it; otherwise it is only supervised. */
static bool is_dealt(const json_t *process) {
    const json_t *baton = json_object_get(process, "baton");

    return strcmp(draw_member_text(baton, "kind", "none"), "none") != 0;
}

static struct figures figures_of(const json_t *process) {
    const json_t *monit = json_object_get(process, "monit");
    const json_t *baton = json_object_get(process, "baton");

    return (struct figures){
        .open = (double)draw_member_number(baton, "open", -1),
        .rate = is_dealt(process) ? json_number_value(json_object_get(baton, "rate")) : -1,
        .cpu = json_number_value(json_object_get(monit, "cpu")),
        .memory = (double)draw_member_number(monit, "memory", 0),
        .restarts = draw_member_number(env_of(process), "restart_time", 0),
        .online = is_online(process),
    };
}

static struct figures sum_of(const struct monit_view *view, const struct monit_row *row) {
    struct figures sum = {.open = -1, .rate = -1};

    for (size_t i = row->first; i < row->first + row->count; i++) {
        struct figures one = figures_of(view->listed[i]);

        if (one.open >= 0)
            sum.open = (sum.open < 0 ? 0 : sum.open) + one.open;
        if (one.rate >= 0)
            sum.rate = (sum.rate < 0 ? 0 : sum.rate) + one.rate;
        sum.cpu += one.cpu;
        sum.memory += one.memory;
        sum.restarts += one.restarts;
        sum.online += one.online;
    }
    return sum;
}

/* " 3/4": how many processes of an app are online; nothing for a single one. */
static void write_count(const struct screen *screen, const struct monit_row *row,
                        char text[2 * DRAW_NUMBER_MAX]) {
    text[0] = '\0';
    if (row->count > 1)
        snprintf(text, 2 * DRAW_NUMBER_MAX, " %zu/%zu", sum_of(screen->view, row).online,
                 row->count);
}

static void find_longest_name(struct screen *screen) {
    screen->longest_name = NAME_MIN;
    for (size_t i = 0; i < screen->view->row_count; i++) {
        const struct monit_row *row = &screen->view->rows[i];
        char text[TEXT_MAX];
        char count[2 * DRAW_NUMBER_MAX];
        size_t width;

        if (!row->is_app)
            continue;
        write_count(screen, row, count);
        printable(screen, text, sizeof(text), row->app);
        width = 2 + draw_width(text, strlen(text)) + strlen(count);
        if (width > screen->longest_name)
            screen->longest_name = (unsigned)width;
    }
}

static void find_most(struct screen *screen) {
    screen->most_open = 1;
    screen->most_rate = 1;
    screen->most_memory = 1;
    for (size_t i = 0; i < screen->view->listed_count; i++) {
        struct figures one = figures_of(screen->view->listed[i]);

        if (one.open > screen->most_open)
            screen->most_open = one.open;
        if (one.rate > screen->most_rate)
            screen->most_rate = one.rate;
        if (one.memory > screen->most_memory)
            screen->most_memory = one.memory;
    }
}

/* --- the list --- */

/* As wide as the longest name needs, within reason. */
static unsigned name_columns(const struct screen *screen) {
    unsigned most = smaller(screen->list.columns / 3, NAME_MAX);

    return most < NAME_MIN ? NAME_MIN : smaller(screen->longest_name, most);
}

/* How wide a bar is, 0 for none: all three, or connections alone. */
static unsigned bar_columns(const struct screen *screen, bool first) {
    unsigned taken = name_columns(screen) + CLIENTS_COLUMNS + CPU_COLUMNS + MEMORY_COLUMNS;
    unsigned room = screen->list.columns - smaller(screen->list.columns, taken);

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

static void put_bar(struct screen *screen, struct monit_place place, const struct metric *metric) {
    const char *full = screen->style->utf8 ? "█" : "#";
    const char *empty = screen->style->utf8 ? "░" : ".";
    unsigned count = full_cells(metric->bar, metric->share);

    for (unsigned i = 0; i < metric->bar; i++)
        put(screen, &screen->list, monit_at(place.row, place.column + i), i < count ? full : empty,
            i < count ? (struct monit_look){.colour = metric->colour} : grey);
}

/* Bar, if wanted, and value, right-aligned: the columns that they take together. */
static unsigned put_metric(struct screen *screen, struct monit_place place,
                           const struct metric *metric, struct monit_look look, bool with_bar) {
    unsigned bar = metric->bar > 0 ? metric->bar + 1 : 0;
    unsigned length = (unsigned)strlen(metric->text);
    unsigned blanks = metric->columns > length ? metric->columns - length : 1;

    if (with_bar)
        put_bar(screen, monit_at(place.row, place.column + 1), metric);
    put(screen, &screen->list, monit_at(place.row, place.column + bar + blanks), metric->text,
        look);
    return bar + metric->columns;
}

static enum draw_colour cpu_colour(double cpu) {
    return cpu >= 80 ? DRAW_RED : cpu >= 50 ? DRAW_YELLOW : DRAW_GREEN;
}

/* Open connections, where the policy counts them; otherwise new clients a second: "12/s". */
static void write_clients(char text[DRAW_NUMBER_MAX], const struct figures *figures) {
    if (figures->open >= 0)
        snprintf(text, DRAW_NUMBER_MAX, "%.0f", figures->open);
    else if (figures->rate >= 0 && figures->rate < 1e5)
        snprintf(text, DRAW_NUMBER_MAX, "%.0f/s", figures->rate);
    else
        snprintf(text, DRAW_NUMBER_MAX, "-");
}

static double share_of_clients(const struct screen *screen, const struct figures *figures) {
    return figures->open >= 0 ? figures->open / screen->most_open
                              : figures->rate / screen->most_rate;
}

static void put_metrics(struct screen *screen, unsigned row, const struct metric metrics[3],
                        struct monit_look look, bool with_bars) {
    unsigned column = name_columns(screen);

    for (size_t i = 0; i < 3; i++)
        column += put_metric(screen, monit_at(row, column), &metrics[i], look, with_bars);
}

/* An app's sums have no bars. */
static void put_figures(struct screen *screen, unsigned row, const struct figures *figures,
                        bool with_bars) {
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

    write_clients(open, figures);
    snprintf(cpu, sizeof(cpu), "%.0f%%", figures->cpu < 1e6 ? figures->cpu : 0);
    draw_bytes(memory, (int64_t)figures->memory);
    put_metrics(screen, row, metrics, with_bars ? plain : bold, with_bars);
}

/* In the place of the head: not all apps are in the list. */
static void put_filter(struct screen *screen) {
    struct monit_area area = screen->list;
    char text[TEXT_MAX];

    area.columns = smaller(area.columns, name_columns(screen));
    put(screen, &area, monit_at(0, 0), "/ ", head);
    put(screen, &area, monit_at(0, 2), printable(screen, text, sizeof(text), screen->view->filter),
        bold);
}

static void draw_list_head(struct screen *screen) {
    const struct metric metrics[3] = {
        {bar_columns(screen, true), 0, DRAW_PLAIN, CLIENTS_COLUMNS, "clients"},
        {bar_columns(screen, false), 0, DRAW_PLAIN, CPU_COLUMNS, "cpu"},
        {bar_columns(screen, false), 0, DRAW_PLAIN, MEMORY_COLUMNS, "mem"},
    };

    if (screen->view->filter[0] != '\0')
        put_filter(screen);
    else
        put(screen, &screen->list, monit_at(0, 2), "app", head);
    put_metrics(screen, 0, metrics, head, false);
}

/* The name of an app, or the number of a process, cut to its column. */
static void put_name(struct screen *screen, unsigned row, const struct monit_row *it,
                     struct monit_look look) {
    struct monit_area area = screen->list;
    char text[TEXT_MAX];
    char count[2 * DRAW_NUMBER_MAX];
    unsigned width = name_columns(screen);

    area.columns = smaller(area.columns, width);
    if (!it->is_app) {
        snprintf(text, sizeof(text), "%lld",
                 (long long)draw_member_number(screen->view->listed[it->first], "pm_id", -1));
        put(screen, &area, monit_at(row, 4), text, look);
        return;
    }
    write_count(screen, it, count);
    area.columns -= smaller(area.columns, (unsigned)strlen(count));
    width =
        put(screen, &area, monit_at(row, 2), printable(screen, text, sizeof(text), it->app), look);
    area.columns = smaller(screen->list.columns, name_columns(screen));
    put(screen, &area, monit_at(row, 2 + width), count, look);
}

static void put_fold_mark(struct screen *screen, unsigned row, const struct monit_row *it) {
    bool folded = json_object_get(screen->view->folded, it->app) != NULL;

    if (!it->is_app || it->count < 2)
        return;
    if (screen->style->utf8)
        put(screen, &screen->list, monit_at(row, 0), folded ? "▸" : "▾", grey);
    else
        put(screen, &screen->list, monit_at(row, 0), folded ? "+" : "-", grey);
}

/* What is not online has no figures worth a bar: its status, and why. */
static void put_status(struct screen *screen, unsigned row, const json_t *process) {
    const char *status = status_of(process);
    const char *reason = draw_member_text(json_object_get(process, "baton"), "reason", NULL);
    struct monit_look look = {.colour = draw_status_colour(status)};
    unsigned column = name_columns(screen) + 1;
    char text[TEXT_MAX];

    column += put(screen, &screen->list, monit_at(row, column),
                  printable(screen, text, sizeof(text), status), look);
    if (!reason || strcmp(status, "stopped") == 0)
        return;
    column += put(screen, &screen->list, monit_at(row, column), ": ", look);
    put(screen, &screen->list, monit_at(row, column), printable(screen, text, sizeof(text), reason),
        plain);
}

static enum draw_colour row_colour(const struct monit_view *view, const struct monit_row *row) {
    struct figures sum = sum_of(view, row);

    if (row->count == 1)
        return draw_status_colour(status_of(view->listed[row->first]));
    return sum.online == row->count ? DRAW_GREEN : sum.online > 0 ? DRAW_YELLOW : DRAW_RED;
}

static void draw_row(struct screen *screen, unsigned row, const struct monit_row *it) {
    const json_t *process = screen->view->listed[it->first];
    struct figures figures = sum_of(screen->view, it);

    put_fold_mark(screen, row, it);
    put_name(screen, row, it, (struct monit_look){.colour = row_colour(screen->view, it)});
    if (it->count == 1 && !is_online(process))
        put_status(screen, row, process);
    else
        put_figures(screen, row, &figures, it->count == 1);
}

static void draw_empty_list(struct screen *screen) {
    put(screen, &screen->list, monit_at(1, 2),
        !screen->view->processes         ? "waiting for the daemon"
        : screen->view->listed_count > 0 ? "no app of that name"
                                         : "no apps",
        grey);
}

static void draw_list_part(struct screen *screen) {
    const struct monit_view *view = screen->view;

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

/* --- the output of what is chosen --- */

static void draw_line(struct screen *screen, unsigned row, const struct monit_line *line,
                      bool numbered) {
    struct draw_style style = {.utf8 = screen->style->utf8};
    struct monit_look look = {.colour = line->error ? DRAW_RED : DRAW_PLAIN};
    char number[DRAW_NUMBER_MAX];
    struct buffer text;
    unsigned column = 0;

    buffer_init(&text);
    if (draw_logs_text(&text, &style, line->text) < 0 || buffer_append(&text, "", 1) < 0)
        goto done;
    snprintf(number, sizeof(number), "%lld|", (long long)line->pm_id);
    if (numbered)
        column = put(screen, &screen->output, monit_at(row, 0), number, grey);
    put(screen, &screen->output, monit_at(row, column), buffer_data(&text), look);
done:
    buffer_clear(&text);
}

/* How far back it is in truth: no further than to the oldest line. */
static size_t draw_output_lines(struct screen *screen, const struct monit_row *chosen) {
    const struct monit_line *lines[OUTPUT_LINES_MAX];
    int64_t *pm_ids = calloc(chosen->count, sizeof(*pm_ids));
    size_t room = smaller(screen->output.rows - smaller(screen->output.rows, 1), OUTPUT_LINES_MAX);
    size_t wanted;
    size_t count;

    if (!pm_ids)
        return 0;
    for (size_t i = 0; i < chosen->count; i++)
        pm_ids[i] = draw_member_number(screen->view->listed[chosen->first + i], "pm_id", -1);
    wanted =
        room + screen->view->back < OUTPUT_LINES_MAX ? room + screen->view->back : OUTPUT_LINES_MAX;
    count = monit_log_last(&screen->view->log, pm_ids, chosen->count, lines, wanted);
    for (size_t i = 0; i < count && i < room; i++)
        draw_line(screen, (unsigned)i + 1, lines[i], chosen->count > 1);
    free(pm_ids);
    return count > room ? count - room : 0;
}

/* "api", "api (3)". */
static void write_subject(const struct screen *screen, const struct monit_row *row, char *text,
                          size_t size) {
    char name[TEXT_MAX / 2];

    printable(screen, name, sizeof(name), row->app);
    if (row->is_app && row->count > 1)
        snprintf(text, size, "%s", name);
    else
        snprintf(text, size, "%s (%lld)", name,
                 (long long)draw_member_number(screen->view->listed[row->first], "pm_id", -1));
}

static size_t draw_output(struct screen *screen, const struct monit_row *chosen) {
    char subject[TEXT_MAX];
    char text[TEXT_MAX + 64];

    write_subject(screen, chosen, subject, sizeof(subject));
    snprintf(text, sizeof(text), "%soutput of %s", screen->view->back > 0 ? "older " : "", subject);
    put(screen, &screen->output, monit_at(0, 0), text, head);
    return draw_output_lines(screen, chosen);
}

/* --- details --- */

static void put_detail(struct screen *screen, unsigned row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_detail(struct screen *screen, unsigned row, const char *format, ...) {
    char outside[2 * TEXT_MAX];
    char text[2 * TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(outside, sizeof(outside), format, arguments);
    va_end(arguments);
    put(screen, &screen->details, monit_at(row, 0), printable(screen, text, sizeof(text), outside),
        plain);
}

static long long count_of(const json_t *process, const char *name) {
    return (long long)draw_member_number(json_object_get(process, "baton"), name, 0);
}

static void draw_counts(struct screen *screen, unsigned row, const json_t *process) {
    put_detail(screen, row,
               "handed over %lld  acknowledged %lld  refused %lld  returned %lld  waiting %lld  "
               "stuck %lld",
               count_of(process, "handed"), count_of(process, "acknowledged"),
               count_of(process, "refused"), count_of(process, "returned"),
               count_of(process, "waiting"), count_of(process, "stuck"));
}

static void draw_ways(struct screen *screen, unsigned row, const json_t *process) {
    const json_t *baton = json_object_get(process, "baton");
    const json_t *listener = json_array_get(json_object_get(baton, "listeners"), 0);
    size_t more = json_array_size(json_object_get(baton, "listeners"));
    char others[DRAW_NUMBER_MAX + 16] = "";
    char window[DRAW_NUMBER_MAX + 16] = "";

    if (more > 1)
        snprintf(others, sizeof(others), " and %zu more", more - 1);
    if (draw_member_number(baton, "window", 0) > 0)
        snprintf(window, sizeof(window), "  window %lld",
                 (long long)draw_member_number(baton, "window", 0));
    put_detail(screen, row, "kind %s  policy %s%s  %s%s%s", draw_member_text(baton, "kind", "-"),
               draw_member_text(baton, "policy", "-"), window, listener ? "listens on " : "",
               draw_member_text(listener, "address", ""), others);
}

static void draw_process_details(struct screen *screen, const json_t *process) {
    const json_t *env = env_of(process);
    struct figures figures = figures_of(process);
    const char *reason = draw_member_text(json_object_get(process, "baton"), "reason", NULL);
    char up[DRAW_NUMBER_MAX] = "0";
    char memory[DRAW_NUMBER_MAX];
    unsigned row = 1;

    if (is_online(process))
        draw_duration(up, screen->now_ms - draw_member_number(env, "pm_uptime", screen->now_ms));
    draw_bytes(memory, (int64_t)figures.memory);
    put_detail(screen, 0, "%s (%lld)  %s  pid %lld  up %s  restarts %lld  cpu %.1f%%  mem %s",
               draw_member_text(process, "name", ""),
               (long long)draw_member_number(process, "pm_id", -1), status_of(process),
               (long long)draw_member_number(process, "pid", 0), up, (long long)figures.restarts,
               figures.cpu, memory);
    if (reason)
        put_detail(screen, row++, "last end: %s", reason);
    if (is_dealt(process)) {
        draw_counts(screen, row++, process);
        draw_ways(screen, row++, process);
    }
    put_detail(screen, row, "%s  %s  version %s", draw_member_text(env, "pm_exec_path", ""),
               draw_member_text(env, "exec_mode", ""), draw_member_text(env, "version", "N/A"));
}

static void draw_app_details(struct screen *screen, const struct monit_row *row) {
    const json_t *process = screen->view->listed[row->first];
    struct figures sum = sum_of(screen->view, row);
    char memory[DRAW_NUMBER_MAX];
    char open[DRAW_NUMBER_MAX];

    draw_bytes(memory, (int64_t)sum.memory);
    write_clients(open, &sum);
    put_detail(screen, 0,
               "%s  %zu processes, %zu online  clients %s  cpu %.0f%%  mem %s  restarts %lld",
               row->app, row->count, sum.online, open, sum.cpu, memory, (long long)sum.restarts);
    if (is_dealt(process))
        draw_ways(screen, 1, process);
    put_detail(screen, is_dealt(process) ? 2 : 1, "%s  %s  version %s",
               draw_member_text(env_of(process), "pm_exec_path", ""),
               draw_member_text(env_of(process), "exec_mode", ""),
               draw_member_text(env_of(process), "version", "N/A"));
}

static void draw_details(struct screen *screen, const struct monit_row *chosen) {
    if (chosen->count > 1)
        draw_app_details(screen, chosen);
    else
        draw_process_details(screen, screen->view->listed[chosen->first]);
}

/* --- the last line, and help --- */

static void draw_keys(struct screen *screen) {
    static const char *const forms[] = {
        "arrows choose  / filter  r restart  l reload  + - scale  s stop  ? help  q quit",
        "r restart  l reload  + - scale  s stop  ? help  q quit",
        "? help  q quit",
    };
    size_t form = 0;

    while (form < 2 && strlen(forms[form]) > screen->bottom.columns)
        form++;
    put(screen, &screen->bottom, monit_at(0, 0), forms[form], grey);
}

static void draw_bottom(struct screen *screen, const struct monit_row *chosen) {
    const struct monit_view *view = screen->view;
    struct monit_look look = {.colour = view->message_is_bad ? DRAW_RED : DRAW_GREEN};
    const struct monit_look alarm = {.colour = DRAW_RED, .reverse = true};
    char subject[TEXT_MAX];
    char text[TEXT_MAX + 64];

    if (view->gone) {
        put(screen, &screen->bottom, monit_at(0, 0), "the daemon has ended; waiting for it  q quit",
            alarm);
    } else if (view->silent_seconds > 0) {
        snprintf(text, sizeof(text), "no answer from the daemon for %u s: old figures  q quit",
                 view->silent_seconds);
        put(screen, &screen->bottom, monit_at(0, 0), text, alarm);
    } else if (view->filtering) {
        put(screen, &screen->bottom, monit_at(0, 0),
            "type a part of a name  enter keep  escape all", bold);
    } else if (view->asks_to_stop && chosen) {
        write_subject(screen, chosen, subject, sizeof(subject));
        snprintf(text, sizeof(text), "stop %s? y or n", subject);
        put(screen, &screen->bottom, monit_at(0, 0), text, (struct monit_look){.reverse = true});
    } else if (view->message[0] != '\0') {
        put(screen, &screen->bottom, monit_at(0, 0),
            printable(screen, text, sizeof(text), view->message), look);
    } else {
        draw_keys(screen);
    }
}

static void draw_help(struct screen *screen) {
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

    put(screen, &all, monit_at(row++, 1), "Keys; any of them leaves this page", head);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++, row++) {
        put(screen, &all, monit_at(row, 1), lines[i][0], bold);
        put(screen, &all, monit_at(row, 14), lines[i][1], plain);
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
    struct screen screen = {.view = view, .grid = grid, .style = style, .now_ms = now_ms};
    const struct monit_row *chosen;

    monit_grid_blank(grid);
    if (view->help) {
        draw_help(&screen);
        return;
    }
    divide(&screen);
    scroll(view, screen.list.rows - smaller(screen.list.rows, 1));
    chosen = view->chosen < view->row_count ? &view->rows[view->chosen] : NULL;
    find_most(&screen);
    find_longest_name(&screen);
    draw_lines(&screen);
    draw_list_part(&screen);
    if (chosen) {
        view->back = draw_output(&screen, chosen);
        draw_details(&screen, chosen);
    }
    draw_bottom(&screen, chosen);
}
