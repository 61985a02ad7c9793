#include "http/strict.h"

#include <string.h>

#define METHOD_MAX          24
#define CHUNK_DIGITS_MAX    15  /* so that a size always fits 64 bits */
#define CHUNK_EXTENSION_MAX 256 /* per chunk: nobody uses them but to waste our time */
#define LENGTH_DIGITS_MAX   18
#define HTTP_VERSION        "HTTP/1."

enum state {
    STATE_START,
    STATE_START_LF,
    STATE_METHOD,
    STATE_TARGET,
    STATE_VERSION,
    STATE_VERSION_CR,
    STATE_VERSION_LF,
    STATE_LINE,
    STATE_NAME,
    STATE_VALUE,
    STATE_VALUE_LF,
    STATE_HEAD_LF,
    STATE_LAST_OF_HEAD = STATE_HEAD_LF, /* up to here bytes count against HTTP_HEAD_MAX */
    STATE_BODY,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_EXTENSION,
    STATE_CHUNK_SIZE_LF,
    STATE_CHUNK_DATA,
    STATE_CHUNK_DATA_CR,
    STATE_CHUNK_DATA_LF,
    STATE_END,
    STATE_BAD,
};

/* What a byte may be part of. */
enum {
    TOKEN = 1, /* RFC 9110, 5.6.2 */
    HOST = 2,  /* RFC 3986, 3.2.2 and a port; no user, no list */
};

#define BOTH (TOKEN | HOST)

static const uint8_t classes[256] = {
    ['0' ... '9'] = BOTH, ['A' ... 'Z'] = BOTH, ['a' ... 'z'] = BOTH, ['!'] = BOTH, ['$'] = BOTH,
    ['%'] = BOTH,         ['&'] = BOTH,         ['\''] = BOTH,        ['*'] = BOTH, ['+'] = BOTH,
    ['-'] = BOTH,         ['.'] = BOTH,         ['_'] = BOTH,         ['~'] = BOTH, ['#'] = TOKEN,
    ['^'] = TOKEN,        ['`'] = TOKEN,        ['|'] = TOKEN,        ['('] = HOST, [')'] = HOST,
    [':'] = HOST,         [';'] = HOST,         ['='] = HOST,         ['['] = HOST, [']'] = HOST,
};

static bool is_token(unsigned char byte) {
    return classes[byte] & TOKEN;
}

static bool is_host(unsigned char byte) {
    return classes[byte] & HOST;
}

/* Visible ASCII: what a URI is made of, RFC 3986. */
static bool is_target(unsigned char byte) {
    return byte > 0x20 && byte < 0x7f;
}

