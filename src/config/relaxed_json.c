#include "config/relaxed_json.h"

#include "base/buffer.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define NUMBER_MAX   64
#define UNICODE_LAST 0x10ffff

struct parser {
    const char *begin;
    const char *at;
    const char *end;
    int depth;
    int result;           /* the first thing that went wrong, or 0 */
    const char *culprit;  /* where */
    const char *sentence; /* what, unless it is a word */
    char word[48];        /* what stands there and is no value, or "" */
};

static json_t *parse_value(struct parser *parser);

/* ---- Errors ---- */

/* Returns NULL, so that it can be what a parsing function returns. */
static json_t *fail(struct parser *parser, const char *culprit, const char *sentence) {
    if (parser->result == 0) {
        parser->result = UV_EINVAL;
        parser->culprit = culprit;
        parser->sentence = sentence;
    }
    return NULL;
}

static json_t *fail_for_memory(struct parser *parser) {
    fail(parser, parser->at, "out of memory");
    parser->result = UV_ENOMEM;
    return NULL;
}

/* Lines and columns count from 1, columns in characters. */
static void describe(const struct parser *parser, char error[RELAXED_JSON_ERROR_MAX]) {
    unsigned long line = 1;
    unsigned long column = 1;

    for (const char *at = parser->begin; at < parser->culprit; at++) {
        bool continues = ((unsigned char)*at & 0xc0) == 0x80;

        column = *at == '\n' ? 1 : continues ? column : column + 1;
        line += *at == '\n';
    }
    if (parser->word[0])
        snprintf(error, RELAXED_JSON_ERROR_MAX,
                 "line %lu, column %lu: '%s' is no value, for nothing is evaluated here", line,
                 column, parser->word);
    else
        snprintf(error, RELAXED_JSON_ERROR_MAX, "line %lu, column %lu: %s", line, column,
                 parser->sentence);
}

/* ---- Blanks and comments ---- */

static bool starts_with(const struct parser *parser, const char *text) {
    size_t length = strlen(text);

    return (size_t)(parser->end - parser->at) >= length && memcmp(parser->at, text, length) == 0;
}

static bool skip_block_comment(struct parser *parser) {
    const char *close = memmem(parser->at + 2, (size_t)(parser->end - parser->at - 2), "*/", 2);

    if (!close) {
        fail(parser, parser->at, "this comment is never closed");
        return false;
    }
    parser->at = close + 2;
    return true;
}

static void skip_line(struct parser *parser) {
    const char *close = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));

    parser->at = close ? close : parser->end;
}

/* Goes to the next byte that means something; false after an error. */
static bool skip_blanks(struct parser *parser) {
    while (parser->at < parser->end) {
        if (strchr(" \t\r\n\v\f", *parser->at) && *parser->at)
            parser->at++;
        else if (starts_with(parser, "\xef\xbb\xbf")) /* a byte order mark */
            parser->at += 3;
        else if (starts_with(parser, "\xc2\xa0")) /* a blank that does not break */
            parser->at += 2;
        else if (starts_with(parser, "//"))
            skip_line(parser);
        else if (!starts_with(parser, "/*"))
            return true;
        else if (!skip_block_comment(parser))
            return false;
    }
    return true;
}

static char peek(const struct parser *parser) {
    return parser->at < parser->end ? *parser->at : '\0';
}

/* ---- Texts ---- */

static bool is_word_byte(char byte) {
    return isalnum((unsigned char)byte) || byte == '_' || byte == '$' || (byte & 0x80) != 0;
}

