#include "master/connection_watch.h"

#include "master/dispatcher.h"
#include "master/member.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE     32768
#define READS_AT_ONCE 8
#define RECEIVE_SIZE  (4 * 1024 * 1024) /* of the socket's buffer, as far as we may */

struct open_connection {
    struct list in_member;
    struct member *member;
    uint64_t cookie;
    uint32_t generation;
};

/* With `groups` it hears of destroyed sockets, without it is for asking. */
static int open_socket(uint32_t groups, int *ret_descriptor) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int size = RECEIVE_SIZE;
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int error;

    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    if (groups && setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
        *ret_descriptor = descriptor;
        return 0;
    }
    error = uv_translate_sys_error(errno);
    close(descriptor);
    return error;
}

/* --- records --- */

static void set_open(struct member *member, int64_t open) {
    member->open = open;
    dispatcher_refresh(member);
}

static void drop(struct open_connection *record) {
    list_remove(&record->in_member);
    set_open(record->member, record->member->open - 1);
    free(record);
}

void connection_watch_remove(struct connection_watch *watch, uint64_t cookie) {
    struct open_connection *record = table_remove(&watch->records, cookie);

    if (record)
        drop(record);
}

void connection_watch_add(struct connection_watch *watch, uint64_t cookie, struct member *member) {
    struct open_connection *record = cookie ? malloc(sizeof *record) : NULL;

    if (!record)
        return;
    connection_watch_remove(watch, cookie); /* from a worker that died before it took it */
    record->member = member;
    record->cookie = cookie;
    record->generation = watch->generation;
    if (table_insert(&watch->records, cookie, record) < 0) {
        free(record);
        return;
    }
    list_init(&record->in_member);
    list_push_back(&member->connections, &record->in_member);
    set_open(member, member->open < 0 ? 1 : member->open + 1);
}

void connection_watch_forget(struct connection_watch *watch, struct member *member) {
    LIST_EACH(node, following, &member->connections)
        connection_watch_remove(watch, LIST_ENTRY(node, struct open_connection, in_member)->cookie);
}

/* --- asking which sockets exist --- */

static int request_dump(struct connection_watch *watch, uint8_t family) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = ++watch->request},
        .request = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u}};

    if (message.header.nlmsg_seq == 0) /* as of what nobody asked for */
        message.header.nlmsg_seq = ++watch->request;
    watch->family = family;
    return send(watch->asking, &message, sizeof message, MSG_DONTWAIT) < 0
               ? uv_translate_sys_error(errno)
               : 0;
}

/* Events were lost: every record that neither the dump of IPv4 nor that of IPv6 sockets shows is of
 * a closed one. */
static void start_dump(struct connection_watch *watch) {
    if (!watch->stale || watch->dumping)
        return;
    watch->generation++;
    watch->dumping = request_dump(watch, AF_INET) == 0;
    watch->stale = !watch->dumping;
}

/* Nothing is known, and the kernel is asked again when it tells of the next event, not at once: an
 * error may last. */
static void give_up_dump(struct connection_watch *watch) {
    watch->stale = watch->stale || watch->dumping;
    watch->dumping = false;
}

static void drop_unseen(struct connection_watch *watch) {
    size_t position = 0;
    const struct table_entry *entry;
    struct list unseen;

    list_init(&unseen);
    while ((entry = table_next(&watch->records, &position))) {
        struct open_connection *record = entry->value;

        if (record->generation == watch->generation)
            continue;
        list_remove(&record->in_member);
        list_push_back(&unseen, &record->in_member);
    }
    while (!list_empty(&unseen))
        connection_watch_remove(watch,
                                LIST_ENTRY(unseen.next, struct open_connection, in_member)->cookie);
}

static void end_dump(struct connection_watch *watch) {
    watch->dumping = false;
    drop_unseen(watch);
    start_dump(watch); /* some more were lost meanwhile */
}

/* A kernel without IPv6 has no such sockets. */
static void on_dump_done(struct connection_watch *watch, int error) {
    bool failed = error < 0 && !(watch->family == AF_INET6 && error == -ENOENT);

    if (!failed && watch->family == AF_INET)
        failed = request_dump(watch, AF_INET6) < 0;
    else if (!failed)
        end_dump(watch);
    if (failed)
        give_up_dump(watch);
}

/* --- reading --- */

static void on_socket(struct connection_watch *watch, const struct nlmsghdr *header) {
    const struct inet_diag_msg *socket = (const void *)((const char *)header + NLMSG_HDRLEN);
    uint64_t cookie = (uint64_t)socket->id.idiag_cookie[1] << 32 | socket->id.idiag_cookie[0];
    struct open_connection *record;

    if (header->nlmsg_seq == 0) { /* nobody asked: it tells of a destroyed one */
        connection_watch_remove(watch, cookie);
        return;
    }
    record = table_find(&watch->records, cookie);
    if (record)
        record->generation = watch->generation;
}

/* Both ends of a dump begin with an error code, 0 when all is well. */
static int error_of(const struct nlmsghdr *header) {
    int error = 0;

    if (header->nlmsg_len >= NLMSG_LENGTH(sizeof error))
        memcpy(&error, (const char *)header + NLMSG_HDRLEN, sizeof error);
    return error;
}

