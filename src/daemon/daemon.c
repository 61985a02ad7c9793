/* The daemon's life; daemon.h has the happy path. Its end: the fleet stops every app, then whatever
 * has a handle is closed, and the loop runs out. */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/control_socket.h"
#include "daemon/daemon_internal.h"
#include "daemon/home.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CODE_DOWN     2 /* as `run` has it */
#define DOWN_DELAY_MS 2000
#define LOCK_TRIES    100
#define LOCK_PAUSE_US 20000
#define TRIM_DELAY_MS 250
#define PATIENCE_MS   5000 /* of our starter, for apps that ran before */
#define LOG_SIZE_MAX  (10u * 1024 * 1024)
#define LOG_KEEP      5
#define SENTENCE_MAX  1024
#define LARGE_BLOCK   (64 * 1024)

static const int signal_numbers[DAEMON_SIGNALS] = {SIGINT, SIGTERM, SIGUSR2, SIGHUP};

/* --- what it says --- */

static void write_log(void *owner, const char *line) {
    struct daemon *daemon = owner;
    char text[SENTENCE_MAX + 32];
    time_t now = time(NULL);
    struct tm parts;
    size_t length;

    localtime_r(&now, &parts);
    length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S ", &parts);
    length += (size_t)snprintf(text + length, sizeof text - length, "%s", line);
    if (length > sizeof text - 2)
        length = sizeof text - 2;
    text[length++] = '\n';
    log_file_write(&daemon->log, text, length, clock_ms());
    if (!daemon->options->background && write(STDERR_FILENO, text, length) < 0)
        return; /* whoever read it is gone; the file has it */
}

/* To whoever started us, and only once. */
static void tell_starter(struct daemon *daemon, const char *sentence) {
    int descriptor = daemon->ready_descriptor;

    if (descriptor < 0)
        return;
    daemon->ready_descriptor = -1;
    if (write(descriptor, sentence, strlen(sentence)) < 0)
        log_debug("nobody waits for our start any more");
    close(descriptor);
}

static int fail(struct daemon *daemon, const char *sentence) {
    if (daemon->ready_descriptor < 0)
        log_error("%s", sentence);
    tell_starter(daemon, sentence);
    return 1;
}

/* --- what is saved --- */

static json_t *draw_apps(void *owner) {
    const struct daemon *daemon = owner;

    return fleet_save(&daemon->fleet);
}

static void on_saved(void *owner, int result) {
    struct daemon *daemon = owner;

    operation_saved(&daemon->fleet.operations,
                    result < 0 ? "the list of apps could not be saved; daemon.log says why" : NULL);
}

static bool is_saved(void *owner) {
    const struct daemon *daemon = owner;

    return !saving_is_pending(&daemon->saving);
}

static void on_list_changed(void *owner) {
    struct daemon *daemon = owner;

    daemon->lost[0] = '\0'; /* whoever starts the first app has seen that there was none */
    if (!daemon->ending)
        saving_changed(&daemon->saving);
}

/* What it took to change something is given back, once nothing changes any more. */
static void on_settled(uv_timer_t *timer) {
    (void)timer;
    malloc_trim(0);
}

static void on_down(uv_timer_t *timer) {
    struct daemon *daemon = timer->data;

    if (daemon->ending || !fleet_is_down(&daemon->fleet))
        return;
    log_error("every process is down for good");
    daemon->code = CODE_DOWN;
    daemon_end(daemon, true);
}

/* What is down for a moment may be on its way to another start. */
static void watch_for_down(struct daemon *daemon) {
    if (!fleet_is_down(&daemon->fleet))
        uv_timer_stop(&daemon->down_timer);
    else if (!uv_is_active((uv_handle_t *)&daemon->down_timer))
        uv_timer_start(&daemon->down_timer, on_down, DOWN_DELAY_MS, 0);
}

static void note_change(struct daemon *daemon) {
    if (daemon->ending)
        return;
    if (daemon->options->until_down)
        watch_for_down(daemon);
    uv_timer_start(&daemon->trim_timer, on_settled, TRIM_DELAY_MS, 0);
}

