#include "ipc/node_message.h"

#include "base/json_read.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NESTING_MAX     64
#define DEFAULT_BACKLOG 511
#define PREFIX          "NODE_"
#define PREFIX_LENGTH   (sizeof(PREFIX) - 1)
#define FAST_DIGITS_MAX 15               /* such a number fits an int64_t whatever its digits */
#define INTEGER_MAX     9007199254740991 /* Number.MAX_SAFE_INTEGER */
#define ESCAPE_LENGTH   6                /* \uXXXX */

static void start_message(struct node_message *message) {
    memset(message, 0, sizeof(*message));
    message->sequence = -1;
    message->acknowledges = -1;
    message->listen.port = -1;
    message->listen.descriptor = -1;
    message->listen.data = "null";
}

/* ---- The two lines that come once per connection, byte for byte as Node writes them ---- */

struct scan {
    const char *at;
    const char *end;
};

static bool scan_text(struct scan *scan, const char *text) {
    size_t length = strlen(text);

    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, text, length) != 0)
        return false;
    scan->at += length;
    return true;
}

static bool scan_number(struct scan *scan, int64_t *ret_value) {
    const char *start = scan->at;
    int64_t value = 0;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        if (scan->at - start == FAST_DIGITS_MAX)
            return false;
        value = value * 10 + (*scan->at++ - '0');
    }
    if (scan->at == start || (*start == '0' && scan->at - start > 1))
        return false;
    *ret_value = value;
    return true;
}

static bool scan_accepted(struct scan *scan, struct node_message *message) {
    bool accepted = true;

    if (!scan_text(scan, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":") ||
        !scan_number(scan, &message->acknowledges) || !scan_text(scan, ",\"accepted\":"))
        return false;
    if (!scan_text(scan, "true")) {
        accepted = false;
        if (!scan_text(scan, "false"))
            return false;
    }
    if (!scan_text(scan, ",\"seq\":") || !scan_number(scan, &message->sequence) ||
        !scan_text(scan, "}") || scan->at != scan->end)
        return false;
    message->type = accepted ? NODE_MESSAGE_ACCEPTED : NODE_MESSAGE_REFUSED;
    return true;
}

/* Whether the line is one of the two. When not, *message may have been scribbled on. */
static bool read_frequent(const char *line, size_t length, struct node_message *message) {
    static const char ack[] = "{\"cmd\":\"NODE_HANDLE_ACK\"}";
    struct scan scan = {.at = line, .end = line + length};

    if (length == sizeof(ack) - 1 && memcmp(line, ack, length) == 0) {
        message->type = NODE_MESSAGE_HANDLE_ACK;
        return true;
    }
    return scan_accepted(&scan, message);
}

/* ---- From bytes to a JSON value ---- */

/* Looked at before parsing, for the parser recurses. Brackets within strings do not count. */
static bool nests_too_deeply(const char *line, size_t length) {
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < length; i++) {
        char byte = line[i];

        if (byte == '"')
            in_string = !in_string;
        else if (in_string && byte == '\\')
            i++;
        else if (!in_string && (byte == '[' || byte == '{') && ++depth > NESTING_MAX)
            return true;
        else if (!in_string && (byte == ']' || byte == '}'))
            depth--;
    }
    return false;
}

/* The code unit of the \uXXXX at `at`, or -1 when there is none. */
static int32_t escaped_unit(const char *at, const char *end) {
    int32_t unit = 0;

    if (end - at < ESCAPE_LENGTH || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE_LENGTH; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = memchr(digits, at[i], sizeof(digits) - 1);
        int value;

        if (!digit)
            return -1;
        value = (int)(digit - digits);
        unit = unit * 16 + (value < 16 ? value : value - 6);
    }
    return unit;
}

static bool is_surrogate_pair(const char *at, const char *end) {
    int32_t high = escaped_unit(at, end);
    int32_t low = high >= 0xd800 && high <= 0xdbff ? escaped_unit(at + ESCAPE_LENGTH, end) : -1;

    return low >= 0xdc00 && low <= 0xdfff;
}

/* Turns into U+FFFD, in place, each escape that JSON allows and jansson has no form for: halves of
 * surrogate pairs, and NUL, which it refuses in keys. */
