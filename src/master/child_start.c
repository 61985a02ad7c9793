/* The start of a worker process: its descriptors, environment and handles. */
#include "base/clock.h"
#include "base/log.h"
#include "master/cgroup.h"
#include "master/child.h"
#include "master/child_internal.h"
#include "master/environment.h"
#include "master/host.h"
#include "master/identity.h"
#include "master/native_worker.h"
#include "master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* The descriptors that are opened for a start: ours on one side, the worker's on the other. */
struct start_descriptors {
    int channel[2];
    int input[2];
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
    close_pair(descriptors->input, side);
    close_pair(descriptors->output, side);
    close_pair(descriptors->error, side);
}

static int open_pipe(int pair[2]) {
    if (pipe2(pair, O_CLOEXEC) < 0)
        return uv_translate_sys_error(errno);
    return fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? uv_translate_sys_error(errno) : 0;
}

/* Ours is the end that is written to. */
static int open_input(int pair[2]) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return uv_translate_sys_error(errno);
    pair[0] = ends[1];
    pair[1] = ends[0];
    return fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? uv_translate_sys_error(errno) : 0;
}

static int open_descriptors(struct start_descriptors *descriptors,
                            const struct child_options *options) {
    int result = 0;

    *descriptors = (struct start_descriptors){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (options->language &&
        (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors->channel) < 0 ||
         fcntl(descriptors->channel[0], F_SETFL, O_NONBLOCK) < 0))
        result = uv_translate_sys_error(errno);
    if (result == 0 && options->host->options.open_inputs)
        result = open_input(descriptors->input);
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

void child_print_token(const struct child *child, char text[WORKER_NOTE_TOKEN_MAX]) {
    for (int i = 0; i < NATIVE_TOKEN_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", child->token[i]);
}

/* What the worker is to note of itself. */
static void print_note(const struct child *child, const char *token, char text[WORKER_NOTE_MAX]) {
    const struct settings *settings = child->settings;
    struct worker_note note = {.kill_signal = settings->kill_signal,
                               .kill_timeout_ms = settings->kill_timeout_ms,
                               .treekill = settings->treekill,
                               .listens = settings->intercept == SETTINGS_INTERCEPT_NONE};

    memcpy(note.boot, child->host->boot, sizeof note.boot);
    snprintf(note.token, sizeof note.token, "%s", token);
    worker_note_print(&note, text);
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

/* Our ends, for nothing of the worker's to end with us. */
static unsigned keep_ends(const struct child *child, int kept[SPAWN_KEPT_MAX]) {
    unsigned count = 0;

    if (!child->host->options.keep_channels)
        return 0;
    if (child->has_channel)
        kept[count++] = child->channel.descriptor;
    if (child->input >= 0)
        kept[count++] = child->input;
    if (child->output)
        kept[count++] = child->output->descriptor;
    if (child->error)
        kept[count++] = child->error->descriptor;
    return count;
}

/* Its own group, which it enters by the descriptor; -1: it has none. Without it, it is only less
 * certain that all ends with it. */
static int create_group(const struct child *child, const char *token) {
    int group = -1;

    if (child->host->cgroup >= 0 && child->settings->treekill)
        group = cgroup_create(child->host->cgroup, token);
    return group < 0 ? -1 : group;
}

/* By what a daemon finds it again, and all that it starts. */
static void leave_traces(const struct child *child, const char *token, char note[WORKER_NOTE_MAX],
                         struct spawn_options *program) {
    program->cgroup = create_group(child, token);
    if (child->host->notes < 0)
        return;
    print_note(child, token, note);
    program->note_directory = child->host->notes;
    program->note_token = token;
    program->note_text = note;
}

static int run_program(struct child *child, const struct child_options *options,
                       const struct start_descriptors *descriptors) {
    const struct settings *settings = options->settings;
    char token[WORKER_NOTE_TOKEN_MAX];
    char note[WORKER_NOTE_MAX];
    struct environment_options wanted = {.settings = settings,
                                         .variables = options->variables,
                                         .socket_name = options->host->worker_socket.name,
                                         .token = token,
                                         .slot = options->slot,
                                         .serial = options->serial,
                                         .node_channel = descriptors->channel[1] >= 0,
                                         .node_alone =
                                             options->language && options->language->alone,
                                         .preload = options->preload,
                                         .inherits_listener = options->inherits != NULL};
    struct spawn_options program = {.cwd = settings->cwd,
                                    .input = descriptors->input[1] >= 0 ? descriptors->input[1]
                                                                        : options->host->null_input,
                                    .output = descriptors->output[1],
                                    .error = descriptors->error[1],
                                    .channel = descriptors->channel[1],
                                    .descriptors = options->host->worker_descriptors,
                                    .change_user = options->identity->differs,
                                    .uid = options->identity->uid,
                                    .gid = options->identity->gid};
    struct text_list environment;
    char **command;
    int notification = -1;
    int result;

    program.kept_count = keep_ends(child, program.kept);
    child->uid = options->identity->uid;
    child_print_token(child, token);
    leave_traces(child, token, note, &program);
    result = environment_create(&environment, &wanted);
    if (result < 0)
        goto done;
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
done:
    if (program.cgroup >= 0)
        close(program.cgroup);
    return result == 0 && notification >= 0 ? supervise(child, notification) : result;
}

/* Not before all that it has left behind has ended, too; or it could not be started. */
static void remove_traces(const struct child *child) {
    char token[WORKER_NOTE_TOKEN_MAX];

    child_print_token(child, token);
    if (child->host->notes >= 0)
        worker_note_remove(child->host->notes, token);
    if (child->host->cgroup >= 0)
        cgroup_remove(child->host->cgroup, token);
}

void child_handle_closed(void *owner) {
    struct child *child = owner;

    if (--child->open_handles > 0)
        return;
    remove_traces(child);
    settings_unref(child->settings);
    host_worker_ended(child->host);
    free(child);
}

static void on_timer_closed(uv_handle_t *handle) {
    child_handle_closed(handle->data);
}

/* What it prints is the sink's: these outlive the child when a descendant goes on printing. */
static int start_output(struct child *child, struct output_sink *sink,
                        struct start_descriptors *descriptors) {
    struct output_origin origin = {.slot = child->slot};
    int result =
        output_source_start(&child->output, child->loop, sink, descriptors->output[0], &origin);

    if (result < 0)
        return result;
    descriptors->output[0] = -1;
    origin.error = true;
    result = output_source_start(&child->error, child->loop, sink, descriptors->error[0], &origin);
    if (result == 0)
        descriptors->error[0] = -1;
    return result;
}

static void release_output(struct output_source **source) {
    if (*source)
        output_source_release(*source);
    *source = NULL;
}

/* Our sides become handles of the loop. Each that started is closed by child_close_handles(). */
static int start_handles(struct child *child, const struct child_options *options,
                         struct start_descriptors *descriptors) {
    int result = 0;

    uv_timer_init(child->loop, &child->timer);
    child->timer.data = child;
    child->open_handles = 1;
    child->input = descriptors->input[0];
    descriptors->input[0] = -1;
    if (descriptors->channel[0] >= 0) {
        result = node_channel_start(&child->channel, child->loop, descriptors->channel[0],
                                    child->language->channel_events, child);
        if (result < 0)
            return result;
        descriptors->channel[0] = -1;
        child->has_channel = true;
        child->open_handles++;
    }
    return options->output ? start_output(child, options->output, descriptors) : 0;
}

/* The memory goes with the last of them. */
void child_close_timer(struct child *child) {
    uv_close((uv_handle_t *)&child->timer, on_timer_closed);
}

void child_close_handles(struct child *child) {
    if (child->has_channel)
        node_channel_close(&child->channel, child_handle_closed);
    if (child->input >= 0)
        close(child->input);
    child->input = -1;
    release_output(&child->output);
    release_output(&child->error);
    if (child->supervised)
        seccomp_supervisor_close(&child->supervisor, child_handle_closed);
}

static struct child *child_create(const struct child_options *options,
                                  const struct child_events *events, void *owner) {
    struct child *child = calloc(1, sizeof *child);

    if (!child)
        return NULL;
    list_init(&child->in_app);
    list_init(&child->members);
    child->host = options->host;
    child->settings = settings_ref(options->settings);
    child->language = options->language;
    child->preload = options->preload;
    child->events = events;
    child->owner = owner;
    child->loop = options->host->loop;
    child->slot = options->slot;
    child->serving = options->serving && !options->settings->wait_ready;
    child->input = -1;
    child->started_ms = clock_ms();
    child->started_wall_ms = clock_wall_ms();
    host_worker_started(child->host);
    return child;
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

    if (child_create_member(child, listener, &nothing_asked, &member) == 0)
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
        child->open_handles = 1;
        child_handle_closed(child);
        return result;
    }
    result = start_handles(child, options, &descriptors);
    if (result == 0)
        result = run_program(child, options, &descriptors);
    close_side(&descriptors, 0);
    close_side(&descriptors, 1);
    if (result < 0) {
        child_close_handles(child);
        child_close_timer(child);
        return result;
    }
    if (child->output) {
        child->output->origin.pid = child->pid;
        child->error->origin.pid = child->pid;
    }
    child->timer_step = CHILD_TIMER_LISTEN;
    uv_timer_start(&child->timer, child_on_timer, options->settings->listen_timeout_ms, 0);
    if (options->inherits)
        inherit(child, options->inherits);
    if (serves_at_once(options))
        child_set_state(child, CHILD_READY);
    *ret_child = child;
    return 0;
}
