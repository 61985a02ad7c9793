#include "ipc/node_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE      65536
#define READS_AT_ONCE  4     /* so that one chatty worker does not keep the loop from the others */
#define NODE_READ_SIZE 65536 /* what libuv reads at once in the worker */

/* Bytes that wait for room, and the descriptor that goes with the first of them. */
struct outgoing {
    struct list node;
    int descriptor; /* owned, or -1 */
    size_t length;
    char bytes[];
};

static void on_poll(uv_poll_t *poll, int status, int events);

static int watch(struct node_channel *channel) {
    int wanted = UV_READABLE | (list_empty(&channel->queue) ? 0 : UV_WRITABLE);
    int result;

    if (channel->watched == wanted)
        return 0;
    result = uv_poll_start(&channel->poll, wanted, on_poll);
    if (result == 0)
        channel->watched = wanted;
    return result;
}

int node_channel_start(struct node_channel *channel, uv_loop_t *loop, int descriptor,
                       const struct node_channel_events *events, void *owner) {
    int result;

    *channel = (struct node_channel){.descriptor = descriptor, .events = events, .owner = owner};
    framing_init(&channel->framing);
    list_init(&channel->queue);
    result = uv_poll_init(loop, &channel->poll, descriptor);
    if (result < 0)
        return result;
    channel->poll.data = channel;
    return watch(channel);
}

static void outgoing_destroy(struct outgoing *outgoing) {
    list_remove(&outgoing->node);
    if (outgoing->descriptor >= 0)
        close(outgoing->descriptor);
    free(outgoing);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct node_channel *channel = handle->data;

    channel->on_closed(channel->owner);
}

void node_channel_close(struct node_channel *channel, void (*on_closed)(void *owner)) {
    channel->ended = true;
    channel->on_closed = on_closed;
    LIST_EACH(node, following, &channel->queue)
        outgoing_destroy(LIST_ENTRY(node, struct outgoing, node));
    for (unsigned i = 0; i < channel->received_count; i++)
        close(channel->received[i]);
    channel->received_count = 0;
    framing_clear(&channel->framing);
    uv_close((uv_handle_t *)&channel->poll, on_handle_closed);
    close(channel->descriptor);
    channel->descriptor = -1;
}

int64_t node_channel_sequence(struct node_channel *channel) {
    return channel->sequence++;
}

/* --- sending --- */

static void trace(struct node_channel *channel, bool outgoing, const char *line, size_t length,
                  int descriptor) {
    if (channel->events->trace)
        channel->events->trace(channel->owner, outgoing, line, length, descriptor);
}

/* Sends what the socket takes now. Bytes taken, or 0 when it is full or the worker is gone (which
 * is seen by reading). */
static size_t send_now(struct node_channel *channel, const char *bytes, size_t length,
                       int descriptor) {
    struct descriptor_message message = {
        .bytes = bytes, .length = length, .descriptor = descriptor};
    ssize_t sent = descriptor_send(channel->descriptor, &message);

    if (sent <= 0)
        return 0;
    channel->plain = descriptor >= 0 ? 0 : channel->plain + (size_t)sent;
    return (size_t)sent;
}

/* After this the channel is of no more use: `ended` follows from the loop, for callers do not
 * expect it inside a send. With its reading side shut down a socket polls readable at once, also
 * while the worker reads nothing. */
static int fail_sending(struct node_channel *channel, int error) {
    channel->send_error = error;
    shutdown(channel->descriptor, SHUT_RD);
    return error;
}

/* Queues bytes behind all others; `descriptor` is copied, for the caller's may be closed before the
 * bytes go. */
static int enqueue(struct node_channel *channel, const char *bytes, size_t length, int descriptor) {
    struct outgoing *outgoing;

    if (channel->queued + length > NODE_CHANNEL_QUEUE_MAX)
        return fail_sending(channel, UV_ENOBUFS);
    outgoing = malloc(sizeof *outgoing + length);
    if (!outgoing)
        return fail_sending(channel, UV_ENOMEM);
    list_init(&outgoing->node);
    outgoing->length = length;
    outgoing->descriptor = -1;
    memcpy(outgoing->bytes, bytes, length);
    if (descriptor >= 0) {
        outgoing->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        if (outgoing->descriptor < 0) {
            free(outgoing);
            return fail_sending(channel, uv_translate_sys_error(errno));
        }
    }
    list_push_back(&channel->queue, &outgoing->node);
    channel->queued += length;
    return watch(channel);
}

