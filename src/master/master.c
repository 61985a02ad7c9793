#include "master/master.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "master/app.h"
#include "master/connection_watch.h"
#include "master/native_worker.h"
#include "master/output.h"
#include "master/preload_library.h"
#include "master/reaper.h"
#include "master/seccomp_filter.h"
#include "master/snapshot.h"
#include "master/status.h"
#include "master/trace.h"
#include "master/worker_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define SAMPLE_MS          1000
#define SAME_SIGNAL_MS     100
#define DESCRIPTOR_RESERVE 64 /* kept free of clients: for starting workers and answering them */

static const int signal_numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
#define SIGNAL_COUNT (sizeof signal_numbers / sizeof signal_numbers[0])

struct master {
    const struct settings *settings;
    uv_loop_t loop;
    struct worker_socket worker_socket;
    struct reaper reaper;
    struct connection_watch watch;
    bool watching;
    struct output output;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t sample;
    struct app *app;
    struct rlimit descriptors; /* as we were started with */
    struct identity identity;  /* whom workers run as */
    char library[PATH_MAX];    /* the preload library, where it is wanted */
    int null_input;
    int stop_signal;  /* the first that told us to stop, or 0 */
    uint64_t stop_ms; /* when that was */
    int exit_code;
};

/* --- what is shown --- */

static void print_status(struct master *master) {
    const struct settings *settings = master->settings;
    struct status_view view = {.color = master->output.color};
    struct snapshot snapshot;
    struct buffer text;
    int result;

    output_size(&view.columns, &view.rows);
    if (!master->app || snapshot_take(&snapshot, master->app, clock_ms()) < 0)
        return;
    buffer_init(&text);
    if (settings->status_json)
        result = status_json(&text, &snapshot);
    else
        result = status_table(&text, &snapshot, &view);
    if (result == 0)
        output_table(&master->output, buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
    snapshot_clear(&snapshot);
}

static void on_sample(uv_timer_t *timer) {
    struct master *master = timer->data;

    if (!master->app)
        return;
    app_sample(master->app, clock_ms());
    if (master->settings->status || master->settings->status_json)
        print_status(master);
}

static void on_trace(void *owner, const struct trace_message *message) {
    struct master *master = owner;
    char line[TRACE_LINE_MAX];
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    trace_format(line, message, (uint32_t)(parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec),
                 (uint32_t)(now.tv_nsec / 1000));
    output_log_line(&master->output, line);
}

/* --- the app's announcements --- */

static void on_serving(void *owner, struct app *app, const struct listener *listener) {
    char text[ADDRESS_TEXT_MAX];

    (void)owner;
    listener_describe(listener, text);
    log_info("%s serves on %s", app->settings->name, text);
}

static void on_ready(void *owner, struct app *app) {
    (void)owner;
    log_info("%s: %u worker%s ready, policy %s", app->settings->name, app->slot_count,
             app->slot_count == 1 ? "" : "s", app->settings->policy);
}

static int exit_code_of(enum app_outcome outcome) {
    switch (outcome) {
    case APP_STOPPED:
    case APP_DONE:
        return 0;
    case APP_FAILED_START:
        return 1;
    case APP_GIVEN_UP:
        break;
    }
    return 2;
}

static void close_all(struct master *master) {
    uv_close((uv_handle_t *)&master->sample, NULL);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&master->signals[i], NULL);
    worker_socket_close(&master->worker_socket, NULL);
    output_sink_close(&master->output.sink, NULL, NULL);
    if (master->watching)
        connection_watch_close(&master->watch, NULL, NULL);
}

static void on_finished(void *owner, struct app *app, enum app_outcome outcome) {
    struct master *master = owner;

    if (master->exit_code == 0)
        master->exit_code = exit_code_of(outcome);
    master->app = NULL;
    app_destroy(app);
    close_all(master);
}

/* --- requests and signals --- */

/* The token alone would do; a different user has it only by accident or malice, unless a server of
 * ours has changed its own user: then it is still in the session that we began for it. */
static bool may_ask(const struct child *child, const struct worker_request *request) {
    return request->uid == child->uid || request->uid == 0 || getsid(request->pid) == child->pid;
}

static void on_request(void *owner, struct worker_request *request, struct worker_reply *reply) {
    struct master *master = owner;
    struct child *child = master->app ? app_find_token(master->app, request->message->token) : NULL;

    if (!child || !may_ask(child, request)) {
        reply->message.error = UV_EACCES;
        return;
    }
    native_worker_request(child, request, reply);
}

static void on_exit(void *owner, pid_t pid, int status) {
    struct master *master = owner;

    if (master->app)
        app_child_exited(master->app, pid, status);
}

static void on_stop_signal(struct master *master, int number) {
    if (!master->app)
        return;
    if (master->stop_signal) {
        /* One wish may come through several hands: the terminal, and a shell or make that passes it
         * on. */
        if (clock_ms() - master->stop_ms < SAME_SIGNAL_MS)
            return;
        log_warning("second signal: ending the workers at once");
        master->exit_code = 128 + number;
        app_kill(master->app);
        return;
    }
    master->stop_signal = number;
    master->stop_ms = clock_ms();
    log_info("stopping %s", master->settings->name);
    app_stop(master->app, APP_STOPPED);
}

static void on_signal(uv_signal_t *signal, int number) {
    struct master *master = signal->data;

    if (number == SIGINT || number == SIGTERM)
        on_stop_signal(master, number);
    else if (number == SIGHUP && master->app)
        app_reload(master->app);
    else if (number == SIGUSR1)
        print_status(master);
}

/* --- start --- */

/* As many descriptors as we may have; the workers get back what we were started with. The number
 * below which clients are accepted. */
