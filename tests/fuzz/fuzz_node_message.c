/* Whatever a worker writes, a line is refused or understood whole: texts end, numbers are in their
 * ranges, the short cut for frequent lines agrees with the JSON reader, and what is echoed to a
 * worker is one line that can be read again. */
#include "ipc/node_message.h"

#include "check.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static void check_is_text(const char *text, size_t size) {
    check(memchr(text, '\0', size) != NULL);
}

static void check_listen(const struct node_listen_request *listen) {
    check(listen->address_length < sizeof(listen->address));
    check(listen->address[listen->address_length] == '\0');
    check(listen->has_address || listen->address_length == 0);
    check(!listen->abstract || listen->type == NODE_ADDRESS_UNIX);
    check(listen->port >= -1 && listen->port <= 65535);
    check(listen->backlog >= 1 && listen->index >= 0 && listen->descriptor >= -1);
    check(listen->type != NODE_ADDRESS_DESCRIPTOR || listen->descriptor >= 0);
}

static void check_is_one_line(struct buffer *out) {
    struct node_message again;
    size_t length = buffer_length(out);

    check(length > 0 && memchr(buffer_data(out), '\n', length) == buffer_data(out) + length - 1);
    check(node_message_read(buffer_data(out), length - 1, &again) == 0);
    node_message_clear(&again);
    buffer_clear(out);
}

/* The answers that repeat what the worker said. */
static void check_echo(const struct node_message *message) {
    struct node_listen_reply reply = {
        .acknowledges = message->sequence, .key = message->key, .data = message->listen.data};
    struct buffer out;

    buffer_init(&out);
    if (message->type == NODE_MESSAGE_QUERY_SERVER)
        check(node_message_listen_reply(&out, &reply, 1) == 0);
    else if (message->type == NODE_MESSAGE_SOCKET_COUNT)
        check(node_message_socket_count(&out, message->key) == 0);
    else
        return;
    check_is_one_line(&out);
}

static void check_same(const struct node_message *one, const struct node_message *other) {
    check(one->type == other->type);
    check(one->sequence == other->sequence);
    check(one->acknowledges == other->acknowledges);
    check(strcmp(one->listen.data, other->listen.data) == 0);
}

/* With a blank in front, which changes nothing in JSON, a line never takes the short cut. */
static void check_both_ways(const char *line, size_t length, int result,
                            const struct node_message *message) {
    struct node_message slow;
    char copy[256] = " ";
    int slow_result;

    if (length > sizeof(copy) - 1)
        return;
    memcpy(copy + 1, line, length);
    slow_result = node_message_read(copy, length + 1, &slow);
    check(slow_result == result);
    if (result)
        return;
    check_same(message, &slow);
    node_message_clear(&slow);
}

static void check_line(const char *line, size_t length) {
    struct node_message message;
    int result = node_message_read(line, length, &message);

    check(result == 0 || result == -EPROTO);
    check_both_ways(line, length, result, &message);
    if (result)
        return;
    check(message.sequence >= -1 && message.acknowledges >= -1);
    check_is_text(message.key, sizeof(message.key));
    check_is_text(message.text, sizeof(message.text));
    if (message.type == NODE_MESSAGE_QUERY_SERVER || message.type == NODE_MESSAGE_LISTENING)
        check_listen(&message.listen);
    check_echo(&message);
    node_message_clear(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    const char *at = (const char *)bytes;
    const char *end = at + length;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;

        check_line(at, (size_t)(stop - at));
        (void)node_message_type_of_cut(at, (size_t)(stop - at));
        at = newline ? newline + 1 : end;
    }
    return 0;
}
