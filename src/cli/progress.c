#include "cli/progress.h"

#include <string.h>

#define BAR_WIDTH     20
#define BAR_WIDTH_MIN 4
#define COLUMNS_USUAL 80

/* What an event says. */
struct step {
    int64_t done;
    int64_t of;
    int64_t pm_id;
    const char *name;
    const char *status;
};

static struct step read_step(const json_t *event) {
    struct step step = {
        .done = draw_member_number(event, "done", 0),
        .of = draw_member_number(event, "of", 0),
        .pm_id = draw_member_number(event, "pm_id", -1),
        .name = draw_member_text(event, "name", ""),
        .status = draw_member_text(event, "status", ""),
    };

    if (step.of < 1)
        step.of = 1;
    if (step.done < 0)
        step.done = 0;
    if (step.done > step.of)
        step.done = step.of;
    return step;
}

/* "api (1) online", printable. */
static int put_subject(struct buffer *out, const struct draw_style *style,
                       const struct step *step) {
    int result = draw_escaped(out, style, step->name);

    if (result == 0 && step->pm_id >= 0)
        result = buffer_print(out, " (%lld)", (long long)step->pm_id);
    if (result == 0 && step->status[0] != '\0')
        result = buffer_print(out, " ");
    return result == 0 ? draw_escaped(out, style, step->status) : result;
}

/* "[=====>    ]", in UTF-8 "█████░░░░░", `width` columns between its ends. */
static int put_bar(struct buffer *out, const struct draw_style *style, const struct step *step,
                   size_t width) {
    size_t full = (size_t)(step->done * (int64_t)width / step->of);
    bool head = !style->utf8 && full > 0 && full < width;
    int result = style->utf8 ? 0 : buffer_print(out, "[");

    if (style->colour && result == 0)
        result = buffer_print(out, "%s", draw_colour_code(DRAW_GREEN));
    for (size_t i = 0; result == 0 && i < full; i++)
        result = buffer_print(out, "%s", style->utf8 ? "█" : head && i + 1 == full ? ">" : "=");
    if (style->colour && result == 0)
        result = buffer_print(out, "\033[0m");
    for (size_t i = full; result == 0 && i < width; i++)
        result = buffer_print(out, "%s", style->utf8 ? "░" : " ");
    return result == 0 && !style->utf8 ? buffer_print(out, "]") : result;
}

/* The bar takes what count and subject leave of the line, and shrinks before they are cut. */
static int draw_bar_line(struct buffer *out, const struct draw_style *style,
                         const struct step *step) {
    size_t columns = (style->columns > 0 ? style->columns : COLUMNS_USUAL) - 1;
    struct buffer rest;
    size_t bar = BAR_WIDTH;
    size_t length;
    int result;

    buffer_init(&rest);
    result = buffer_print(&rest, " %lld/%lld ", (long long)step->done, (long long)step->of);
    if (result == 0)
        result = put_subject(&rest, style, step);
    if (result < 0)
        goto done;
    length = buffer_length(&rest);
    while (bar > BAR_WIDTH_MIN && bar + 2 + draw_width(buffer_data(&rest), length) > columns)
        bar--;
    if (bar + 2 < columns) {
        length = draw_fitting(buffer_data(&rest), length, columns - bar - 2);
        result = put_bar(out, style, step, bar);
    }
    if (result == 0)
        result = buffer_append(out, buffer_data(&rest), length);
done:
    buffer_clear(&rest);
    return result;
}

static int draw_plain_line(struct buffer *out, const struct draw_style *style,
                           const struct step *step) {
    int result = buffer_print(out, "[%lld/%lld] ", (long long)step->done, (long long)step->of);

    if (result == 0)
        result = put_subject(out, style, step);
    return result == 0 ? buffer_print(out, "\n") : result;
}

int progress_draw(struct buffer *out, const struct draw_style *style, const json_t *event) {
    struct step step = read_step(event);

    return style->redraws ? draw_bar_line(out, style, &step) : draw_plain_line(out, style, &step);
}

void progress_init(struct progress *progress, FILE *file, const struct draw_style *style) {
    *progress = (struct progress){.file = file, .style = *style};
}

void progress_step(struct progress *progress, const json_t *event) {
    struct buffer line;

    if (!progress->file)
        return;
    buffer_init(&line);
    if (progress_draw(&line, &progress->style, event) == 0) {
        if (progress->style.redraws)
            fputs("\r\033[K", progress->file);
        fwrite(buffer_data(&line), 1, buffer_length(&line), progress->file);
        fflush(progress->file);
        progress->drawn = progress->style.redraws;
    }
    buffer_clear(&line);
}

void progress_end(struct progress *progress) {
    if (!progress->drawn)
        return;
    fputs("\r\033[K", progress->file);
    fflush(progress->file);
    progress->drawn = false;
}
