#include "daemon/json_text.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ESCAPED_MAX 6 /* bytes of \u001f */
#define NUMBER_MAX  32

void json_text_init(struct json_text *text, struct buffer *out) {
    *text = (struct json_text){.out = out};
}

int json_text_result(const struct json_text *text) {
    return text->result;
}

static void put(struct json_text *text, const char *bytes, size_t length) {
    if (text->result == 0)
        text->result = buffer_append(text->out, bytes, length);
}

static bool is_utf8(const char *value, size_t length) {
    const unsigned char *bytes = (const unsigned char *)value;

    for (size_t i = 0; i < length;) {
        size_t taken = bytes[i] < 0x80 ? 1 : text_utf8_sequence(bytes + i, length - i);

        if (taken == 0)
            return false;
        i += taken;
    }
    return true;
}

static bool is_plain(char byte) {
    return (unsigned char)byte >= 0x20 && byte != '"' && byte != '\\';
}

static char *put_escaped(char *room, char byte) {
    static const char digits[] = "0123456789abcdef";
    const char *letter = byte ? strchr("\"\"\\\\\nn\tt\rr", byte) : NULL;

    *room++ = '\\';
    if (letter) {
        *room++ = letter[1];
        return room;
    }
    room[0] = 'u';
    room[1] = '0';
    room[2] = '0';
    room[3] = digits[(unsigned char)byte >> 4];
    room[4] = digits[byte & 0xf];
    return room + 5;
}

/* Of valid UTF-8. */
static void put_string(struct json_text *text, const char *value, size_t length) {
    char *room = text->result == 0 ? buffer_reserve(text->out, length * ESCAPED_MAX + 2) : NULL;
    char *end = room;

    if (!room) {
        text->result = -ENOMEM;
        return;
    }
    *end++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (is_plain(value[i]))
            *end++ = value[i];
        else
            end = put_escaped(end, value[i]);
    }
    *end++ = '"';
    buffer_commit(text->out, (size_t)(end - room));
}

static void begin(struct json_text *text, const char *name) {
    if (text->follows)
        put(text, ",", 1);
    text->follows = true;
    if (!name)
        return;
    put_string(text, name, strlen(name));
    put(text, ":", 1);
}

void json_text_open(struct json_text *text, const char *name, char bracket) {
    begin(text, name);
    put(text, &bracket, 1);
    text->follows = false;
}

void json_text_close(struct json_text *text, char bracket) {
    put(text, &bracket, 1);
    text->follows = true;
}

void json_text_string(struct json_text *text, const char *name, const char *value) {
    size_t length = value ? strlen(value) : 0;

    if (!value || !is_utf8(value, length)) {
        json_text_null(text, name);
        return;
    }
    begin(text, name);
    put_string(text, value, length);
}

static void put_number(struct json_text *text, const char *digits, int length) {
    put(text, digits, (size_t)length);
}

void json_text_integer(struct json_text *text, const char *name, int64_t value) {
    char digits[NUMBER_MAX];

    begin(text, name);
    put_number(text, digits, snprintf(digits, sizeof digits, "%" PRId64, value));
}

/* Not by %f, whose point depends on the locale. */
void json_text_hundredths(struct json_text *text, const char *name, double value) {
    uint64_t hundredths = value > 0 ? (uint64_t)(value * 100 + 0.5) : 0;
    char digits[NUMBER_MAX];

    begin(text, name);
    put_number(text, digits,
               snprintf(digits, sizeof digits, "%" PRIu64 ".%02u", hundredths / 100,
                        (unsigned)(hundredths % 100)));
}

void json_text_boolean(struct json_text *text, const char *name, bool value) {
    begin(text, name);
    put(text, value ? "true" : "false", value ? 4 : 5);
}

void json_text_null(struct json_text *text, const char *name) {
    begin(text, name);
    put(text, "null", 4);
}
