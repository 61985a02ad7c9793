#include "cli/draw_logs.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_TEXT_MAX     128
#define PREFIX_WIDTH_MAX  40 /* one long name does not push all lines off the screen */
#define COLOUR_LENGTH_MAX 64 /* of an ESC[…m of the program's that is let through */

/* The colour of a process's prefix; red is left to standard error. */
static enum draw_colour process_colour(int64_t pm_id) {
    static const enum draw_colour colours[] = {DRAW_GREEN, DRAW_CYAN, DRAW_YELLOW, DRAW_MAGENTA,
                                               DRAW_BLUE};
    int64_t count = sizeof(colours) / sizeof(colours[0]);

    return colours[pm_id < 0 ? 0 : pm_id % count];
}

/* "0|name", printable. 0 or -ENOMEM. */
static int put_label(struct buffer *out, const struct draw_style *style, int64_t pm_id,
                     const char *name) {
    int result = buffer_print(out, "%lld|", (long long)pm_id);

    return result == 0 ? draw_escaped(out, style, name) : result;
}

static size_t widened(size_t width, const struct buffer *label) {
    size_t wanted = draw_width(buffer_data(label), buffer_length(label));

    if (wanted > PREFIX_WIDTH_MAX)
        wanted = PREFIX_WIDTH_MAX;
    return wanted > width ? wanted : width;
}

void draw_logs_learn(struct draw_logs *logs, const json_t *processes) {
    const json_t *process;
    size_t i;

    json_array_foreach(processes, i, process) {
        struct buffer label;

        buffer_init(&label);
        if (put_label(&label, &logs->style, draw_member_number(process, "pm_id", -1),
                      draw_member_text(process, "name", "")) == 0)
            logs->prefix_width = widened(logs->prefix_width, &label);
        buffer_clear(&label);
    }
}

/* The length of an ESC[…m at the beginning of `text`, or 0. */
static size_t colour_length(const char *text) {
    size_t length;

    if (text[0] != '\033' || text[1] != '[')
        return 0;
    length = 2 + strspn(text + 2, "0123456789;:");
    return text[length] == 'm' && length < COLOUR_LENGTH_MAX ? length + 1 : 0;
}

/* What may be printed as it is: up to the next ESC, or tabs. */
static size_t plain_length(const char *text) {
    size_t length = strcspn(text, "\033\t");

    return length > 0 ? length : 1;
}

static int put_plain(struct buffer *out, const struct draw_style *style, const char *text,
                     size_t length) {
    size_t room = length * 4 + 1;
    char *place;

    if (text[0] == '\t')
        return buffer_append(out, "\t", 1);
    place = buffer_reserve(out, room);
    if (!place)
        return -ENOMEM;
    buffer_commit(out, style->utf8 ? text_escape_utf8(place, room, text, length)
                                   : text_escape(place, room, text, length));
    return 0;
}

int draw_logs_text(struct buffer *out, const struct draw_style *style, const char *line) {
    bool coloured = false;
    int result = 0;

    while (result == 0 && *line != '\0') {
        size_t length = colour_length(line);

        if (length == 0) {
            length = plain_length(line);
            result = put_plain(out, style, line, length);
        } else if (style->colour) {
            coloured = true;
            result = buffer_append(out, line, length);
        }
        line += length;
    }
    return result == 0 && coloured ? buffer_print(out, "\033[0m") : result;
}

/* Appends `text`, printable, with every `word` in reverse video. */
static int put_highlighted(struct buffer *out, const char *text, const char *word) {
    size_t length = strlen(word);
    const char *found;
    int result = 0;

    while (result == 0 && (found = strstr(text, word))) {
        result = buffer_append(out, text, (size_t)(found - text));
        if (result == 0)
            result = buffer_print(out, "\033[7m%s\033[27m", word);
        text = found + length;
    }
    return result == 0 ? buffer_append(out, text, strlen(text)) : result;
}

static int put_line(struct buffer *out, const struct draw_logs *logs, const char *line) {
    struct buffer safe;
    int result;

    if (!logs->highlight || logs->highlight[0] == '\0' || !logs->style.colour)
        return draw_logs_text(out, &logs->style, line);
    buffer_init(&safe);
    result = draw_logs_text(&safe, &logs->style, line);
    if (result == 0)
        result = buffer_append(&safe, "", 1);
    if (result == 0)
        result = put_highlighted(out, buffer_data(&safe), logs->highlight);
    buffer_clear(&safe);
    return result;
}

/* strftime(3) with a format of the user's, which can do no harm: 0 for one that gives nothing or
 * too much. */