static int send_or_queue(struct node_channel *channel, const char *bytes, size_t length,
                         int descriptor) {
    size_t sent = 0;

    if (list_empty(&channel->queue))
        sent = send_now(channel, bytes, length, descriptor);
    if (sent == length)
        return 0;
    return enqueue(channel, bytes + sent, length - sent, sent > 0 ? -1 : descriptor);
}

int node_channel_send(struct node_channel *channel, const char *line, size_t length,
                      int descriptor) {
    int result;

    if (channel->ended || channel->send_error)
        return UV_EPIPE;
    trace(channel, true, line, length, descriptor);
    if (descriptor < 0 || channel->plain + channel->queued + length <= NODE_READ_SIZE)
        return send_or_queue(channel, line, length, descriptor);
    /* The newline alone carries it, for the line could straddle two reads. */
    result = send_or_queue(channel, line, length - 1, -1);
    return result < 0 ? result : send_or_queue(channel, line + length - 1, 1, descriptor);
}

/* The JSON as plain bytes first, then the newline with the descriptor: one byte cannot be split. */
static int send_client_apart(struct node_channel *channel, const char *line, size_t length,
                             int descriptor) {
    size_t sent = send_now(channel, line, length - 1, -1);

    if (sent == 0)
        return UV_EAGAIN;
    if (sent == length - 1 && send_now(channel, line + sent, 1, descriptor) == 1)
        return 0;
    if (sent < length - 1) {
        int result = enqueue(channel, line + sent, length - 1 - sent, -1);

        if (result < 0)
            return result;
    }
    return enqueue(channel, line + length - 1, 1, descriptor);
}

/* One line with its descriptor: 0, UV_EAGAIN when there is no room, or why the channel is of no
 * more use. */
static int send_client(struct node_channel *channel, const struct descriptor_message *client) {
    const char *line = client->bytes;
    size_t sent;

    if (channel->plain + client->length > NODE_READ_SIZE)
        return send_client_apart(channel, line, client->length, client->descriptor);
    sent = send_now(channel, line, client->length, client->descriptor);
    if (sent == 0)
        return UV_EAGAIN;
    if (sent < client->length)
        return enqueue(channel, line + sent, client->length - sent, -1);
    return 0;
}

/* As many as one system call takes; none of them may straddle two reads. */
static unsigned send_batch(struct node_channel *channel, const struct descriptor_message *clients,
                           unsigned count) {
    int sent = descriptor_send_batch(channel->descriptor, clients, count);

    if (sent <= 0)
        return 0;
    channel->plain = 0;
    return (unsigned)sent;
}

unsigned node_channel_send_clients(struct node_channel *channel,
                                   const struct descriptor_message *clients, unsigned count) {
    unsigned taken = 0;

    channel->wants_drained = true;
    if (channel->ended || channel->send_error || !list_empty(&channel->queue))
        return 0;
    if (send_client(channel, &clients[0]) == 0)
        taken = 1;
    /* After a descriptor the count of plain bytes starts anew, so that whole lines cannot straddle.
     */
    if (taken == 1 && count > 1 && list_empty(&channel->queue))
        taken += send_batch(channel, clients + 1, count - 1);
    for (unsigned i = 0; i < taken; i++)
        trace(channel, true, clients[i].bytes, clients[i].length, clients[i].descriptor);
    channel->wants_drained = taken < count;
    return taken;
}

static void flush_queue(struct node_channel *channel) {
    while (!list_empty(&channel->queue)) {
        struct outgoing *first = LIST_ENTRY(channel->queue.next, struct outgoing, node);
        size_t sent = send_now(channel, first->bytes, first->length, first->descriptor);

        if (sent == 0)
            return;
        channel->queued -= sent;
        if (first->descriptor >= 0)
            close(first->descriptor);
        first->descriptor = -1;
        first->length -= sent;
        memmove(first->bytes, first->bytes + sent, first->length);
        if (first->length > 0)
            return;
        outgoing_destroy(first);
    }
    watch(channel);
    if (!channel->wants_drained)
        return;
    channel->wants_drained = false;
    channel->events->drained(channel->owner);
}

/* --- receiving --- */

