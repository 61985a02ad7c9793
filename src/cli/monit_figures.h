/* Figures of processes, for monit. Pure: from the JSON of GET /v1/processes. */
#ifndef BATON_CLI_MONIT_FIGURES_H
#define BATON_CLI_MONIT_FIGURES_H

#include "cli/draw_text.h"
#include "cli/monit_view.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one process, or the sum of some. */
struct monit_figures {
    double open; /* -1: not known */
    double rate; /* of new clients a second; -1: it gets none from us */
    double cpu;
    double memory;
    int64_t restarts;
    size_t online;
};

/* "pm2_env" and the status in it, "" where there is none. */
const json_t *monit_environment(const json_t *process);
const char *monit_status(const json_t *process);
bool monit_is_online(const json_t *process);

/* The master deals clients to it; otherwise it is only supervised. */
bool monit_is_dealt(const json_t *process);

struct monit_figures monit_figures_of(const json_t *process);
struct monit_figures monit_figures_sum(const struct monit_view *view, const struct monit_row *row);

/* Open connections, where the policy counts them; otherwise new clients a second: "12/s". */
void monit_write_clients(char text[DRAW_NUMBER_MAX], const struct monit_figures *figures);

#endif
