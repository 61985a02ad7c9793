#include "cli/monit_screen.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

const char *monit_printable(const struct monit_screen *screen, char *text, size_t size,
                            const char *outside) {
    if (screen->style->utf8)
        text_escape_utf8(text, size, outside, strlen(outside));
    else
        text_escape(text, size, outside, strlen(outside));
    return text;
}

unsigned monit_put(struct monit_screen *screen, const struct monit_area *area,
                   struct monit_place place, const char *text, struct monit_look look) {
    return monit_grid_put(screen->grid, area, place, text, look);
}

void monit_write_subject(const struct monit_screen *screen, const struct monit_row *row, char *text,
                         size_t size) {
    char name[MONIT_TEXT_MAX / 2];

    monit_printable(screen, name, sizeof(name), row->app);
    if (row->is_app && row->count > 1)
        snprintf(text, size, "%s", name);
    else
        snprintf(text, size, "%s (%lld)", name,
                 (long long)draw_member_number(screen->view->listed[row->first], "pm_id", -1));
}
