#include "cli/monit_figures.h"

#include <stdio.h>
#include <string.h>

const json_t *monit_environment(const json_t *process) {
    return json_object_get(process, "pm2_env");
}

const char *monit_status(const json_t *process) {
    return draw_member_text(monit_environment(process), "status", "");
}

bool monit_is_online(const json_t *process) {
    return strcmp(monit_status(process), "online") == 0;
}

bool monit_is_dealt(const json_t *process) {
    const json_t *baton = json_object_get(process, "baton");

    return strcmp(draw_member_text(baton, "kind", "none"), "none") != 0;
}

struct monit_figures monit_figures_of(const json_t *process) {
    const json_t *monit = json_object_get(process, "monit");
    const json_t *baton = json_object_get(process, "baton");

    return (struct monit_figures){
        .open = (double)draw_member_number(baton, "open", -1),
        .rate = monit_is_dealt(process) ? json_number_value(json_object_get(baton, "rate")) : -1,
        .cpu = json_number_value(json_object_get(monit, "cpu")),
        .memory = (double)draw_member_number(monit, "memory", 0),
        .restarts = draw_member_number(monit_environment(process), "restart_time", 0),
        .online = monit_is_online(process),
    };
}

struct monit_figures monit_figures_sum(const struct monit_view *view, const struct monit_row *row) {
    struct monit_figures sum = {.open = -1, .rate = -1};

    for (size_t i = row->first; i < row->first + row->count; i++) {
        struct monit_figures one = monit_figures_of(view->listed[i]);

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

void monit_write_clients(char text[DRAW_NUMBER_MAX], const struct monit_figures *figures) {
    if (figures->open >= 0)
        snprintf(text, DRAW_NUMBER_MAX, "%.0f", figures->open);
    else if (figures->rate >= 0 && figures->rate < 1e5)
        snprintf(text, DRAW_NUMBER_MAX, "%.0f/s", figures->rate);
    else
        snprintf(text, DRAW_NUMBER_MAX, "-");
}