static void on_process(void *owner, struct record *record, uint32_t slot) {
    note_change(owner);
    daemon_announce_process(owner, record, slot);
}

static void on_removed(void *owner, struct record *record, uint32_t pm_id) {
    note_change(owner);
    daemon_announce_removed(owner, record, pm_id);
}

static void on_line(void *owner, struct record *record, const struct log_line *line) {
    daemon_announce_line(owner, record, line);
}

static const struct fleet_events fleet_events = {.changed = on_list_changed,
                                                 .is_saved = is_saved,
                                                 .process = on_process,
                                                 .removed = on_removed,
                                                 .line = on_line};

/* The last of what ran before serves again, or will not: nobody needs the survivors any more. */
static void on_restored(void *owner) {
    struct daemon *daemon = owner;

    if (--daemon->restoring > 0)
        return;
    if (daemon->ending_survivors)
        survivors_end_rest(&daemon->survivors_end);
    if (!daemon->ending)
        tell_starter(daemon, "ready\n");
}

/* Apps that take long are not waited for by whoever only wanted to look. */
static void on_patience_over(uv_timer_t *timer) {
    tell_starter(timer->data, "ready\n");
}

/* What ran when a daemon before us ended without being told to by a person. */
static void restore(struct daemon *daemon, const char *name) {
    char path[HOME_FILE_MAX];
    struct operation *operation;
    json_t *saved;
    size_t added;

    if (home_file(daemon->home, name, path, sizeof path) < 0)
        return;
    saved = daemon_read_list(daemon, path);
    operation = json_array_size(saved) > 0 ? fleet_operation(&daemon->fleet, NULL) : NULL;
    if (operation) {
        daemon->restoring++;
        operation->on_over = on_restored;
        operation->over_owner = daemon;
        added = fleet_restore(&daemon->fleet, saved, operation);
        log_info("%zu app%s of %s started again", added, added == 1 ? "" : "s", path);
    }
    json_decref(saved);
}

/* --- the end --- */

static void on_host_closed(void *owner) {
    struct daemon *daemon = owner;

    for (size_t i = 0; i < DAEMON_SIGNALS; i++)
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
    uv_close((uv_handle_t *)&daemon->down_timer, NULL);
    uv_close((uv_handle_t *)&daemon->trim_timer, NULL);
    uv_close((uv_handle_t *)&daemon->patience_timer, NULL);
}

static void on_control_closed(void *owner) {
    struct daemon *daemon = owner;

    notify_close(&daemon->notify, NULL, NULL);
    saving_close(&daemon->saving);
    host_close(&daemon->host, on_host_closed, daemon);
}

static void end_control(struct daemon *daemon) {
    control_answer_finish(daemon->kill_answer, 200, json_object());
    daemon->kill_answer = NULL;
    daemon_end_followers(daemon);
    control_close(&daemon->control, on_control_closed);
}

/* Whoever hears that we have ended finds nothing left of before either. */
static void on_fleet_closed(void *owner) {
    struct daemon *daemon = owner;

    daemon->fleet_closed = true;
    if (!daemon->ending_survivors)
        end_control(daemon);
}

void daemon_end(struct daemon *daemon, bool forget) {
    daemon->forgets = daemon->forgets || forget;
    if (daemon->ending)
        return;
    daemon->ending = true;
    uv_timer_stop(&daemon->trim_timer);
    log_info("stopping every app, then the daemon");
    notify_stopping(&daemon->notify, "stopping every app");
    if (daemon->ending_survivors)
        survivors_end_rest(&daemon->survivors_end);
    fleet_close(&daemon->fleet, on_fleet_closed);
}

void daemon_reopen_logs(struct daemon *daemon) {
    log_file_reopen(&daemon->log, clock_ms());
    LIST_EACH(node, following, &daemon->fleet.records)
        app_log_reopen(&LIST_ENTRY(node, struct record, in_fleet)->log);
}

