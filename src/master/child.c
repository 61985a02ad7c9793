#include "master/child.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/address.h"
#include "master/dispatcher.h"
#include "master/environment.h"
#include "master/identity.h"
#include "master/native_worker.h"
#include "master/process_sockets.h"
#include "master/process_stats.h"
#include "master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDLE_LOOK_MS 50   /* how often a worker that is to end is asked for open connections */
#define LINGER_MS    250  /* for a Node worker that has closed its channel to end by itself */
#define MEMBERS_MAX  1024 /* of one worker, so that others may have listeners too */

static void on_timer(uv_timer_t *timer);

/* --- start --- */

/* The descriptors that are opened for a start: ours on one side, the worker's on the other. */
struct start_descriptors {
    int channel[2];
    int output[2];
    int error[2];
};

static void close_pair(int pair[2], int side) {
    if (pair[side] >= 0)
        close(pair[side]);
    pair[side] = -1;
}

static void close_side(struct start_descriptors *descriptors, int side) {
    close_pair(descriptors->channel, side);
    close_pair(descriptors->output, side);
    close_pair(descriptors->error, side);
}

static int open_pipe(int pair[2]) {
    if (pipe2(pair, O_CLOEXEC) < 0)
        return uv_translate_sys_error(errno);
    return fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? uv_translate_sys_error(errno) : 0;
}

static int open_descriptors(struct start_descriptors *descriptors,
                            const struct child_options *options) {
    int result = 0;

    *descriptors = (struct start_descriptors){{-1, -1}, {-1, -1}, {-1, -1}};
    if (options->language &&
        (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors->channel) < 0 ||
         fcntl(descriptors->channel[0], F_SETFL, O_NONBLOCK) < 0))
        result = uv_translate_sys_error(errno);
    if (result == 0 && options->output)
        result = open_pipe(descriptors->output);
    if (result == 0 && options->output)
        result = open_pipe(descriptors->error);
    if (result < 0) {
        close_side(descriptors, 0);
        close_side(descriptors, 1);
    }
    return result;
}