static void replace_escapes(char *line, size_t length) {
    static const char replacement[ESCAPE_LENGTH] = {'\\', 'u', 'f', 'f', 'f', 'd'};
    char *end = line + length;
    char *at = line;

    while ((at = memchr(at, '\\', (size_t)(end - at))) && end - at > 1) {
        int32_t unit = escaped_unit(at, end);

        if (is_surrogate_pair(at, end)) {
            at += (ptrdiff_t)2 * ESCAPE_LENGTH;
            continue;
        }
        if (unit == 0 || (unit >= 0xd800 && unit <= 0xdfff))
            memcpy(at, replacement, ESCAPE_LENGTH);
        at += unit < 0 ? 2 : ESCAPE_LENGTH;
    }
}

/* A program may send JSON that Node writes and jansson cannot hold: a string that was cut within a
 * surrogate pair, an integer past 2^63. It is read with what it cannot hold replaced, for no field
 * of a cluster message ever looks like that. */
static json_t *parse_replaced(const char *line, size_t length, json_error_t *error) {
    char *copy = malloc(length);
    json_t *root;

    if (!copy)
        return NULL;
    memcpy(copy, line, length);
    replace_escapes(copy, length);
    root =
        json_read(copy, length, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, error);
    free(copy);
    return root;
}

static int parse(const char *line, size_t length, json_t **ret_root) {
    json_error_t error;
    json_t *root;

    /* jansson takes a NUL byte for the end of the text. */
    if (length == 0 || memchr(line, '\0', length))
        return -EPROTO;
    root = json_read(line, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!root)
        root = parse_replaced(line, length, &error);
    if (!root)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EPROTO;
    *ret_root = root;
    return 0;
}

/* ---- Fields: each reader is given a value that may be NULL, where the field is absent ---- */

static bool is_absent(const json_t *value) {
    return !value || json_is_null(value);
}

static bool string_is(const json_t *value, const char *text) {
    size_t length = strlen(text);

    return json_is_string(value) && json_string_length(value) == length &&
           memcmp(json_string_value(value), text, length) == 0;
}

/* Whole numbers only, also when they are written 3.0. */
static int read_integer(const json_t *value, int64_t low, int64_t high, int64_t *ret_value) {
    double number = json_number_value(value);
    int64_t integer;

    if (!json_is_number(value) || fabs(number) > (double)INTEGER_MAX)
        return -EPROTO;
    integer = json_is_integer(value) ? json_integer_value(value) : (int64_t)number;
    if ((double)integer != number || integer < low || integer > high)
        return -EPROTO;
    *ret_value = integer;
    return 0;
}

/* As read_integer(), but an absent field leaves *ret_value as it is. */
static int read_optional_integer(const json_t *value, int64_t low, int64_t high,
                                 int64_t *ret_value) {
    return is_absent(value) ? 0 : read_integer(value, low, high, ret_value);
}

static int read_sequence(const json_t *value, int64_t *ret_sequence) {
    return read_integer(value, 0, INTEGER_MAX, ret_sequence);
}

static int read_key(const json_t *value, char key[NODE_MESSAGE_KEY_MAX]) {
    size_t length = json_string_length(value);

    if (!json_is_string(value) || length >= NODE_MESSAGE_KEY_MAX ||
        memchr(json_string_value(value), '\0', length))
        return -EPROTO;
    memcpy(key, json_string_value(value), length + 1);
    return 0;
}

/* ---- queryServer and listening ---- */

static int read_address_type(const json_t *value, struct node_listen_request *listen) {
    static const struct {
        const char *name;
        int64_t number;
        enum node_address_type type;
    } types[] = {
        {NULL, 4, NODE_ADDRESS_TCP4},   {NULL, 6, NODE_ADDRESS_TCP6},
        {NULL, -1, NODE_ADDRESS_UNIX},  {"udp4", 0, NODE_ADDRESS_UDP4},
        {"udp6", 0, NODE_ADDRESS_UDP6},
    };
    int64_t number;

    if (is_absent(value)) {
        listen->type = NODE_ADDRESS_DESCRIPTOR;
        return listen->descriptor >= 0 ? 0 : -EPROTO;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].name ? string_is(value, types[i].name)
                          : read_integer(value, -1, 6, &number) == 0 && number == types[i].number) {
            listen->type = types[i].type;
            return 0;
        }
    }
    return -EPROTO;
}

static void copy_address(struct node_listen_request *listen, const char *text, size_t length) {
    listen->address_too_long = length >= sizeof(listen->address);
    if (listen->address_too_long)
        length = sizeof(listen->address) - 1;
    memcpy(listen->address, text, length);
    listen->address[length] = '\0';
    listen->address_length = (uint32_t)length;
    listen->has_address = true;
}