static size_t format_time(char *text, size_t size, const char *format, const struct tm *parts) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return strftime(text, size, format, parts);
#pragma GCC diagnostic pop
}

/* Nothing when no time is wanted; blanks for a line of which none is known (0), for it is read from
 * a file. */
static int put_time(struct buffer *out, const struct draw_logs *logs, int64_t time_ms) {
    time_t seconds = (time_t)(time_ms / 1000);
    char text[TIME_TEXT_MAX];
    struct tm parts;
    int result;

    if (!logs->time_format || !localtime_r(&seconds, &parts) ||
        format_time(text, sizeof(text), logs->time_format, &parts) == 0)
        return 0;
    if (time_ms == 0)
        memset(text, ' ', strlen(text));
    result = draw_coloured(out, &logs->style, DRAW_GREY, text);
    return result == 0 ? buffer_print(out, " ") : result;
}

static int put_bar(struct buffer *out, const struct draw_logs *logs, bool error) {
    return error && logs->style.colour ? buffer_print(out, " \033[31m|\033[0m ")
                                       : buffer_print(out, " | ");
}

static int put_prefix(struct buffer *out, struct draw_logs *logs, const json_t *event) {
    int64_t pm_id = draw_member_number(event, "pm_id", -1);
    bool error = strcmp(draw_member_text(event, "stream", "out"), "err") == 0;
    struct buffer label;
    size_t width;
    int result;

    buffer_init(&label);
    result = put_label(&label, &logs->style, pm_id, draw_member_text(event, "name", ""));
    width = draw_width(buffer_data(&label), buffer_length(&label));
    logs->prefix_width = widened(logs->prefix_width, &label);
    /* Two blanks before the bar, as PM2 has them. */
    if (result == 0)
        result = buffer_print(
            &label, "%*s", (int)(width < logs->prefix_width ? logs->prefix_width - width : 0) + 1,
            "");
    if (result == 0)
        result = buffer_append(&label, "", 1);
    if (result == 0)
        result = draw_coloured(out, &logs->style, process_colour(pm_id), buffer_data(&label));
    buffer_clear(&label);
    return result == 0 ? put_bar(out, logs, error) : result;
}

/* The object that PM2's `logs --json` prints; no time is known of what is read from a file. */
static int put_json(struct buffer *out, const json_t *event) {
    int64_t time_ms = draw_member_number(event, "time", 0);
    char time[DRAW_NUMBER_MAX];
    json_t *object;
    char *text = NULL;
    int result = -ENOMEM;

    draw_time(time, time_ms);
    object = json_pack("{ss, ss?, ss, sI, ss}", "message", draw_member_text(event, "line", ""),
                       "timestamp", time_ms > 0 ? time : NULL, "type",
                       draw_member_text(event, "stream", "out"), "process_id",
                       (json_int_t)draw_member_number(event, "pm_id", -1), "app_name",
                       draw_member_text(event, "name", ""));
    if (object)
        text = json_dumps(object, JSON_COMPACT);
    if (text)
        result = buffer_print(out, "%s\n", text);
    free(text);
    json_decref(object);
    return result;
}

static int put_prefixed(struct buffer *out, struct draw_logs *logs, const json_t *event,
                        const char *line) {
    int result = put_time(out, logs, draw_member_number(event, "time", 0));

    if (result == 0)
        result = put_prefix(out, logs, event);
    return result == 0 ? put_line(out, logs, line) : result;
}

static int put_raw(struct buffer *out, const struct draw_logs *logs, const char *line) {
    return logs->style.terminal ? put_line(out, logs, line)
                                : buffer_append(out, line, strlen(line));
}

int draw_logs_line(struct buffer *out, struct draw_logs *logs, const json_t *event) {
    const char *line = draw_member_text(event, "line", NULL);
    int result;

    if (!line)
        return 0;
    if (logs->form == DRAW_LOGS_JSON)
        return put_json(out, event);
    if (logs->form == DRAW_LOGS_RAW)
        result = put_raw(out, logs, line);
    else
        result = put_prefixed(out, logs, event, line);
    return result == 0 ? buffer_append(out, "\n", 1) : result;
}

int draw_logs_lost(struct buffer *out, const struct draw_logs *logs, const json_t *event) {
    char text[128];
    int result;

    if (logs->form == DRAW_LOGS_JSON)
        return 0;
    snprintf(text, sizeof(text),
             "(%lld lines are missing here: they came faster than they could be shown)",
             (long long)draw_member_number(event, "lines", 0));
    result = draw_coloured(out, &logs->style, DRAW_GREY, text);
    return result == 0 ? buffer_append(out, "\n", 1) : result;
}
