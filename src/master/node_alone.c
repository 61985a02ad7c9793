#include "master/node_alone.h"

#include "base/buffer.h"
#include "ipc/node_message.h"
#include "master/child.h"

#include <string.h>

static void on_message(void *owner, const struct node_message *message) {
    struct child *child = owner;

    if (message->type != NODE_MESSAGE_USER || strcmp(message->text, "ready") != 0)
        return;
    child->said_ready = true;
    child_said_ready(child);
}

/* It has no need of the channel, and goes on without. */
static void on_ended(void *owner, int reason) {
    (void)owner;
    (void)reason;
}

static void on_drained(void *owner) {
    (void)owner;
}

static const struct node_channel_events channel_events = {
    .message = on_message, .ended = on_ended, .drained = on_drained};

static bool ask(struct child *child) {
    struct buffer line;

    if (!child->settings->shutdown_with_message)
        return false;
    buffer_init(&line);
    node_message_user_text(&line, "shutdown");
    if (buffer_length(&line) > 0)
        node_channel_send(&child->channel, buffer_data(&line), buffer_length(&line), -1);
    buffer_clear(&line);
    return true;
}

const struct child_language node_alone = {
    .channel_events = &channel_events, .disconnect = ask, .alone = true};