static void on_signal(uv_signal_t *signal, int number) {
    struct daemon *daemon = signal->data;

    if (number == SIGINT || number == SIGTERM)
        daemon_end(daemon, false);
    else if (number == SIGUSR2)
        daemon_reopen_logs(daemon);
}

/* --- the beginning --- */

static int start_signals(struct daemon *daemon) {
    int result = 0;

    for (size_t i = 0; i < DAEMON_SIGNALS && result == 0; i++) {
        result = uv_signal_init(&daemon->loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        if (result == 0)
            result = uv_signal_start(&daemon->signals[i], on_signal, signal_numbers[i]);
    }
    uv_timer_init(&daemon->loop, &daemon->down_timer);
    daemon->down_timer.data = daemon;
    uv_timer_init(&daemon->loop, &daemon->trim_timer);
    uv_timer_init(&daemon->loop, &daemon->patience_timer);
    daemon->patience_timer.data = daemon;
    return result;
}

static int start_log(struct daemon *daemon) {
    char path[HOME_FILE_MAX];
    struct log_file_options options = {.loop = &daemon->loop,
                                       .path = path,
                                       .mode = 0600,
                                       .max_size = LOG_SIZE_MAX,
                                       .keep = LOG_KEEP};
    int result = home_file(daemon->home, HOME_LOG, path, sizeof path);

    if (result == 0)
        result = log_file_init(&daemon->log, &options, clock_ms());
    if (result == 0)
        log_set_sink(write_log, daemon);
    return result;
}

/* Large blocks go back to the system when they are freed, also after larger ones; and the threads
 * that write files need no heap of their own. */
static void keep_memory_small(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK);
}

/* Nothing of the terminal that we were started from is kept. */
static void leave_terminal(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    if (chdir("/") < 0)
        return; /* then a file system stays busy, no more */
}

static void on_survivors_ended(void *owner, size_t failed) {
    struct daemon *daemon = owner;

    if (failed > 0)
        log_warning("%zu processes of the daemon before this one could not be ended", failed);
    daemon->ending_survivors = false;
    survivors_end_close(&daemon->survivors_end, NULL);
    host_sweep_groups(&daemon->host);
    if (daemon->fleet_closed)
        end_control(daemon);
}

/* They serve whoever has connected until the apps serve again. */
static void end_survivors(struct daemon *daemon) {
    struct survivors survivors;
    struct survivors_end_options options = {.loop = &daemon->loop,
                                            .home = daemon->home,
                                            .survivors = &survivors,
                                            .on_done = on_survivors_ended,
                                            .owner = daemon};

    if (survivors_find(&survivors, daemon->home) < 0)
        return;
    if (survivors.count == 0) {
        host_sweep_groups(&daemon->host);
        return;
    }
    log_info("%zu processes of the daemon before this one are ended when the apps serve",
             survivors.count);
    daemon->ending_survivors = survivors_end_start(&daemon->survivors_end, &options) == 0;
    survivors_clear(&survivors);
}

/* --- sockets of the service manager --- */

static int lend_socket(void *owner, int type, const struct sockaddr *address, socklen_t length) {
    struct daemon *daemon = owner;

    return activation_lend(&daemon->activation, type, address, length);
}

static void take_socket_back(void *owner, int descriptor) {
    struct daemon *daemon = owner;

    activation_give_back(&daemon->activation, descriptor);
}

/* The control socket, if it is one of those: -1 when not. */
static int given_control_socket(struct daemon *daemon) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (home_file(daemon->home, CONTROL_SOCKET_NAME, address.sun_path, sizeof address.sun_path) < 0)
        return -1;
    return activation_take(&daemon->activation, (struct sockaddr *)&address, sizeof address);
}

static int start_control(struct daemon *daemon) {
    int given = given_control_socket(daemon);
    int result;

    if (given < 0)
        return control_start(&daemon->control, &daemon->loop, daemon->home, daemon_routes, daemon);
    result = control_socket_prepare(daemon->home);
    if (result < 0) {
        close(given);
        return result;
    }
    return control_start_on(&daemon->control, &daemon->loop, given, daemon_routes, daemon);
}

