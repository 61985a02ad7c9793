#include "master/host.h"

#include "base/clock.h"
#include "base/log.h"
#include "ipc/native_token.h"
#include "master/app.h"
#include "master/cgroup.h"
#include "master/native_worker.h"
#include "master/preload_library.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define DESCRIPTOR_RESERVE 64 /* kept free of clients: for starting workers and answering them */

/* --- whose it is --- */

static struct child *find_token(struct host *host, const uint8_t token[NATIVE_TOKEN_SIZE]) {
    LIST_EACH(node, following, &host->apps) {
        struct child *child = app_find_token(LIST_ENTRY(node, struct app, in_host), token);

        if (child)
            return child;
    }
    return NULL;
}

/* The token alone would do; a different user has it only by accident or malice, unless a server of
 * ours has changed its own user: then it is still in the session that we began for it. */
static bool may_ask(const struct child *child, const struct worker_request *request) {
    return request->uid == child->uid || request->uid == 0 || getsid(request->pid) == child->pid;
}

static void on_request(void *owner, struct worker_request *request, struct worker_reply *reply) {
    struct child *child = find_token(owner, request->message->token);

    if (!child || !may_ask(child, request)) {
        reply->message.error = UV_EACCES;
        return;
    }
    native_worker_request(child, request, reply);
}

static bool is_known(void *owner, const char *text) {
    uint8_t token[NATIVE_TOKEN_SIZE];

    return native_token_parse(text, token) && find_token(owner, token);
}

void host_sweep_groups(struct host *host) {
    if (host->cgroup >= 0)
        cgroup_sweep(host->cgroup, is_known, host);
}

bool host_is_worker(const struct host *host, pid_t pid) {
    LIST_EACH(node, following, &host->apps) {
        const struct app *app = LIST_ENTRY(node, struct app, in_host);

        LIST_EACH(one, next, &app->children) {
            const struct child *child = LIST_ENTRY(one, struct child, in_app);

            if (child->pid == pid && child->state != CHILD_EXITED)
                return true;
        }
    }
    return false;
}

static void on_exit(void *owner, pid_t pid, int status) {
    struct host *host = owner;

    LIST_EACH(node, following, &host->apps)
        if (app_child_exited(LIST_ENTRY(node, struct app, in_host), pid, status))
            return;
}

/* --- the tick --- */

static void on_tick(uv_timer_t *timer) {
    struct host *host = timer->data;
    uint64_t now_ms = clock_ms();

    LIST_EACH(node, following, &host->apps)
        app_tick(LIST_ENTRY(node, struct app, in_host), now_ms);
}

void host_sample_now(struct host *host) {
    uint64_t now_ms = clock_ms();

    LIST_EACH(node, following, &host->apps)
        app_sample(LIST_ENTRY(node, struct app, in_host), now_ms, HOST_SAMPLE_MS);
}

/* --- what apps ask for --- */

struct connection_watch *host_watch(struct host *host, const char *policy) {
    if (host->watch_part == HOST_PART_UNTRIED) {
        bool started = connection_watch_start(&host->watch, host->loop) == 0;

        host->watch_part = started ? HOST_PART_READY : HOST_PART_FAILED;
        if (!started)
            log_warning("the kernel does not tell of closed connections here: policy %s goes by "
                        "clients that were handed over and not taken yet",
                        policy);
    }
    return host->watch_part == HOST_PART_READY ? &host->watch : NULL;
}

int host_library(struct host *host, const char **ret_path, char error[SETTINGS_ERROR_MAX]) {
    int result = 0;

    if (host->library_part == HOST_PART_UNTRIED)
        result = preload_library_find(host->library);
    if (result == UV_EINVAL)
        snprintf(error, SETTINGS_ERROR_MAX,
                 "the preload library is at %.256s, a path that LD_PRELOAD cannot express: no "
                 "blank and no colon may be in it",
                 host->library);
    else if (result < 0)
        snprintf(error, SETTINGS_ERROR_MAX,
                 "the preload library, " PRELOAD_LIBRARY_NAME ", is neither beside the program nor "
                 "where it was installed: %s",
                 uv_strerror(result));
    if (result < 0)
        return result; /* it may be there the next time */
    host->library_part = HOST_PART_READY;
    *ret_path = host->library;
    return 0;
}

