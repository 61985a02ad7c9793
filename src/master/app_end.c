/* The end of what runs of an app: serves whoever has connected, drains its workers, then closes
 * what is left; and the end of the app itself. */
#include "base/clock.h"
#include "master/app.h"
#include "master/app_internal.h"

#include <stdlib.h>

#define ENDING_TICK_MS 10

bool app_is_wanted(const struct app *app) {
    for (const struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        if (slot->wish == SLOT_WANTED)
            return true;
    return false;
}

/* --- the end of the app --- */

static void destroy(struct app *app) {
    void (*on_closed)(void *owner) = app->on_closed;
    void *owner = app->close_owner;

    list_remove(&app->in_host);
    settings_unref(app->settings);
    free(app->slots);
    free(app);
    if (on_closed)
        on_closed(owner);
}

void app_on_handle_closed(struct app *app) {
    if (app->closing_handles && app->handles == 0 && app->listeners.open == 0)
        destroy(app);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct app *app = handle->data;

    app->handles--;
    app_on_handle_closed(app);
}

void app_on_listener_closed(void *owner) {
    app_on_handle_closed(owner);
}

static void close_handles(struct app *app) {
    app->closing_handles = true;
    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        app_free_slot(slot);
    uv_close((uv_handle_t *)&app->ending_timer, on_timer_closed);
    uv_close((uv_handle_t *)&app->unwanted_timer, on_timer_closed);
}

void app_check_end(struct app *app) {
    if (app->child_count > 0 || app->closing_handles || app_is_wanted(app))
        return;
    uv_timer_stop(&app->ending_timer);
    uv_timer_stop(&app->unwanted_timer);
    app->inherited = NULL;
    listener_set_close(&app->listeners);
    if (app->closing)
        close_handles(app);
}

/* --- the end of what runs --- */

/* The workers of slots that are not wanted, whatever has been started since. */
static void drain_unwanted(struct app *app) {
    uv_timer_stop(&app->ending_timer);
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);
        struct slot *slot = app_slot(app, child->slot);

        if (slot->wish == SLOT_WANTED)
            continue;
        slot->current = NULL;
        child_finish(child);
        app_note(slot);
    }
    app_check_end(app);
}

/* Whoever had connected before the end is handed over first, for as long as open connections may
 * take. */
static void on_ending_timer(uv_timer_t *timer) {
    struct app *app = timer->data;

    if (!listener_set_has_waiting(&app->listeners) ||
        clock_ms() - app->ending_since_ms >= app->settings->drain_timeout_ms)
        drain_unwanted(app);
}

void app_begin_end(struct app *app) {
    app->ending_since_ms = clock_ms();
    app->inherited = NULL; /* its socket is closed now */
    listener_set_finish(&app->listeners);
    if (listener_set_has_waiting(&app->listeners) && app->child_count > 0)
        uv_timer_start(&app->ending_timer, on_ending_timer, ENDING_TICK_MS, ENDING_TICK_MS);
    else
        drain_unwanted(app);
}

/* No worker is wanted in it any more; the one that serves goes on for now. True when that is new.
 */
static bool unwish(struct slot *slot) {
    bool wanted = slot->wish == SLOT_WANTED;

    slot->wish = SLOT_STOPPED;
    uv_timer_stop(&slot->timer);
    app_cancel_renewal(slot);
    if (slot->next)
        child_drain(slot->next, clock_ms());
    slot->next = NULL;
    return wanted;
}

/* The other slots go on serving. */
static void drain_one(struct slot *slot) {
    struct child *child = slot->current;

    slot->current = NULL;
    if (child)
        child_drain(child, clock_ms());
}

void app_stop_slot(struct app *app, uint32_t number) {
    struct slot *slot = app_slot(app, number);
    bool wanted;

    if (!slot)
        return;
    wanted = unwish(slot);
    if (wanted && app_is_wanted(app))
        drain_one(slot);
    else if (wanted)
        app_begin_end(app);
    app_note(slot);
    app_renew_next(app);
}

void app_stop(struct app *app) {
    bool wanted = false;

    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        wanted |= unwish(slot);
    if (wanted)
        app_begin_end(app);
    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        app_note(slot);
}

void app_close(struct app *app, void (*on_closed)(void *owner), void *owner) {
    app->on_closed = on_closed;
    app->close_owner = owner;
    app->closing = true;
    app_stop(app);
    app_check_end(app);
}

void app_kill(struct app *app) {
    LIST_EACH(node, following, &app->children)
        child_kill(LIST_ENTRY(node, struct child, in_app), NULL);
}
