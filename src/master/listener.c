#include "master/listener.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXAMINE_MS   200 /* how often stuck workers are looked at */
#define ACCEPT_BATCH 64  /* so that a flood does not keep the loop from the workers' answers */

static void on_clients(uv_poll_t *poll, int status, int events);
static void on_tick(uv_timer_t *timer);

/* --- binding --- */

static int set_flag(int descriptor, int level, int option, int value) {
    return setsockopt(descriptor, level, option, &value, sizeof value) < 0
               ? uv_translate_sys_error(errno)
               : 0;
}

static int set_options(int descriptor, const struct listener_key *key) {
    int result = 0;

    if (key->kind == LISTENER_TCP || key->reuse_address)
        result = set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0 && key->reuse_port)
        result = set_flag(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    if (result == 0 && key->address.any.sa_family == AF_INET6)
        result = set_flag(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, key->ipv6_only);
    return result;
}

static int bind_address(const struct listener_key *key, int *ret_descriptor) {
    int type =
        (key->kind == LISTENER_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int descriptor = socket(key->address.any.sa_family, type, 0);
    int result;

    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    result = set_options(descriptor, key);
    if (result == 0 && bind(descriptor, &key->address.any, key->length) < 0)
        result = uv_translate_sys_error(errno);
    if (result == 0 && key->chmod) {
        struct stat status;

        if (stat(key->address.local.sun_path, &status) < 0 ||
            chmod(key->address.local.sun_path, (status.st_mode & 07777) | key->chmod) < 0)
            result = uv_translate_sys_error(errno);
    }
    if (result < 0) {
        close(descriptor);
        return result;
    }
    *ret_descriptor = descriptor;
    return 0;
}

/* Without a host Node binds [::] for both families, or 0.0.0.0 where the machine has no IPv6. */
static int bind_any(const struct listener_key *key, int *ret_descriptor) {
    struct listener_key ipv4 = *key;
    int result = bind_address(key, ret_descriptor);

    if (!key->any_host || key->address.any.sa_family != AF_INET6)
        return result;
    if (result != UV_EAFNOSUPPORT && result != UV_EADDRNOTAVAIL && result != UV_EINVAL)
        return result;
    memset(&ipv4.address, 0, sizeof ipv4.address);
    ipv4.address.ipv4 =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = key->address.ipv6.sin6_port};
    ipv4.length = sizeof ipv4.address.ipv4;
    return bind_address(&ipv4, ret_descriptor);
}

static int start_listening(struct listener *listener, int backlog) {
    if (listen(listener->descriptor, backlog) < 0)
        return uv_translate_sys_error(errno);
    listener->listening = true;
    listener->backlog = backlog;
    return 0;
}

void listener_keep_linger(struct listener *listener) {
    static const struct linger off;
    socklen_t length = sizeof listener->linger;

    if (getsockopt(listener->descriptor, SOL_SOCKET, SO_LINGER, &listener->linger, &length) < 0 ||
        listener->linger.l_linger == 0)
        listener->linger.l_onoff = 0; /* nothing waits for it */
    if (listener->linger.l_onoff)
        setsockopt(listener->descriptor, SOL_SOCKET, SO_LINGER, &off, sizeof off);
}

/* Binds a worker's own socket, with all the options that it has set. As it is bound for good, there
 * is nothing to undo. */
static int bind_given(struct listener *listener, const struct listener_options *options) {
    if (bind(options->socket, &options->key->address.any, options->key->length) < 0)
        return uv_translate_sys_error(errno);
    fcntl(options->socket, F_SETFL, fcntl(options->socket, F_GETFL) | O_NONBLOCK);
    listener->descriptor = options->socket;
    listener->given = true;
    listener_keep_linger(listener);
    listener->bound_length = sizeof listener->bound;
    getsockname(options->socket, (struct sockaddr *)&listener->bound, &listener->bound_length);
    return 0;
}

static int lend(const struct listener_source *source, const struct listener_key *key) {
    int type = key->kind == LISTENER_UDP ? SOCK_DGRAM : SOCK_STREAM;
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = key->address.ipv6.sin6_port};
    int descriptor = source->lend(source->owner, type, &key->address.any, key->length);

    if (descriptor < 0 && key->any_host && key->address.any.sa_family == AF_INET6)
        descriptor = source->lend(source->owner, type, (struct sockaddr *)&ipv4, sizeof ipv4);
    return descriptor;
}

/* Whether somebody has bound the address for us. A stream socket listens already. */
static bool borrow(struct listener *listener, const struct listener_options *options) {
    int descriptor = options->source ? lend(options->source, options->key) : -1;

    if (descriptor < 0)
        return false;
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    listener->descriptor = descriptor;
    listener->lender = options->source;
    listener->listening = !options->bind_only && !options->shared;
    listener->backlog = listener->listening ? options->backlog : 0;
    listener->bound_length = sizeof listener->bound;
    getsockname(descriptor, (struct sockaddr *)&listener->bound, &listener->bound_length);
    return true;
}

static void close_descriptor(struct listener *listener) {
    if (listener->lender)
        listener->lender->give_back(listener->lender->owner, listener->descriptor);
    else
        close(listener->descriptor);
    listener->descriptor = -1;
}

