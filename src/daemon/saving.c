#include "daemon/saving.h"

#include "base/log.h"
#include "daemon/control_reply.h"
#include "daemon/home.h"

#include <stdlib.h>

/* Somebody who waits for the dump. */
struct dump_request {
    struct list node;
    struct control_answer *answer; /* NULL: he has left */
    size_t apps;
};

/* --- the list --- */

static void settle(struct saving *saving, int result) {
    if (uv_is_active((uv_handle_t *)&saving->timer) || saving->state.waiting.text)
        return; /* something has changed meanwhile */
    saving->pending = false;
    saving->options.settled(saving->options.owner, result);
}

static void on_state_saved(void *owner, int result) {
    struct saving *saving = owner;

    if (result < 0)
        log_error("the list of apps cannot be saved in %s: %s", saving->options.home,
                  uv_strerror(result));
    settle(saving, result);
}

/* Forced: where nothing is left it was deleted. */
static void save(struct saving *saving) {
    json_t *list = saving->options.draw(saving->options.owner);
    int result = list ? state_saver_save(&saving->state, list, true) : UV_ENOMEM;

    json_decref(list);
    if (result == 0)
        return;
    log_error("the list of apps cannot be saved: memory is out");
    settle(saving, result);
}

static void on_due(uv_timer_t *timer) {
    save(timer->data);
}

void saving_changed(struct saving *saving) {
    saving->pending = true;
    if (!uv_is_active((uv_handle_t *)&saving->timer))
        uv_timer_start(&saving->timer, on_due, 0, 0);
}

bool saving_is_pending(const struct saving *saving) {
    return saving->pending;
}

/* --- the dump --- */

static void on_requester_gone(void *owner) {
    struct dump_request *request = owner;

    request->answer = NULL;
}

static void answer_dump(struct saving *saving, struct dump_request *request, int result) {
    const char *path = saving->dump.path;

    if (result == UV_ENOTEMPTY)
        control_answer_finish(
            request->answer, 409,
            control_error("empty",
                          "there is no app to be saved, and the dump has some: it is kept"));
    else if (result < 0)
        control_answer_finish(
            request->answer, 500,
            control_error("failed", "cannot write %s: %s", path, uv_strerror(result)));
    else
        control_answer_finish(
            request->answer, 200,
            json_pack("{s:s, s:I}", "path", path, "apps", (json_int_t)request->apps));
    list_remove(&request->node);
    free(request);
}

/* Whoever has come while this one was written waits for the next. */
static void on_dump_saved(void *owner, int result) {
    struct saving *saving = owner;

    if (saving->dump.waiting.text)
        return;
    LIST_EACH(node, following, &saving->requests)
        answer_dump(saving, LIST_ENTRY(node, struct dump_request, node), result);
}

void saving_dump(struct saving *saving, struct control_request *request, bool force) {
    struct dump_request *waiting = calloc(1, sizeof *waiting);
    json_t *list = waiting ? saving->options.draw(saving->options.owner) : NULL;

    if (!list) {
        free(waiting);
        control_reply_json(request->connection, 503, NULL);
        return;
    }
    waiting->apps = json_array_size(list);
    waiting->answer = control_answer_create(request, on_requester_gone, waiting);
    list_push_back(&saving->requests, &waiting->node);
    if (state_saver_save(&saving->dump, list, force) < 0)
        answer_dump(saving, waiting, UV_ENOMEM);
    json_decref(list);
}

/* --- life --- */

int saving_start(struct saving *saving, const struct saving_options *options) {
    char path[HOME_FILE_MAX];
    int result = home_file(options->home, HOME_STATE, path, sizeof path);

    *saving = (struct saving){.options = *options};
    list_init(&saving->requests);
    if (result == 0)
        result = state_saver_start(&saving->state, options->loop, path, on_state_saved, saving);
    if (result == 0)
        result = home_file(options->home, HOME_DUMP, path, sizeof path);
    if (result == 0)
        result = state_saver_start(&saving->dump, options->loop, path, on_dump_saved, saving);
    uv_timer_init(options->loop, &saving->timer);
    saving->timer.data = saving;
    return result;
}

void saving_close(struct saving *saving) {
    uv_close((uv_handle_t *)&saving->timer, NULL);
    state_saver_close(&saving->state, NULL);
    state_saver_close(&saving->dump, NULL);
}
