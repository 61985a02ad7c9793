#include "master/native_worker.h"

#include "master/address.h"
#include "master/child.h"
#include "master/client.h"
#include "master/dispatcher.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int native_worker_key(const struct native_request *request, struct listener_key *ret_key) {
    sa_family_t family;

    *ret_key = (struct listener_key){.kind = LISTENER_TCP};
    if (request->address_length < sizeof family ||
        request->address_length > sizeof ret_key->address)
        return UV_EINVAL;
    memcpy(&ret_key->address, request->address, request->address_length);
    ret_key->length = request->address_length;
    family = ret_key->address.any.sa_family;
    if (family == AF_INET) {
        /* Callers seldom set what fills it up, and keys are compared whole. */
        memset(ret_key->address.ipv4.sin_zero, 0, sizeof ret_key->address.ipv4.sin_zero);
        return ret_key->length == sizeof ret_key->address.ipv4 ? 0 : UV_EINVAL;
    }
    if (family == AF_INET6) {
        ret_key->any_host =
            memcmp(&ret_key->address.ipv6.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
        return ret_key->length == sizeof ret_key->address.ipv6 ? 0 : UV_EINVAL;
    }
    if (family != AF_UNIX || ret_key->length <= sizeof family)
        return UV_EINVAL;
    ret_key->kind = LISTENER_UNIX;
    /* A path must end within the structure, for it is a file's name later; an abstract name need
     * not. */
    if (ret_key->address.local.sun_path[0] &&
        !memchr(ret_key->address.local.sun_path, '\0', sizeof ret_key->address.local.sun_path))
        return UV_ENAMETOOLONG;
    return 0;
}

/* --- tracing --- */

