#include "daemon/state_saver.h"

#include <stdlib.h>
#include <string.h>

static void on_work(uv_work_t *work) {
    struct state_saver *saver = work->data;

    saver->result = state_file_write(saver->path, &saver->writing, &saver->known);
}

static void finish_closing(struct state_saver *saver) {
    free(saver->path);
    saver->path = NULL;
    if (saver->on_closed)
        saver->on_closed(saver->owner);
}

static void write_next(struct state_saver *saver);

static void on_worked(uv_work_t *work, int status) {
    struct state_saver *saver = work->data;
    int result = status < 0 ? status : saver->result;

    state_file_content_clear(&saver->writing);
    saver->on_saved(saver->owner, result);
    if (saver->waiting.text) {
        write_next(saver);
        return;
    }
    saver->busy = false;
    if (saver->closing)
        finish_closing(saver);
}

static void write_next(struct state_saver *saver) {
    saver->writing = saver->waiting;
    saver->waiting = (struct state_file_content){.text = NULL};
    saver->busy = true;
    saver->work.data = saver;
    (void)uv_queue_work(saver->loop, &saver->work, on_work, on_worked); /* fails without on_work */
}

int state_saver_start(struct state_saver *saver, uv_loop_t *loop, const char *path,
                      void (*on_saved)(void *owner, int result), void *owner) {
    *saver = (struct state_saver){
        .loop = loop, .path = strdup(path), .on_saved = on_saved, .owner = owner};
    return saver->path ? 0 : UV_ENOMEM;
}

int state_saver_save(struct state_saver *saver, const json_t *value, bool force) {
    struct state_file_content content;

    if (state_file_print(&content, value, force || saver->waiting.force) < 0)
        return UV_ENOMEM;
    state_file_content_clear(&saver->waiting);
    saver->waiting = content;
    if (!saver->busy)
        write_next(saver);
    return 0;
}

static void on_idle_closed(uv_handle_t *handle) {
    finish_closing(handle->data);
}

void state_saver_close(struct state_saver *saver, void (*on_closed)(void *owner)) {
    saver->closing = true;
    saver->on_closed = on_closed;
    if (saver->busy)
        return;
    uv_timer_init(saver->loop, &saver->idle); /* so that the callback comes later */
    saver->idle.data = saver;
    uv_close((uv_handle_t *)&saver->idle, on_idle_closed);
}