static void print_token(const uint8_t token[NATIVE_TOKEN_SIZE],
                        char text[2 * NATIVE_TOKEN_SIZE + 1]) {
    for (int i = 0; i < NATIVE_TOKEN_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", token[i]);
}

/* Where the environment wants the process's number. */
static char *find_pid_text(const struct text_list *environment) {
    size_t length = strlen(ENVIRONMENT_LISTEN_PID);

    for (size_t i = 0; i < environment->count; i++)
        if (strncmp(environment->items[i], ENVIRONMENT_LISTEN_PID, length) == 0)
            return environment->items[i] + length;
    return NULL;
}

static void on_seccomp_request(void *owner, struct worker_request *request,
                               struct worker_reply *reply) {
    native_worker_request(owner, request, reply);
}

static bool has_listener(void *owner, uint32_t listener) {
    const struct child *child = owner;

    LIST_EACH(node, following, &child->members)
    if (LIST_ENTRY(node, struct member, in_child)->id == listener)
        return true;
    return false;
}

static const struct seccomp_events seccomp_events = {.request = on_seccomp_request,
                                                     .has_listener = has_listener};

/* Speaks for the program from its first call on: until now none was answered. */
static int supervise(struct child *child, int notification) {
    int result = seccomp_supervisor_start(&child->supervisor, child->loop, notification,
                                          &seccomp_events, child);

    if (result < 0) {
        close(notification);
        kill(child->pid, SIGKILL);
        return result;
    }
    child->supervised = true;
    child->open_handles++;
    return 0;
}

static int run_program(struct child *child, const struct child_options *options,
                       const struct start_descriptors *descriptors) {
    const struct settings *settings = options->settings;
    char token[2 * NATIVE_TOKEN_SIZE + 1];
    struct environment_options wanted = {.settings = settings,
                                         .socket_name = options->socket_name,
                                         .token = token,
                                         .slot = options->slot,
                                         .serial = options->serial,
                                         .node_channel = descriptors->channel[1] >= 0,
                                         .preload = options->preload,
                                         .inherits_listener = options->inherits != NULL};
    struct spawn_options program = {.cwd = settings->cwd,
                                    .input = options->input,
                                    .output = descriptors->output[1],
                                    .error = descriptors->error[1],
                                    .channel = descriptors->channel[1],
                                    .descriptors = options->descriptors,
                                    .change_user = options->identity->differs,
                                    .uid = options->identity->uid,
                                    .gid = options->identity->gid};
    struct text_list environment;
    char **command;
    int notification = -1;
    int result;

    child->uid = options->identity->uid;
    print_token(child->token, token);
    result = environment_create(&environment, &wanted);
    if (result < 0)
        return result;
    if (options->inherits) {
        program.channel = options->inherits->descriptor;
        program.pid_text = find_pid_text(&environment);
    }
    if (settings->intercept == SETTINGS_INTERCEPT_SECCOMP)
        program.ret_notification = &notification;
    command = settings_command(settings);
    program.arguments = command;
    program.environment = environment.items;
    result = command ? spawn(&program, &child->pid) : UV_ENOMEM;
    free(command);
    text_list_clear(&environment);
    return result == 0 && notification >= 0 ? supervise(child, notification) : result;
}

static void on_handle_closed(void *owner) {
    struct child *child = owner;

    if (--child->open_handles == 0)
        free(child);
}

static void on_timer_closed(uv_handle_t *handle) {
    on_handle_closed(handle->data);
}

/* Our sides become handles of the loop. Each that started is closed by close_handles(). */
static int start_handles(struct child *child, const struct child_options *options,
                         struct start_descriptors *descriptors) {
    int result = 0;

    uv_timer_init(child->loop, &child->timer);
    child->timer.data = child;
    child->open_handles = 1;
    if (descriptors->channel[0] >= 0) {
        result = node_channel_start(&child->channel, child->loop, descriptors->channel[0],
                                    child->language->channel_events, child);
        if (result < 0)
            return result;
        descriptors->channel[0] = -1;
        child->has_channel = true;
        child->open_handles++;
    }
    if (!options->output)
        return 0;
    result = output_source_start(&child->output, child->loop, options->output,
                                 descriptors->output[0], child->slot, false);
    if (result < 0)
        return result;
    descriptors->output[0] = -1;
    child->open_handles++;
    result = output_source_start(&child->error, child->loop, options->output, descriptors->error[0],
                                 child->slot, true);
    if (result < 0)
        return result;
    descriptors->error[0] = -1;
    child->open_handles++;
    return 0;
}

/* The memory goes with the last of them. */
static void close_handles(struct child *child) {
    uv_close((uv_handle_t *)&child->timer, on_timer_closed);
    if (child->has_channel)
        node_channel_close(&child->channel, on_handle_closed);
    if (child->output.descriptor >= 0)
        output_source_close(&child->output, on_handle_closed, child);
    if (child->error.descriptor >= 0)
        output_source_close(&child->error, on_handle_closed, child);
    if (child->supervised)
        seccomp_supervisor_close(&child->supervisor, on_handle_closed);
}

static struct child *child_create(const struct child_options *options,
                                  const struct child_events *events, void *owner) {
    struct child *child = calloc(1, sizeof *child);

    if (!child)
        return NULL;
    list_init(&child->in_app);
    list_init(&child->members);
    child->settings = options->settings;
    child->language = options->language;
    child->preload = options->preload;
    child->events = events;
    child->owner = owner;
    child->loop = options->loop;
    child->slot = options->slot;
    child->serving = options->serving && !options->settings->wait_ready;
    child->started_ms = clock_ms();
    child->output.descriptor = -1;
    child->error.descriptor = -1;
    return child;
}

static int create_member(struct child *child, struct listener *listener,
                         const struct child_listen_request *request,
                         struct child_member **ret_member) {
    struct child_member *member = calloc(1, sizeof *member);

    if (!member)
        return UV_ENOMEM;
    member_init(&member->member, &listener->dispatcher, child->slot);
    member->member.child = child;
    member->member.id = child->next_member++;
    member->member.window = child->settings->window ? child->settings->window : 1;
    member->member.open = listener->wants_cookies ? 0 : POLICY_OPEN_UNKNOWN;
    member->listener = listener;
    member->child = child;
    member->bound = request->bind_only;
    listener->members++;
    list_push_back(&child->members, &member->member.in_child);
    *ret_member = member;
    return 0;
}

/* Nobody says when it listens: it does without us, or on a socket that listens already. */
static bool serves_at_once(const struct child_options *options) {
    return !options->settings->wait_ready &&
           (options->settings->intercept == SETTINGS_INTERCEPT_NONE || options->inherits);
}

/* It is a member that never sits in the rotation, for it accepts by itself. */
static void inherit(struct child *child, struct listener *listener) {
    static const struct child_listen_request nothing_asked = {.key = NULL};
    struct child_member *member;

    if (create_member(child, listener, &nothing_asked, &member) == 0)
        child->listened = true;
}

int child_start(struct child **ret_child, const struct child_options *options,
                const struct child_events *events, void *owner) {
    struct start_descriptors descriptors;
    struct child *child = child_create(options, events, owner);
    int result;

    if (!child)
        return UV_ENOMEM;
    child->wants_to_serve = options->serving;
    result = getrandom(child->token, sizeof child->token, 0) == sizeof child->token ? 0 : UV_EIO;
    if (result == 0)
        result = open_descriptors(&descriptors, options);
    if (result < 0) {
        free(child);
        return result;
    }
    result = start_handles(child, options, &descriptors);
    if (result == 0)
        result = run_program(child, options, &descriptors);
    close_side(&descriptors, 0);
    close_side(&descriptors, 1);
    if (result < 0) {
        close_handles(child);
        return result;
    }
    child->timer_step = CHILD_TIMER_LISTEN;
    uv_timer_start(&child->timer, on_timer, options->settings->listen_timeout_ms, 0);
    if (options->inherits)
        inherit(child, options->inherits);
    if (serves_at_once(options))
        child_set_state(child, CHILD_READY);
    *ret_child = child;
    return 0;
}

/* --- state --- */

void child_set_state(struct child *child, enum child_state state) {
    if (!child_state_allowed(child->state, state))
        return;
    log_debug("worker %u (pid %d): %s, was %s", child->slot, (int)child->pid,
              child_state_name(state), child_state_name(child->state));
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

/* --- members --- */

static struct child_member *find_listener(struct child *child, const struct listener *listener) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->listener == listener && !member->leaving)
            return member;
    }
    return NULL;
}

