#include "master/reaper.h"

#include <sys/wait.h>

static void on_child_signal(uv_signal_t *signal, int number) {
    struct reaper *reaper = signal->data;
    int status;
    pid_t pid;

    (void)number;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        reaper->on_exit(reaper->owner, pid, status);
}

int reaper_start(struct reaper *reaper, uv_loop_t *loop,
                 void (*on_exit)(void *owner, pid_t pid, int status), void *owner) {
    int result = uv_signal_init(loop, &reaper->signal);

    if (result < 0)
        return result;
    reaper->signal.data = reaper;
    reaper->on_exit = on_exit;
    reaper->owner = owner;
    uv_unref((uv_handle_t *)&reaper->signal);
    return uv_signal_start(&reaper->signal, on_child_signal, SIGCHLD);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct reaper *reaper = handle->data;

    if (reaper->on_closed)
        reaper->on_closed(reaper->owner);
}

void reaper_close(struct reaper *reaper, void (*on_closed)(void *owner)) {
    reaper->on_closed = on_closed;
    uv_close((uv_handle_t *)&reaper->signal, on_handle_closed);
}
