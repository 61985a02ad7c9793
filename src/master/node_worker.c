#include "master/node_worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/child.h"
#include "master/client.h"
#include "master/dispatcher.h"
#include "master/native_worker.h"
#include "master/process_stats.h"
#include "policy/policy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH 64 /* clients sent in one go */

/* --- addresses --- */

static int unix_key(const struct node_listen_request *request, struct listener_key *key) {
    size_t length = request->address_length;

    key->kind = LISTENER_UNIX;
    key->address.local.sun_family = AF_UNIX;
    if (length == 0 || length + 1 > sizeof key->address.local.sun_path)
        return UV_EINVAL;
    /* An abstract name begins with NUL and has no end mark; a path ends with NUL. */
    memcpy(key->address.local.sun_path + request->abstract, request->address, length);
    key->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (request->abstract)
        return 0;
    key->chmod = (mode_t)((request->readable_all ? S_IRUSR | S_IRGRP | S_IROTH : 0) |
                          (request->writable_all ? S_IWUSR | S_IWGRP | S_IWOTH : 0));
    return 0;
}

static int ipv4_key(const struct node_listen_request *request, struct listener_key *key) {
    key->address.ipv4.sin_family = AF_INET;
    key->address.ipv4.sin_port = htons((uint16_t)request->port);
    key->length = sizeof key->address.ipv4;
    if (inet_pton(AF_INET, request->has_address ? request->address : "0.0.0.0",
                  &key->address.ipv4.sin_addr) != 1)
        return UV_EINVAL;
    return 0;
}

static int ipv6_key(const struct node_listen_request *request, struct listener_key *key) {
    char host[sizeof request->address];
    char *scope;

    snprintf(host, sizeof host, "%s", request->has_address ? request->address : "::");
    scope = strchr(host, '%');
    if (scope) {
        *scope++ = '\0';
        key->address.ipv6.sin6_scope_id = if_nametoindex(scope);
        if (key->address.ipv6.sin6_scope_id == 0)
            key->address.ipv6.sin6_scope_id = (uint32_t)strtoul(scope, NULL, 10);
    }
    key->address.ipv6.sin6_family = AF_INET6;
    key->address.ipv6.sin6_port = htons((uint16_t)request->port);
    key->length = sizeof key->address.ipv6;
    return inet_pton(AF_INET6, host, &key->address.ipv6.sin6_addr) == 1 ? 0 : UV_EINVAL;
}

int node_worker_key(const struct node_listen_request *request, struct listener_key *ret_key) {
    bool udp = request->type == NODE_ADDRESS_UDP4 || request->type == NODE_ADDRESS_UDP6;
    int result;

    *ret_key =
        (struct listener_key){.kind = udp ? LISTENER_UDP : LISTENER_TCP, .index = request->index};
    if (request->type == NODE_ADDRESS_DESCRIPTOR || request->address_too_long)
        return UV_EINVAL; /* a descriptor's number would be one of ours */
    if (request->type == NODE_ADDRESS_UNIX)
        return unix_key(request, ret_key);
    if (request->port < 0)
        return UV_EINVAL;
    /* Without a host Node asks for type 4 and means every address of both families. */
    ret_key->any_host = !udp && !request->has_address;
    if (request->type == NODE_ADDRESS_TCP6 || request->type == NODE_ADDRESS_UDP6 ||
        ret_key->any_host)
        result = ipv6_key(request, ret_key);
    else
        result = ipv4_key(request, ret_key);
    ret_key->ipv6_only =
        (request->flags & (udp ? NODE_FLAG_UDP_IPV6ONLY : NODE_FLAG_TCP_IPV6ONLY)) != 0;
    ret_key->reuse_port = !udp && (request->flags & NODE_FLAG_TCP_REUSEPORT) != 0;
    ret_key->reuse_address = udp && (request->flags & NODE_FLAG_UDP_REUSEADDR) != 0;
    return result;
}

/* --- clients sent inline --- */

static unsigned inline_send(struct member *member, struct client **clients, unsigned count) {
    struct child *child = member->child;
    struct descriptor_message messages[BATCH];
    char lines[BATCH][NODE_NEWCONN_MAX];
    unsigned taken;

    if (count > BATCH)
        count = BATCH;
    for (unsigned i = 0; i < count; i++) {
        clients[i]->sequence = (uint64_t)node_channel_sequence(&child->channel);
        messages[i] = (struct descriptor_message){
            .bytes = lines[i],
            .length = node_message_newconn(lines[i], member->id, (int64_t)clients[i]->sequence),
            .descriptor = clients[i]->descriptor};
    }
    taken = node_channel_send_clients(&child->channel, messages, count);
    for (unsigned i = 0; i < taken; i++) {
        clients[i]->handle = ++child->handles_sent;
        list_push_back(&member->handed, &clients[i]->node);
    }
    return taken;
}

/* What was sent on the channel cannot be recalled while the worker may still read it. */
static bool inline_take_back(struct member *member, bool dead) {
    struct list *node;

    if (!dead)
        return member->unacknowledged == 0;
    while ((node = list_pop_front(&member->handed)))
        dispatcher_return(member, LIST_ENTRY(node, struct client, node));
    return true;
}

