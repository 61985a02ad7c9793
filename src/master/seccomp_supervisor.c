#include "master/seccomp_supervisor.h"

#include "ipc/accept_peek.h"
#include "ipc/native_protocol.h"
#include "master/seccomp_call.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* What a bind() was answered with. */
struct listener_entry {
    struct list node;
    uint32_t listener;
    bool shared;    /* a TCP socket: the entry is kept only while `binder` is not 0 */
    uint64_t inode; /* by which it is known in the worker */
    int socket;     /* our own copy of the worker's end */
    struct native_name name;
    struct list waiting; /* calls of accept(), oldest first */
    bool watched;        /* in the supervisor's epoll */
    bool listening;      /* listen() was called */
    pid_t binder;        /* the thread that called bind(), until it makes another call: a signal may
                            have kept the answer from it, and then it calls again */
    uint64_t bind_arguments[6];
    uint64_t original; /* the inode of the program's own socket */
    int copy;          /* the number of the master's end in the worker, or -1 */
};

struct waiting_call {
    struct list node;
    struct seccomp_call call;
    uint64_t until_ms; /* the end of its receive timeout, or 0 */
};

/* --- waiting --- */

static void watch(struct seccomp_supervisor *supervisor, struct listener_entry *entry, bool on) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = entry};

    if (entry->watched == on)
        return;
    epoll_ctl(supervisor->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, entry->socket, &event);
    entry->watched = on;
}

static void forget_waiting(struct seccomp_supervisor *supervisor, struct waiting_call *waiting) {
    list_remove(&waiting->node);
    free(waiting);
    supervisor->waiting_count--;
}

static struct listener_entry *entry_of(struct list *node) {
    return LIST_ENTRY(node, struct listener_entry, node);
}

static struct waiting_call *waiting_of(struct list *node) {
    return LIST_ENTRY(node, struct waiting_call, node);
}

/* Drops the calls of accept() that are over. */
static void sweep(struct seccomp_supervisor *supervisor) {
    LIST_EACH(node, following, &supervisor->listeners) {
        struct listener_entry *entry = entry_of(node);

        LIST_EACH(place, next, &entry->waiting)
        if (!seccomp_call_waits(&waiting_of(place)->call))
            forget_waiting(supervisor, waiting_of(place));
    }
}

static void on_timer(uv_timer_t *timer);

/* The timer runs until the first of the timeouts. */
static void set_timer(struct seccomp_supervisor *supervisor, uint64_t until_ms) {
    uint64_t now_ms = uv_now(supervisor->timer.loop);
    uint64_t delay_ms = until_ms > now_ms ? until_ms - now_ms : 0;

    if (!uv_is_active((uv_handle_t *)&supervisor->timer) ||
        uv_timer_get_due_in(&supervisor->timer) > delay_ms)
        uv_timer_start(&supervisor->timer, on_timer, delay_ms, 0);
}

/* What accept() on a socket with a receive timeout says when it is over (socket(7)). */
static void end_waiting(struct seccomp_supervisor *supervisor, struct listener_entry *entry,
                        uint64_t now_ms) {
    LIST_EACH(node, following, &entry->waiting) {
        struct waiting_call *waiting = waiting_of(node);

        if (waiting->until_ms == 0)
            continue;
        if (waiting->until_ms > now_ms) {
            set_timer(supervisor, waiting->until_ms);
            continue;
        }
        seccomp_call_answer(&waiting->call, UV_EAGAIN);
        forget_waiting(supervisor, waiting);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct seccomp_supervisor *supervisor = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    LIST_EACH(node, following, &supervisor->listeners)
    end_waiting(supervisor, entry_of(node), now_ms);
}

static uint64_t receive_timeout_ms(int socket) {
    struct timeval timeout = {0};
    socklen_t length = sizeof timeout;

    if (getsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, &length) < 0)
        return 0;
    return (uint64_t)timeout.tv_sec * 1000 + (uint64_t)(timeout.tv_usec + 999) / 1000;
}