/* Also that of a dump which was given up: the kernel goes on with it when it can. */
static bool is_late(const struct connection_watch *watch, const struct nlmsghdr *header) {
    return header->nlmsg_seq != 0 && (!watch->dumping || header->nlmsg_seq != watch->request);
}

static void on_message(struct connection_watch *watch, const struct nlmsghdr *header) {
    if (is_late(watch, header))
        return;
    if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
        on_dump_done(watch, error_of(header));
    else if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
             header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
        on_socket(watch, header);
}

static void on_messages(struct connection_watch *watch, const char *bytes, size_t length) {
    while (length >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *header = (const void *)bytes;
        size_t size = NLMSG_ALIGN(header->nlmsg_len);

        if (header->nlmsg_len < sizeof *header || header->nlmsg_len > length)
            return;
        on_message(watch, header);
        if (size >= length)
            return;
        bytes += size;
        length -= size;
    }
}

/* Reads once: 1, or 0 when nothing is left, or UV_ENOBUFS when events were lost or the kernel had
 * no memory for answers. */
static int read_once(struct connection_watch *watch, int descriptor) {
    _Alignas(struct nlmsghdr) char bytes[READ_SIZE];
    struct sockaddr_nl sender = {.nl_pid = UINT32_MAX};
    socklen_t sender_length = sizeof sender;
    ssize_t length =
        recvfrom(descriptor, bytes, sizeof bytes, 0, (struct sockaddr *)&sender, &sender_length);

    if (length <= 0)
        return length < 0 && errno == ENOBUFS ? UV_ENOBUFS : 0;
    if (sender.nl_pid == 0) /* the kernel, not another process that found our port */
        on_messages(watch, bytes, (size_t)length);
    return 1;
}

/* Once events were lost the kernel drops them silently until all that are left have been read: only
 * then is it worth asking. */
static void on_drained(struct connection_watch *watch) {
    watch->stale = watch->stale || watch->overrun;
    watch->overrun = false;
    start_dump(watch);
}

/* libuv stops polling when a socket has an error to tell of, as one that lost events has. */
static void go_on(uv_poll_t *poll, int status, uv_poll_cb on_readable) {
    if (status < 0)
        uv_poll_start(poll, UV_READABLE, on_readable);
}

static void on_events(uv_poll_t *poll, int status, int events) {
    struct connection_watch *watch = poll->data;

    (void)events;
    go_on(poll, status, on_events);
    for (int reads = 0; reads < READS_AT_ONCE; reads++) {
        int result = read_once(watch, watch->descriptor);

        if (result == 0) {
            on_drained(watch);
            return;
        }
        watch->overrun = watch->overrun || result < 0;
        watch->lost_total += result < 0;
    }
}

static void on_answers(uv_poll_t *poll, int status, int events) {
    struct connection_watch *watch = poll->data;

    (void)events;
    go_on(poll, status, on_answers);
    for (int reads = 0; reads < READS_AT_ONCE; reads++) {
        int result = read_once(watch, watch->asking);

        if (result == 0)
            return;
        if (result < 0)
            give_up_dump(watch);
    }
}

/* --- life --- */

static int start_poll(struct connection_watch *watch, uv_loop_t *loop, uv_poll_t *poll,
                      int descriptor, uv_poll_cb on_readable) {
    int result = uv_poll_init(loop, poll, descriptor);

    if (result < 0)
        return result;
    poll->data = watch;
    watch->handles++;
    return uv_poll_start(poll, UV_READABLE, on_readable);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct connection_watch *watch = handle->data;

    if (--watch->handles == 0 && watch->on_closed)
        watch->on_closed(watch->owner);
}

static void close_handles(struct connection_watch *watch) {
    if (watch->handles > 0)
        uv_close((uv_handle_t *)&watch->poll, on_handle_closed);
    if (watch->handles > 1)
        uv_close((uv_handle_t *)&watch->asking_poll, on_handle_closed);
    close(watch->descriptor);
    if (watch->asking >= 0)
        close(watch->asking);
}

int connection_watch_start(struct connection_watch *watch, uv_loop_t *loop) {
    uint32_t groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1);
    int result;

    *watch = (struct connection_watch){.descriptor = -1, .asking = -1};
    table_init(&watch->records);
    result = open_socket(groups, &watch->descriptor);
    if (result < 0)
        return result;
    result = open_socket(0, &watch->asking);
    if (result == 0)
        result = start_poll(watch, loop, &watch->poll, watch->descriptor, on_events);
    if (result == 0)
        result = start_poll(watch, loop, &watch->asking_poll, watch->asking, on_answers);
    if (result == 0)
        return 0;
    close_handles(watch);
    return result;
}

void connection_watch_close(struct connection_watch *watch, void (*on_closed)(void *owner),
                            void *owner) {
    size_t position = 0;
    const struct table_entry *entry;

    while ((entry = table_next(&watch->records, &position)))
        free(entry->value);
    table_clear(&watch->records);
    watch->on_closed = on_closed;
    watch->owner = owner;
    close_handles(watch);
}