static int start_tcp(struct daemon *daemon) {
    int listener = daemon->tcp_listener;

    if (listener < 0)
        return 0;
    daemon->tcp_listener = -1;
    return control_open_tcp(&daemon->control, listener, &daemon->tcp_address, daemon->token);
}

static int start_saving(struct daemon *daemon) {
    struct saving_options options = {.loop = &daemon->loop,
                                     .home = daemon->home,
                                     .draw = draw_apps,
                                     .settled = on_saved,
                                     .owner = daemon};

    return saving_start(&daemon->saving, &options);
}

static int start_parts(struct daemon *daemon) {
    struct host_options options = {.loop = &daemon->loop,
                                   .keep_channels = true,
                                   .prove_reloads = true,
                                   .open_inputs = true,
                                   .silent_workers = true,
                                   .open_channels = true,
                                   .end_groups = true,
                                   .listener_source = &daemon->given_sockets};
    char path[HOME_FILE_MAX];
    int result = home_file(daemon->home, HOME_WORKERS, path, sizeof path);

    options.notes = path;
    if (result == 0)
        result = host_start(&daemon->host, &options);
    daemon->host.options.notes = NULL; /* it has opened it */
    if (result == 0)
        result = fleet_start(&daemon->fleet, &daemon->host, daemon->home, &fleet_events, daemon);
    daemon->fleet.defaults = daemon->options->defaults;
    if (result == 0)
        result = start_saving(daemon);
    if (result == 0)
        result = start_signals(daemon);
    if (result == 0)
        result = start_control(daemon);
    if (result == 0)
        result = start_tcp(daemon);
    if (result == 0)
        result = notify_start(&daemon->notify, &daemon->loop);
    return result;
}

/* The control API on TCP, if it is asked for: everything that may be wrong with it. */
static int begin_tcp(struct daemon *daemon, char sentence[SENTENCE_MAX]) {
    const char *api = daemon->options->api;
    char path[HOME_FILE_MAX];
    int result;

    if (!api)
        return 0;
    if (!control_tcp_parse(api, &daemon->tcp_address)) {
        snprintf(sentence, SENTENCE_MAX,
                 "the API cannot be served at '%.128s': a port is needed, or 127.0.0.1:PORT, or "
                 "[::1]:PORT",
                 api);
        return UV_EINVAL;
    }
    result = home_file(daemon->home, HOME_TOKEN, path, sizeof path);
    if (result == 0)
        result = control_tcp_token(path, daemon->token);
    if (result < 0) {
        snprintf(sentence, SENTENCE_MAX, "%.512s: %s", path,
                 result == UV_EINVAL  ? "no token is in it; remove it, and another is made"
                 : result == UV_EPERM ? "it must be a file of our own that nobody else can read"
                                      : uv_strerror(result));
        return result;
    }
    daemon->tcp_listener = control_tcp_listen(&daemon->tcp_address);
    if (daemon->tcp_listener < 0)
        snprintf(sentence, SENTENCE_MAX, "the API cannot be served at %s: %s",
                 daemon->tcp_address.text, uv_strerror(daemon->tcp_listener));
    return daemon->tcp_listener < 0 ? daemon->tcp_listener : 0;
}

/* One that was killed may still be going, and with it a worker that it was just starting. */
static bool is_dead(pid_t holder) {
    uint64_t started;

    return holder == 0 || worker_note_started(holder, &started) < 0;
}

/* Blocks at most LOCK_TRIES * LOCK_PAUSE_US, before the loop runs. */
static int take_lock(struct daemon *daemon, const char *path, pid_t *ret_holder) {
    int result = lock_take(&daemon->lock, path, ret_holder);

    for (int tries = 0; result == UV_EEXIST && is_dead(*ret_holder) && tries < LOCK_TRIES;
         tries++) {
        usleep(LOCK_PAUSE_US);
        result = lock_take(&daemon->lock, path, ret_holder);
    }
    return result;
}