const struct delivery inline_delivery = {
    .name = "node channel",
    .slow_after_ms = 250,
    .send = inline_send,
    .take_back = inline_take_back,
};

/* --- answers --- */

static void send_buffer(struct child *child, struct buffer *line, int descriptor) {
    if (buffer_length(line) > 0)
        node_channel_send(&child->channel, buffer_data(line), buffer_length(line), descriptor);
    buffer_clear(line);
}

static void send_listen_reply(struct child *child, const struct node_message *query,
                              const struct child_member *member, int error) {
    struct node_listen_reply reply = {
        .acknowledges = query->sequence, .error = error, .data = query->listen.data};
    int64_t sequence = node_channel_sequence(&child->channel);
    char key[16] = "";
    struct buffer line;
    int descriptor = -1;

    buffer_init(&line);
    reply.key = key;
    if (member) {
        const struct listener *listener = member->listener;

        snprintf(key, sizeof key, "%u", member->member.id);
        if (listener->data)
            reply.data = listener->data;
        if (listener->key.kind != LISTENER_UNIX) {
            reply.address = (const struct sockaddr *)&listener->bound;
            reply.address_length = listener->bound_length;
        }
    }
    if (member && member->member.delivery != &inline_delivery) {
        descriptor =
            member->member.delivery ? member->way.socket.worker : member->listener->descriptor;
        child->handles_sent++;
        node_message_shared_reply(&line, &reply, member->listener->key.kind == LISTENER_UDP,
                                  sequence);
    } else {
        node_message_listen_reply(&line, &reply, sequence);
    }
    send_buffer(child, &line, descriptor);
}

/* The worker gets its clients by accept socket where it can, for the preload library must make that
 * look like a listening socket; else inline, on the channel. */
static int choose_delivery(struct child *child, struct child_member *member) {
    const struct listener *listener = member->listener;
    bool fast = child->settings->intercept == SETTINGS_INTERCEPT_NODE_FAST &&
                listener->key.kind == LISTENER_TCP && child->preload &&
                process_has_mapped(child->pid, child->preload);

    if (listener->shared)
        return 0;
    if (fast) {
        int result = native_worker_open_way(child, member);

        member->bound = true;
        /* libuv takes what it is sent for non-blocking; before 1.45 it does not make it so. */
        if (result == 0)
            fcntl(member->way.socket.worker, F_SETFL, O_NONBLOCK);
        return result;
    }
    member->member.delivery = &inline_delivery;
    member->member.way = child;
    return 0;
}

static void on_query(struct child *child, const struct node_message *query) {
    struct listener_key key;
    struct child_listen_request request = {
        .key = &key, .backlog = query->listen.backlog, .data = query->listen.data};
    struct child_member *member = NULL;
    int result = node_worker_key(&query->listen, &key);

    if (result == 0)
        result = child_add_member(child, &request, &member);
    if (result == UV_ECANCELED)
        return; /* everything ends: the worker is told to, so that no error of its own covers the
                   reason */
    child->bind_failed = result < 0;
    if (member) {
        result = choose_delivery(child, member);
        if (result < 0) {
            child_remove_member(child, member, true, false);
            member = NULL;
        }
    }
    send_listen_reply(child, query, member, result);
    if (member && !member->bound) /* else when it calls listen(2) */
        child_join_member(child, member);
}

static struct child_member *find_member(struct child *child, const char *key) {
    char *end;
    unsigned long id = strtoul(key, &end, 10);

    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (*end == '\0' && member->member.id == id)
            return member;
    }
    return NULL;
}

/* --- acknowledgements --- */

static struct client *find_handed(struct child *child, uint64_t sequence,
                                  struct member **ret_member) {
    LIST_EACH(node, following, &child->members) {
        struct member *member = LIST_ENTRY(node, struct member, in_child);

        LIST_EACH(handed, following_client, &member->handed) {
            struct client *client = LIST_ENTRY(handed, struct client, node);

            if (client->sequence == sequence) {
                *ret_member = member;
                return client;
            }
        }
    }
    return NULL;
}

/* A server that was closed while clients were on their way to it is gone with the last answer. */
static void finish_leaving(struct child *child, struct member *member) {
    struct child_member *share = LIST_ENTRY(member, struct child_member, member);

    if (share->leaving && list_empty(&member->handed))
        child_remove_member(child, share, true, false);
}

static void on_answer(struct child *child, const struct node_message *answer) {
    struct member *member;
    struct client *client = find_handed(child, (uint64_t)answer->acknowledges, &member);

    if (!client)
        return; /* an answer to nothing: Node ignores it too */
    if (answer->type == NODE_MESSAGE_REFUSED) {
        list_remove(&client->node);
        dispatcher_refused(member, client, clock_ms());
    } else {
        client_destroy(client);
        dispatcher_acknowledged(member, 1, clock_ms());
    }
    finish_leaving(child, member);
}

