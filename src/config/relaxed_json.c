#include "config/relaxed_json.h"

#include "base/text.h"
#include "config/relaxed_parser.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define NUMBER_MAX 64

static json_t *parse_value(struct relaxed_parser *parser);

/* ---- Errors ---- */

json_t *relaxed_fail(struct relaxed_parser *parser, const char *culprit, const char *sentence) {
    if (parser->result == 0) {
        parser->result = UV_EINVAL;
        parser->culprit = culprit;
        parser->sentence = sentence;
    }
    return NULL;
}

json_t *relaxed_fail_for_memory(struct relaxed_parser *parser) {
    relaxed_fail(parser, parser->at, "out of memory");
    parser->result = UV_ENOMEM;
    return NULL;
}

/* Lines and columns count from 1, columns in characters. */
static void describe(const struct relaxed_parser *parser, char error[RELAXED_JSON_ERROR_MAX]) {
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

static bool skip_block_comment(struct relaxed_parser *parser) {
    const char *close = memmem(parser->at + 2, (size_t)(parser->end - parser->at - 2), "*/", 2);

    if (!close) {
        relaxed_fail(parser, parser->at, "this comment is never closed");
        return false;
    }
    parser->at = close + 2;
    return true;
}

static void skip_line(struct relaxed_parser *parser) {
    const char *close = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));

    parser->at = close ? close : parser->end;
}

/* Goes to the next byte that means something; false after an error. */
static bool skip_blanks(struct relaxed_parser *parser) {
    while (parser->at < parser->end) {
        if (strchr(" \t\r\n\v\f", *parser->at) && *parser->at)
            parser->at++;
        else if (relaxed_starts_with(parser, "\xef\xbb\xbf")) /* a byte order mark */
            parser->at += 3;
        else if (relaxed_starts_with(parser, "\xc2\xa0")) /* a blank that does not break */
            parser->at += 2;
        else if (relaxed_starts_with(parser, "//"))
            skip_line(parser);
        else if (!relaxed_starts_with(parser, "/*"))
            return true;
        else if (!skip_block_comment(parser))
            return false;
    }
    return true;
}

static bool is_word_byte(char byte) {
    return isalnum((unsigned char)byte) || byte == '_' || byte == '$' || (byte & 0x80) != 0;
}

static bool is_quote(char byte) {
    return byte == '"' || byte == '\'' || byte == '`';
}

/* ---- Numbers and words ---- */

static json_t *make_real(struct relaxed_parser *parser, const char *begin, double number) {
    json_t *value = isfinite(number) ? json_real(number) : NULL;

    if (!isfinite(number))
        return relaxed_fail(parser, begin, "this number is too large");
    return value ? value : relaxed_fail_for_memory(parser);
}

