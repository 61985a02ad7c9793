#include "ipc/accept_socket.h"

#include "ipc/descriptor.h"
#include "ipc/native_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/un.h>
#include <unistd.h>

/* The record sizes to choose from: the send buffer has a least size, into which a window of 1 fits
 * only when the records are larger than they need be. */
static const uint32_t RECORD_SIZES[] = {sizeof(struct native_client), 256, NATIVE_CLIENT_MAX};

#define RECORD_SIZES_COUNT (sizeof(RECORD_SIZES) / sizeof(RECORD_SIZES[0]))

/* Bytes of the send buffer that are in use; unix(7) has SIOCINQ only, but the kernel knows both. */
static int queued_bytes(int socket) {
    int bytes;

    return ioctl(socket, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}

/* What one record of this size takes of the send buffer: the kernel counts its own bookkeeping
 * too, which differs between versions, so it is measured. */
static int measure_unit(const struct accept_socket *socket, uint32_t record_size) {
    static const char record[NATIVE_CLIENT_MAX];
    char received[NATIVE_CLIENT_MAX];
    int unit;

    if (send(socket->master, record, record_size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    unit = queued_bytes(socket->master);
    if (recv(socket->worker, received, sizeof(received), MSG_DONTWAIT) < 0)
        return -errno;
    return unit;
}

/* Sets the send buffer; what it is now. The kernel doubles what it is told and keeps a least size
 * and, for the unprivileged, a largest one. */
static int set_send_buffer(int socket, uint32_t bytes) {
    int half = (int)(bytes / 2);
    int actual = 0;
    socklen_t length = sizeof(actual);

    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof(half)) < 0 &&
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half)) < 0)
        return -errno;
    if (getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &actual, &length) < 0)
        return -errno;
    return actual;
}

/* The kernel polls a Unix socket writable while 4 * (queued + 1) <= send buffer. So this many
 * records make it unwritable, and one fewer does not. */
static uint32_t exact_refill(uint32_t send_buffer, uint32_t unit) {
    return (send_buffer / 4 - 1) / unit + 1;
}

/* Small windows are refilled from the first free place on. */
static uint32_t wanted_refill(uint32_t window) {
    return window < 4 ? window : window / 2;
}

/* Tries one record size. 0, UV_ERANGE when the least send buffer is too large for so low a refill,
 * or another error. */
static int fit_window(struct accept_socket *socket, uint32_t window, uint32_t record_size) {
    uint32_t refill = wanted_refill(window);
    int unit = measure_unit(socket, record_size);
    int send_buffer;

    if (unit <= 0)
        return unit < 0 ? unit : -EPROTO;
    socket->unit = (uint32_t)unit;
    /* Half a record (times four) above the limit of refill - 1: any rounding stays on its side. */
    send_buffer = set_send_buffer(socket->master, socket->unit * (4 * (refill - 1) + 2));
    if (send_buffer < 0)
        return send_buffer;
    socket->refill = exact_refill((uint32_t)send_buffer, socket->unit);
    socket->record_size = record_size;
    /* A smaller buffer than asked for has room for fewer: sends go through while it is not full. */
    socket->window = (uint32_t)send_buffer / socket->unit;
    if (socket->window > window)
        socket->window = window;
    return socket->refill > refill ? -ERANGE : 0;
}

static int size_send_buffer(struct accept_socket *socket, uint32_t window) {
    int error = -ERANGE;

    for (size_t i = 0; error == -ERANGE && i < RECORD_SIZES_COUNT; i++)
        error = fit_window(socket, window, RECORD_SIZES[i]);
    return error;
}

static int bind_name(const struct accept_socket *socket, const struct sockaddr *address,
                     socklen_t address_length) {
    struct native_name name = {.version = NATIVE_VERSION,
                               .magic = NATIVE_MAGIC,
                               .listener = socket->listener,
                               .address_length = address_length};
    struct sockaddr_un bound = {.sun_family = AF_UNIX};

    _Static_assert(sizeof(name) <= sizeof(bound.sun_path), "the name fits");
    if (address_length > sizeof(name.address))
        return -EINVAL;
    if (address_length > 0)
        memcpy(name.address, address, address_length);
    if (getrandom(name.instance, sizeof(name.instance), 0) < 0)
        return -errno;
    memcpy(bound.sun_path, &name, sizeof(name));
    if (bind(socket->worker, (const struct sockaddr *)&bound,
             offsetof(struct sockaddr_un, sun_path) + sizeof(name)) < 0)
        return -errno;
    return 0;
}