static int open_socket(struct listener *listener, const struct listener_options *options) {
    int result;

    if (borrow(listener, options))
        return 0;
    if (options->bind_only)
        return bind_given(listener, options);
    result = bind_any(options->key, &listener->descriptor);
    if (result < 0)
        return result == UV_ENOENT ? UV_EACCES : result;
    listener->bound_length = sizeof listener->bound;
    if (getsockname(listener->descriptor, (struct sockaddr *)&listener->bound,
                    &listener->bound_length) < 0)
        result = uv_translate_sys_error(errno);
    if (result == 0 && !options->shared)
        result = start_listening(listener, options->backlog);
    if (result < 0)
        close(listener->descriptor);
    return result;
}

/* --- the dispatcher's announcements --- */

static void on_opened(void *owner, struct client *client, struct member *member) {
    struct listener *listener = owner;

    if (listener->events->opened)
        listener->events->opened(listener->owner, client, member);
}

static void on_taken_back(void *owner, struct client *client, struct member *member) {
    struct listener *listener = owner;

    if (listener->events->taken_back)
        listener->events->taken_back(listener->owner, client, member);
}

static void on_stuck(void *owner, struct member *member, uint64_t held_ms) {
    struct listener *listener = owner;

    listener->events->stuck(listener->owner, member, held_ms);
}

static void on_expired(void *owner, struct member *member, uint64_t held_ms) {
    struct listener *listener = owner;

    listener->events->expired(listener->owner, member, held_ms);
}

static void resume(struct listener *listener) {
    if (listener->polling || listener->stopped || !listener->listening || listener->starved ||
        listener->dispatcher.thirsty)
        return;
    if (uv_poll_start(&listener->poll, UV_READABLE, on_clients) == 0)
        listener->polling = true;
}

int listener_listen(struct listener *listener, int backlog) {
    int result = 0;

    if (listener->finished || listener->shared)
        return UV_EINVAL;
    if (!listener->listening || backlog > listener->backlog)
        result = start_listening(listener, backlog);
    if (result == 0)
        listener->stopped = false; /* it may have been broken */
    resume(listener);
    return result;
}

int listener_share(struct listener *listener, int backlog) {
    int flags = fcntl(listener->descriptor, F_GETFL);

    if (listener->members <= 1)
        fcntl(listener->descriptor, F_SETFL, flags & ~O_NONBLOCK);
    return start_listening(listener, backlog > 0 ? backlog : SOMAXCONN);
}

static void pause_accepting(struct listener *listener) {
    if (!listener->polling)
        return;
    uv_poll_stop(&listener->poll);
    listener->polling = false;
}

static void on_credit(void *owner) {
    resume(owner);
}

static void on_due(void *owner) {
    struct listener *listener = owner;

    uv_timer_start(&listener->timer, on_tick, DISPATCHER_TICK, DISPATCHER_TICK);
}

static const struct dispatcher_events dispatcher_events = {.opened = on_opened,
                                                           .taken_back = on_taken_back,
                                                           .stuck = on_stuck,
                                                           .expired = on_expired,
                                                           .credit = on_credit,
                                                           .due = on_due};

/* The lowest free number tells how many are left, for the kernel always gives that. */
static bool descriptors_short(const struct listener *listener) {
    int lowest = fcntl(listener->descriptor, F_DUPFD_CLOEXEC, 0);

    if (lowest < 0)
        return true;
    close(lowest);
    return lowest >= listener->descriptor_limit;
}

static void on_tick(uv_timer_t *timer) {
    struct listener *listener = timer->data;
    uint64_t now_ms = clock_ms();

    dispatcher_tick(&listener->dispatcher, now_ms);
    if (listener->events->examine && now_ms - listener->examined_ms >= EXAMINE_MS) {
        listener->examined_ms = now_ms;
        listener->events->examine(listener->owner, listener);
    }
    if (listener->starved && !listener->finished && !descriptors_short(listener)) {
        listener->starved = false;
        resume(listener);
    }
    /* What has been done since the dispatcher's own tick may need another one. */
    if (!listener->dispatcher.ticking && (!listener->starved || listener->finished))
        uv_timer_stop(timer);
}

/* --- life --- */

int listener_start(struct listener *listener, uv_loop_t *loop,
                   const struct listener_options *options, const struct listener_events *events,
                   void *owner) {
    int result;

    *listener = (struct listener){.key = *options->key,
                                  .events = events,
                                  .owner = owner,
                                  .descriptor_limit = options->descriptor_limit,
                                  .wants_cookies = options->wants_cookies,
                                  .shared = options->shared,
                                  .stopped = options->shared};
    list_init(&listener->in_set);
    result = open_socket(listener, options);
    if (result < 0)
        return result;
    result = uv_poll_init(loop, &listener->poll, listener->descriptor);
    if (result < 0) {
        if (!options->bind_only || listener->lender)
            close_descriptor(listener);
        return result;
    }
    uv_timer_init(loop, &listener->timer);
    listener->poll.data = listener;
    listener->timer.data = listener;
    listener->handles = 2;
    dispatcher_init(&listener->dispatcher, options->policy, &dispatcher_events, listener);
    listener->dispatcher.limits = options->limits;
    resume(listener);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct listener *listener = handle->data;

    if (--listener->handles > 0)
        return;
    free(listener->data);
    listener->on_closed(listener->owner, listener);
}

