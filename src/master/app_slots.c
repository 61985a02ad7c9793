/* The table of an app's slots: by number, made, counted, removed. */
#include "master/app.h"

#include "base/clock.h"
#include "master/app_internal.h"

#include <stdlib.h>

struct slot *app_slot(const struct app *app, uint32_t number) {
    return number < app->slot_capacity ? app->slots[number] : NULL;
}

struct slot *app_slot_from(const struct app *app, uint32_t number) {
    for (; number < app->slot_capacity; number++)
        if (app->slots[number])
            return app->slots[number];
    return NULL;
}

static int grow_table(struct app *app, uint32_t capacity) {
    struct slot **slots;

    if (capacity <= app->slot_capacity)
        return 0;
    slots = realloc(app->slots, capacity * sizeof *slots);
    if (!slots)
        return UV_ENOMEM;
    for (uint32_t i = app->slot_capacity; i < capacity; i++)
        slots[i] = NULL;
    app->slots = slots;
    app->slot_capacity = capacity;
    return 0;
}

static int add_slot(struct app *app, uint32_t number) {
    struct slot *slot = calloc(1, sizeof *slot);

    if (!slot)
        return UV_ENOMEM;
    slot->app = app;
    slot->number = number;
    slot->created_ms = clock_wall_ms();
    uv_timer_init(app->host->loop, &slot->timer);
    slot->timer.data = slot;
    app->slots[number] = slot;
    app->slot_count++;
    app->handles++;
    return 0;
}

int app_resize(struct app *app, uint32_t count) {
    int result = count > SETTINGS_INSTANCES_MAX ? UV_EINVAL : grow_table(app, count);

    for (uint32_t i = 0; result == 0 && app->slot_count < count; i++)
        if (!app->slots[i])
            result = add_slot(app, i);
    return result;
}

static void on_slot_timer_closed(uv_handle_t *handle) {
    struct slot *slot = handle->data;
    struct app *app = slot->app;

    app->handles--;
    free(slot);
    app_on_handle_closed(app);
}

void app_free_slot(struct slot *slot) {
    slot->removed = true;
    slot->app->slots[slot->number] = NULL;
    slot->app->slot_count--;
    uv_close((uv_handle_t *)&slot->timer, on_slot_timer_closed);
}

int app_remove_slot(struct app *app, uint32_t number) {
    struct slot *slot = app_slot(app, number);

    if (!slot)
        return UV_ENOENT;
    if (slot->wish == SLOT_WANTED || slot->children > 0)
        return UV_EBUSY;
    app_cancel_renewal(slot);
    app_free_slot(slot);
    return 0;
}

void app_reset_slot(struct app *app, uint32_t number) {
    struct slot *slot = app_slot(app, number);

    if (!slot)
        return;
    restart_forget(&slot->history);
    slot->history.restarts = 0;
    slot->renewals = 0;
}
