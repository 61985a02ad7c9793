/* The end of a worker: asked for, forced, or come by itself. */
#include "base/clock.h"
#include "base/log.h"
#include "master/address.h"
#include "master/cgroup.h"
#include "master/child.h"
#include "master/child_internal.h"
#include "master/dispatcher.h"
#include "master/host.h"
#include "master/orphans.h"
#include "master/process_sockets.h"
#include "master/process_stats.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAKE_LOOK_MS   10   /* how often a worker that is to end is asked for untaken clients */
#define IDLE_LOOK_MS   50   /* … for open connections */
#define ORPHAN_LOOK_MS 20   /* … and whether anybody is left of it */
#define KILLED_MS      1000 /* for SIGKILL to take effect */
#define MESSAGE_SHARE  4    /* of drain_timeout, which a worker has after 'shutdown' */
#define HEIR_MS        5000 /* after its start a program goes to the background, if it does */
#define LINGER_MS      250  /* for a Node worker that has closed its channel to end by itself */

static void send_signal(struct child *child, int number) {
    if (child->state == CHILD_EXITED)
        return;
    /* It leads a session and group of its own since its start; the group takes its children along.
     */
    if (!child->settings->treekill || kill(-child->pid, number) < 0)
        kill(child->pid, number);
}

static void start_step(struct child *child, enum child_timer_step step, uint64_t delay_ms) {
    child->timer_step = step;
    uv_timer_start(&child->timer, child_on_timer, delay_ms, 0);
}

static void leave_rotation(struct child *child, bool dead, uint64_t now_ms) {
    LIST_EACH(node, following, &child->members) {
        struct member *member = LIST_ENTRY(node, struct member, in_child);

        dispatcher_leave(member->dispatcher, member, dead, now_ms);
    }
}

/* Closes its accept sockets for writing: true when it had any, and so learns of it. A program that
 * does not know of the master would take that for an error. */
static bool finish_accept_sockets(struct child *child) {
    bool found = false;

    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->member.delivery != &accept_delivery || member->bound)
            continue;
        accept_socket_finish(&member->way.socket);
        found = true;
    }
    return found;
}

static void stop_by_signal(struct child *child) {
    send_signal(child, child->settings->kill_signal);
    start_step(child, CHILD_TIMER_KILL, child->settings->kill_timeout_ms);
}

static bool has_untaken(const struct child *child) {
    LIST_EACH(node, following, &child->members) {
        const struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->member.delivery == &accept_delivery &&
            accept_socket_outstanding(&member->way.socket) > 0)
            return true;
    }
    return false;
}

/* Whether it has taken all its clients and finished with them; asked in the order that a client
 * goes through. */
static bool is_idle(const struct child *child) {
    if (has_untaken(child))
        return false;
    LIST_EACH(node, following, &child->members) {
        const struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);
        const struct sockaddr *address = (const struct sockaddr *)&member->listener->bound;

        if (member->member.delivery != &accept_delivery)
            continue; /* it accepts by itself, and would never be idle */
        if (process_session_connections(child->pid, address_port(address)) > 0)
            return false;
    }
    return true;
}

/* A signal ends most servers at once, so it waits for their connections. */
static void stop_when_idle(struct child *child) {
    if (is_idle(child) || clock_ms() >= child->drain_until_ms)
        stop_by_signal(child);
    else
        start_step(child, CHILD_TIMER_IDLE, IDLE_LOOK_MS);
}

static bool is_told_by_message(const struct child *child) {
    return child->has_channel && !child->channel.ended && child->language->shutdown &&
           child->settings->shutdown_with_message;
}

/* "disconnect" has Node close connections that are idle, though a client may just have asked: who
 * knows the message gets time to have its clients close theirs. */
static void tell_by_message(struct child *child) {
    child->language->shutdown(child);
    start_step(child, CHILD_TIMER_MESSAGE, child->settings->drain_timeout_ms / MESSAGE_SHARE);
}

static void wait_for_drain(struct child *child) {
    uint64_t now_ms = clock_ms();

    start_step(child, CHILD_TIMER_DRAIN,
               child->drain_until_ms > now_ms ? child->drain_until_ms - now_ms : 0);
}

static void disconnect_told(struct child *child) {
    if (!child->channel.ended)
        child->language->disconnect(child);
    wait_for_drain(child);
}

void child_closed_listener(struct child *child) {
    if (child->draining && child->timer_step == CHILD_TIMER_MESSAGE && list_empty(&child->members))
        disconnect_told(child);
}

