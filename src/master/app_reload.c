/* Replaces an app's workers one after the other, each when its successor is ready. */
#include "base/log.h"
#include "master/app.h"
#include "master/app_internal.h"

static void end_reload(struct app *app, bool complete) {
    app->reloading = -1;
    if (complete) {
        app->reloads++;
        log_info("%s reloaded: all %u workers replaced", app->settings->name, app->slot_count);
    }
    if (app->reload_again && complete && !app->stopping) {
        app->reload_again = false;
        app_reload(app);
    }
    app->reload_again = false;
}

static void abort_reload(struct app *app, const char *why) {
    log_error("reload of %s abandoned at worker %d: %s; the workers that are there go on serving",
              app->settings->name, app->reloading, why);
    end_reload(app, false);
}

void app_successor_failed(struct slot *slot, const char *why) {
    slot->next = NULL;
    if (slot->app->reloading == (int32_t)slot->number)
        abort_reload(slot->app, why);
    else
        log_error("worker %u could not be replaced: %s", slot->number, why);
}

/* Prepares the successor in the first slot from `number` on that has a worker; a slot without one
 * gets the new program anyway. */
static void reload_from(struct app *app, uint32_t number) {
    for (; number < app->slot_count; number++) {
        struct slot *slot = &app->slots[number];
        int result;

        app->reloading = (int32_t)number;
        if (!slot->current || slot->next)
            continue;
        result = app_start_child(slot, false, &slot->next);
        if (result < 0)
            abort_reload(app, uv_strerror(result));
        return;
    }
    end_reload(app, true);
}

void app_continue_reload(struct app *app, const struct slot *slot) {
    if (!app->stopping && app->reloading == (int32_t)slot->number)
        reload_from(app, slot->number + 1);
}

void app_reload(struct app *app) {
    if (app->stopping)
        return;
    if (app->reloading >= 0) {
        app->reload_again = true;
        log_info("%s is being reloaded; another reload follows", app->settings->name);
        return;
    }
    log_info("reloading %s: %u workers, one after the other", app->settings->name, app->slot_count);
    for (uint32_t i = 0; i < app->slot_count; i++) {
        app->slots[i].history.young_deaths = 0;
        if (!app->slots[i].current)
            uv_timer_stop(&app->slots[i].timer);
    }
    reload_from(app, 0);
    for (uint32_t i = 0; i < app->slot_count; i++) {
        app->slots[i].over = false;
        app_start_slot(&app->slots[i]);
    }
}
