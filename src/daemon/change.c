#include "daemon/change.h"

#include "config/attribute.h"

#include <stdio.h>
#include <string.h>

struct change {
    const struct fleet *fleet;
    json_t *environment; /* borrowed, or NULL */
    json_t *attributes;  /* normalised, or NULL */
    bool several;        /* apps are meant */
    char *error;
};

static json_t *describe(const struct change *change, const struct record *record) {
    json_t *description = json_copy(record->description);

    if (description &&
        (!change->environment ||
         json_object_set(description, "environment", change->environment) == 0) &&
        (!change->attributes || json_object_update(description, change->attributes) == 0))
        return description;
    json_decref(description);
    return NULL;
}

/* A name belongs to one app. */
static int check_name(const struct change *change, const struct record *record, const char *name) {
    const struct record *other = fleet_find(change->fleet, name);

    if (strcmp(record->settings->name, name) == 0)
        return 0;
    if (!change->several && !other)
        return 0;
    snprintf(change->error, SETTINGS_ERROR_MAX,
             other ? "another app is called '%.128s'" : "several apps cannot be called '%.128s'",
             name);
    return UV_EEXIST;
}

/* Checks it, and with `apply` does it. */
static int change_one(const struct change *change, struct record *record, bool apply) {
    json_t *description = describe(change, record);
    struct settings *settings = NULL;
    int result = UV_ENOMEM;

    if (description)
        result = record_check(description, change->fleet->defaults, &settings, NULL, change->error);
    if (result == 0)
        result = check_name(change, record, settings->name);
    if (result == 0 && apply)
        result = record_update(record, description, settings, change->error);
    else
        settings_unref(settings);
    json_decref(description);
    return result;
}

static int change_all(const struct change *change, const struct fleet_selection *selection,
                      bool apply) {
    int result = 0;

    for (size_t i = 0; i < selection->count && result == 0; i++)
        if (i == 0 || selection->processes[i].record != selection->processes[i - 1].record)
            result = change_one(change, selection->processes[i].record, apply);
    return result;
}

int change_apply(const struct fleet *fleet, const struct fleet_selection *selection,
                 const json_t *body, struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    json_t *environment = json_object_get(body, "env");
    const json_t *app = json_object_get(body, "app");
    struct change change = {
        .fleet = fleet,
        .environment = json_is_object(environment) ? environment : NULL,
        .attributes = json_is_object(app) ? attribute_normalize(app, warnings) : NULL,
        .several = selection->count > 0 && selection->processes[0].record !=
                                               selection->processes[selection->count - 1].record,
        .error = error};
    int result = 0;

    snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
    if (json_is_object(app) && !change.attributes)
        return UV_ENOMEM;
    if (change.environment || json_object_size(change.attributes) > 0) {
        result = change_all(&change, selection, false);
        if (result == 0)
            result = change_all(&change, selection, true);
    }
    json_decref(change.attributes);
    return result;
}
