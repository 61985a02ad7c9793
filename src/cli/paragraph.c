#include "cli/paragraph.h"

#include <string.h>

#define WIDTH 79

/* How much of `text` stands in a line of `room` columns: whole words, at least one. Bytes are
 * taken for columns, so that a line with dashes or dots beyond ASCII is a little shorter. */
static size_t line_length(const char *text, size_t room) {
    size_t length = strlen(text);
    size_t cut = room;

    if (length <= room)
        return length;
    while (cut > 0 && text[cut] != ' ')
        cut--;
    return cut > 0 ? cut : strcspn(text, " ");
}

/* `taken` columns of the first line have been written. */
static void print_lines(FILE *file, size_t column, size_t taken, const char *text) {
    size_t length;

    do {
        length = line_length(text, WIDTH - column);
        fprintf(file, "%*s%.*s\n", (int)(column - taken), "", (int)length, text);
        text += length;
        text += strspn(text, " ");
        taken = 0;
    } while (*text);
}

void paragraph_print(FILE *file, const char *text) {
    print_lines(file, 0, 0, text);
}

void paragraph_print_item(FILE *file, size_t column, const char *name, const char *text) {
    size_t taken = 2 + strlen(name);

    fprintf(file, "  %s", name);
    if (taken + 1 > column) {
        fputc('\n', file);
        taken = 0;
    }
    print_lines(file, column, taken, text);
}
