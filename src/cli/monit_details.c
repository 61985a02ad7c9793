#include "cli/monit_screen.h"

#include "cli/monit_figures.h"

#include <stdarg.h>
#include <stdio.h>

static void put_detail(struct monit_screen *screen, unsigned row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_detail(struct monit_screen *screen, unsigned row, const char *format, ...) {
    char outside[2 * MONIT_TEXT_MAX];
    char text[2 * MONIT_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(outside, sizeof(outside), format, arguments);
    va_end(arguments);
    monit_put(screen, &screen->details, monit_at(row, 0),
              monit_printable(screen, text, sizeof(text), outside), monit_plain);
}

static long long count_of(const json_t *process, const char *name) {
    return (long long)draw_member_number(json_object_get(process, "baton"), name, 0);
}

static void draw_counts(struct monit_screen *screen, unsigned row, const json_t *process) {
    put_detail(screen, row,
               "handed over %lld  acknowledged %lld  refused %lld  returned %lld  waiting %lld  "
               "stuck %lld",
               count_of(process, "handed"), count_of(process, "acknowledged"),
               count_of(process, "refused"), count_of(process, "returned"),
               count_of(process, "waiting"), count_of(process, "stuck"));
}

static void draw_ways(struct monit_screen *screen, unsigned row, const json_t *process) {
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

static void draw_process_details(struct monit_screen *screen, const json_t *process) {
    const json_t *env = monit_environment(process);
    struct monit_figures figures = monit_figures_of(process);
    const char *reason = draw_member_text(json_object_get(process, "baton"), "reason", NULL);
    char up[DRAW_NUMBER_MAX] = "0";
    char memory[DRAW_NUMBER_MAX];
    unsigned row = 1;

    if (monit_is_online(process))
        draw_duration(up, screen->now_ms - draw_member_number(env, "pm_uptime", screen->now_ms));
    draw_bytes(memory, (int64_t)figures.memory);
    put_detail(screen, 0, "%s (%lld)  %s  pid %lld  up %s  restarts %lld  cpu %.1f%%  mem %s",
               draw_member_text(process, "name", ""),
               (long long)draw_member_number(process, "pm_id", -1), monit_status(process),
               (long long)draw_member_number(process, "pid", 0), up, (long long)figures.restarts,
               figures.cpu, memory);
    if (reason)
        put_detail(screen, row++, "last end: %s", reason);
    if (monit_is_dealt(process)) {
        draw_counts(screen, row++, process);
        draw_ways(screen, row++, process);
    }
    put_detail(screen, row, "%s  %s  version %s", draw_member_text(env, "pm_exec_path", ""),
               draw_member_text(env, "exec_mode", ""), draw_member_text(env, "version", "N/A"));
}

static void draw_app_details(struct monit_screen *screen, const struct monit_row *row) {
    const json_t *process = screen->view->listed[row->first];
    struct monit_figures sum = monit_figures_sum(screen->view, row);
    char memory[DRAW_NUMBER_MAX];
    char open[DRAW_NUMBER_MAX];

    draw_bytes(memory, (int64_t)sum.memory);
    monit_write_clients(open, &sum);
    put_detail(screen, 0,
               "%s  %zu processes, %zu online  clients %s  cpu %.0f%%  mem %s  restarts %lld",
               row->app, row->count, sum.online, open, sum.cpu, memory, (long long)sum.restarts);
    if (monit_is_dealt(process))
        draw_ways(screen, 1, process);
    put_detail(screen, monit_is_dealt(process) ? 2 : 1, "%s  %s  version %s",
               draw_member_text(monit_environment(process), "pm_exec_path", ""),
               draw_member_text(monit_environment(process), "exec_mode", ""),
               draw_member_text(monit_environment(process), "version", "N/A"));
}

void monit_draw_details(struct monit_screen *screen, const struct monit_row *chosen) {
    if (chosen->count > 1)
        draw_app_details(screen, chosen);
    else
        draw_process_details(screen, screen->view->listed[chosen->first]);
}