/* RFC 9110, 5.5: visible bytes, blank and tab, and bytes above ASCII. */
static bool is_value(unsigned char byte) {
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static size_t refuse(struct http_strict *strict, int status) {
    strict->state = STATE_BAD;
    strict->status = status;
    return 0;
}

/* One byte that must be `wanted`. */
static size_t expect(struct http_strict *strict, unsigned char byte, char wanted, enum state next) {
    if (byte != (unsigned char)wanted)
        return refuse(strict, 400);
    strict->state = (uint8_t)next;
    return 1;
}

/* Each of the functions below is one row of the table at the end: it looks at one byte or more of
 * the `length` at `bytes`, at least one being there, and returns how many it took. Taking none is
 * fine when the state has changed. */

/* Empty lines before a request are allowed, RFC 9112, 2.2: old clients send one after a body. */
static size_t on_start(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    if (bytes[0] == '\r')
        return expect(strict, bytes[0], '\r', STATE_START_LF);
    strict->state = STATE_METHOD;
    return 0;
}

static size_t on_start_lf(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    return expect(strict, bytes[0], '\n', STATE_START);
}

static size_t on_method(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    if (bytes[0] == ' ' && strict->name_length > 0)
        return expect(strict, bytes[0], ' ', STATE_TARGET);
    if (!is_token(bytes[0]) || ++strict->name_length > METHOD_MAX)
        return refuse(strict, 400);
    return 1;
}

static size_t on_target(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    size_t run = 0;

    while (run < length && is_target(bytes[run]))
        run++;
    strict->target_length += (uint32_t)run;
    if (strict->target_length > HTTP_TARGET_MAX)
        return refuse(strict, 414);
    if (run > 0)
        return run;
    if (strict->target_length == 0)
        return refuse(strict, 400);
    return expect(strict, bytes[0], ' ', STATE_VERSION);
}

static size_t on_version(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    if (strict->index < sizeof HTTP_VERSION - 1)
        return expect(strict, bytes[0], HTTP_VERSION[strict->index++], STATE_VERSION);
    if (bytes[0] != '0' && bytes[0] != '1')
        return refuse(strict, 400);
    strict->minor = (uint8_t)(bytes[0] - '0');
    strict->state = STATE_VERSION_CR;
    return 1;
}

static size_t on_version_cr(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    return expect(strict, bytes[0], '\r', STATE_VERSION_LF);
}

static size_t on_version_lf(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    return expect(strict, bytes[0], '\n', STATE_LINE);
}

static size_t on_line(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    if (bytes[0] == '\r')
        return expect(strict, bytes[0], '\r', STATE_HEAD_LF);
    if (!is_token(bytes[0]))
        return refuse(strict, 400);
    strict->name_length = 0;
    strict->value_length = 0;
    strict->gap = false;
    strict->state = STATE_NAME;
    return 0;
}

static enum http_strict_header header_kind(const struct http_strict *strict) {
    static const char *const names[] = {
        [HTTP_STRICT_HOST] = "host",
        [HTTP_STRICT_CONTENT_LENGTH] = "content-length",
        [HTTP_STRICT_TRANSFER_ENCODING] = "transfer-encoding",
    };

    for (int kind = HTTP_STRICT_HOST; kind <= HTTP_STRICT_TRANSFER_ENCODING; kind++)
        if (strict->name_length == strlen(names[kind]) &&
            memcmp(strict->name, names[kind], strict->name_length) == 0)
            return (enum http_strict_header)kind;
    return HTTP_STRICT_OTHER;
}

/* Whether the header that the colon has just ended may appear here: once, and never in a trailer,
 * where it could change the framing after the fact. */
static bool header_allowed(struct http_strict *strict) {
    bool *seen = strict->header == HTTP_STRICT_HOST             ? &strict->has_host
                 : strict->header == HTTP_STRICT_CONTENT_LENGTH ? &strict->has_length
                                                                : &strict->chunked;

    if (strict->header == HTTP_STRICT_OTHER)
        return true;
    if (*seen || strict->trailing)
        return false;
    *seen = true;
    return true;
}

static size_t on_name(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    size_t run = 0;

    for (; run < length && is_token(bytes[run]); run++, strict->name_length++) {
        if (strict->name_length >= sizeof strict->name)
            continue;
        strict->name[strict->name_length] =
            (char)(bytes[run] >= 'A' && bytes[run] <= 'Z' ? bytes[run] | 0x20 : bytes[run]);
    }
    if (run > 0)
        return run;
    strict->header = (uint8_t)header_kind(strict);
    if (!header_allowed(strict))
        return refuse(strict, 400);
    return expect(strict, bytes[0], ':', STATE_VALUE);
}

static bool length_digit(struct http_strict *strict, unsigned char byte) {
    if (byte < '0' || byte > '9' || strict->value_length >= LENGTH_DIGITS_MAX)
        return false;
    strict->remaining = strict->remaining * 10 + (uint64_t)(byte - '0');
    return true;
}

/* One byte, not blank, of a value that matters. */
static bool known_value_byte(struct http_strict *strict, unsigned char byte) {
    static const char chunked[] = "chunked";

    if (strict->gap)
        return false;
    switch ((enum http_strict_header)strict->header) {
    case HTTP_STRICT_HOST:
        return is_host(byte);
    case HTTP_STRICT_CONTENT_LENGTH:
        return length_digit(strict, byte);
    case HTTP_STRICT_TRANSFER_ENCODING:
        return strict->value_length < sizeof chunked - 1 &&
               byte == (unsigned char)chunked[strict->value_length];
    case HTTP_STRICT_OTHER:
        break;
    }
    return true;
}

static size_t on_known_value(struct http_strict *strict, unsigned char byte) {
    if (byte == ' ' || byte == '\t') {
        strict->gap = strict->value_length > 0;
        return 1;
    }
    if (!known_value_byte(strict, byte))
        return refuse(strict, 400);
    strict->value_length++;
    return 1;
}

static size_t on_value(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    size_t run = 0;

    if (bytes[0] == '\r')
        return expect(strict, bytes[0], '\r', STATE_VALUE_LF);
    if (strict->header != HTTP_STRICT_OTHER)
        return on_known_value(strict, bytes[0]);
    while (run < length && is_value(bytes[run]))
        run++;
    return run > 0 ? run : refuse(strict, 400);
}

static size_t on_value_lf(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    if (strict->header == HTTP_STRICT_CONTENT_LENGTH && strict->value_length == 0)
        return refuse(strict, 400);
    if (strict->header == HTTP_STRICT_TRANSFER_ENCODING &&
        strict->value_length != strlen("chunked"))
        return refuse(strict, 400);
    if (++strict->header_count > HTTP_HEADERS_MAX)
        return refuse(strict, 431);
    return expect(strict, bytes[0], '\n', STATE_LINE);
}

static bool framing_allowed(const struct http_strict *strict) {
    if (strict->minor == 1 && !strict->has_host)
        return false;
    return !strict->chunked || (strict->minor == 1 && !strict->has_length);
}

static size_t on_head_lf(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)length;
    if (strict->trailing)
        return expect(strict, bytes[0], '\n', STATE_END);
    if (!framing_allowed(strict))
        return refuse(strict, 400);
    strict->value_length = 0;
    if (strict->chunked)
        return expect(strict, bytes[0], '\n', STATE_CHUNK_SIZE);
    return expect(strict, bytes[0], '\n', strict->remaining > 0 ? STATE_BODY : STATE_END);
}

