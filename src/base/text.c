#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISTANCE_MAX 63
#define LARGEST      9007199254740992.0 /* 2^53: whole numbers are exact up to here */

int text_to_number(const char *text, int64_t low, int64_t high, int64_t *ret_value) {
    char *end;
    long long value;

    if (!isdigit((unsigned char)text[0]) && !(text[0] == '-' && isdigit((unsigned char)text[1])))
        return -EINVAL;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (*end != '\0')
        return -EINVAL;
    if (errno == ERANGE || value < low || value > high)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int text_to_signal(const char *text, int *ret_number) {
    int64_t number;

    if (text_to_number(text, 1, NSIG - 1, &number) == 0) {
        *ret_number = (int)number;
        return 0;
    }
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (int candidate = 1; candidate < NSIG; candidate++) {
        if (!sigabbrev_np(candidate) || strcmp(sigabbrev_np(candidate), text) != 0)
            continue;
        *ret_number = candidate;
        return 0;
    }
    return -EINVAL;
}

struct unit {
    const char *name;
    double factor;
};

/* A non-negative decimal number followed by one of the units; the list ends with a NULL name. */
static int number_with_unit(const char *text, const struct unit *units, uint64_t *ret_value) {
    char *end;
    double value;

    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return -EINVAL;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return -EINVAL;
    value = strtod(text, &end);
    if (end == text)
        return -EINVAL;
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcasecmp(end, unit->name) != 0)
            continue;
        value *= unit->factor;
        if (!(value <= LARGEST))
            return -EINVAL;
        *ret_value = (uint64_t)(value + 0.5);
        return 0;
    }
    return -EINVAL;
}

int text_to_milliseconds(const char *text, uint64_t *ret_ms) {
    static const struct unit units[] = {{"", 1},          {"ms", 1},          {"s", 1000},
                                        {"m", 60 * 1000}, {"h", 3600 * 1000}, {NULL, 0}};

    return number_with_unit(text, units, ret_ms);
}

int text_to_bytes(const char *text, uint64_t *ret_bytes) {
    static const struct unit units[] = {{"", 1},
                                        {"b", 1},
                                        {"k", 1024},
                                        {"kb", 1024},
                                        {"m", 1024 * 1024},
                                        {"mb", 1024 * 1024},
                                        {"g", 1024.0 * 1024 * 1024},
                                        {"gb", 1024.0 * 1024 * 1024},
                                        {NULL, 0}};

    return number_with_unit(text, units, ret_bytes);
}

size_t text_utf8_sequence(const unsigned char *bytes, size_t length) {
    size_t size = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;

    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || length < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xed && bytes[1] > 0x9f))
        return 0;
    if ((bytes[0] == 0xf0 && bytes[1] < 0x90) || (bytes[0] == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return size;
}

/* Writes the printable form of one byte to `form`, which has room for 5. */
static size_t escape_byte(char *form, unsigned char byte) {
    const char *known = byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : byte == '\r' ? "\\r" : NULL;

    if (known)
        return (size_t)snprintf(form, 5, "%s", known);
    if (byte < 0x20 || byte > 0x7e)
        return (size_t)snprintf(form, 5, "\\x%02x", byte);
    form[0] = (char)byte;
    return 1;
}

/* Writes the printable form of what `bytes` begin with to `form`: its length, and in *ret_taken how
 * many bytes that was. */
static size_t escape_next(char *form, const unsigned char *bytes, size_t length, bool utf8,
                          size_t *ret_taken) {
    size_t taken = utf8 ? text_utf8_sequence(bytes, length) : 0;

    if (taken > 0 && bytes[0] == 0xc2 && bytes[1] < 0xa0)
        taken = 0; /* a C1 control */
    *ret_taken = taken > 0 ? taken : 1;
    if (taken == 0)
        return escape_byte(form, bytes[0]);
    memcpy(form, bytes, taken);
    return taken;
}

static size_t escape(char *destination, size_t size, const unsigned char *bytes, size_t length,
                     bool utf8) {
    size_t written = 0;
    size_t dots = 0; /* the end of what may stay when "..." must follow */
    size_t taken;

    if (size == 0)
        return 0;
    for (size_t i = 0; i < length; i += taken) {
        char form[5];
        size_t form_length = escape_next(form, bytes + i, length - i, utf8, &taken);

        if (written + form_length + 1 > size) {
            for (written = dots; written < dots + 3 && written + 1 < size; written++)
                destination[written] = '.';
            break;
        }
        memcpy(destination + written, form, form_length);
        written += form_length;
        if (written + 4 <= size)
            dots = written;
    }
    destination[written] = '\0';
    return written;
}

size_t text_escape(char *destination, size_t size, const void *bytes, size_t length) {
    return escape(destination, size, bytes, length, false);
}

size_t text_escape_utf8(char *destination, size_t size, const void *bytes, size_t length) {
    return escape(destination, size, bytes, length, true);
}

bool text_ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text);
    size_t suffix_length = strlen(suffix);

    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

bool text_lists(const char *names, const char *name) {
    size_t length = strlen(name);

    for (;; names += strcspn(names, ",") + 1) {
        names += strspn(names, " ");
        if (strncmp(names, name, length) == 0 && strchr(", ", names[length]))
            return true;
        if (!names[strcspn(names, ",")])
            return false;
    }
}

static unsigned least(unsigned a, unsigned b, unsigned c) {
    unsigned smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

unsigned text_distance(const char *one, const char *other) {
    unsigned row[DISTANCE_MAX + 1];
    size_t one_length = strlen(one);
    size_t other_length = strlen(other);

    if (one_length > DISTANCE_MAX || other_length > DISTANCE_MAX)
        return DISTANCE_MAX;
    for (unsigned j = 0; j <= other_length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= one_length; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= other_length; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (one[i - 1] != other[j - 1]));
            diagonal = above;
        }
    }
    return row[other_length];
}
