#include "master/native_worker.h"

#include "master/address.h"
#include "master/child.h"
#include "master/client.h"
#include "master/dispatcher.h"
#include "master/listener_option.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
        trace(child, &message, "%llu clients of listener %u left behind", sequence,
              crossing->member->id);
        break;
    case ACCEPT_TRACE_PROBE:
        trace(child, &message, "probe of listener %u: does anybody receive?", crossing->member->id);
        break;
    }
}

static const char *type_name(uint16_t type) {
    static const char *const names[] = {"?",    "LISTEN",     "CLOSE",      "READY", "LOAD",
                                        "BIND", "GET_OPTION", "SET_OPTION", "CHECK", "RETRIEVE"};

    return names[type < sizeof names / sizeof names[0] ? type : 0];
}

static bool has_option(uint16_t type) {
    return type == NATIVE_GET_OPTION || type == NATIVE_SET_OPTION;
}

static void describe_address(const uint8_t *bytes, uint32_t length, char text[ADDRESS_TEXT_MAX]) {
    text[0] = '\0';
    if (length >= sizeof(sa_family_t))
        address_describe((const struct sockaddr *)(const void *)bytes, (socklen_t)length, text);
}

/* Names what the request's type gives a meaning to, and nothing else. */
static void trace_request(const struct child *child, const struct worker_request *asked) {
    const struct native_request *request = asked->message;
    struct trace_message message = {.length = sizeof *request, .descriptor = asked->descriptor};
    const char *name = type_name(request->type);
    char address[ADDRESS_TEXT_MAX];

    if (!child->settings->trace)
        return;
    if (has_option(request->type)) {
        trace(child, &message, "%s listener %u level %u option %d, %u bytes", name,
              request->listener, request->flags, request->value, request->address_length);
        return;
    }
    describe_address(request->address, request->address_length, address);
    if (request->type == NATIVE_LISTEN && request->address_length > 0)
        trace(child, &message, "%s %s backlog %d", name, address, request->value);
    else if (request->type == NATIVE_LISTEN)
        trace(child, &message, "%s listener %u backlog %d", name, request->listener,
              request->value);
    else if (request->type == NATIVE_BIND || request->type == NATIVE_READY)
        trace(child, &message, "%s %s", name, address);
    else if (request->type == NATIVE_LOAD)
        trace(child, &message, "%s %d", name, request->value);
    else
        trace(child, &message, "%s listener %u", name, request->listener);
}

static void trace_reply(const struct child *child, const struct worker_reply *answer) {
    const struct native_reply *reply = &answer->message;
    struct trace_message message = {.outgoing = true,
                                    .length = sizeof *reply,
                                    .descriptor = answer->count > 0 ? answer->descriptors[0] : -1};
    char address[ADDRESS_TEXT_MAX] = "";
    char more[48] = "";

    if (!child->settings->trace)
        return;
    if (!has_option(reply->type))
        describe_address(reply->address, reply->address_length, address);
    if (address[0])
        snprintf(more, sizeof more, " listener %u", reply->listener);
    if (answer->count > 1)
        snprintf(more, sizeof more, " listener %u, and fd %d, our end,", reply->listener,
                 answer->descriptors[1]);
    trace(child, &message, "reply to %s: %s%s%s%s %s", type_name(reply->type),
          reply->error ? uv_err_name(reply->error) : "done",
          reply->flags & NATIVE_SHARED ? ", shared" : "",
          reply->flags & NATIVE_PRIVATE ? ", private" : "", more, address);
}

/* --- requests --- */

int native_worker_open_way(struct child *child, struct child_member *member) {
    const struct listener *listener = member->listener;
    int result;

    member->member.window =
        child->settings->window ? child->settings->window : ACCEPT_DELIVERY_WINDOW;
    result = accept_delivery_start(
        &member->way, child->loop, &member->member, (const struct sockaddr *)&listener->bound,
        listener->key.kind == LISTENER_UNIX ? 0 : listener->bound_length);
    if (result < 0)
        return result;
    member->way.descriptor_limit = listener->descriptor_limit;
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

static void describe_member(struct native_reply *reply, const struct child_member *member) {
    const struct listener *listener = member->listener;

    reply->listener = member->member.id;
    reply->address_length = (uint32_t)listener->bound_length;
    memcpy(reply->address, &listener->bound, listener->bound_length);
}

static void bring(struct worker_reply *reply, int descriptor) {
    reply->descriptors[reply->count++] = descriptor;
}

static struct child_member *find_member(struct child *child, uint32_t id) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->member.id == id)
            return member;
    }
    return NULL;
}