/* --- life --- */

static void on_handle_closed(void *owner) {
    struct host *host = owner;

    if (--host->handles == 0 && host->on_closed)
        host->on_closed(host->owner);
}

static void on_tick_closed(uv_handle_t *handle) {
    on_handle_closed(handle->data);
}

static void close_files(struct host *host) {
    close(host->null_input);
    if (host->notes >= 0)
        close(host->notes);
    if (host->cgroup >= 0)
        close(host->cgroup);
}

/* What the last worker has left behind is waited for until now. */
static void close_reaper_if_done(struct host *host) {
    if (!host->closing || host->workers > 0)
        return;
    host_sweep_groups(host);
    close_files(host);
    reaper_close(&host->reaper, on_handle_closed);
}

void host_worker_started(struct host *host) {
    if (host->workers++ == 0)
        uv_timer_start(&host->tick, on_tick, HOST_SAMPLE_MS, HOST_SAMPLE_MS);
}

void host_worker_ended(struct host *host) {
    if (--host->workers > 0)
        return;
    if (!host->closing)
        uv_timer_stop(&host->tick);
    close_reaper_if_done(host);
}

/* As many descriptors as we may have; the workers get back what we were started with. */
static void raise_descriptor_limit(struct host *host) {
    struct rlimit raised;

    getrlimit(RLIMIT_NOFILE, &host->worker_descriptors);
    raised = host->worker_descriptors;
    raised.rlim_cur = raised.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
        raised = host->worker_descriptors;
    if (raised.rlim_cur > INT32_MAX)
        host->descriptor_limit = INT32_MAX;
    else if (raised.rlim_cur <= 4 * DESCRIPTOR_RESERVE)
        host->descriptor_limit = (int)(raised.rlim_cur - raised.rlim_cur / 4);
    else
        host->descriptor_limit = (int)raised.rlim_cur - DESCRIPTOR_RESERVE;
}

static int open_notes(struct host *host) {
    int result;

    host->notes = -1;
    if (!host->options.notes)
        return 0;
    result = worker_note_boot(host->boot);
    if (result < 0)
        return result;
    host->notes = open(host->options.notes, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return host->notes < 0 ? uv_translate_sys_error(errno) : 0;
}

int host_start(struct host *host, const struct host_options *options) {
    static const struct worker_socket_events socket_events = {.request = on_request};
    int result;

    *host = (struct host){.options = *options, .loop = options->loop};
    list_init(&host->apps);
    raise_descriptor_limit(host);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a worker leaves behind stays known */
    signal(SIGPIPE, SIG_IGN);
    host->null_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (host->null_input < 0)
        return uv_translate_sys_error(errno);
    host->cgroup = -1;
    if (options->end_groups)
        cgroup_open(&host->cgroup);
    result = open_notes(host);
    if (result == 0)
        result = reaper_start(&host->reaper, host->loop, on_exit, host);
    if (result < 0)
        goto failed_reaper;
    result = worker_socket_start(&host->worker_socket, host->loop, &socket_events, host);
    if (result < 0)
        goto failed_socket;
    uv_timer_init(host->loop, &host->tick);
    host->tick.data = host;
    host->handles = 3;
    return 0;
failed_socket:
    reaper_close(&host->reaper, NULL);
failed_reaper:
    close_files(host);
    return result;
}

void host_close(struct host *host, void (*on_closed)(void *owner), void *owner) {
    host->on_closed = on_closed;
    host->owner = owner;
    host->closing = true;
    uv_close((uv_handle_t *)&host->tick, on_tick_closed);
    worker_socket_close(&host->worker_socket, on_handle_closed);
    if (host->watch_part == HOST_PART_READY) {
        host->handles++;
        connection_watch_close(&host->watch, on_handle_closed, host);
    }
    close_reaper_if_done(host);
}