static void close_socket(struct listener *listener) {
    const char *path = listener->key.address.local.sun_path;

    if (listener->finished)
        return;
    listener->stopped = true;
    listener->finished = true;
    listener->polling = false;
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    close_descriptor(listener);
    if (listener->key.kind == LISTENER_UNIX && path[0] && !listener->lender)
        unlink(path);
}

void listener_close(struct listener *listener,
                    void (*on_closed)(void *owner, struct listener *listener)) {
    listener->on_closed = on_closed;
    close_socket(listener);
    uv_close((uv_handle_t *)&listener->timer, on_handle_closed);
    dispatcher_clear(&listener->dispatcher);
}

/* --- accepting --- */

/* Clients stay in the backlog until some descriptors are closed again: the tick tries. */
static void starve(struct listener *listener) {
    pause_accepting(listener);
    if (!listener->starved)
        listener->starved_total++;
    listener->starved = true;
    on_due(listener);
}

static bool is_passing(int error) {
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == EHOSTDOWN || error == EOPNOTSUPP;
}

/* The socket itself is broken: to try again would fail without pause. */
static void fail(struct listener *listener, int error) {
    pause_accepting(listener);
    listener->stopped = true;
    listener->listening = false;
    listener->events->failed(listener->owner, listener, error);
}

/* Who brought the socket may have kept a copy, and shutdown(2) of that ends listening for all: then
 * it listens again. */
static bool listen_again(struct listener *listener) {
    return listener->given && start_listening(listener, listener->backlog) == 0;
}

static void fail_to_accept(struct listener *listener, int error) {
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
        starve(listener);
    else if (error != EAGAIN && !(error == EINVAL && listen_again(listener)))
        fail(listener, uv_translate_sys_error(error));
}

/* Accepts one: 1 when there may be more, 0 when not now. */
static int accept_one(struct listener *listener, uint64_t now_ms) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int descriptor = accept4(listener->descriptor, (struct sockaddr *)&address, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *client;

    if (descriptor < 0 && is_passing(errno))
        return 1;
    if (descriptor < 0) {
        fail_to_accept(listener, errno);
        return 0;
    }
    client = client_create(descriptor);
    if (!client) {
        close(descriptor);
        return 0;
    }
    client_set_address(client, (struct sockaddr *)&address, length);
    if (listener->wants_cookies)
        client_note_cookie(client);
    listener->accepted_total++;
    dispatcher_add(&listener->dispatcher, client, now_ms);
    if (descriptor < listener->descriptor_limit)
        return 1;
    starve(listener); /* the lowest free number is this high: few are left */
    return 0;
}

/* How many clients the backlog holds, at least 1. An accept that finds nobody costs a socket, a
 * file and an inode for nothing, twenty times what this question costs: the kernel answers it for
 * TCP (tcp_info of a listening socket). */
static uint32_t backlog_length(const struct listener *listener) {
    struct tcp_info info;
    socklen_t length = sizeof info;

    if (listener->key.kind != LISTENER_TCP)
        return UINT32_MAX;
    if (getsockopt(listener->descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
        info.tcpi_unacked == 0)
        return 1;
    return info.tcpi_unacked;
}

static uint32_t least(uint32_t one, uint32_t other) {
    return one < other ? one : other;
}

static void accept_some(struct listener *listener, uint32_t most, uint64_t now_ms) {
    /* It belongs to the open file, which a copy of the worker that brought the socket shares. */
    if (listener->given)
        fcntl(listener->descriptor, F_SETFL, O_NONBLOCK);
    while (most-- > 0 && accept_one(listener, now_ms) > 0)
        ;
}

static void on_clients(uv_poll_t *poll, int status, int events) {
    struct listener *listener = poll->data;
    uint32_t credit = dispatcher_credit(&listener->dispatcher);
    uint64_t now_ms = clock_ms();

    (void)events;
    if (status < 0) {
        fail(listener, status);
        return;
    }
    accept_some(listener, least(least(credit, ACCEPT_BATCH), backlog_length(listener)), now_ms);
    dispatcher_run(&listener->dispatcher, now_ms);
    if (dispatcher_credit(&listener->dispatcher) > 0 || !listener->polling)
        return;
    pause_accepting(listener);
    listener->paused_total++;
    listener->dispatcher.thirsty = true;
}

/* Closes first and hands over then: who connects after the last accept gets a reset. */
void listener_finish(struct listener *listener) {
    uint64_t now_ms = clock_ms();

    if (!listener->stopped && listener->listening)
        accept_some(listener, (uint32_t)SOMAXCONN, now_ms);
    close_socket(listener);
    dispatcher_run(&listener->dispatcher, now_ms);
}

void listener_abandon(struct listener *listener) {
    close_socket(listener);
}