/* The worker had no descriptor free for the handle that this answers: it never learns of the
 * client. */
static void on_handle_refused(struct child *child, uint64_t handle) {
    LIST_EACH(node, following, &child->members) {
        struct member *member = LIST_ENTRY(node, struct member, in_child);

        LIST_EACH(handed, following_client, &member->handed) {
            struct client *client = LIST_ENTRY(handed, struct client, node);

            if (client->handle != handle)
                continue;
            list_remove(&client->node);
            dispatcher_refused(member, client, clock_ms());
            finish_leaving(child, member);
            return;
        }
    }
}

/* --- messages --- */

static void on_closed_server(struct child *child, const char *key) {
    struct child_member *member = find_member(child, key);

    if (!member)
        return;
    child_remove_member(child, member, true, false);
    child_closed_listener(child);
}

static void on_exiting(struct child *child, const struct node_message *message) {
    struct buffer line;

    buffer_init(&line);
    node_message_reply_plain(&line, message->sequence, node_channel_sequence(&child->channel));
    send_buffer(child, &line, -1);
    if (child->state == CHILD_DRAINING)
        return;
    child->retiring = true;
    child_set_state(child, CHILD_DRAINING);
    child->events->retiring(child->owner, child);
}

static void on_socket_question(struct child *child, const struct node_message *message) {
    struct buffer line;

    buffer_init(&line);
    if (message->type == NODE_MESSAGE_SOCKET_COUNT)
        node_message_socket_count(&line, message->key);
    else
        node_message_socket_all_closed(&line, message->key);
    send_buffer(child, &line, -1);
}

static void on_message(void *owner, const struct node_message *message) {
    struct child *child = owner;

    switch (message->type) {
    case NODE_MESSAGE_ONLINE:
        if (child->state == CHILD_STARTING)
            child_set_state(child, CHILD_ONLINE);
        break;
    case NODE_MESSAGE_QUERY_SERVER:
        on_query(child, message);
        break;
    case NODE_MESSAGE_LISTENING:
        child->listened = true;
        child_said_ready(child);
        break;
    case NODE_MESSAGE_CLOSE:
        on_closed_server(child, message->key);
        break;
    case NODE_MESSAGE_EXITING:
        on_exiting(child, message);
        break;
    case NODE_MESSAGE_ACCEPTED:
    case NODE_MESSAGE_REFUSED:
        on_answer(child, message);
        break;
    case NODE_MESSAGE_HANDLE_ACK:
        child->handles_answered++;
        break;
    case NODE_MESSAGE_HANDLE_NACK:
        on_handle_refused(child, ++child->handles_answered);
        break;
    case NODE_MESSAGE_SOCKET_COUNT:
    case NODE_MESSAGE_SOCKET_CLOSED:
        on_socket_question(child, message);
        break;
    case NODE_MESSAGE_USER:
        if (strcmp(message->text, "ready") == 0) {
            child->said_ready = true;
            child_said_ready(child);
        }
        break;
    case NODE_MESSAGE_HANDLE:
    case NODE_MESSAGE_UNKNOWN:
        break;
    }
}

static void trace_end(const struct child *child) {
    static const char text[] = "end of file";
    struct trace_message message = {
        .slot = child->slot, .text = text, .text_length = sizeof text - 1, .descriptor = -1};

    if (child->settings->trace)
        child->events->trace(child->owner, &message);
}

static void on_ended(void *owner, int reason) {
    struct child *child = owner;

    trace_end(child);
    if (reason < 0) {
        child_kill(child, "it broke the protocol of its channel");
        return;
    }
    child_channel_ended(child);
}

static void on_drained(void *owner) {
    struct child *child = owner;

    LIST_EACH(node, following, &child->members)
        dispatcher_room(LIST_ENTRY(node, struct member, in_child), clock_ms());
}

static void on_trace(void *owner, bool outgoing, const char *line, size_t length, int descriptor) {
    struct child *child = owner;

    struct trace_message message = {.slot = child->slot,
                                    .outgoing = outgoing,
                                    .text = line,
                                    .text_length = length,
                                    .length = outgoing ? length
                                                       : length + 1, /* its newline was cut off */
                                    .descriptor = descriptor};

    if (child->settings->trace)
        child->events->trace(child->owner, &message);
}

static const struct node_channel_events channel_events = {
    .message = on_message, .ended = on_ended, .drained = on_drained, .trace = on_trace};

/* Asks the worker to close its listeners, finish its connections and go. */
static bool disconnect(struct child *child) {
    struct buffer line;

    buffer_init(&line);
    node_message_disconnect(&line, node_channel_sequence(&child->channel));
    send_buffer(child, &line, -1);
    return true;
}

static void say_shutdown(struct child *child) {
    struct buffer line;

    buffer_init(&line);
    node_message_user_text(&line, "shutdown");
    send_buffer(child, &line, -1);
}

const struct child_language node_worker = {
    .channel_events = &channel_events, .shutdown = say_shutdown, .disconnect = disconnect};