static struct child_member *find_key(const struct child *child, const struct listener_key *key) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (!member->leaving && listener_key_equal(&member->listener->key, key))
            return member;
    }
    return NULL;
}

bool child_has_key(const struct child *child, const struct listener_key *key) {
    return find_key(child, key) != NULL;
}

/* As the kernel has it, both sockets must have asked for that. */
static bool allows_another(const struct listener *listener) {
    int reuse_port = 0;
    socklen_t length = sizeof reuse_port;

    return getsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEPORT, &reuse_port, &length) == 0 &&
           reuse_port;
}

static unsigned count_members(const struct child *child) {
    unsigned count = 0;

    LIST_EACH(node, following, &child->members)
    count++;
    return count;
}

/* Another worker may have bound it, and not listened yet. */
static int listen_at_once(struct listener *listener, const struct child_listen_request *request) {
    if (request->bind_only || listener->listening || listener->shared)
        return 0;
    return listener_listen(listener, request->backlog > 0 ? request->backlog : SOMAXCONN);
}

int child_add_member(struct child *child, const struct child_listen_request *request,
                     struct child_member **ret_member) {
    struct child_member *member = find_key(child, request->key);
    struct listener *listener;
    int result;

    if (child->state == CHILD_EXITED)
        return UV_ECANCELED;
    if (member && request->reuse_port && allows_another(member->listener)) {
        *ret_member = member;
        return 0;
    }
    if (member)
        child_check_member(child, member); /* the listener may go with it */
    if (count_members(child) >= MEMBERS_MAX)
        return UV_EMFILE;
    result = child->events->listen(child->owner, child, request, &listener);
    if (result == 0)
        result = listen_at_once(listener, request);
    if (result < 0)
        return result;
    if (find_listener(child, listener))
        return UV_EADDRINUSE; /* what the operating system would say */
    return create_member(child, listener, request, ret_member);
}

