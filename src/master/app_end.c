/* The end of an app: serves whoever has connected, drains its workers, then closes what is left. */
#include "base/clock.h"
#include "master/app.h"
#include "master/app_internal.h"

#define STOP_TICK_MS 10

static void on_timer_closed(uv_handle_t *handle) {
    struct app *app = handle->data;

    app->handles--;
    app_finish_if_empty(app);
}

void app_on_listener_closed(void *owner) {
    app_finish_if_empty(owner);
}

static void on_slot_timer_closed(uv_handle_t *handle) {
    struct slot *slot = handle->data;

    slot->app->handles--;
    app_finish_if_empty(slot->app);
}

/* All workers are gone: what is left are listeners and timers. */
static void close_rest(struct app *app) {
    app->closing = true;
    listener_set_close(&app->listeners);
    for (uint32_t i = 0; i < app->slot_count; i++)
        uv_close((uv_handle_t *)&app->slots[i].timer, on_slot_timer_closed);
    uv_close((uv_handle_t *)&app->stop_timer, on_timer_closed);
    uv_close((uv_handle_t *)&app->unwanted_timer, on_timer_closed);
}

static bool all_over(const struct app *app) {
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (!app->slots[i].over)
            return false;
    return true;
}

static enum app_outcome outcome_of_slots(const struct app *app) {
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (app->slots[i].gave_up)
            return app->served ? APP_GIVEN_UP : APP_FAILED_START;
    return APP_DONE;
}

void app_finish_if_empty(struct app *app) {
    if (app->child_count > 0 || app->starting)
        return;
    if (!app->stopping && all_over(app))
        app_stop(app, outcome_of_slots(app));
    else if (app->stopping && !app->closing)
        close_rest(app);
    else if (app->closing && app->handles == 0 && app->listeners.open == 0)
        app->events->finished(app->owner, app, app->outcome);
}

static void drain_all(struct app *app) {
    uv_timer_stop(&app->stop_timer);
    if (app->outcome == APP_FAILED_START)
        app_kill(app); /* nobody was served, and a stop signal would only make them talk */
    LIST_EACH(node, following, &app->children)
        child_finish(LIST_ENTRY(node, struct child, in_app));
    app_finish_if_empty(app);
}

/* Whoever had connected before the end is handed over first, for as long as open connections may
 * take. */
static void on_stop_timer(uv_timer_t *timer) {
    struct app *app = timer->data;

    if (!listener_set_has_waiting(&app->listeners) ||
        clock_ms() - app->stopping_since_ms >= app->settings->drain_timeout_ms)
        drain_all(app);
}

void app_stop(struct app *app, enum app_outcome outcome) {
    if (app->stopping)
        return;
    app->stopping = true;
    app->outcome = outcome;
    app->reloading = -1;
    app->stopping_since_ms = clock_ms();
    listener_set_finish(&app->listeners);
    for (uint32_t i = 0; i < app->slot_count; i++)
        uv_timer_stop(&app->slots[i].timer);
    if (listener_set_has_waiting(&app->listeners) && app->child_count > 0)
        uv_timer_start(&app->stop_timer, on_stop_timer, STOP_TICK_MS, STOP_TICK_MS);
    else
        drain_all(app);
}

void app_kill(struct app *app) {
    LIST_EACH(node, following, &app->children)
        child_kill(LIST_ENTRY(node, struct child, in_app), NULL);
}