/* Copies what looks like a number; its length, 0 when it is too long. */
static size_t copy_number(struct relaxed_parser *parser, char number[NUMBER_MAX]) {
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

static json_t *parse_number(struct relaxed_parser *parser) {
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
        return relaxed_fail(parser, begin, "this is no number");
    errno = 0;
    whole = strtoll(number, &end, hexadecimal_digits ? 16 : 10);
    if (*end == '\0' && errno == 0) {
        value = json_integer(whole);
        return value ? value : relaxed_fail_for_memory(parser);
    }
    real = strtod(number, &end);
    if (*end != '\0' || strchr(number, 'p') || strchr(number, 'P'))
        return relaxed_fail(parser, begin, "this is no number");
    return make_real(parser, begin, real);
}

static json_t *parse_word(struct relaxed_parser *parser) {
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
        return relaxed_fail(parser, begin, "a value is missing here");
    if (parser->result == 0)
        text_escape_utf8(parser->word, sizeof parser->word, begin, length);
    return relaxed_fail(parser, begin, "");
}

/* ---- Lists and objects ---- */

/* Behind an element: whether another may follow. */
static bool has_next(struct relaxed_parser *parser, char close, const char *sentence) {
    if (parser->result != 0 || !skip_blanks(parser))
        return false;
    if (relaxed_peek(parser) == ',')
        parser->at++;
    else if (relaxed_peek(parser) != close)
        relaxed_fail(parser, parser->at, sentence);
    return parser->result == 0 && skip_blanks(parser) && relaxed_peek(parser) != close;
}

static json_t *parse_list(struct relaxed_parser *parser) {
    json_t *list = json_array();
    bool more;

    if (!list)
        return relaxed_fail_for_memory(parser);
    parser->at++;
    for (more = skip_blanks(parser) && relaxed_peek(parser) != ']'; more;
         more = has_next(parser, ']', "a comma or ] is missing here")) {
        json_t *value = parse_value(parser);

        if (value && json_array_append_new(list, value) < 0)
            relaxed_fail_for_memory(parser);
    }
    if (parser->result == 0) {
        parser->at++;
        return list;
    }
    json_decref(list);
    return NULL;
}

/* The text of a key: quoted, or a word, or a number. */
static json_t *parse_key(struct relaxed_parser *parser) {
    const char *begin = parser->at;
    json_t *key;

    if (is_quote(relaxed_peek(parser)))
        return relaxed_parse_text(parser);
    while (parser->at < parser->end && is_word_byte(*parser->at))
        parser->at++;
    if (parser->at == begin)
        return relaxed_fail(parser, begin, "a name is missing here");
    key = json_stringn(begin, (size_t)(parser->at - begin));
    return key ? key : relaxed_fail(parser, begin, "this name is not valid UTF-8");
}

static void parse_entry(struct relaxed_parser *parser, json_t *object) {
    json_t *key = parse_key(parser);
    json_t *value = NULL;

    if (key && skip_blanks(parser)) {
        if (relaxed_peek(parser) == ':') {
            parser->at++;
            value = parse_value(parser);
        } else {
            relaxed_fail(parser, parser->at, "a colon is missing here");
        }
    }
    if (value && json_object_set_new(object, json_string_value(key), value) < 0)
        relaxed_fail_for_memory(parser);
    json_decref(key);
}

static json_t *parse_object(struct relaxed_parser *parser) {
    json_t *object = json_object();
    bool more;

    if (!object)
        return relaxed_fail_for_memory(parser);
    parser->at++;
    for (more = skip_blanks(parser) && relaxed_peek(parser) != '}'; more;
         more = has_next(parser, '}', "a comma or } is missing here"))
        parse_entry(parser, object);
    if (parser->result == 0) {
        parser->at++;
        return object;
    }
    json_decref(object);
    return NULL;
}

static json_t *parse_nested(struct relaxed_parser *parser) {
    json_t *value = NULL;

    if (parser->depth == RELAXED_JSON_DEPTH_MAX)
        return relaxed_fail(parser, parser->at, "this is nested too deep");
    parser->depth++;
    value = *parser->at == '{' ? parse_object(parser) : parse_list(parser);
    parser->depth--;
    return value;
}

static json_t *parse_value(struct relaxed_parser *parser) {
    char byte;

    if (!skip_blanks(parser))
        return NULL;
    byte = relaxed_peek(parser);
    if (byte == '{' || byte == '[')
        return parse_nested(parser);
    if (is_quote(byte))
        return relaxed_parse_text(parser);
    if (isdigit((unsigned char)byte) || byte == '-' || byte == '+' || byte == '.')
        return parse_number(parser);
    return parse_word(parser);
}

int relaxed_json_parse(const char *text, size_t length, json_t **ret_value,
                       char error[RELAXED_JSON_ERROR_MAX]) {
    struct relaxed_parser parser = {.begin = text, .at = text, .end = text + length};
    json_t *value = parse_value(&parser);

    if (value && skip_blanks(&parser) && parser.at < parser.end)
        relaxed_fail(&parser, parser.at, "nothing may follow the value");
    if (parser.result == 0) {
        *ret_value = value;
        return 0;
    }
    json_decref(value);
    describe(&parser, error);
    return parser.result;
}