/* Asks it to end by the ways there are, and forces it after the timeouts. */
static void ask_to_end(struct child *child) {
    bool asked = finish_accept_sockets(child);

    if (is_told_by_message(child)) {
        tell_by_message(child);
        return;
    }
    if (child->has_channel && !child->channel.ended)
        asked |= child->language->disconnect(child);
    if (asked && child->has_channel && child->language->alone) {
        start_step(child, CHILD_TIMER_KILL, child->settings->kill_timeout_ms);
        return;
    }
    if (asked || (child->has_channel && !child->language->alone)) {
        wait_for_drain(child);
        return;
    }
    stop_when_idle(child);
}

/* A Node worker that is told to disconnect closes its listeners, and with an accept socket those
 * who wait in it, so it takes them before. What comes on the channel it reads in order. */
static void ask_when_taken(struct child *child) {
    if (child->has_channel && has_untaken(child) && clock_ms() < child->drain_until_ms)
        start_step(child, CHILD_TIMER_TAKE, TAKE_LOOK_MS);
    else
        ask_to_end(child);
}

static bool start_draining(struct child *child) {
    if (child->state == CHILD_EXITED || child->draining)
        return false;
    child->draining = true;
    child->drain_until_ms = clock_ms() + child->settings->drain_timeout_ms;
    child_set_state(child, CHILD_DRAINING);
    return true;
}

void child_drain(struct child *child, uint64_t now_ms) {
    if (!start_draining(child))
        return;
    leave_rotation(child, false, now_ms);
    ask_when_taken(child);
}

void child_finish(struct child *child) {
    if (!start_draining(child))
        return;
    LIST_EACH(node, following, &child->members) {
        struct member *member = LIST_ENTRY(node, struct member, in_child);

        dispatcher_withdraw(member->dispatcher, member);
    }
    ask_when_taken(child);
}

void child_kill(struct child *child, const char *reason) {
    if (!child->reason)
        child->reason = reason;
    send_signal(child, SIGKILL);
}

static bool ends_groups(const struct child *child) {
    return child->host->options.end_groups && child->settings->treekill;
}

static bool is_worker(void *owner, pid_t pid) {
    return host_is_worker(owner, pid);
}

/* To whatever is left of it: true when there is something. */
static bool signal_orphans(const struct child *child, int number) {
    bool reused = host_is_worker(child->host, child->pid);
    char token[WORKER_NOTE_TOKEN_MAX];
    struct orphans_of whose = {.session = reused ? 0 : child->pid,
                               .token = token,
                               .is_worker = is_worker,
                               .owner = child->host};
    bool found = !reused && kill(-child->pid, number) == 0;

    if (!ends_groups(child))
        return found;
    child_print_token(child, token);
    whose.grouped = child->host->cgroup >= 0;
    found = orphans_signal(&whose, number) > 0 || found;
    if (whose.grouped && number == SIGKILL)
        cgroup_kill(child->host->cgroup, token);
    return found || (whose.grouped && cgroup_populated(child->host->cgroup, token));
}

/* Until the last of them has ended, by SIGKILL if need be. */
static void wait_for_orphans(struct child *child) {
    uint64_t now_ms = clock_ms();
    bool late = now_ms >= child->drain_until_ms;
    bool hopeless = late && (!ends_groups(child) || now_ms >= child->drain_until_ms + KILLED_MS);

    if (signal_orphans(child, late ? SIGKILL : 0) && !hopeless) {
        start_step(child, CHILD_TIMER_ORPHANS, ORPHAN_LOOK_MS);
        return;
    }
    child_close_timer(child);
    if (ends_groups(child))
        child->events->ended(child->owner, child);
}

void child_on_timer(uv_timer_t *timer) {
    struct child *child = timer->data;

    switch (child->timer_step) {
    case CHILD_TIMER_LISTEN:
        child->events->slow(child->owner, child);
        break;
    case CHILD_TIMER_TAKE:
        ask_when_taken(child);
        break;
    case CHILD_TIMER_IDLE:
        stop_when_idle(child);
        break;
    case CHILD_TIMER_MESSAGE:
        disconnect_told(child);
        break;
    case CHILD_TIMER_DRAIN:
        stop_by_signal(child);
        break;
    case CHILD_TIMER_ORPHANS:
        wait_for_orphans(child);
        break;
    case CHILD_TIMER_KILL:
        log_warning(
            "worker %u of %s (pid %d) did not end within %llu ms of its stop signal; killing it",
            child->slot, child->settings->name, (int)child->pid,
            (unsigned long long)child->settings->kill_timeout_ms);
        child_kill(child, NULL);
        break;
    }
}