static int read_address(const json_t *value, struct node_listen_request *listen) {
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    const char *nul;

    if (is_absent(value))
        return listen->type == NODE_ADDRESS_UNIX ? -EPROTO : 0;
    if (!text)
        return -EPROTO;
    nul = memchr(text, '\0', length);
    if (nul && listen->type != NODE_ADDRESS_UNIX)
        return -EPROTO;
    if (nul) {
        listen->abstract = true;
        length -= (size_t)(nul + 1 - text);
        text = nul + 1;
    }
    copy_address(listen, text, length);
    return 0;
}

/* Node checks a server's port and makes it a number; a UDP socket's goes to the primary just as the
 * program wrote it: a string of digits, or nothing for any port. */
static int read_port(const json_t *value, struct node_listen_request *listen) {
    bool udp = listen->type == NODE_ADDRESS_UDP4 || listen->type == NODE_ADDRESS_UDP6;
    int64_t port = udp && listen->descriptor < 0 ? 0 : -1;
    int error;

    if (udp && json_is_string(value))
        error = text_to_number(json_string_value(value), 0, 65535, &port) ? -EPROTO : 0;
    else
        error = read_optional_integer(value, -1, 65535, &port);
    listen->port = (int32_t)port;
    return error;
}

/* Node passes on what the program wrote, `false` and "100" among it, and listen(2) takes anything:
 * what is no positive number means the default. */
static int32_t read_backlog(const json_t *value) {
    int64_t backlog = 0;

    if (json_is_string(value))
        (void)text_to_number(json_string_value(value), 1, INT32_MAX, &backlog);
    else if (json_number_value(value) >= 1)
        backlog =
            json_number_value(value) < INT32_MAX ? (int64_t)json_number_value(value) : INT32_MAX;
    return backlog > 0 ? (int32_t)backlog : DEFAULT_BACKLOG;
}

static int read_numbers(const json_t *root, struct node_listen_request *listen) {
    int64_t index = 0;
    int64_t flags = 0;
    int64_t descriptor = -1;
    int error = read_optional_integer(json_object_get(root, "index"), 0, INT32_MAX, &index);

    if (error == 0)
        error = read_optional_integer(json_object_get(root, "flags"), 0, UINT32_MAX, &flags);
    if (error == 0)
        error = read_optional_integer(json_object_get(root, "fd"), -1, INT32_MAX, &descriptor);
    listen->index = (int32_t)index;
    listen->flags = (uint32_t)flags;
    listen->descriptor = (int32_t)descriptor;
    return error;
}

static int read_data(const json_t *value, struct node_message *message) {
    if (is_absent(value))
        return 0;
    message->document = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!message->document)
        return -ENOMEM;
    message->listen.data = message->document;
    return 0;
}

static int read_listen(const json_t *root, struct node_message *message) {
    struct node_listen_request *listen = &message->listen;
    int error = read_numbers(root, listen);

    if (error == 0)
        error = read_address_type(json_object_get(root, "addressType"), listen);
    if (error == 0)
        error = read_address(json_object_get(root, "address"), listen);
    if (error == 0)
        error = read_port(json_object_get(root, "port"), listen);
    if (error)
        return error;
    listen->backlog = read_backlog(json_object_get(root, "backlog"));
    listen->readable_all = json_is_true(json_object_get(root, "readableAll"));
    listen->writable_all = json_is_true(json_object_get(root, "writableAll"));
    return read_data(json_object_get(root, "data"), message);
}

/* ---- The kinds ---- */

static int require_sequence(const json_t *root, struct node_message *message) {
    (void)root;
    return message->sequence >= 0 ? 0 : -EPROTO;
}

static int read_query_server(const json_t *root, struct node_message *message) {
    int error = require_sequence(root, message);

    return error ? error : read_listen(root, message);
}

static int read_key_field(const json_t *root, struct node_message *message) {
    return read_key(json_object_get(root, "key"), message->key);
}

struct kind {
    const char *name;
    enum node_message_type type;
    int (*read)(const json_t *root, struct node_message *message); /* NULL: there is no more */
};

static const struct kind ACTS[] = {
    {"online", NODE_MESSAGE_ONLINE, NULL},
    {"queryServer", NODE_MESSAGE_QUERY_SERVER, read_query_server},
    {"listening", NODE_MESSAGE_LISTENING, read_listen},
    {"close", NODE_MESSAGE_CLOSE, read_key_field},
    {"exitedAfterDisconnect", NODE_MESSAGE_EXITING, require_sequence},
};