/* What the worker listens on: its accept socket, or the shared TCP socket. Node says by its channel
 * when it closes that one. */
static int socket_of(const struct child_member *member) {
    if (member->member.delivery == &accept_delivery)
        return member->way.socket.worker;
    if (member->child->has_channel || !member->listener->shared)
        return -1;
    return member->listener->descriptor;
}

bool child_check_member(struct child *child, struct child_member *member) {
    struct stat status;

    if (!member->bound || member->leaving)
        return false;
    if (child->has_channel && !member->listening)
        return false; /* still on its way to the worker */
    if (fstat(socket_of(member), &status) < 0 ||
        process_session_holds(child->pid, status.st_ino, &member->place))
        return false;
    child_remove_member(child, member, true, false);
    return true;
}

void child_join_member(struct child *child, struct child_member *member) {
    member->listening = true;
    if (child->serving && child->state != CHILD_DRAINING)
        dispatcher_join(&member->listener->dispatcher, &member->member, clock_ms());
}

static void add_counts(struct child_counts *counts, const struct member *member) {
    counts->handed += member->handed_total;
    counts->acknowledged += member->acknowledged_total;
    counts->refused += member->refused_total;
    counts->returned += member->returned_total;
    counts->waiting += member->probed ? 0 : member->unacknowledged;
    if (member->open == POLICY_OPEN_UNKNOWN)
        return;
    counts->open = counts->open == POLICY_OPEN_UNKNOWN ? member->open : counts->open + member->open;
}

static void free_member(void *owner) {
    struct child_member *member = owner;
    struct child *child = member->child;

    free(member);
    on_handle_closed(child);
}

