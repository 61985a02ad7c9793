#include "master/seccomp_supervisor.h"

#include "master/seccomp_address.h"
#include "master/seccomp_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

struct worker_reply seccomp_ask(struct seccomp_supervisor *supervisor,
                                struct worker_request *request) {
    struct worker_reply reply = {.message = {.type = request->message->type}};

    supervisor->events->request(supervisor->owner, request, &reply);
    return reply;
}

static void on_listen(struct seccomp_supervisor *supervisor, struct seccomp_listener *listener,
                      const struct seccomp_call *call) {
    struct native_request message = {.magic = NATIVE_MAGIC,
                                     .version = NATIVE_VERSION,
                                     .type = NATIVE_LISTEN,
                                     .listener = listener->number,
                                     .value = (int32_t)call->arguments[1]};
    struct worker_request request = {.message = &message, .pid = call->thread, .descriptor = -1};
    int result;

    if (!seccomp_call_waits(call))
        return;
    result = seccomp_ask(supervisor, &request).message.error;
    listener->listening = listener->listening || result == 0;
    seccomp_call_answer(call, result);
}

static void on_getsockname(const struct seccomp_listener *listener,
                           const struct seccomp_call *call) {
    struct seccomp_address_place place;
    uint32_t length = listener->name.address_length;
    int result = seccomp_address_find(call, &place);

    if (result == 0)
        result = seccomp_address_write(call, &place, listener->name.address, length);
    seccomp_call_answer(call, result);
}

static void on_call(struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    struct seccomp_listener *listener;

    seccomp_waiting_forget_thread(supervisor, call->thread);
    seccomp_bind_forget_thread(supervisor, call);
    if (call->number == SYS_bind) {
        seccomp_bind(supervisor, call);
        return;
    }
    listener = seccomp_listener_find(supervisor, call);
    if (listener && call->number == SYS_listen)
        on_listen(supervisor, listener, call);
    else if (!listener)
        seccomp_call_continue(call);
    else if (call->number == SYS_getsockname)
        on_getsockname(listener, call);
    else
        seccomp_accept(supervisor, listener, call);
}

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
        seccomp_accept_clients(supervisor, event.data.ptr);
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
        seccomp_listener_destroy(supervisor, seccomp_listener_of(node));
    uv_close((uv_handle_t *)&supervisor->poll, on_handle_closed);
    uv_close((uv_handle_t *)&supervisor->timer, on_handle_closed);
    close(supervisor->epoll);
    close(supervisor->notification);
}