static int hexadecimal(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)tolower((unsigned char)digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Exactly `count` digits. */
static bool read_hexadecimal(struct parser *parser, int count, uint32_t *ret_value) {
    uint32_t value = 0;

    for (; count > 0; count--) {
        int digit = hexadecimal(peek(parser));

        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
        parser->at++;
    }
    *ret_value = value;
    return true;
}

static bool read_braced(struct parser *parser, uint32_t *ret_value) {
    uint32_t value = 0;
    int digits = 0;

    parser->at++;
    while (peek(parser) != '}') {
        int digit = hexadecimal(peek(parser));

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
static bool read_unicode(struct parser *parser, uint32_t *ret_value) {
    uint32_t high;
    uint32_t low;

    if (peek(parser) == '{')
        return read_braced(parser, ret_value);
    if (!read_hexadecimal(parser, 4, &high))
        return false;
    *ret_value = high;
    if (high < 0xd800 || high > 0xdbff || !starts_with(parser, "\\u"))
        return true;
    parser->at += 2;
    if (!read_hexadecimal(parser, 4, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *ret_value = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static void append(struct parser *parser, struct buffer *text, const void *bytes, size_t length) {
    if (buffer_append(text, bytes, length) < 0)
        fail_for_memory(parser);
}

static void append_character(struct parser *parser, struct buffer *text, uint32_t character) {
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
static bool skip_line_end(struct parser *parser) {
    if (starts_with(parser, "\r\n"))
        parser->at += 2;
    else if (peek(parser) == '\n' || peek(parser) == '\r')
        parser->at++;
    else
        return false;
    return true;
}

static void parse_escape(struct parser *parser, struct buffer *text) {
    const char *begin = parser->at++;
    char letter = peek(parser);
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
        fail(parser, begin, "this escape stands for no character that a text can hold");
    else
        append_character(parser, text, character);
}

/* Reads up to the quote that closes; false after an error. */
static bool parse_quoted(struct parser *parser, struct buffer *text) {
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
        if (quote == '`' && starts_with(parser, "${"))
            fail(parser, parser->at, "${…} is not evaluated here; use a .config.js file");
        else if (byte == '\0')
            fail(parser, parser->at, "a text cannot hold a NUL byte");
        else if (byte == '\\')
            parse_escape(parser, text);
        else
            append(parser, text, parser->at++, 1);
    }
    fail(parser, begin, "this text is never closed");
    return false;
}

static json_t *make_text(struct parser *parser, const char *begin, const struct buffer *text) {
    const char *bytes = buffer_length(text) > 0 ? buffer_data(text) : "";
    json_t *value = json_stringn(bytes, buffer_length(text));

    if (value)
        return value;
    value = json_stringn_nocheck(bytes, buffer_length(text));
    if (!value)
        return fail_for_memory(parser);
    json_decref(value);
    return fail(parser, begin, "this text is not valid UTF-8");
}

static json_t *parse_text(struct parser *parser) {
    const char *begin = parser->at;
    json_t *value = NULL;
    struct buffer text;

    buffer_init(&text);
    if (parse_quoted(parser, &text))
        value = make_text(parser, begin, &text);
    buffer_clear(&text);
    return value;
}

static bool is_quote(char byte) {
    return byte == '"' || byte == '\'' || byte == '`';
}

/* ---- Numbers and words ---- */

static json_t *make_real(struct parser *parser, const char *begin, double number) {
    json_t *value = isfinite(number) ? json_real(number) : NULL;

    if (!isfinite(number))
        return fail(parser, begin, "this number is too large");
    return value ? value : fail_for_memory(parser);
}

/* Copies what looks like a number; its length, 0 when it is too long. */
static size_t copy_number(struct parser *parser, char number[NUMBER_MAX]) {
    const char *begin = parser->at;
    size_t length;

    while (parser->at < parser->end &&
           (isalnum((unsigned char)*parser->at) || *parser->at == '.' ||
            ((*parser->at == '+' || *parser->at == '-') &&
             (parser->at == begin || parser->at[-1] == 'e' || parser->at[-1] == 'E'))))
        parser->at++;
    length = (size_t)(parser->at - begin);
    if (length >= NUMBER_MAX)
        return 0;
    memcpy(number, begin, length);
    number[length] = '\0';
    return length;
}

static json_t *parse_number(struct parser *parser) {
    const char *begin = parser->at;
    char number[NUMBER_MAX] = "";
    size_t length = copy_number(parser, number);
    const char *digits = number + (number[0] == '-' || number[0] == '+');
    bool hexadecimal_digits = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    bool starts_well = isdigit((unsigned char)digits[0]) ||
                       (digits[0] == '.' && isdigit((unsigned char)digits[1]));
    bool octal = digits[0] == '0' && isdigit((unsigned char)digits[1]);
    json_t *value;
    double real;
    long long whole;
    char *end;

    if (length == 0 || !starts_well || octal)
        return fail(parser, begin, "this is no number");
    errno = 0;
    whole = strtoll(number, &end, hexadecimal_digits ? 16 : 10);
    if (*end == '\0' && errno == 0) {
        value = json_integer(whole);
        return value ? value : fail_for_memory(parser);
    }
    real = strtod(number, &end);
    if (*end != '\0' || strchr(number, 'p') || strchr(number, 'P'))
        return fail(parser, begin, "this is no number");
    return make_real(parser, begin, real);
}

static json_t *parse_word(struct parser *parser) {
    const char *begin = parser->at;
    size_t length;

    while (parser->at < parser->end && is_word_byte(*parser->at))
        parser->at++;
    length = (size_t)(parser->at - begin);
    if (length == 4 && memcmp(begin, "true", 4) == 0)
        return json_true();
    if (length == 5 && memcmp(begin, "false", 5) == 0)
        return json_false();
    if ((length == 4 && memcmp(begin, "null", 4) == 0) ||
        (length == 9 && memcmp(begin, "undefined", 9) == 0))
        return json_null();
    if (length == 0)
        return fail(parser, begin, "a value is missing here");
    if (parser->result == 0)
        text_escape_utf8(parser->word, sizeof parser->word, begin, length);
    return fail(parser, begin, "");
}

/* ---- Lists and objects ---- */

/* Behind an element: whether another may follow. */
static bool has_next(struct parser *parser, char close, const char *sentence) {
    if (parser->result != 0 || !skip_blanks(parser))
        return false;
    if (peek(parser) == ',')
        parser->at++;
    else if (peek(parser) != close)
        fail(parser, parser->at, sentence);
    return parser->result == 0 && skip_blanks(parser) && peek(parser) != close;
}

static json_t *parse_list(struct parser *parser) {
    json_t *list = json_array();
    bool more;

    if (!list)
        return fail_for_memory(parser);
    parser->at++;
    for (more = skip_blanks(parser) && peek(parser) != ']'; more;
         more = has_next(parser, ']', "a comma or ] is missing here")) {
        json_t *value = parse_value(parser);

        if (value && json_array_append_new(list, value) < 0)
            fail_for_memory(parser);
    }
    if (parser->result == 0) {
        parser->at++;
        return list;
    }
    json_decref(list);
    return NULL;
}

/* The text of a key: quoted, or a word, or a number. */
static json_t *parse_key(struct parser *parser) {
    const char *begin = parser->at;
    json_t *key;

    if (is_quote(peek(parser)))
        return parse_text(parser);
    while (parser->at < parser->end && is_word_byte(*parser->at))
        parser->at++;
    if (parser->at == begin)
        return fail(parser, begin, "a name is missing here");
    key = json_stringn(begin, (size_t)(parser->at - begin));
    return key ? key : fail(parser, begin, "this name is not valid UTF-8");
}

static void parse_entry(struct parser *parser, json_t *object) {
    json_t *key = parse_key(parser);
    json_t *value = NULL;

    if (key && skip_blanks(parser)) {
        if (peek(parser) == ':') {
            parser->at++;
            value = parse_value(parser);
        } else {
            fail(parser, parser->at, "a colon is missing here");
        }
    }
    if (value && json_object_set_new(object, json_string_value(key), value) < 0)
        fail_for_memory(parser);
    json_decref(key);
}

static json_t *parse_object(struct parser *parser) {
    json_t *object = json_object();
    bool more;

    if (!object)
        return fail_for_memory(parser);
    parser->at++;
    for (more = skip_blanks(parser) && peek(parser) != '}'; more;
         more = has_next(parser, '}', "a comma or } is missing here"))
        parse_entry(parser, object);
    if (parser->result == 0) {
        parser->at++;
        return object;
    }
    json_decref(object);
    return NULL;
}

static json_t *parse_nested(struct parser *parser) {
    json_t *value = NULL;

    if (parser->depth == RELAXED_JSON_DEPTH_MAX)
        return fail(parser, parser->at, "this is nested too deep");
    parser->depth++;
    value = *parser->at == '{' ? parse_object(parser) : parse_list(parser);
    parser->depth--;
    return value;
}

static json_t *parse_value(struct parser *parser) {
    char byte;

    if (!skip_blanks(parser))
        return NULL;
    byte = peek(parser);
    if (byte == '{' || byte == '[')
        return parse_nested(parser);
    if (is_quote(byte))
        return parse_text(parser);
    if (isdigit((unsigned char)byte) || byte == '-' || byte == '+' || byte == '.')
        return parse_number(parser);
    return parse_word(parser);
}

int relaxed_json_parse(const char *text, size_t length, json_t **ret_value,
                       char error[RELAXED_JSON_ERROR_MAX]) {
    struct parser parser = {.begin = text, .at = text, .end = text + length};
    json_t *value = parse_value(&parser);

    if (value && skip_blanks(&parser) && parser.at < parser.end)
        fail(&parser, parser.at, "nothing may follow the value");
    if (parser.result == 0) {
        *ret_value = value;
        return 0;
    }
    json_decref(value);
    describe(&parser, error);
    return parser.result;
}
