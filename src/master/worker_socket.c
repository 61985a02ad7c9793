#include "master/worker_socket.h"

#include "ipc/descriptor.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_BATCH 16

/* A connection whose request has not come yet. */
struct connection {
    struct list node;
    struct worker_socket *socket;
    int descriptor;
    uv_poll_t poll;
};

static int bind_name(struct worker_socket *socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t random;
    int length;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return UV_EIO;
    length = snprintf(socket->name, sizeof socket->name, "baton-worker-%d-%016llx", (int)getpid(),
                      (unsigned long long)random);
    memcpy(address.sun_path + 1, socket->name, (size_t)length);
    if (bind(socket->descriptor, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) < 0 ||
        listen(socket->descriptor, SOMAXCONN) < 0)
        return uv_translate_sys_error(errno);
    return 0;
}

/* --- one request --- */

static bool is_well_formed(const struct native_request *request, size_t length) {
    return length == sizeof *request && request->magic == NATIVE_MAGIC &&
           request->address_length <= NATIVE_ADDRESS_SIZE;
}

/* Who is at the other end; false when the kernel cannot tell. */
static bool peer_uid(int descriptor, uid_t *ret_uid) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;

    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return false;
    *ret_uid = credentials.uid;
    return true;
}

static void answer(struct worker_socket *socket, int descriptor,
                   const struct native_request *request) {
    struct native_reply reply = {
        .magic = NATIVE_MAGIC, .version = NATIVE_VERSION, .type = request->type};
    struct descriptor_message message = {.bytes = &reply, .length = sizeof reply, .descriptor = -1};
    uid_t uid;

    if (!peer_uid(descriptor, &uid))
        reply.error = UV_EACCES;
    else if (request->version != NATIVE_VERSION)
        reply.error = UV_EPROTO;
    else
        socket->events->request(socket->owner, request, uid, &reply, &message.descriptor);
    if (reply.error == UV_EACCES || reply.error == UV_EPROTO)
        socket->rejected_total++;
    /* Whoever asked may be gone; that is his loss. */
    if (descriptor_send(descriptor, &message) < 0)
        return;
}

/* Reads the request, if it is there: true when the connection has served its purpose. */
static bool serve(struct worker_socket *socket, int descriptor) {
    struct {
        struct native_request request;
        uint8_t more; /* so that a record that is too long does not look right */
    } record;
    struct descriptor_received received;
    int result = descriptor_receive(descriptor, &record, sizeof record, &received);

    if (result == UV_EAGAIN)
        return false;
    if (result < 0)
        return true;
    descriptor_discard(&received); /* no request brings one */
    if (is_well_formed(&record.request, received.length))
        answer(socket, descriptor, &record.request);
    else
        socket->rejected_total += received.length > 0;
    return true;
}

/* --- connections --- */

static void handle_closed(struct worker_socket *socket) {
    if (--socket->handles == 0 && socket->on_closed)
        socket->on_closed(socket->owner);
}

static void on_connection_closed(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    struct worker_socket *socket = connection->socket;

    free(connection);
    handle_closed(socket);
}

static void connection_close(struct connection *connection) {
    list_remove(&connection->node);
    connection->socket->pending_count--;
    uv_close((uv_handle_t *)&connection->poll, on_connection_closed);
    close(connection->descriptor);
}

static void on_request(uv_poll_t *poll, int status, int events) {
    struct connection *connection = poll->data;

    (void)events;
    if (status < 0 || serve(connection->socket, connection->descriptor))
        connection_close(connection);
}

/* Its request is not there yet: waits for it. Takes over `descriptor` when true. */
static bool wait_for_request(struct worker_socket *socket, int descriptor) {
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return false;
    if (uv_poll_init(socket->poll.loop, &connection->poll, descriptor) < 0) {
        free(connection);
        return false;
    }
    connection->socket = socket;
    connection->descriptor = descriptor;
    connection->poll.data = connection;
    list_init(&connection->node);
    list_push_back(&socket->pending, &connection->node);
    socket->handles++;
    if (++socket->pending_count > WORKER_SOCKET_PENDING_MAX)
        connection_close(LIST_ENTRY(socket->pending.next, struct connection, node));
    uv_poll_start(&connection->poll, UV_READABLE, on_request);
    return true;
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    struct worker_socket *socket = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int descriptor = accept4(socket->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (descriptor < 0)
            return;
        if (serve(socket, descriptor) || !wait_for_request(socket, descriptor))
            close(descriptor);
    }
}

/* --- life --- */

int worker_socket_start(struct worker_socket *ret_socket, uv_loop_t *loop,
                        const struct worker_socket_events *events, void *owner) {
    int result;

    *ret_socket = (struct worker_socket){.events = events, .owner = owner};
    list_init(&ret_socket->pending);
    ret_socket->descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ret_socket->descriptor < 0)
        return uv_translate_sys_error(errno);
    result = bind_name(ret_socket);
    if (result == 0)
        result = uv_poll_init(loop, &ret_socket->poll, ret_socket->descriptor);
    if (result < 0) {
        close(ret_socket->descriptor);
        return result;
    }
    ret_socket->handles = 1;
    ret_socket->poll.data = ret_socket;
    return uv_poll_start(&ret_socket->poll, UV_READABLE, on_connection);
}

static void on_socket_closed(uv_handle_t *handle) {
    handle_closed(handle->data);
}

void worker_socket_close(struct worker_socket *socket, void (*on_closed)(void *owner)) {
    socket->on_closed = on_closed;
    LIST_EACH(node, following, &socket->pending)
    connection_close(LIST_ENTRY(node, struct connection, node));
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
    close(socket->descriptor);
}