static void wait_for_client(struct seccomp_supervisor *supervisor, struct listener_entry *entry,
                            const struct seccomp_call *call) {
    uint64_t timeout_ms = receive_timeout_ms(entry->socket);
    struct waiting_call *waiting;

    if (supervisor->waiting_count >= SECCOMP_WAITING_MAX)
        sweep(supervisor);
    waiting = supervisor->waiting_count < SECCOMP_WAITING_MAX ? malloc(sizeof *waiting) : NULL;
    if (!waiting) {
        seccomp_call_answer(call, UV_ENOMEM);
        return;
    }
    *waiting = (struct waiting_call){.call = *call};
    if (timeout_ms > 0) {
        waiting->until_ms = uv_now(supervisor->timer.loop) + timeout_ms;
        set_timer(supervisor, waiting->until_ms);
    }
    list_init(&waiting->node);
    list_push_back(&entry->waiting, &waiting->node);
    supervisor->waiting_count++;
    watch(supervisor, entry, true);
}

/* --- listeners --- */

static bool read_name(int socket, struct native_name *ret_name) {
    struct sockaddr_un address;
    socklen_t length = sizeof address;

    if (getsockname(socket, (struct sockaddr *)&address, &length) < 0 ||
        address.sun_family != AF_UNIX ||
        length != offsetof(struct sockaddr_un, sun_path) + sizeof *ret_name)
        return false;
    memcpy(ret_name, address.sun_path, sizeof *ret_name);
    return true;
}

static uint64_t inode_of(int descriptor) {
    struct stat status;

    return fstat(descriptor, &status) < 0 ? 0 : status.st_ino;
}

static struct listener_entry *create_entry(struct seccomp_supervisor *supervisor,
                                           const struct worker_reply *reply) {
    struct listener_entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return NULL;
    list_init(&entry->node);
    list_init(&entry->waiting);
    entry->listener = reply->message.listener;
    entry->shared = !read_name(reply->descriptors[0], &entry->name);
    entry->socket = fcntl(reply->descriptors[0], F_DUPFD_CLOEXEC, 0);
    if (entry->socket < 0) {
        free(entry);
        return NULL;
    }
    entry->inode = inode_of(entry->socket);
    list_push_back(&supervisor->listeners, &entry->node);
    return entry;
}

/* Whoever still waits there goes on waiting. */
static void destroy_entry(struct seccomp_supervisor *supervisor, struct listener_entry *entry) {
    LIST_EACH(node, following, &entry->waiting)
    forget_waiting(supervisor, waiting_of(node));
    watch(supervisor, entry, false);
    list_remove(&entry->node);
    close(entry->socket);
    free(entry);
}

/* A worker may bind any number of times in its life. Whoever waits is told what a socket that was
 * shut down would say. The number of a copy that is of no use any more, or -1. */
static int destroy_given_up(struct seccomp_supervisor *supervisor) {
    int copy = -1;

    LIST_EACH(node, following, &supervisor->listeners) {
        struct listener_entry *entry = entry_of(node);

        if (entry->shared || supervisor->events->has_listener(supervisor->owner, entry->listener))
            continue;
        LIST_EACH(place, next, &entry->waiting)
        seccomp_call_answer(&waiting_of(place)->call, UV_EINVAL);
        copy = entry->copy;
        destroy_entry(supervisor, entry);
    }
    return copy;
}

/* The one that the call's first argument is, or NULL. */
static struct listener_entry *find_entry(struct seccomp_supervisor *supervisor,
                                         const struct seccomp_call *call) {
    uint64_t inode;

    if (list_empty(&supervisor->listeners) ||
        seccomp_call_inode(call, (int)call->arguments[0], &inode) < 0)
        return NULL;
    LIST_EACH(node, following, &supervisor->listeners)
    if (entry_of(node)->inode == inode && !entry_of(node)->shared)
        return entry_of(node);
    return NULL;
}

static bool is_same_bind(const struct listener_entry *entry, const struct seccomp_call *call) {
    return entry->binder == call->thread && call->number == SYS_bind &&
           memcmp(entry->bind_arguments, call->arguments, sizeof call->arguments) == 0;
}