void child_remove_member(struct child *child, struct child_member *member, bool asked, bool dead) {
    struct listener *listener = member->listener;

    dispatcher_leave(&listener->dispatcher, &member->member, dead, clock_ms());
    if (!list_empty(&member->member.handed)) {
        member->leaving = true; /* what it has been sent inline it will still answer */
        return;
    }
    dispatcher_forget(&member->member);
    add_counts(&child->removed, &member->member);
    list_remove(&member->member.in_child);
    listener->members--;
    child->events->unlisten(child->owner, child, member, asked);
    if (member->member.delivery == &accept_delivery) {
        child->open_handles++;
        member->way.owner = member;
        accept_delivery_close(&member->way, free_member);
        return;
    }
    free(member);
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

/* --- the end --- */

static void send_signal(struct child *child, int number) {
    if (child->state == CHILD_EXITED)
        return;
    /* It leads a session and group of its own since its start; the group takes its children along.
     */
    if (kill(-child->pid, number) < 0)
        kill(child->pid, number);
}

static void start_step(struct child *child, enum child_timer_step step, uint64_t delay_ms) {
    child->timer_step = step;
    uv_timer_start(&child->timer, on_timer, delay_ms, 0);
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
    send_signal(child, SIGINT);
    start_step(child, CHILD_TIMER_KILL, child->settings->kill_timeout_ms);
}

/* Whether it has taken all its clients and finished with them. */
static bool is_idle(const struct child *child) {
    LIST_EACH(node, following, &child->members) {
        const struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);
        const struct sockaddr *address = (const struct sockaddr *)&member->listener->bound;

        if (member->member.delivery != &accept_delivery)
            continue; /* it accepts by itself, and would never be idle */
        if (accept_socket_outstanding(&member->way.socket) > 0 ||
            process_session_connections(child->pid, address_port(address)) > 0)
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

/* Asks it to end by the ways there are, and forces it after the timeouts. */
static void ask_to_end(struct child *child) {
    bool asked = finish_accept_sockets(child);

    if (child->has_channel && !child->channel.ended)
        child->language->disconnect(child);
    if (asked || child->has_channel) {
        start_step(child, CHILD_TIMER_DRAIN, child->settings->drain_timeout_ms);
        return;
    }
    child->drain_until_ms = clock_ms() + child->settings->drain_timeout_ms;
    stop_when_idle(child);
}

static bool start_draining(struct child *child) {
    if (child->state == CHILD_EXITED || child->draining)
        return false;
    child->draining = true;
    child_set_state(child, CHILD_DRAINING);
    return true;
}

void child_drain(struct child *child, uint64_t now_ms) {
    if (!start_draining(child))
        return;
    leave_rotation(child, false, now_ms);
    ask_to_end(child);
}

void child_finish(struct child *child) {
    if (!start_draining(child))
        return;
    LIST_EACH(node, following, &child->members) {
        struct member *member = LIST_ENTRY(node, struct member, in_child);

        dispatcher_withdraw(member->dispatcher, member);
    }
    ask_to_end(child);
}

void child_kill(struct child *child, const char *reason) {
    if (!child->reason)
        child->reason = reason;
    send_signal(child, SIGKILL);
}

static void on_timer(uv_timer_t *timer) {
    struct child *child = timer->data;

    switch (child->timer_step) {
    case CHILD_TIMER_LISTEN:
        child->events->slow(child->owner, child);
        break;
    case CHILD_TIMER_IDLE:
        stop_when_idle(child);
        break;
    case CHILD_TIMER_DRAIN:
        stop_by_signal(child);
        break;
    case CHILD_TIMER_KILL:
        log_warning("worker %u (pid %d) did not end within %llu ms of its stop signal; killing it",
                    child->slot, (int)child->pid,
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
    child_remove_member(child, LIST_ENTRY(node, struct child_member, member.in_child), false, true);
}

/* A server that forks may leave children, which would wait for ever on accept sockets that nobody
 * feeds any more. What a Node worker has started does not accept for it. */
static void end_orphans(const struct child *child) {
    if (child->has_channel)
        return;
    LIST_EACH(node, following, &child->members) {
        if (!LIST_ENTRY(node, struct child_member, member.in_child)->bound)
            continue;
        kill(-child->pid, SIGTERM);
        return;
    }
}

void child_exited(struct child *child, int status, uint64_t now_ms) {
    /* What it acknowledged before it died counts. */
    if (child->has_channel)
        node_channel_drain(&child->channel);
    child->status = status;
    child_set_state(child, CHILD_EXITED);
    end_orphans(child);
    remove_members(child, now_ms);
    close_handles(child);
    child->events->ended(child->owner, child);
}

void child_describe_end(const struct child *child, char text[CHILD_END_MAX]) {
    uint64_t lived = clock_ms() - child->started_ms;
    int length;

    if (child->reason)
        length = snprintf(text, CHILD_END_MAX, "was killed because %s,", child->reason);
    else if (WIFSIGNALED(child->status))
        length = snprintf(
            text, CHILD_END_MAX, "was ended by SIG%s",
            sigabbrev_np(WTERMSIG(child->status)) ? sigabbrev_np(WTERMSIG(child->status)) : "?");
    else
        length = snprintf(text, CHILD_END_MAX, "exited with code %d", WEXITSTATUS(child->status));
    if (length >= 0 && length < CHILD_END_MAX)
        snprintf(text + length, CHILD_END_MAX - (size_t)length,
                 lived < 10000 ? " after %llu ms" : " after %llu s",
                 (unsigned long long)(lived < 10000 ? lived : lived / 1000));
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

void child_count(const struct child *child, struct child_counts *ret_counts) {
    *ret_counts = child->removed;
    ret_counts->open = POLICY_OPEN_UNKNOWN;
    LIST_EACH(node, following, &child->members)
    add_counts(ret_counts, LIST_ENTRY(node, struct member, in_child));
}