static void trace(const struct child *child, struct trace_message *message, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void trace(const struct child *child, struct trace_message *message, const char *format,
                  ...) {
    char text[ADDRESS_TEXT_MAX + 96];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message->slot = child->slot;
    message->text = text;
    message->text_length = strlen(text);
    while (message->text_length > 0 && text[message->text_length - 1] == ' ')
        message->text_length--; /* where there was no address to add */
    child->events->trace(child->owner, message);
}

static void trace_record(void *owner, const struct accept_trace *crossing) {
    const struct child *child = owner;
    struct trace_message message = {
        .outgoing = true, .length = crossing->record_size, .descriptor = -1};
    unsigned long long sequence = crossing->sequence;
    char address[ADDRESS_TEXT_MAX] = "";

    if (crossing->client) {
        message.descriptor = crossing->client->descriptor;
        address_describe(&crossing->client->address.any, crossing->client->address_length, address);
    }
    switch (crossing->kind) {
    case ACCEPT_TRACE_CLIENT:
        trace(child, &message, "client %llu of listener %u, from %s", sequence,
              crossing->member->id, address);
        break;
    case ACCEPT_TRACE_TAKEN_BACK:
        message.outgoing = false;
        trace(child, &message, "client %llu of listener %u taken back", sequence,
              crossing->member->id);
        break;
    case ACCEPT_TRACE_LEFT:
        message.outgoing = false;
        trace(child, &message, "%llu clients of listener %u left by the dead", sequence,
              crossing->member->id);
        break;
    case ACCEPT_TRACE_PROBE:
        trace(child, &message, "probe of listener %u: does anybody receive?", crossing->member->id);
        break;
    }
}

static const char *type_name(uint16_t type) {
    static const char *const names[] = {"?", "LISTEN", "CLOSE", "READY", "LOAD"};

    return names[type < sizeof names / sizeof names[0] ? type : 0];
}

static void trace_request(const struct child *child, const struct native_request *request) {
    struct trace_message message = {.length = sizeof *request, .descriptor = -1};
    char address[ADDRESS_TEXT_MAX] = "";

    if (!child->settings->trace)
        return;
    if (request->address_length >= sizeof(sa_family_t))
        address_describe((const struct sockaddr *)(const void *)request->address,
                         request->address_length, address);
    trace(child, &message, "%s listener %u value %d %s", type_name(request->type),
          request->listener, request->value, address);
}

static void trace_reply(const struct child *child, const struct native_reply *reply,
                        int descriptor) {
    struct trace_message message = {
        .outgoing = true, .length = sizeof *reply, .descriptor = descriptor};
    char address[ADDRESS_TEXT_MAX] = "";

    if (!child->settings->trace)
        return;
    if (reply->address_length >= sizeof(sa_family_t))
        address_describe((const struct sockaddr *)(const void *)reply->address,
                         reply->address_length, address);
    trace(child, &message, "reply to %s: %s%s listener %u %s", type_name(reply->type),
          reply->error ? uv_err_name(reply->error) : "done",
          reply->flags & NATIVE_SHARED ? ", shared" : "", reply->listener, address);
}

/* --- requests --- */

static int open_way(struct child *child, struct child_member *member) {
    const struct listener *listener = member->listener;
    int result;

    member->member.window =
        child->settings->window ? child->settings->window : ACCEPT_DELIVERY_WINDOW;
    result = accept_delivery_start(
        &member->way, child->loop, &member->member, (const struct sockaddr *)&listener->bound,
        listener->key.kind == LISTENER_UNIX ? 0 : listener->bound_length);
    if (result < 0)
        return result;
    member->way.owner = child;
    member->way.trace = child->settings->trace ? trace_record : NULL;
    return 0;
}

/* A worker that asks for port 0 several times wants as many ports: the first that asks so decides
 * with the others which ports these are, as with Node's `index`. */
static void number_key(const struct child *child, struct listener_key *key) {
    bool taken = true;

    if (key->kind != LISTENER_TCP || address_port(&key->address.any) != 0)
        return;
    for (key->index = 0; taken; key->index += taken)
        taken = child_has_key(child, key);
}

static int on_listen(struct child *child, const struct native_request *request,
                     struct native_reply *reply, int *ret_descriptor) {
    struct listener_key key;
    struct child_listen_request wanted = {.key = &key, .backlog = request->value};
    struct child_member *member;
    int result = native_worker_key(request, &key);

    if (result < 0)
        return result;
    number_key(child, &key);
    result = child_add_member(child, &wanted, &member);
    if (result < 0)
        return result;
    if (member->listener->dispatcher.policy->type->shared) {
        *ret_descriptor = member->listener->descriptor;
        reply->flags = NATIVE_SHARED;
        /* All share this open file: it blocks until a worker wants it otherwise, as one of its own
         * would. Whoever comes later must not undo that. */
        if (member->listener->members == 1)
            fcntl(*ret_descriptor, F_SETFL, fcntl(*ret_descriptor, F_GETFL) & ~O_NONBLOCK);
        listen(*ret_descriptor, request->value > 0 ? request->value : SOMAXCONN);
    } else {
        result = open_way(child, member);
        if (result < 0) {
            child_remove_member(child, member, true, false);
            return result;
        }
        *ret_descriptor = member->way.socket.worker;
    }
    reply->listener = member->member.id;
    reply->address_length = (uint32_t)member->listener->bound_length;
    memcpy(reply->address, &member->listener->bound, member->listener->bound_length);
    child->listened = true;
    child_join_member(child, member);
    child_said_ready(child);
    return 0;
}

static int on_close(struct child *child, uint32_t id) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->member.id != id)
            continue;
        child_remove_member(child, member, true, false);
        return 0;
    }
    return UV_ENOENT;
}

static int on_load(struct child *child, int32_t load) {
    if (load < 0)
        return UV_EINVAL;
    LIST_EACH(node, following, &child->members) {
        struct member *member = LIST_ENTRY(node, struct member, in_child);

        member->load = (uint32_t)load;
        dispatcher_refresh(member);
    }
    return 0;
}

void native_worker_request(struct child *child, const struct native_request *request,
                           struct native_reply *reply, int *ret_descriptor) {
    *ret_descriptor = -1;
    trace_request(child, request);
    if (child->state == CHILD_STARTING)
        child_set_state(child, CHILD_ONLINE);
    switch (request->type) {
    case NATIVE_LISTEN:
        reply->error = on_listen(child, request, reply, ret_descriptor);
        child->bind_failed = reply->error < 0;
        break;
    case NATIVE_CLOSE:
        reply->error = on_close(child, request->listener);
        break;
    case NATIVE_READY:
        child->said_ready = true;
        child_said_ready(child);
        break;
    case NATIVE_LOAD:
        reply->error = on_load(child, request->value);
        break;
    default:
        reply->error = UV_ENOTSUP;
    }
    trace_reply(child, reply, *ret_descriptor);
}
