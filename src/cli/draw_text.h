/* What all drawings share: the style, colours, texts from outside, their width, and how numbers are
 * shown to people.
 *
 * Pure: everything is appended to a buffer. wcwidth(3) goes by LC_CTYPE, which terminal_look()
 * sets. Nothing that comes from outside reaches a terminal unescaped. */
#ifndef BATON_CLI_DRAW_TEXT_H
#define BATON_CLI_DRAW_TEXT_H

#include "base/buffer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct draw_style {
    unsigned columns; /* of the terminal; 0: no limit */
    bool terminal;    /* a person looks at it now */
    bool redraws;     /* the cursor can be moved back: a line can be drawn again in its place */
    bool colour;
    bool utf8; /* box drawing and other characters beyond ASCII can be shown */
};

enum draw_colour {
    DRAW_PLAIN,
    DRAW_BOLD,
    DRAW_DIM,
    DRAW_RED,
    DRAW_GREEN,
    DRAW_YELLOW,
    DRAW_BLUE,
    DRAW_MAGENTA,
    DRAW_CYAN,
    DRAW_GREY,
    DRAW_HEAD, /* bold cyan: column heads */
};

/* The escape sequence that switches a colour on, "" for DRAW_PLAIN. */
const char *draw_colour_code(enum draw_colour colour);

/* Appends `text` as it is between the colour and its end; without colour only the text. 0 or
 * -ENOMEM. */
int draw_coloured(struct buffer *out, const struct draw_style *style, enum draw_colour colour,
                  const char *text);

/* Green online, blue launching, red others. */
enum draw_colour draw_status_colour(const char *status);

/* Appends text from outside so that it is safe on a terminal: as text_escape_utf8() does, or
 * text_escape() where the style has no UTF-8. 0 or -ENOMEM. */
int draw_escaped(struct buffer *out, const struct draw_style *style, const char *text);

/* How many columns printable UTF-8 takes: none for a combining character, two for a wide one. */
size_t draw_width(const char *text, size_t length);

/* How many bytes of `text` fit into `columns`. */
size_t draw_fitting(const char *text, size_t length, size_t columns);

/* Room for the texts below. */
#define DRAW_NUMBER_MAX 32

/* "12s", "5m", "3h", "2D", "4M" (30 days), "1Y": whole units, rounded down. */
void draw_duration(char text[DRAW_NUMBER_MAX], int64_t milliseconds);

/* "0b", "512b", "1.5kb", "52.7mb", "1.2gb": powers of 1024, one decimal. */
void draw_bytes(char text[DRAW_NUMBER_MAX], int64_t bytes);

/* "2026-11-23T12:00:00.000Z", of milliseconds since 1970. */
void draw_time(char text[DRAW_NUMBER_MAX], int64_t milliseconds);

/* Members of an object that may be absent or of another type: what is answered then is `otherwise`.
 * Texts are borrowed from the object. */
const char *draw_member_text(const json_t *object, const char *name, const char *otherwise);
int64_t draw_member_number(const json_t *object, const char *name, int64_t otherwise);

#endif
