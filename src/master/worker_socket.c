#include "master/worker_socket.h"

#include "base/clock.h"
#include "ipc/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_BATCH 16
#define ROUND_MS     2
#define RETRY_MS     10 /* while too many descriptors are in flight, or open */

/* One worker's connection, from accept until its answer has gone. */
struct connection {
    struct list node; /* in `pending` until it has said something, then in `answering` */
    struct worker_socket *socket;
    int descriptor;
    uv_poll_t poll;
    uv_timer_t retry;
    unsigned handles;
    struct worker_reply reply; /* its descriptors are our copies while it cannot be sent */
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
static bool identify_peer(int descriptor, struct worker_request *request) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;

    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return false;
    request->pid = credentials.pid;
    request->uid = credentials.uid;
    return true;
}

static bool has_hung_up(int descriptor) {
    struct pollfd peer = {.fd = descriptor};

    return poll(&peer, 1, 0) > 0 && (peer.revents & POLLHUP);
}

static void on_retry(uv_timer_t *retry);
static void close_unanswered(struct connection *connection);

/* Sends the reply: true when no more is to be done. Whoever asked may be gone; that is his loss.
 * Too many descriptors in flight pass by. */
static bool send_reply(const struct connection *connection) {
    const struct worker_reply *reply = &connection->reply;
    ssize_t sent = descriptor_send_several(connection->descriptor, &reply->message,
                                           sizeof reply->message, reply->descriptors, reply->count);

    return sent != UV_EAGAIN && sent != -ETOOMANYREFS;
}

static void let_go(struct worker_reply *reply) {
    while (reply->owned && reply->count > 0)
        close(reply->descriptors[--reply->count]);
    reply->count = 0;
}

/* What the reply brings may be closed before it can be sent: false when no descriptor is free for
 * copies. */
static bool own_descriptors(struct worker_reply *reply) {
    unsigned wanted = reply->count;

    if (reply->owned)
        return true;
    reply->owned = true;
    for (reply->count = 0; reply->count < wanted; reply->count++) {
        int copy = fcntl(reply->descriptors[reply->count], F_DUPFD_CLOEXEC, 0);

        if (copy < 0) {
            let_go(reply);
            return false;
        }
        reply->descriptors[reply->count] = copy;
    }
    return true;
}

static void fill_in_reply(struct connection *connection, struct worker_request *request) {
    struct worker_socket *socket = connection->socket;
    struct worker_reply *reply = &connection->reply;

    *reply = (struct worker_reply){.message = {.magic = NATIVE_MAGIC,
                                               .version = NATIVE_VERSION,
                                               .type = request->message->type}};
    if (!identify_peer(connection->descriptor, request))
        reply->message.error = UV_EACCES;
    else if (request->message->version != NATIVE_VERSION)
        reply->message.error = UV_EPROTO;
    else
        socket->events->request(socket->owner, request, reply);
    if (reply->message.error == UV_EACCES || reply->message.error == UV_EPROTO)
        socket->rejected_total++;
}

/* True when the connection has served its purpose. */
static bool answer(struct connection *connection, struct worker_request *request) {
    struct worker_socket *socket = connection->socket;

    fill_in_reply(connection, request);
    if (send_reply(connection) || !own_descriptors(&connection->reply))
        return true; /* unsent, the worker sees the connection end, and may ask again */
    list_remove(&connection->node);
    list_push_back(&socket->answering, &connection->node);
    socket->pending_count--;
    socket->answering_count++;
    uv_poll_stop(&connection->poll);
    uv_timer_start(&connection->retry, on_retry, RETRY_MS, RETRY_MS);
    if (socket->answering_count > WORKER_SOCKET_PENDING_MAX)
        close_unanswered(LIST_ENTRY(socket->answering.next, struct connection, node));
    return false;
}

/* Reads the request, if it is there: true when the connection has served its purpose. */
static bool serve(struct connection *connection) {
    struct {
        struct native_request message;
        uint8_t more; /* so that a record that is too long does not look right */
    } record;
    struct worker_request request = {.message = &record.message, .descriptor = -1};
    struct descriptor_received received;
    int result = descriptor_receive(connection->descriptor, &record, sizeof record, &received);
    bool done = true;

    if (result == UV_EAGAIN)
        return false;
    if (result < 0)
        return true;
    request.truncated = received.truncated;
    request.left = has_hung_up(connection->descriptor);
    if (received.count > 0)
        request.descriptor = received.descriptors[--received.count];
    descriptor_discard(&received); /* no request brings more than one */
    if (is_well_formed(&record.message, received.length))
        done = answer(connection, &request);
    else
        connection->socket->rejected_total += received.length > 0;
    if (request.descriptor >= 0)
        close(request.descriptor);
    return done;
}

/* --- connections --- */

static void handle_closed(struct worker_socket *socket) {
    if (--socket->handles == 0 && socket->on_closed)
        socket->on_closed(socket->owner);
}

static void on_connection_closed(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    struct worker_socket *socket = connection->socket;

    if (--connection->handles > 0)
        return;
    free(connection);
    handle_closed(socket);
}

