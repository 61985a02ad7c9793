#include "config/relaxed_parser.h"

#include "base/buffer.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define UNICODE_LAST 0x10ffff

static int hexadecimal(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)tolower((unsigned char)digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Exactly `count` digits. */
static bool read_hexadecimal(struct relaxed_parser *parser, int count, uint32_t *ret_value) {
    uint32_t value = 0;

    for (; count > 0; count--) {
        int digit = hexadecimal(relaxed_peek(parser));

        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
        parser->at++;
    }
    *ret_value = value;
    return true;
}

static bool read_braced(struct relaxed_parser *parser, uint32_t *ret_value) {
    uint32_t value = 0;
    int digits = 0;

    parser->at++;
    while (relaxed_peek(parser) != '}') {
        int digit = hexadecimal(relaxed_peek(parser));

        if (digit < 0 || ++digits > 6)
            return false;
        value = value << 4 | (uint32_t)digit;
        parser->at++;
    }
    parser->at++;
    *ret_value = value;
    return digits > 0;
}

/* Behind "\u": XXXX, {X…}, or two of them that are one character together. */
static bool read_unicode(struct relaxed_parser *parser, uint32_t *ret_value) {
    uint32_t high;
    uint32_t low;

    if (relaxed_peek(parser) == '{')
        return read_braced(parser, ret_value);
    if (!read_hexadecimal(parser, 4, &high))
        return false;
    *ret_value = high;
    if (high < 0xd800 || high > 0xdbff || !relaxed_starts_with(parser, "\\u"))
        return true;
    parser->at += 2;
    if (!read_hexadecimal(parser, 4, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *ret_value = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static void append(struct relaxed_parser *parser, struct buffer *text, const void *bytes,
                   size_t length) {
    if (buffer_append(text, bytes, length) < 0)
        relaxed_fail_for_memory(parser);
}

static void append_character(struct relaxed_parser *parser, struct buffer *text,
                             uint32_t character) {
    unsigned char bytes[4];
    int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const unsigned char marks[] = {0, 0xc0, 0xe0, 0xf0};

    for (int i = more; i > 0; i--) {
        bytes[i] = (unsigned char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    bytes[0] = (unsigned char)(marks[more] | character);
    append(parser, text, bytes, (size_t)more + 1);
}

/* What "\n" and its likes stand for; any other byte stands for itself. */
static char simple_escape(char letter) {
    static const char letters[] = "nrtbfv";
    static const char bytes[] = "\n\r\t\b\f\v";
    const char *found = letter ? strchr(letters, letter) : NULL;

    return found ? bytes[found - letters] : letter;
}

/* A backslash at the end of a line continues the text on the next. */
static bool skip_line_end(struct relaxed_parser *parser) {
    if (relaxed_starts_with(parser, "\r\n"))
        parser->at += 2;
    else if (relaxed_peek(parser) == '\n' || relaxed_peek(parser) == '\r')
        parser->at++;
    else
        return false;
    return true;
}

static void parse_escape(struct relaxed_parser *parser, struct buffer *text) {
    const char *begin = parser->at++;
    char letter = relaxed_peek(parser);
    uint32_t character = 0;
    bool coded = letter == 'x' || letter == 'u';
    bool well;

    if (letter == '\0' || skip_line_end(parser)) /* the end, or a byte that cannot be */
        return;
    if (!coded && !isdigit((unsigned char)letter)) {
        letter = simple_escape(letter);
        parser->at++;
        append(parser, text, &letter, 1);
        return;
    }
    parser->at++;
    well = coded && (letter == 'x' ? read_hexadecimal(parser, 2, &character)
                                   : read_unicode(parser, &character));
    if (!well || character == 0 || character > UNICODE_LAST ||
        (character >= 0xd800 && character <= 0xdfff))
        relaxed_fail(parser, begin, "this escape stands for no character that a text can hold");
    else
        append_character(parser, text, character);
}

/* Reads up to the quote that closes; false after an error. */
static bool parse_quoted(struct relaxed_parser *parser, struct buffer *text) {
    const char *begin = parser->at;
    char quote = *parser->at++;

    while (parser->result == 0 && parser->at < parser->end) {
        char byte = *parser->at;

        if (byte == quote) {
            parser->at++;
            return true;
        }
        if (byte == '\n' && quote != '`')
            break;
        if (quote == '`' && relaxed_starts_with(parser, "${"))
            relaxed_fail(parser, parser->at, "${…} is not evaluated here; use a .config.js file");
        else if (byte == '\0')
            relaxed_fail(parser, parser->at, "a text cannot hold a NUL byte");
        else if (byte == '\\')
            parse_escape(parser, text);
        else
            append(parser, text, parser->at++, 1);
    }
    relaxed_fail(parser, begin, "this text is never closed");
    return false;
}

static json_t *make_text(struct relaxed_parser *parser, const char *begin,
                         const struct buffer *text) {
    const char *bytes = buffer_length(text) > 0 ? buffer_data(text) : "";
    json_t *value = json_stringn(bytes, buffer_length(text));

    if (value)
        return value;
    value = json_stringn_nocheck(bytes, buffer_length(text));
    if (!value)
        return relaxed_fail_for_memory(parser);
    json_decref(value);
    return relaxed_fail(parser, begin, "this text is not valid UTF-8");
}

json_t *relaxed_parse_text(struct relaxed_parser *parser) {
    const char *begin = parser->at;
    json_t *value = NULL;
    struct buffer text;

    buffer_init(&text);
    if (parse_quoted(parser, &text))
        value = make_text(parser, begin, &text);
    buffer_clear(&text);
    return value;
}
