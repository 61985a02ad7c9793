#include "cli/monit_screen.h"

#include "cli/draw_logs.h"

#include <stdio.h>
#include <stdlib.h>

#define OUTPUT_LINES_MAX 512

static void draw_line(struct monit_screen *screen, unsigned row, const struct monit_line *line,
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
        column = monit_put(screen, &screen->output, monit_at(row, 0), number, monit_grey);
    monit_put(screen, &screen->output, monit_at(row, column), buffer_data(&text), look);
done:
    buffer_clear(&text);
}

/* How far back it is in truth: no further than to the oldest line. */
static size_t draw_output_lines(struct monit_screen *screen, const struct monit_row *chosen) {
    const struct monit_line *lines[OUTPUT_LINES_MAX];
    int64_t *pm_ids = calloc(chosen->count, sizeof(*pm_ids));
    size_t room = monit_smaller(screen->output.rows - monit_smaller(screen->output.rows, 1),
                                OUTPUT_LINES_MAX);
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

size_t monit_draw_output(struct monit_screen *screen, const struct monit_row *chosen) {
    char subject[MONIT_TEXT_MAX];
    char text[MONIT_TEXT_MAX + 64];

    monit_write_subject(screen, chosen, subject, sizeof(subject));
    snprintf(text, sizeof(text), "%soutput of %s", screen->view->back > 0 ? "older " : "", subject);
    monit_put(screen, &screen->output, monit_at(0, 0), text, monit_head);
    return draw_output_lines(screen, chosen);
}