int accept_socket_create(struct accept_socket *ret_socket, uint32_t listener, uint32_t window,
                         const struct sockaddr *address, socklen_t address_length) {
    struct accept_socket socket = {.listener = listener};
    int ends[2];
    int error;

    if (window < 1 || window > ACCEPT_SOCKET_WINDOW_MAX)
        return -EINVAL;
    /* Blocking: the worker's end starts as a blocking descriptor does, and O_NONBLOCK belongs to
     * the open file that our copy shares with it. Our own calls say MSG_DONTWAIT. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    socket.master = ends[0];
    socket.worker = ends[1];
    error = size_send_buffer(&socket, window);
    if (error == 0)
        error = bind_name(&socket, address, address_length);
    if (error) {
        accept_socket_destroy(&socket);
        return error;
    }
    *ret_socket = socket;
    return 0;
}

void accept_socket_destroy(struct accept_socket *socket) {
    if (socket->master >= 0)
        close(socket->master);
    if (socket->worker >= 0)
        close(socket->worker);
    socket->master = -1;
    socket->worker = -1;
}

uint32_t accept_socket_outstanding(const struct accept_socket *socket) {
    int bytes = queued_bytes(socket->master);

    return bytes < 0 ? 0 : (uint32_t)bytes / socket->unit;
}

/* Room for up to `wanted` more; the kernel is asked only when what is known does not do. */
static uint32_t room_in_window(struct accept_socket *socket, uint32_t wanted) {
    if (socket->pending + wanted > socket->window)
        socket->pending = accept_socket_outstanding(socket);
    if (socket->pending >= socket->window)
        return 0;
    return wanted < socket->window - socket->pending ? wanted : socket->window - socket->pending;
}

static struct native_client record_of(const struct accept_socket *socket,
                                      const struct accept_socket_client *client,
                                      uint64_t sequence) {
    struct native_client record = {
        .magic = NATIVE_MAGIC, .listener = socket->listener, .sequence = sequence};

    if (client->address_length > 0 && client->address_length <= sizeof(record.address)) {
        record.address_length = client->address_length;
        memcpy(record.address, client->address, client->address_length);
    }
    return record;
}

/* Sends as many as one system call takes, at most `count`: how many, or an error. */
static int send_some(struct accept_socket *socket, const struct accept_socket_client *clients,
                     unsigned count) {
    unsigned char records[DESCRIPTOR_BATCH_MAX * sizeof(struct native_client)];
    struct descriptor_message messages[DESCRIPTOR_BATCH_MAX];
    unsigned fit = (unsigned)(sizeof(records) / socket->record_size);
    int sent;

    if (count > fit)
        count = fit;
    if (socket->record_size > sizeof(struct native_client))
        memset(records, 0, sizeof(records));
    for (unsigned i = 0; i < count; i++) {
        struct native_client record = record_of(socket, &clients[i], socket->sequence + 1 + i);
        unsigned char *place = records + (size_t)i * socket->record_size;

        memcpy(place, &record, sizeof(record));
        messages[i] = (struct descriptor_message){
            .bytes = place, .length = socket->record_size, .descriptor = clients[i].descriptor};
    }
    sent = descriptor_send_batch(socket->master, messages, count);
    if (sent > 0) {
        socket->sequence += (unsigned)sent;
        socket->pending += (unsigned)sent;
    }
    return sent;
}

static bool is_wait(int error) {
    return error == -EAGAIN || error == -ETOOMANYREFS;
}

int accept_socket_send(struct accept_socket *socket, const struct accept_socket_client *clients,
                       unsigned count) {
    unsigned taken = 0;
    int sent = 1;

    count = room_in_window(socket, count);
    while (taken < count && sent > 0) {
        sent = send_some(socket, clients + taken, count - taken);
        if (sent > 0)
            taken += (unsigned)sent;
    }
    if (taken == 0 && sent < 0 && !is_wait(sent))
        return sent;
    return (int)taken;
}

int accept_socket_probe(struct accept_socket *socket) {
    unsigned char bytes[NATIVE_CLIENT_MAX] = {0};
    struct native_client record = {.magic = NATIVE_MAGIC, .listener = socket->listener};
    struct descriptor_message message = {
        .bytes = bytes, .length = socket->record_size, .descriptor = -1};
    ssize_t sent;

    if (room_in_window(socket, 1) == 0)
        return 0;
    memcpy(bytes, &record, sizeof(record));
    sent = descriptor_send(socket->master, &message);
    socket->pending += sent > 0;
    return sent < 0 && !is_wait((int)sent) ? (int)sent : 0;
}

/* Receiving with a full descriptor table would lose the client. */
static int check_free_descriptor(const struct accept_socket *socket, int limit) {
    int spare = fcntl(socket->worker, F_DUPFD_CLOEXEC, 0);

    if (spare < 0)
        return -errno;
    close(spare);
    return spare < limit ? 0 : -EMFILE;
}

static void read_record(const struct native_client *record, int descriptor,
                        struct accept_socket_returned *ret_client) {
    *ret_client = (struct accept_socket_returned){.descriptor = descriptor,
                                                  .sequence = record->sequence,
                                                  .address_length = record->address_length};
    memcpy(&ret_client->address, record->address, sizeof(record->address));
}

int accept_socket_take_back(struct accept_socket *socket, int descriptor_limit,
                            struct accept_socket_returned *ret_client) {
    unsigned char bytes[NATIVE_CLIENT_MAX];
    struct descriptor_received received;
    struct native_client record;
    int error;

    for (;;) {
        error = check_free_descriptor(socket, descriptor_limit);
        if (error == -EMFILE && accept_socket_outstanding(socket) == 0)
            return 0; /* the last one may have taken the last number */
        if (error == 0)
            error = descriptor_receive(socket->worker, bytes, sizeof(bytes), &received);
        if (error)
            return error == -EAGAIN ? 0 : error;
        /* Only we send here, but a worker that got our end by BIND can, too. */
        if (received.count == 1 && received.length == socket->record_size)
            break;
        descriptor_discard(&received);
        if (received.length == 0)
            return 0;
    }
    memcpy(&record, bytes, sizeof(record));
    read_record(&record, received.descriptors[0], ret_client);
    return 1;
}

void accept_socket_finish(struct accept_socket *socket) {
    shutdown(socket->master, SHUT_WR);
}