static void end(struct node_channel *channel, int reason) {
    if (channel->ended)
        return;
    channel->ended = true;
    uv_poll_stop(&channel->poll);
    channel->watched = 0;
    channel->events->ended(channel->owner, reason);
}

/* The program sent a socket to its primary. We have no use for it, but without an answer the worker
 * would keep back everything that it sends later, acknowledgements included. */
static int answer_handle(struct node_channel *channel) {
    struct buffer answer;
    int result;

    buffer_init(&answer);
    if (channel->received_count > 0) {
        close(channel->received[0]);
        channel->received_count--;
        memmove(channel->received, channel->received + 1, channel->received_count * sizeof(int));
        result = node_message_handle_ack(&answer);
    } else {
        result = node_message_handle_nack(&answer);
    }
    if (result == 0)
        result = node_channel_send(channel, buffer_data(&answer), buffer_length(&answer), -1);
    buffer_clear(&answer);
    return result;
}

static int on_line(void *owner, const struct framing_line *line) {
    struct node_channel *channel = owner;
    struct node_message message;
    int result;

    trace(channel, false, line->bytes, line->length,
          channel->received_count > 0 ? channel->received[0] : -1);
    if (line->cut) /* a large message of the program's own, of which only one with a socket wants an
                      answer */
        return node_message_type_of_cut(line->bytes, line->length) == NODE_MESSAGE_HANDLE
                   ? answer_handle(channel)
                   : 0;
    result = node_message_read(line->bytes, line->length, &message);
    if (result < 0)
        return result;
    if (message.type == NODE_MESSAGE_HANDLE)
        result = answer_handle(channel);
    else
        channel->events->message(channel->owner, &message);
    node_message_clear(&message);
    if (channel->ended)
        return UV_ECANCELED;
    return result < 0 ? result : channel->send_error;
}

/* Keeps the descriptors of this read until their lines are whole. */
static int keep_descriptors(struct node_channel *channel, struct descriptor_received *received) {
    channel->descriptors_received += received->count;
    if (received->dropped > 0 ||
        channel->received_count + received->count > DESCRIPTOR_RECEIVE_MAX) {
        descriptor_discard(received);
        return UV_EPROTO;
    }
    memcpy(channel->received + channel->received_count, received->descriptors,
           received->count * sizeof(int));
    channel->received_count += received->count;
    return 0;
}

/* One read: 1 when there may be more, 0 when that was all for now, UV_EOF, or why the worker is to
 * be cut off. */
static int read_once(struct node_channel *channel) {
    char bytes[READ_SIZE];
    struct descriptor_received received;
    int result = descriptor_receive(channel->descriptor, bytes, sizeof bytes, &received);

    if (result == UV_ECONNRESET || (result == 0 && received.length == 0)) {
        if (result == 0)
            descriptor_discard(&received);
        return UV_EOF;
    }
    if (result < 0)
        return result == UV_EAGAIN ? 0 : result;
    result = keep_descriptors(channel, &received);
    if (result == 0)
        result = framing_feed(&channel->framing, bytes, received.length, on_line, channel);
    if (result < 0)
        return result;
    /* A descriptor comes with the first byte of its line: with no line begun, nobody announced it.
     */
    if (channel->received_count > 0 && buffer_length(&channel->framing.pending) == 0)
        return UV_EPROTO;
    /* A read ends early at a descriptor, otherwise only when the socket is empty. */
    return received.length == sizeof bytes || received.count > 0;
}

static void read_some(struct node_channel *channel, unsigned reads) {
    int result = 1;

    while (reads-- > 0 && result > 0 && !channel->ended)
        result = read_once(channel);
    if (result < 0)
        end(channel, result == UV_EOF ? 0 : result);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct node_channel *channel = poll->data;

    if (status < 0) {
        read_some(channel, READS_AT_ONCE);
        end(channel, 0);
        return;
    }
    if (channel->send_error) {
        end(channel, channel->send_error);
        return;
    }
    if (events & UV_WRITABLE)
        flush_queue(channel);
    if (!channel->ended && (events & UV_READABLE))
        read_some(channel, READS_AT_ONCE);
}

void node_channel_drain(struct node_channel *channel) {
    /* A dead worker's socket holds at most its buffer; the bound is there for a descendant that
     * still writes. */
    for (unsigned reads = 0; reads < 64 && !channel->ended; reads++)
        read_some(channel, 1);
}