static int begin(struct daemon *daemon, char sentence[SENTENCE_MAX]) {
    char path[HOME_FILE_MAX];
    char error[HOME_ERROR_MAX];
    pid_t holder = 0;
    int result = activation_init(&daemon->activation);

    if (result < 0) {
        snprintf(sentence, SENTENCE_MAX, "the service manager's sockets cannot be used: %s",
                 uv_strerror(result));
        return result;
    }
    result = home_create(daemon->home, error);
    if (result < 0) {
        snprintf(sentence, SENTENCE_MAX, "%s", error);
        return result;
    }
    result = home_file(daemon->home, HOME_LOCK, path, sizeof path);
    if (result == 0)
        result = take_lock(daemon, path, &holder);
    if (result == UV_EEXIST)
        snprintf(sentence, SENTENCE_MAX, "a daemon has %.512s already (process %d)", daemon->home,
                 (int)holder);
    else if (result < 0)
        snprintf(sentence, SENTENCE_MAX, "%.512s: %s", path, uv_strerror(result));
    if (result < 0)
        return result;
    result = begin_tcp(daemon, sentence);
    if (result < 0)
        lock_release(&daemon->lock, path);
    return result;
}

static void name_given_sockets(const struct daemon *daemon) {
    for (size_t i = 0; i < daemon->activation.count; i++)
        if (daemon->activation.sockets[i].descriptor >= 0)
            log_info("the service manager listens on %s: for the app that wants it",
                     daemon->activation.sockets[i].address);
}

static void run(struct daemon *daemon) {
    home_remove_pids(daemon->home);
    daemon->restoring = 1;
    end_survivors(daemon);
    daemon->forgets = daemon->options->fresh;
    if (!daemon->options->fresh)
        restore(daemon, HOME_STATE);
    if (daemon->options->resurrect)
        restore(daemon, HOME_DUMP);
    log_info("version " BATON_VERSION " serves %s as process %d", daemon->home, (int)getpid());
    name_given_sockets(daemon);
    if (daemon->control.has_tcp)
        log_info("the API is served at %s, too", daemon->tcp_address.text);
    notify_ready(&daemon->notify, "ready");
    uv_timer_start(&daemon->patience_timer, on_patience_over, PATIENCE_MS, 0);
    on_restored(daemon);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    log_info("ended");
}

int daemon_run(const struct daemon_options *options) {
    struct daemon daemon = {.options = options,
                            .home = options->home,
                            .ready_descriptor = options->ready_descriptor,
                            .tcp_listener = -1,
                            .started_ms = clock_ms()};
    char sentence[SENTENCE_MAX];
    char path[HOME_FILE_MAX];
    int result;

    keep_memory_small();
    list_init(&daemon.followers);
    daemon.given_sockets = (struct listener_source){
        .lend = lend_socket, .give_back = take_socket_back, .owner = &daemon};
    signal(SIGXFSZ, SIG_IGN); /* a log file at its limit is an error like others */
    if (options->ready_descriptor >= 0)
        fcntl(options->ready_descriptor, F_SETFD, FD_CLOEXEC);
    if (begin(&daemon, sentence) < 0)
        return fail(&daemon, sentence);
    if (options->background)
        leave_terminal();
    result = uv_loop_init(&daemon.loop);
    if (result == 0)
        result = start_log(&daemon);
    if (result == 0)
        result = start_parts(&daemon);
    if (result < 0) {
        snprintf(sentence, sizeof sentence, "the daemon cannot start in %.512s: %s", options->home,
                 uv_strerror(result));
        return fail(&daemon, sentence);
    }
    run(&daemon);
    uv_loop_close(&daemon.loop);
    activation_clear(&daemon.activation);
    log_set_sink(NULL, NULL);
    log_file_clear(&daemon.log);
    if (daemon.forgets && home_file(options->home, HOME_STATE, path, sizeof path) == 0)
        state_file_remove(path);
    if (home_file(options->home, HOME_LOCK, path, sizeof path) == 0)
        lock_release(&daemon.lock, path);
    return daemon.code;
}