static int raise_descriptor_limit(struct master *master) {
    struct rlimit raised;

    getrlimit(RLIMIT_NOFILE, &master->descriptors);
    raised = master->descriptors;
    raised.rlim_cur = raised.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
        raised = master->descriptors;
    if (raised.rlim_cur > INT32_MAX)
        return INT32_MAX;
    if (raised.rlim_cur <= 4 * DESCRIPTOR_RESERVE)
        return (int)(raised.rlim_cur - raised.rlim_cur / 4);
    return (int)raised.rlim_cur - DESCRIPTOR_RESERVE;
}

/* Descriptors 0 to 2 must exist, or a socket would get their numbers and the workers' output would
 * go there. */
static void open_standard_descriptors(void) {
    int descriptor;

    do
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor > STDERR_FILENO)
        close(descriptor);
}

static int start_signals(struct master *master) {
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        int result = uv_signal_init(&master->loop, &master->signals[i]);

        if (result < 0)
            return result;
        master->signals[i].data = master;
        result = uv_signal_start(&master->signals[i], on_signal, signal_numbers[i]);
        if (result < 0)
            return result;
    }
    uv_timer_init(&master->loop, &master->sample);
    master->sample.data = master;
    return uv_timer_start(&master->sample, on_sample, SAMPLE_MS, SAMPLE_MS);
}

static bool wants_watch(const struct settings *settings) {
    return policy_find(settings->policy)->needs_open;
}

static int start_parts(struct master *master) {
    static const struct worker_socket_events socket_events = {.request = on_request};
    int result = reaper_start(&master->reaper, &master->loop, on_exit, master);

    if (result == 0)
        result = worker_socket_start(&master->worker_socket, &master->loop, &socket_events, master);
    if (result == 0)
        result = start_signals(master);
    if (result == 0 && wants_watch(master->settings)) {
        master->watching = connection_watch_start(&master->watch, &master->loop) == 0;
        if (!master->watching)
            log_warning("the kernel does not tell of closed connections here: policy %s goes by "
                        "clients that were handed "
                        "over and not taken yet",
                        master->settings->policy);
    }
    return result;
}

static const struct app_events app_events = {
    .finished = on_finished, .serving = on_serving, .ready = on_ready, .trace = on_trace};

static bool wants_library(const struct settings *settings) {
    return settings->intercept == SETTINGS_INTERCEPT_PRELOAD ||
           settings->intercept == SETTINGS_INTERCEPT_NODE_FAST;
}

static int find_library(struct master *master) {
    int result = preload_library_find(master->library);

    if (result == UV_EINVAL)
        log_error("the preload library is at %s, a path that LD_PRELOAD cannot express: no blank "
                  "and no colon may be in it",
                  master->library);
    else if (result < 0)
        log_error("the preload library, " PRELOAD_LIBRARY_NAME ", is neither beside the program "
                  "nor where it was installed: %s",
                  uv_strerror(result));
    return result;
}

static int start_app(struct master *master, int descriptor_limit) {
    struct app_options options = {
        .settings = master->settings,
        .loop = &master->loop,
        .socket_name = master->worker_socket.name,
        .worker_descriptors = master->descriptors,
        .descriptor_limit = descriptor_limit,
        .watch = master->watching ? &master->watch : NULL,
        .output = output_captures(&master->output) ? &master->output.sink : NULL,
        .input = master->null_input,
        .preload = wants_library(master->settings) ? master->library : NULL,
        .identity = master->identity};

    return app_start(&master->app, &options, &app_events, master);
}

/* Nobody asked for it, so it is said. */
static void explain_choice(const struct settings *settings) {
    if (settings->intercept == SETTINGS_INTERCEPT_SECCOMP && settings->kind != EXECUTABLE_DYNAMIC)
        log_info("%s is %s, so the preload library cannot see its calls: they are intercepted by "
                 "the kernel (--intercept seccomp)",
                 settings->name, executable_describe(settings->kind));
}

int master_run(const struct settings *settings) {
    struct master master = {.settings = settings};
    int descriptor_limit;
    int result;

    if (identity_resolve(settings, &master.identity) < 0) {
        log_error("there is no such user or group as --uid and --gid say");
        return 1;
    }
    if (wants_library(settings) && find_library(&master) < 0)
        return 1;
    if (settings->intercept == SETTINGS_INTERCEPT_SECCOMP && !seccomp_supported()) {
        log_error("%s needs --intercept seccomp, which is not to be had here: it takes Linux 5.14 "
                  "or later, and a container may forbid it",
                  settings->name);
        return 1;
    }
    open_standard_descriptors();
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a worker leaves behind stays known */
    signal(SIGPIPE, SIG_IGN);
    descriptor_limit = raise_descriptor_limit(&master);
    output_init(&master.output, !settings->no_color, settings->time);
    log_set_sink(output_log_line, &master.output);
    if (settings->silent)
        log_set_level(LOG_LEVEL_ERROR);
    explain_choice(settings);
    master.null_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    result = uv_loop_init(&master.loop);
    if (result == 0)
        result = start_parts(&master);
    if (result == 0)
        result = start_app(&master, descriptor_limit);
    if (result < 0) {
        log_error("the master cannot start: %s", uv_strerror(result));
        return 1;
    }
    uv_run(&master.loop, UV_RUN_DEFAULT);
    /* Not before the app is closed to the last: what its workers have left behind is waited for. */
    reaper_close(&master.reaper, NULL);
    uv_run(&master.loop, UV_RUN_DEFAULT);
    uv_loop_close(&master.loop);
    close(master.null_input);
    return master.exit_code;
}
