/* One drawing of monit: the screen, divided into parts that are drawn each for itself and cut at
 * its edges, so that no size is too small. monit_draw.c divides it and draws the lines between; the
 * parts have a file each. For them alone. */
#ifndef BATON_CLI_MONIT_SCREEN_H
#define BATON_CLI_MONIT_SCREEN_H

#include "cli/monit_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONIT_TEXT_MAX 512

static const struct monit_look monit_plain = {.colour = DRAW_PLAIN};
static const struct monit_look monit_head = {.colour = DRAW_HEAD};
static const struct monit_look monit_bold = {.colour = DRAW_BOLD};
static const struct monit_look monit_grey = {.colour = DRAW_GREY};

/* One drawing. */
struct monit_screen {
    const struct monit_view *view;
    struct monit_grid *grid;
    const struct draw_style *style;
    int64_t now_ms;
    struct monit_area list;
    struct monit_area output;
    struct monit_area details;
    struct monit_area bottom;
    bool beside; /* a vertical line between list and output */

    /* Of the list, found when it is drawn. */
    unsigned longest_name; /* columns of its first part */
    double most_open;      /* what a full bar means */
    double most_rate;
    double most_memory;
};

static inline unsigned monit_smaller(unsigned one, unsigned other) {
    return one < other ? one : other;
}

/* Text from outside, printable: `text`. */
const char *monit_printable(const struct monit_screen *screen, char *text, size_t size,
                            const char *outside);

/* monit_grid_put() into the screen's grid. */
unsigned monit_put(struct monit_screen *screen, const struct monit_area *area,
                   struct monit_place place, const char *text, struct monit_look look);

/* "api", "api (3)": a row, as messages name it. */
void monit_write_subject(const struct monit_screen *screen, const struct monit_row *row, char *text,
                         size_t size);

/* monit_list.c: apps and processes with their bars. */
void monit_draw_list(struct monit_screen *screen);

/* monit_output.c: the last lines of what is chosen. Returns how many lines are below them. */
size_t monit_draw_output(struct monit_screen *screen, const struct monit_row *chosen);

/* monit_details.c: what else is known of what is chosen. */
void monit_draw_details(struct monit_screen *screen, const struct monit_row *chosen);

#endif
