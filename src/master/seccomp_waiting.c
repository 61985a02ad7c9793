#include "master/seccomp_internal.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

struct waiting_call {
    struct list node;
    struct seccomp_call call;
    uint64_t until_ms; /* the end of its receive timeout, or 0 */
};

static void watch(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                  bool on) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};

    if (listener->watched == on)
        return;
    epoll_ctl(supervisor->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener->socket, &event);
    listener->watched = on;
}

static void forget(struct seccomp_supervisor *supervisor, struct waiting_call *waiting) {
    list_remove(&waiting->node);
    free(waiting);
    supervisor->waiting_count--;
}

static struct waiting_call *waiting_of(struct list *node) {
    return LIST_ENTRY(node, struct waiting_call, node);
}

/* Drops the calls of accept() that are over. */
static void sweep(struct seccomp_supervisor *supervisor) {
    LIST_EACH(node, following, &supervisor->listeners) {
        struct seccomp_listener *listener = seccomp_listener_of(node);

        LIST_EACH(place, next, &listener->waiting)
            if (!seccomp_call_waits(&waiting_of(place)->call))
                forget(supervisor, waiting_of(place));
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
static void end_timed_out(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                          uint64_t now_ms) {
    LIST_EACH(node, following, &listener->waiting) {
        struct waiting_call *waiting = waiting_of(node);

        if (waiting->until_ms == 0)
            continue;
        if (waiting->until_ms > now_ms) {
            set_timer(supervisor, waiting->until_ms);
            continue;
        }
        seccomp_call_answer(&waiting->call, UV_EAGAIN);
        forget(supervisor, waiting);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct seccomp_supervisor *supervisor = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    LIST_EACH(node, following, &supervisor->listeners)
        end_timed_out(supervisor, seccomp_listener_of(node), now_ms);
}

static uint64_t receive_timeout_ms(int socket) {
    struct timeval timeout = {0};
    socklen_t length = sizeof timeout;

    if (getsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, &length) < 0)
        return 0;
    return (uint64_t)timeout.tv_sec * 1000 + (uint64_t)(timeout.tv_usec + 999) / 1000;
}

void seccomp_waiting_add(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                         const struct seccomp_call *call) {
    uint64_t timeout_ms = receive_timeout_ms(listener->socket);
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
    list_push_back(&listener->waiting, &waiting->node);
    supervisor->waiting_count++;
    watch(supervisor, listener, true);
}

void seccomp_waiting_serve(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                           int (*serve)(const struct seccomp_listener *listener,
                                        const struct seccomp_call *call)) {
    LIST_EACH(node, following, &listener->waiting) {
        struct waiting_call *waiting = waiting_of(node);
        int result = 1;

        if (seccomp_call_waits(&waiting->call))
            result = serve(listener, &waiting->call);
        if (result == UV_EPIPE)
            watch(supervisor, listener, false); /* until their process ends, for nothing */
        if (result != 1)
            return;
        forget(supervisor, waiting);
    }
    watch(supervisor, listener, false);
}

void seccomp_waiting_fail(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                          int error) {
    LIST_EACH(node, following, &listener->waiting)
        seccomp_call_answer(&waiting_of(node)->call, error);
    seccomp_waiting_forget_all(supervisor, listener);
}

void seccomp_waiting_forget_all(struct seccomp_supervisor *supervisor,
                                struct seccomp_listener *listener) {
    LIST_EACH(node, following, &listener->waiting)
        forget(supervisor, waiting_of(node));
    watch(supervisor, listener, false);
}

static void forget_thread_at(struct seccomp_supervisor *supervisor,
                             struct seccomp_listener *listener, pid_t thread) {
    LIST_EACH(node, following, &listener->waiting)
        if (waiting_of(node)->call.thread == thread)
            forget(supervisor, waiting_of(node));
}

void seccomp_waiting_forget_thread(struct seccomp_supervisor *supervisor, pid_t thread) {
    LIST_EACH(node, following, &supervisor->listeners)
        forget_thread_at(supervisor, seccomp_listener_of(node), thread);
}