/* A thread makes one call at a time: a new one tells that the one before is over. */
static void forget_thread(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    LIST_EACH(node, following, &supervisor->listeners) {
        struct listener_entry *entry = entry_of(node);

        LIST_EACH(place, next, &entry->waiting)
        if (waiting_of(place)->call.thread == call->thread)
            forget_waiting(supervisor, waiting_of(place));
        if (entry->binder != call->thread || is_same_bind(entry, call))
            continue;
        entry->binder = 0;
        if (entry->shared)
            destroy_entry(supervisor, entry);
    }
}

/* --- addresses in the caller's memory --- */

/* Where accept() and getsockname() want an address, and what the caller's length was. */
struct address_place {
    uint64_t address;
    uint64_t length;
    int32_t room;
};

static int find_place(const struct seccomp_call *call, struct address_place *place) {
    *place = (struct address_place){.address = call->arguments[1], .length = call->arguments[2]};
    if (seccomp_call_read(call, place->length, &place->room, sizeof place->room) < 0)
        return UV_EFAULT;
    return place->room < 0 ? UV_EINVAL : 0;
}

/* Cuts the address off at the room there is, and tells its whole length. */
static int write_address(const struct seccomp_call *call, const struct address_place *place,
                         const void *address, uint32_t length) {
    uint32_t room = (uint32_t)place->room < length ? (uint32_t)place->room : length;

    if (!seccomp_call_waits(call))
        return UV_ENOENT;
    if (room > 0 && seccomp_call_write(call, place->address, address, room) < 0)
        return UV_EFAULT;
    if (length == (uint32_t)place->room)
        return 0;
    return seccomp_call_write(call, place->length, &length, sizeof length);
}

/* An interrupted accept() may be made again with the length that we wrote. */
static void restore_length(const struct seccomp_call *call, const struct address_place *place) {
    seccomp_call_write(call, place->length, &place->room, sizeof place->room);
}

/* --- accept --- */

static int accept_flags(const struct seccomp_call *call) {
    return call->number == SYS_accept4 ? (int)call->arguments[3] : 0;
}

static int install_client(const struct seccomp_call *call,
                          const struct accept_socket_returned *client) {
    int non_blocking = (accept_flags(call) & SOCK_NONBLOCK) != 0;
    bool wants_address = call->arguments[1] != 0;
    struct address_place place;
    int result = 0;

    if (ioctl(client->descriptor, FIONBIO, &non_blocking) < 0)
        return uv_translate_sys_error(errno);
    if (wants_address)
        result = find_place(call, &place);
    if (result == 0 && wants_address)
        result = write_address(call, &place, &client->address, client->address_length);
    if (result < 0)
        return result;
    result = seccomp_call_answer_descriptor(call, client->descriptor,
                                            accept_flags(call) & SOCK_CLOEXEC ? O_CLOEXEC : 0);
    if (result < 0 && wants_address)
        restore_length(call, &place);
    return result;
}

/* Hands the oldest client to the caller: 1 when its call is answered or over, 0 or UV_EPIPE when no
 * client is there. */
static int hand_over(const struct listener_entry *entry, const struct seccomp_call *call) {
    struct accept_socket_returned client;
    int result = accept_peek(entry->socket, &client);

    if (result == 0 || result == UV_EPIPE)
        return result;
    if (result == 1) {
        result = install_client(call, &client);
        if (result == 0)
            accept_drop(entry->socket);
        close(client.descriptor);
    } else if (result == UV_EMFILE) {
        result = UV_ENFILE; /* it is our table that is full, not the caller's */
    }
    if (result < 0 && result != UV_ENOENT)
        seccomp_call_answer(call, result);
    return 1;
}

static void on_accept(struct seccomp_supervisor *supervisor, struct listener_entry *entry,
                      const struct seccomp_call *call) {
    if (!entry->listening || (accept_flags(call) & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)))
        seccomp_call_answer(call, UV_EINVAL);
    else if (hand_over(entry, call) == 1)
        return;
    else if (fcntl(entry->socket, F_GETFL) & O_NONBLOCK)
        seccomp_call_answer(call, UV_EAGAIN);
    else
        wait_for_client(supervisor, entry, call);
}