static int read_kind(const struct kind *kinds, size_t count, const json_t *name, const json_t *root,
                     struct node_message *message) {
    for (size_t i = 0; i < count; i++) {
        if (!string_is(name, kinds[i].name))
            continue;
        message->type = kinds[i].type;
        return kinds[i].read ? kinds[i].read(root, message) : 0;
    }
    message->type = NODE_MESSAGE_UNKNOWN;
    return 0;
}

static int read_acknowledgement(const json_t *root, struct node_message *message) {
    const json_t *accepted = json_object_get(root, "accepted");

    if (!json_is_boolean(accepted))
        return -EPROTO;
    message->type = json_is_true(accepted) ? NODE_MESSAGE_ACCEPTED : NODE_MESSAGE_REFUSED;
    return read_sequence(json_object_get(root, "ack"), &message->acknowledges);
}

static int read_cluster(const json_t *root, struct node_message *message) {
    const json_t *sequence = json_object_get(root, "seq");

    if (!is_absent(sequence) && read_sequence(sequence, &message->sequence) != 0)
        return -EPROTO;
    if (json_object_get(root, "accepted"))
        return read_acknowledgement(root, message);
    return read_kind(ACTS, sizeof(ACTS) / sizeof(ACTS[0]), json_object_get(root, "act"), root,
                     message);
}

static const struct kind COMMANDS[] = {
    {"NODE_CLUSTER", NODE_MESSAGE_UNKNOWN, read_cluster},
    {"NODE_HANDLE_ACK", NODE_MESSAGE_HANDLE_ACK, NULL},
    {"NODE_HANDLE_NACK", NODE_MESSAGE_HANDLE_NACK, NULL},
    {"NODE_HANDLE", NODE_MESSAGE_HANDLE, NULL},
    {"NODE_SOCKET_GET_COUNT", NODE_MESSAGE_SOCKET_COUNT, read_key_field},
    {"NODE_SOCKET_NOTIFY_CLOSE", NODE_MESSAGE_SOCKET_CLOSED, read_key_field},
};

static bool is_internal(const json_t *command) {
    return json_is_string(command) && json_string_length(command) > PREFIX_LENGTH &&
           memcmp(json_string_value(command), PREFIX, PREFIX_LENGTH) == 0;
}

static void read_user(const json_t *root, struct node_message *message) {
    const char *text = json_string_value(root);
    size_t length = json_string_length(root);

    message->type = NODE_MESSAGE_USER;
    if (!text || memchr(text, '\0', length))
        return;
    if (length >= sizeof(message->text)) {
        length = sizeof(message->text) - 1;
        while (((unsigned char)text[length] & 0xc0) == 0x80) /* not within a character */
            length--;
    }
    memcpy(message->text, text, length);
}

static int read_value(const json_t *root, struct node_message *message) {
    const json_t *command = json_object_get(root, "cmd");

    if (is_internal(command))
        return read_kind(COMMANDS, sizeof(COMMANDS) / sizeof(COMMANDS[0]), command, root, message);
    read_user(root, message);
    return 0;
}

static int read_any(const char *line, size_t length, struct node_message *message) {
    json_t *root;
    int error;

    start_message(message);
    if (nests_too_deeply(line, length)) {
        message->type = node_message_type_of_cut(line, length);
        return 0;
    }
    error = parse(line, length, &root);
    if (error)
        return error;
    error = read_value(root, message);
    json_decref(root);
    if (error)
        node_message_clear(message);
    return error;
}

int node_message_read(const char *line, size_t length, struct node_message *ret_message) {
    struct node_message message;
    int error;

    start_message(&message);
    if (!read_frequent(line, length, &message)) {
        error = read_any(line, length, &message);
        if (error)
            return error;
    }
    *ret_message = message;
    return 0;
}

enum node_message_type node_message_type_of_cut(const char *line, size_t length) {
    static const char start[] = "{\"cmd\":\"NODE_HANDLE\",";

    if (length >= sizeof(start) - 1 && memcmp(line, start, sizeof(start) - 1) == 0)
        return NODE_MESSAGE_HANDLE;
    return NODE_MESSAGE_USER;
}

void node_message_clear(struct node_message *message) {
    free(message->document);
    message->document = NULL;
    message->listen.data = "null";
}