static void connection_close(struct connection *connection) {
    list_remove(&connection->node);
    uv_close((uv_handle_t *)&connection->poll, on_connection_closed);
    uv_close((uv_handle_t *)&connection->retry, on_connection_closed);
    let_go(&connection->reply);
    close(connection->descriptor);
}

static void close_silent(struct connection *connection) {
    connection->socket->pending_count--;
    connection_close(connection);
}

static void close_unanswered(struct connection *connection) {
    connection->socket->answering_count--;
    connection_close(connection);
}

static void on_retry(uv_timer_t *retry) {
    struct connection *connection = retry->data;

    if (send_reply(connection))
        close_unanswered(connection);
}

/* Clients wait while a request is answered, and for some requests files of many processes are read
 * (process_sockets.h): one of those in a round of the loop is enough. */
static bool may_serve(struct worker_socket *socket) {
    uint64_t now_ms = uv_now(socket->poll.loop);

    if (socket->round_ms != now_ms)
        socket->round_spent_ms = 0;
    socket->round_ms = now_ms;
    return socket->round_spent_ms < ROUND_MS;
}

static bool serve_and_count(struct connection *connection) {
    struct worker_socket *socket = connection->socket;
    uint64_t started_ms = clock_ms();
    bool done = serve(connection);

    socket->round_spent_ms += clock_ms() - started_ms;
    return done;
}

static void on_request(uv_poll_t *poll, int status, int events) {
    struct connection *connection = poll->data;

    (void)events;
    if (status >= 0 && !may_serve(connection->socket)) {
        connection->socket->postponed = true;
        return;
    }
    if (status < 0 || serve_and_count(connection))
        close_silent(connection);
}

/* Takes over `descriptor`; NULL when memory is out, and then it is still the caller's. */
static struct connection *connection_create(struct worker_socket *socket, int descriptor) {
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    if (uv_poll_init(socket->poll.loop, &connection->poll, descriptor) < 0) {
        free(connection);
        return NULL;
    }
    uv_timer_init(socket->poll.loop, &connection->retry);
    connection->socket = socket;
    connection->descriptor = descriptor;
    connection->handles = 2;
    connection->poll.data = connection;
    connection->retry.data = connection;
    list_init(&connection->node);
    list_push_back(&socket->pending, &connection->node);
    socket->pending_count++;
    socket->handles++;
    return connection;
}

static void open_connection(struct worker_socket *socket, int descriptor) {
    struct connection *connection = connection_create(socket, descriptor);

    if (!connection) {
        close(descriptor);
        return;
    }
    if (uv_poll_start(&connection->poll, UV_READABLE, on_request) < 0 ||
        serve_and_count(connection)) {
        close_silent(connection);
        return;
    }
    if (socket->pending_count > WORKER_SOCKET_PENDING_MAX)
        close_silent(LIST_ENTRY(socket->pending.next, struct connection, node));
}

static bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *pause) {
    struct worker_socket *socket = pause->data;

    uv_poll_start(&socket->poll, UV_READABLE, on_connection);
}

/* Whoever waits would be announced again at once, and cannot be accepted yet. */
static void pause_accepting(struct worker_socket *socket) {
    uv_poll_stop(&socket->poll);
    uv_timer_start(&socket->pause, on_pause_over, RETRY_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    struct worker_socket *socket = poll->data;

    (void)status;
    (void)events;
    if (socket->postponed) {
        socket->postponed = false;
        return;
    }
    for (int i = 0; i < ACCEPT_BATCH && may_serve(socket); i++) {
        int descriptor = accept4(socket->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (descriptor < 0 && is_shortage(errno))
            pause_accepting(socket);
        if (descriptor < 0)
            return;
        open_connection(socket, descriptor);
    }
}

/* --- life --- */

int worker_socket_start(struct worker_socket *ret_socket, uv_loop_t *loop,
                        const struct worker_socket_events *events, void *owner) {
    int result;

    *ret_socket = (struct worker_socket){.events = events, .owner = owner};
    list_init(&ret_socket->pending);
    list_init(&ret_socket->answering);
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
    uv_timer_init(loop, &ret_socket->pause);
    ret_socket->handles = 2;
    ret_socket->pause.data = ret_socket;
    ret_socket->poll.data = ret_socket;
    return uv_poll_start(&ret_socket->poll, UV_READABLE, on_connection);
}

static void on_socket_closed(uv_handle_t *handle) {
    handle_closed(handle->data);
}

void worker_socket_close(struct worker_socket *socket, void (*on_closed)(void *owner)) {
    socket->on_closed = on_closed;
    LIST_EACH(node, following, &socket->pending)
        close_silent(LIST_ENTRY(node, struct connection, node));
    LIST_EACH(node, following, &socket->answering)
        close_unanswered(LIST_ENTRY(node, struct connection, node));
    uv_close((uv_handle_t *)&socket->pause, on_socket_closed);
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
    close(socket->descriptor);
}