/* Something has come for those that wait. */
static void on_clients(struct seccomp_supervisor *supervisor, struct listener_entry *entry) {
    LIST_EACH(node, following, &entry->waiting) {
        struct waiting_call *waiting = waiting_of(node);
        int result = 1;

        if (seccomp_call_waits(&waiting->call))
            result = hand_over(entry, &waiting->call);
        if (result == UV_EPIPE)
            watch(supervisor, entry, false); /* they wait for nothing: until their process ends */
        if (result != 1)
            return;
        forget_waiting(supervisor, waiting);
    }
    watch(supervisor, entry, false);
}

/* --- bind --- */

static int get_option(int socket, int option) {
    int value = 0;
    socklen_t length = sizeof value;

    return getsockopt(socket, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

/* A TCP socket of the address's family. */
static bool is_ours_to_bind(int socket, sa_family_t family) {
    int protocol = get_option(socket, SO_PROTOCOL);

    return get_option(socket, SO_TYPE) == SOCK_STREAM && get_option(socket, SO_DOMAIN) == family &&
           (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

/* False when it is no whole Internet address with a port. */
static bool read_address(const struct seccomp_call *call, struct native_request *request) {
    struct sockaddr_in6 address = {0};
    size_t length = call->arguments[2] < sizeof address ? call->arguments[2] : sizeof address;
    size_t needed;
    size_t whole;

    if (length < sizeof(struct sockaddr_in) ||
        seccomp_call_read(call, call->arguments[1], &address, length) < 0)
        return false;
    /* Of an IPv6 address the kernel does not insist on the scope, which comes last. */
    needed = address.sin6_family == AF_INET ? sizeof(struct sockaddr_in)
                                            : offsetof(struct sockaddr_in6, sin6_scope_id);
    whole = address.sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof address;
    /* The port is at the same place in both. */
    if ((address.sin6_family != AF_INET && address.sin6_family != AF_INET6) || length < needed ||
        address.sin6_port == 0)
        return false;
    memcpy(request->address, &address, whole);
    request->address_length = (uint32_t)whole;
    return true;
}

/* Puts our socket in the place of the program's and lets bind() return. When the caller does not
 * wait any more it will call again. */
static void finish_bind(const struct listener_entry *entry, const struct seccomp_call *call) {
    int number = (int)call->arguments[0];
    int flags = 0;
    int result = seccomp_call_flags(call, number, &flags);

    if (result == 0)
        result = seccomp_call_replace(call, entry->socket, number, flags & O_CLOEXEC);
    seccomp_call_answer(call, result);
}

static struct worker_reply ask(struct seccomp_supervisor *supervisor,
                               struct worker_request *request) {
    struct worker_reply reply = {.message = {.type = request->message->type}};

    supervisor->events->request(supervisor->owner, request, &reply);
    return reply;
}

/* Puts ours high up in the worker: where it was put, or -1. */
static int leave_copy(const struct seccomp_call *call, int descriptor) {
    int number = seccomp_call_spare_number(call);

    if (number < 0 || seccomp_call_replace(call, descriptor, number, O_CLOEXEC) < 0)
        return -1;
    return number;
}

/* See the header; a signal at this very moment leaves the worker without. The copies are as many as
 * there are listeners, for a program that binds again and again has those of the ones before
 * replaced. */
static void leave_copies(struct seccomp_supervisor *supervisor, struct listener_entry *entry,
                         const struct seccomp_call *call, int master_end) {
    if (!supervisor->copied)
        supervisor->copied = leave_copy(call, supervisor->notification) >= 0;
    if (entry->copy >= 0 && seccomp_call_replace(call, master_end, entry->copy, O_CLOEXEC) == 0)
        return;
    entry->copy = leave_copy(call, master_end);
}

/* What the accept socket takes over from the program's own. */
struct own_settings {
    bool non_blocking;
    struct timeval timeout;
};

static struct own_settings read_settings(int socket) {
    struct own_settings settings = {.non_blocking = (fcntl(socket, F_GETFL) & O_NONBLOCK) != 0};
    socklen_t length = sizeof settings.timeout;

    getsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &settings.timeout, &length);
    return settings;
}

static void apply_settings(int socket, const struct own_settings *settings) {
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &settings->timeout, sizeof settings->timeout);
    if (settings->non_blocking)
        fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
}

/* Asks for the request's socket to be bound, and answers. */
static void bind_by_owner(struct seccomp_supervisor *supervisor, const struct seccomp_call *call,
                          struct worker_request *request) {
    struct own_settings settings = read_settings(request->descriptor);
    uint64_t original = inode_of(request->descriptor);
    int copy = destroy_given_up(supervisor);
    struct worker_reply reply = ask(supervisor, request);
    struct listener_entry *entry;

    if (reply.message.error == 0 && (reply.message.flags & NATIVE_PRIVATE)) {
        seccomp_call_continue(call);
        return;
    }
    if (reply.message.error < 0) {
        seccomp_call_answer(call, reply.message.error);
        return;
    }
    entry = reply.count > 0 ? create_entry(supervisor, &reply) : NULL;
    if (!entry) {
        seccomp_call_answer(call, UV_ENOMEM);
        return;
    }
    entry->copy = copy;
    if (!entry->shared) {
        apply_settings(entry->socket, &settings);
        leave_copies(supervisor, entry, call, reply.descriptors[1]);
    }
    entry->binder = call->thread;
    entry->original = original;
    memcpy(entry->bind_arguments, call->arguments, sizeof call->arguments);
    finish_bind(entry, call);
}

/* With the program's socket open in the request. */
static void bind_socket(struct seccomp_supervisor *supervisor, const struct seccomp_call *call,
                        struct worker_request *request, struct native_request *message) {
    const struct sockaddr *address = (const struct sockaddr *)(const void *)message->address;

    if (!is_ours_to_bind(request->descriptor, address->sa_family) || !seccomp_call_waits(call)) {
        seccomp_call_continue(call);
        return;
    }
    if (get_option(request->descriptor, SO_REUSEPORT) > 0)
        message->flags = NATIVE_REUSE_PORT;
    bind_by_owner(supervisor, call, request);
}

/* A bind() of anything but a socket that was bound through us. */
static void on_first_bind(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    struct native_request message = {
        .magic = NATIVE_MAGIC, .version = NATIVE_VERSION, .type = NATIVE_BIND};
    struct worker_request request = {.message = &message, .pid = call->thread, .descriptor = -1};

    if (read_address(call, &message))
        request.descriptor = seccomp_call_open(call, (int)call->arguments[0]);
    if (request.descriptor == UV_EMFILE || request.descriptor == UV_ENFILE)
        seccomp_call_answer(call, UV_ENFILE);
    else if (request.descriptor < 0)
        seccomp_call_continue(call);
    else
        bind_socket(supervisor, call, &request, &message);
    if (request.descriptor >= 0)
        close(request.descriptor);
}

/* True when it is about a socket that was bound through us. */
static bool on_bind_again(const struct listener_entry *entry, const struct seccomp_call *call,
                          uint64_t inode) {
    bool same = is_same_bind(entry, call);

    if (inode == entry->inode)
        seccomp_call_answer(call, same ? 0 : UV_EINVAL);
    else if (inode == entry->original && same)
        finish_bind(entry, call);
    else
        return false;
    return true;
}

static void on_bind(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    uint64_t inode;

    if (seccomp_call_inode(call, (int)call->arguments[0], &inode) < 0) {
        seccomp_call_continue(call);
        return;
    }
    LIST_EACH(node, following, &supervisor->listeners)
    if (on_bind_again(entry_of(node), call, inode))
        return;
    on_first_bind(supervisor, call);
}

/* --- the others --- */

static void on_listen(struct seccomp_supervisor *supervisor, struct listener_entry *entry,
                      const struct seccomp_call *call) {
    struct native_request message = {.magic = NATIVE_MAGIC,
                                     .version = NATIVE_VERSION,
                                     .type = NATIVE_LISTEN,
                                     .listener = entry->listener,
                                     .value = (int32_t)call->arguments[1]};
    struct worker_request request = {.message = &message, .pid = call->thread, .descriptor = -1};
    int result;

    if (!seccomp_call_waits(call))
        return;
    result = ask(supervisor, &request).message.error;
    entry->listening = entry->listening || result == 0;
    seccomp_call_answer(call, result);
}

static void on_getsockname(const struct listener_entry *entry, const struct seccomp_call *call) {
    struct address_place place;
    uint32_t length = entry->name.address_length;
    int result = find_place(call, &place);

    if (result == 0)
        result = write_address(call, &place, entry->name.address, length);
    seccomp_call_answer(call, result);
}

static void on_call(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    struct listener_entry *entry;

    forget_thread(supervisor, call);
    if (call->number == SYS_bind) {
        on_bind(supervisor, call);
        return;
    }
    entry = find_entry(supervisor, call);
    if (entry && call->number == SYS_listen)
        on_listen(supervisor, entry, call);
    else if (!entry)
        seccomp_call_continue(call);
    else if (call->number == SYS_getsockname)
        on_getsockname(entry, call);
    else
        on_accept(supervisor, entry, call);
}

/* --- the loop --- */

static void on_notification(struct seccomp_supervisor *supervisor) {
    struct seccomp_call call;
    int result = seccomp_call_receive(supervisor->notification, &call);

    if (result == 0)
        on_call(supervisor, &call);
    else if (result == UV_EOF)
        epoll_ctl(supervisor->epoll, EPOLL_CTL_DEL, supervisor->notification, NULL);
}

/* One at a time: a call may do away with listeners that have something, too, and the loop comes
 * back while anything is left. */
static void on_readable(uv_poll_t *poll_handle, int status, int events) {
    struct seccomp_supervisor *supervisor = poll_handle->data;
    struct epoll_event event;

    (void)status;
    (void)events;
    if (epoll_wait(supervisor->epoll, &event, 1, 0) != 1)
        return;
    if (event.data.ptr)
        on_clients(supervisor, event.data.ptr);
    else
        on_notification(supervisor);
}

int seccomp_supervisor_start(struct seccomp_supervisor *supervisor, uv_loop_t *loop,
                             int notification, const struct seccomp_events *events, void *owner) {
    struct epoll_event event = {.events = EPOLLIN};
    int result;

    *supervisor =
        (struct seccomp_supervisor){.notification = notification, .events = events, .owner = owner};
    list_init(&supervisor->listeners);
    supervisor->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (supervisor->epoll < 0)
        return uv_translate_sys_error(errno);
    result = epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, notification, &event) < 0
                 ? uv_translate_sys_error(errno)
                 : uv_poll_init(loop, &supervisor->poll, supervisor->epoll);
    if (result < 0) {
        close(supervisor->epoll);
        return result;
    }
    uv_timer_init(loop, &supervisor->timer);
    supervisor->timer.data = supervisor;
    supervisor->poll.data = supervisor;
    supervisor->handles = 2;
    uv_poll_start(&supervisor->poll, UV_READABLE, on_readable);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct seccomp_supervisor *supervisor = handle->data;

    if (--supervisor->handles == 0)
        supervisor->on_closed(supervisor->owner);
}

void seccomp_supervisor_close(struct seccomp_supervisor *supervisor, void (*on_closed)(void *)) {
    supervisor->on_closed = on_closed;
    LIST_EACH(node, following, &supervisor->listeners)
    destroy_entry(supervisor, entry_of(node));
    uv_close((uv_handle_t *)&supervisor->poll, on_handle_closed);
    uv_close((uv_handle_t *)&supervisor->timer, on_handle_closed);
    close(supervisor->epoll);
    close(supervisor->notification);
}
