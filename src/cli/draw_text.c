#include "cli/draw_text.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define MONTH_MS  (30 * DAY_MS)
#define YEAR_MS   (365 * DAY_MS)

const char *draw_colour_code(enum draw_colour colour) {
    static const char *const codes[] = {
        [DRAW_PLAIN] = "",        [DRAW_BOLD] = "\033[1m",     [DRAW_DIM] = "\033[2m",
        [DRAW_RED] = "\033[31m",  [DRAW_GREEN] = "\033[32m",   [DRAW_YELLOW] = "\033[33m",
        [DRAW_BLUE] = "\033[34m", [DRAW_MAGENTA] = "\033[35m", [DRAW_CYAN] = "\033[36m",
        [DRAW_GREY] = "\033[90m", [DRAW_HEAD] = "\033[1;36m",
    };

    return codes[colour];
}

int draw_coloured(struct buffer *out, const struct draw_style *style, enum draw_colour colour,
                  const char *text) {
    if (!style->colour || colour == DRAW_PLAIN)
        return buffer_append(out, text, strlen(text));
    return buffer_print(out, "%s%s\033[0m", draw_colour_code(colour), text);
}

enum draw_colour draw_status_colour(const char *status) {
    if (strcmp(status, "online") == 0)
        return DRAW_GREEN;
    return strcmp(status, "launching") == 0 ? DRAW_BLUE : DRAW_RED;
}

int draw_escaped(struct buffer *out, const struct draw_style *style, const char *text) {
    size_t length = strlen(text);
    size_t room = length * 4 + 1;
    char *place = buffer_reserve(out, room);

    if (!place)
        return -ENOMEM;
    buffer_commit(out, style->utf8 ? text_escape_utf8(place, room, text, length)
                                   : text_escape(place, room, text, length));
    return 0;
}

/* The character that well-formed UTF-8 begins with, and in *ret_taken its bytes; a byte that begins
 * none is taken for a character. */
static wchar_t next_character(const unsigned char *text, size_t length, size_t *ret_taken) {
    size_t size = text[0] < 0xc0 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    wchar_t character;

    if (size == 1 || size > length) {
        *ret_taken = 1;
        return text[0];
    }
    character = text[0] & (0x7f >> size);
    for (size_t i = 1; i < size; i++)
        character = character << 6 | (text[i] & 0x3f);
    *ret_taken = size;
    return character;
}

static size_t character_width(wchar_t character) {
    int width = character < 0x80 ? 1 : wcwidth(character);

    return width < 0 ? 1 : (size_t)width;
}

size_t draw_width(const char *text, size_t length) {
    size_t width = 0;
    size_t taken;

    for (size_t i = 0; i < length; i += taken)
        width +=
            character_width(next_character((const unsigned char *)text + i, length - i, &taken));
    return width;
}

size_t draw_fitting(const char *text, size_t length, size_t columns) {
    size_t width = 0;
    size_t taken;

    for (size_t i = 0; i < length; i += taken) {
        width +=
            character_width(next_character((const unsigned char *)text + i, length - i, &taken));
        if (width > columns)
            return i;
    }
    return length;
}

void draw_duration(char text[DRAW_NUMBER_MAX], int64_t milliseconds) {
    static const struct {
        int64_t unit;
        char letter;
    } units[] = {{YEAR_MS, 'Y'}, {MONTH_MS, 'M'}, {DAY_MS, 'D'}, {HOUR_MS, 'h'}, {MINUTE_MS, 'm'}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (milliseconds >= units[i].unit) {
            snprintf(text, DRAW_NUMBER_MAX, "%lld%c", (long long)(milliseconds / units[i].unit),
                     units[i].letter);
            return;
        }
    snprintf(text, DRAW_NUMBER_MAX, "%llds",
             (long long)(milliseconds < 0 ? 0 : milliseconds / SECOND_MS));
}

void draw_bytes(char text[DRAW_NUMBER_MAX], int64_t bytes) {
    static const char *const units[] = {"kb", "mb", "gb", "tb"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    size_t length;

    if (bytes < 1024) {
        snprintf(text, DRAW_NUMBER_MAX, "%lldb", (long long)bytes);
        return;
    }
    for (; value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    length = (size_t)snprintf(text, DRAW_NUMBER_MAX - 2, "%.1f", value);
    if (text_ends_with(text, ".0"))
        length -= 2;
    snprintf(text + length, DRAW_NUMBER_MAX - length, "%s", units[unit]);
}

void draw_time(char text[DRAW_NUMBER_MAX], int64_t milliseconds) {
    time_t seconds = (time_t)(milliseconds / SECOND_MS);
    struct tm parts;
    size_t length;

    if (milliseconds < 0 || !gmtime_r(&seconds, &parts)) {
        snprintf(text, DRAW_NUMBER_MAX, "N/A");
        return;
    }
    length = strftime(text, DRAW_NUMBER_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, DRAW_NUMBER_MAX - length, ".%03dZ", (int)(milliseconds % SECOND_MS));
}

const char *draw_member_text(const json_t *object, const char *name, const char *otherwise) {
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : otherwise;
}

int64_t draw_member_number(const json_t *object, const char *name, int64_t otherwise) {
    const json_t *value = json_object_get(object, name);

    if (json_is_integer(value))
        return json_integer_value(value);
    /* Beyond this a conversion is undefined. */
    if (json_is_real(value) && json_real_value(value) > -9e18 && json_real_value(value) < 9e18)
        return (int64_t)json_real_value(value);
    return otherwise;
}