static void count_as_ready(struct child *child, struct child_member *member) {
    child->listened = true;
    child_join_member(child, member);
    child_said_ready(child);
}

static bool is_shared(const struct child_member *member) {
    return member->listener->dispatcher.policy->type->shared;
}

/* An accept socket for a new member, or the member is removed again. */
static int open_way_or_remove(struct child *child, struct child_member *member) {
    int result = native_worker_open_way(child, member);

    if (result < 0)
        child_remove_member(child, member, true, false);
    return result;
}

/* LISTEN with an address: the master makes the socket. */
static int listen_on_address(struct child *child, const struct native_request *request,
                             struct worker_reply *reply) {
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
    if (is_shared(member)) {
        listener_share(member->listener, request->value);
        reply->message.flags = NATIVE_SHARED;
        bring(reply, member->listener->descriptor);
    } else {
        result = open_way_or_remove(child, member);
        if (result < 0)
            return result;
        bring(reply, member->way.socket.worker);
    }
    describe_member(&reply->message, member);
    count_as_ready(child, member);
    return 0;
}

int native_worker_listen(struct child *child, uint32_t id, int backlog) {
    struct child_member *member = find_member(child, id);
    int result;

    if (!member || member->leaving)
        return UV_EINVAL;
    /* To listen(2) a negative one is very large. */
    result = listener_listen(member->listener, backlog < 0 ? INT_MAX : backlog);
    if (result == 0)
        count_as_ready(child, member);
    return result;
}

static int on_listen(struct child *child, const struct worker_request *asked,
                     struct worker_reply *reply) {
    const struct native_request *request = asked->message;

    if (request->address_length > 0)
        return asked->left ? UV_ECANCELED : listen_on_address(child, request, reply);
    return native_worker_listen(child, request->listener, request->value);
}

static bool is_private(const struct child *child, const struct listener_key *key) {
    uint16_t port = address_port(&key->address.any);

    for (size_t i = 0; i < child->settings->private_port_count; i++)
        if (child->settings->private_ports[i] == port)
            return true;
    return port == 0;
}

static bool has_value(int socket, int option, int wanted) {
    int value = 0;
    socklen_t length = sizeof value;

    return getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
}

/* Anything may come with a request, and would be all workers' listener. */
static int check_socket(int socket, const struct listener_key *key) {
    if (has_value(socket, SO_DOMAIN, key->address.any.sa_family) &&
        has_value(socket, SO_TYPE, SOCK_STREAM) &&
        (has_value(socket, SO_PROTOCOL, IPPROTO_TCP) ||
         has_value(socket, SO_PROTOCOL, IPPROTO_MPTCP)))
        return 0;
    return UV_EINVAL;
}

int native_worker_bind(struct child *child, const struct native_bind *wanted,
                       struct child_member **ret_member) {
    struct child_listen_request request = {.key = wanted->key,
                                           .bind_only = true,
                                           .socket = wanted->socket,
                                           .reuse_port = wanted->reuse_port};
    struct child_member *member;
    int result;

    if (wanted->key->kind != LISTENER_TCP)
        return UV_EINVAL;
    if (is_private(child, wanted->key))
        return UV_ENOTSUP;
    result = check_socket(wanted->socket, wanted->key);
    if (result < 0)
        return result;
    result = child_add_member(child, &request, &member);
    if (result < 0)
        return result;
    if (!is_shared(member) && !member->member.delivery)
        result = open_way_or_remove(child, member);
    *ret_member = member;
    return result;
}