void child_channel_ended(struct child *child) {
    if (child->state == CHILD_EXITED)
        return;
    child_set_state(child, CHILD_DRAINING);
    /* Nothing of what it has not acknowledged can reach it any more, and it reads no byte before it
     * acknowledges. */
    leave_rotation(child, true, clock_ms());
    start_step(child, CHILD_TIMER_DRAIN,
               child->draining ? LINGER_MS : child->settings->drain_timeout_ms);
}

static void remove_members(struct child *child, uint64_t now_ms) {
    leave_rotation(child, true, now_ms);
    LIST_EACH(node, following, &child->members)
        child_remove_member(child, LIST_ENTRY(node, struct child_member, member.in_child), false,
                            true);
}

static bool has_accept_socket(const struct child_member *member) {
    return member->bound && member->member.delivery == &accept_delivery;
}

/* A server that forks may leave children, which would wait for ever on accept sockets that nobody
 * feeds any more. What a Node worker has started does not accept for it. Where whole groups are
 * ended all of them count. True when there are some; they are asked to end. */
static bool end_orphans(const struct child *child) {
    if (ends_groups(child))
        return signal_orphans(child, SIGTERM);
    LIST_EACH(node, following, &child->members)
        if (has_accept_socket(LIST_ENTRY(node, struct child_member, member.in_child)))
            return !child->has_channel && kill(-child->pid, SIGTERM) == 0;
    return false;
}

/* A program that ends in good order soon after its start while another process has its accept
 * socket: it has put itself in the background. That process is asked to end, with its group. */
static pid_t end_heir(const struct child *child) {
    bool early = WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0 &&
                 clock_ms() - child->started_ms < HEIR_MS && !child->has_channel;

    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);
        struct process_place heir = {.pid = 0};
        pid_t group;
        struct stat status;

        if (!early || !has_accept_socket(member) || fstat(member->way.socket.worker, &status) < 0 ||
            !process_holds(child->pid, status.st_ino, &heir) || !process_is_descendant(heir.pid))
            continue;
        group = getpgid(heir.pid);
        if (group > 1 && group != getpgrp())
            kill(-group, SIGTERM);
        return heir.pid;
    }
    return 0;
}

void child_exited(struct child *child, int status, uint64_t now_ms) {
    bool has_orphans;

    /* What it acknowledged before it died counts. */
    if (child->has_channel)
        node_channel_drain(&child->channel);
    child->status = status;
    child_set_state(child, CHILD_EXITED);
    child->heir = end_heir(child);
    child->drain_until_ms = now_ms + child->settings->kill_timeout_ms;
    has_orphans = end_orphans(child);
    remove_members(child, now_ms);
    child_close_handles(child);
    if (has_orphans)
        start_step(child, CHILD_TIMER_ORPHANS, 0);
    else
        child_close_timer(child);
    if (!has_orphans || !ends_groups(child))
        child->events->ended(child->owner, child);
}

/* "was replaced because …, and then " where that was so. */
static int describe_replaced(const struct child *child, char text[CHILD_END_MAX]) {
    text[0] = '\0';
    return child->replaced
               ? snprintf(text, CHILD_END_MAX, "was replaced because %s, and ", child->replaced)
               : 0;
}

void child_describe_end(const struct child *child, char text[CHILD_END_MAX]) {
    uint64_t lived = clock_ms() - child->started_ms;
    int length = describe_replaced(child, text);

    if (length < 0 || length >= CHILD_END_MAX)
        return;
    text += length;
    length = CHILD_END_MAX - length;
    if (child->reason)
        snprintf(text, (size_t)length, "was killed because %s,", child->reason);
    else if (WIFSIGNALED(child->status))
        snprintf(text, (size_t)length, "was ended by SIG%s",
                 sigabbrev_np(WTERMSIG(child->status)) ? sigabbrev_np(WTERMSIG(child->status))
                                                       : "?");
    else
        snprintf(text, (size_t)length, "exited with code %d", WEXITSTATUS(child->status));
    length -= (int)strlen(text);
    text += strlen(text);
    snprintf(text, (size_t)length, lived < 10000 ? " after %llu ms" : " after %llu s",
             (unsigned long long)(lived < 10000 ? lived : lived / 1000));
}