/* Passes over bytes that may have any value. */
static size_t skip(struct http_strict *strict, size_t length, enum state next) {
    size_t taken = length < strict->remaining ? length : (size_t)strict->remaining;

    strict->remaining -= taken;
    if (strict->remaining == 0)
        strict->state = (uint8_t)next;
    return taken;
}

static size_t on_body(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)bytes;
    return skip(strict, length, STATE_END);
}

static int hex_digit(unsigned char byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static size_t on_chunk_size(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    int digit = hex_digit(bytes[0]);

    (void)length;
    if (digit < 0 && strict->value_length == 0)
        return refuse(strict, 400);
    if (bytes[0] == ';')
        return expect(strict, bytes[0], ';', STATE_CHUNK_EXTENSION);
    if (digit < 0)
        return expect(strict, bytes[0], '\r', STATE_CHUNK_SIZE_LF);
    if (++strict->value_length > CHUNK_DIGITS_MAX)
        return refuse(strict, 400);
    strict->remaining = strict->remaining * 16 + (uint64_t)digit;
    return 1;
}

static size_t on_chunk_extension(struct http_strict *strict, const unsigned char *bytes,
                                 size_t length) {
    (void)length;
    if (bytes[0] == '\r')
        return expect(strict, bytes[0], '\r', STATE_CHUNK_SIZE_LF);
    if (!is_value(bytes[0]) || ++strict->value_length > CHUNK_EXTENSION_MAX)
        return refuse(strict, 400);
    return 1;
}

static size_t on_chunk_size_lf(struct http_strict *strict, const unsigned char *bytes,
                               size_t length) {
    (void)length;
    strict->value_length = 0;
    if (strict->remaining > 0)
        return expect(strict, bytes[0], '\n', STATE_CHUNK_DATA);
    strict->trailing = true;
    strict->head_length = 0;
    return expect(strict, bytes[0], '\n', STATE_LINE);
}

static size_t on_chunk_data(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    (void)bytes;
    return skip(strict, length, STATE_CHUNK_DATA_CR);
}

static size_t on_chunk_data_cr(struct http_strict *strict, const unsigned char *bytes,
                               size_t length) {
    (void)length;
    return expect(strict, bytes[0], '\r', STATE_CHUNK_DATA_LF);
}

static size_t on_chunk_data_lf(struct http_strict *strict, const unsigned char *bytes,
                               size_t length) {
    (void)length;
    return expect(strict, bytes[0], '\n', STATE_CHUNK_SIZE);
}

typedef size_t (*state_function)(struct http_strict *strict, const unsigned char *bytes,
                                 size_t length);

static const state_function states[] = {
    [STATE_START] = on_start,
    [STATE_START_LF] = on_start_lf,
    [STATE_METHOD] = on_method,
    [STATE_TARGET] = on_target,
    [STATE_VERSION] = on_version,
    [STATE_VERSION_CR] = on_version_cr,
    [STATE_VERSION_LF] = on_version_lf,
    [STATE_LINE] = on_line,
    [STATE_NAME] = on_name,
    [STATE_VALUE] = on_value,
    [STATE_VALUE_LF] = on_value_lf,
    [STATE_HEAD_LF] = on_head_lf,
    [STATE_BODY] = on_body,
    [STATE_CHUNK_SIZE] = on_chunk_size,
    [STATE_CHUNK_EXTENSION] = on_chunk_extension,
    [STATE_CHUNK_SIZE_LF] = on_chunk_size_lf,
    [STATE_CHUNK_DATA] = on_chunk_data,
    [STATE_CHUNK_DATA_CR] = on_chunk_data_cr,
    [STATE_CHUNK_DATA_LF] = on_chunk_data_lf,
};

void http_strict_init(struct http_strict *strict) {
    *strict = (struct http_strict){.state = STATE_START};
}

/* One call of the current state's function; keeps the length of the header block within bounds. */
static size_t step(struct http_strict *strict, const unsigned char *bytes, size_t length) {
    bool in_head = strict->state <= STATE_LAST_OF_HEAD;
    size_t room = HTTP_HEAD_MAX - strict->head_length;
    size_t taken;

    if (!in_head)
        return states[strict->state](strict, bytes, length);
    if (room == 0)
        return refuse(strict, 431);
    taken = states[strict->state](strict, bytes, length < room ? length : room);
    strict->head_length += (uint32_t)taken;
    return taken;
}

enum http_strict_event http_strict_scan(struct http_strict *strict, const char *bytes,
                                        size_t length, size_t *ret_used) {
    size_t used = 0;

    while (used < length && strict->state < STATE_END) {
        bool before_body = strict->state == STATE_HEAD_LF && !strict->trailing;

        used += step(strict, (const unsigned char *)bytes + used, length - used);
        if (before_body && strict->state != STATE_BAD) {
            *ret_used = used;
            return HTTP_STRICT_HEAD;
        }
    }
    *ret_used = used;
    if (strict->state == STATE_BAD)
        return HTTP_STRICT_BAD;
    return strict->state == STATE_END ? HTTP_STRICT_END : HTTP_STRICT_MORE;
}