static int on_bind(struct child *child, struct worker_request *asked, struct worker_reply *reply) {
    struct listener_key key;
    struct native_bind wanted = {.key = &key,
                                 .socket = asked->descriptor,
                                 .reuse_port = (asked->message->flags & NATIVE_REUSE_PORT) != 0};
    struct child_member *member;
    int result = native_worker_key(asked->message, &key);

    if (result == 0 && asked->left)
        result = UV_ECANCELED;
    if (result == 0 && asked->descriptor < 0)
        result = asked->truncated ? UV_EMFILE : UV_EBADF;
    if (result == 0)
        result = native_worker_bind(child, &wanted, &member);
    if (result == UV_ENOTSUP) {
        reply->message.flags = NATIVE_PRIVATE;
        return 0;
    }
    if (result < 0)
        return result;
    if (member->listener->descriptor == asked->descriptor)
        asked->descriptor = -1; /* the listener's from now on */
    describe_member(&reply->message, member);
    if (is_shared(member)) {
        reply->message.flags = NATIVE_SHARED;
        bring(reply, member->listener->descriptor);
        count_as_ready(child, member); /* it listens and accepts without a word to us */
        return 0;
    }
    bring(reply, member->way.socket.worker);
    bring(reply, member->way.socket.master);
    return 0;
}

static int on_get_option(struct child *child, const struct native_request *request,
                         struct native_reply *reply) {
    const struct child_member *member = find_member(child, request->listener);

    return member ? listener_get_option(member->listener, request, reply) : UV_EBADF;
}

static int on_set_option(struct child *child, const struct worker_request *asked) {
    const struct child_member *member = find_member(child, asked->message->listener);

    return member ? listener_set_option(member->listener, asked->message, asked->uid) : UV_EBADF;
}

static int on_close(struct child *child, uint32_t id) {
    struct child_member *member = find_member(child, id);

    if (!member)
        return UV_ENOENT;
    child_remove_member(child, member, true, false);
    return 0;
}

static int on_check(struct child *child, uint32_t id) {
    struct child_member *member = find_member(child, id);

    if (!member)
        return UV_ENOENT;
    child_check_member(child, member);
    return 0;
}

/* The worker wants to connect from this address: nobody else may have an interest in it. */
static int on_retrieve(struct child *child, uint32_t id, struct worker_reply *reply) {
    struct child_member *member = find_member(child, id);
    int descriptor;

    if (!member)
        return UV_ENOENT;
    if (member->listener->listening || member->listener->members > 1)
        return UV_EADDRINUSE;
    descriptor = fcntl(member->listener->descriptor, F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    bring(reply, descriptor);
    reply->owned = true;
    listener_abandon(member->listener);
    child_remove_member(child, member, true, false);
    return 0;
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

static int on_ready(struct child *child) {
    child->said_ready = true;
    child_said_ready(child);
    return 0;
}

static int handle(struct child *child, struct worker_request *request, struct worker_reply *reply) {
    const struct native_request *message = request->message;

    switch (message->type) {
    case NATIVE_LISTEN:
        return on_listen(child, request, reply);
    case NATIVE_CLOSE:
        return on_close(child, message->listener);
    case NATIVE_READY:
        return on_ready(child);
    case NATIVE_LOAD:
        return on_load(child, message->value);
    case NATIVE_BIND:
        return on_bind(child, request, reply);
    case NATIVE_GET_OPTION:
        return on_get_option(child, message, &reply->message);
    case NATIVE_SET_OPTION:
        return on_set_option(child, request);
    case NATIVE_CHECK:
        return on_check(child, message->listener);
    case NATIVE_RETRIEVE:
        return on_retrieve(child, message->listener, reply);
    default:
        return UV_ENOTSUP;
    }
}

void native_worker_request(struct child *child, struct worker_request *request,
                           struct worker_reply *reply) {
    uint16_t type = request->message->type;

    trace_request(child, request);
    if (child->state == CHILD_STARTING)
        child_set_state(child, CHILD_ONLINE);
    reply->message.error = handle(child, request, reply);
    if ((type == NATIVE_LISTEN || type == NATIVE_BIND) && !request->left)
        child->bind_failed = reply->message.error < 0;
    trace_reply(child, reply);
}
