#include "master/child.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/dispatcher.h"
#include "master/process_stats.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

void child_set_state(struct child *child, enum child_state state) {
    if (!child_state_allowed(child->state, state))
        return;
    log_debug("worker %u of %s (pid %d): %s, was %s", child->slot, child->settings->name,
              (int)child->pid, child_state_name(state), child_state_name(child->state));
    child->state = state;
    child->was_ready = child->was_ready || state == CHILD_READY;
    if (state == CHILD_READY || (state == CHILD_DRAINING && child->retiring))
        uv_timer_stop(&child->timer);
}

void child_said_ready(struct child *child) {
    if (child->state != CHILD_STARTING && child->state != CHILD_ONLINE)
        return;
    if (child->settings->wait_ready && !child->said_ready)
        return;
    if (!child->listened && !child->said_ready)
        return;
    child_set_state(child, CHILD_READY);
    if (child->wants_to_serve)
        child_serve(child, clock_ms());
    child->events->ready(child->owner, child);
}

void child_serve(struct child *child, uint64_t now_ms) {
    if (child->state == CHILD_DRAINING || child->state == CHILD_EXITED)
        return;
    child->serving = true;
    child->wants_to_serve = true;
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->listening)
            dispatcher_join(&member->listener->dispatcher, &member->member, now_ms);
    }
}

int child_send(struct child *child, const char *bytes, size_t length) {
    if (child->input < 0)
        return UV_ENOTSUP;
    if (length > PIPE_BUF)
        return UV_E2BIG;
    return write(child->input, bytes, length) < 0 ? uv_translate_sys_error(errno) : 0;
}

void child_sample(struct child *child, uint64_t now_ms) {
    uint64_t cpu_ms;

    if (process_stats(child->pid, &cpu_ms, &child->memory) < 0)
        return;
    if (child->sampled_ms && now_ms > child->sampled_ms)
        child->cpu_percent =
            100.0 * (double)(cpu_ms - child->cpu_ms) / (double)(now_ms - child->sampled_ms);
    child->cpu_ms = cpu_ms;
    child->sampled_ms = now_ms;
}
