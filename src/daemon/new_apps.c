/* POST /v1/apps: apps that are to run from now on, new ones and those that are there already under
 * the same name. Everything is checked before anything is done. */
#include "base/text.h"
#include "daemon/daemon_internal.h"
#include "daemon/dependency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum known { KNOWN_REFUSE, KNOWN_RESTART, KNOWN_RELOAD, KNOWN_DUPLICATE, KNOWN_NONE };

static enum known read_known(const json_t *body) {
    static const char *const names[] = {"refuse", "restart", "reload", "duplicate"};
    const char *text = json_string_value(json_object_get(body, "known"));

    for (int i = 0; text && i < KNOWN_NONE; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum known)i;
    return text ? KNOWN_NONE : KNOWN_REFUSE;
}

/* What is asked for, checked before anything is done. */
struct wanted {
    json_t *description; /* borrowed from the request */
    struct settings *settings;
    struct record *known; /* that has the name, or NULL */
};

struct wish {
    struct wanted *apps;
    size_t count;
    enum known known;
    struct text_list warnings;
};

static void clear_wish(struct wish *wish) {
    for (size_t i = 0; i < wish->count; i++)
        settings_unref(wish->apps[i].settings);
    free(wish->apps);
    text_list_clear(&wish->warnings);
}

static bool runs(const struct record *record) {
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1))
        if (app_slot(record->app, slot)->wish == SLOT_WANTED)
            return true;
    return false;
}

/* The app that is meant: of this name, and for somebody who has named a script and not an app also
 * of this script, as PM2 has it; another of the name is no reason then. */
static struct record *find_known(const struct fleet *fleet, enum known known,
                                 const struct settings *settings) {
    switch (known) {
    case KNOWN_DUPLICATE:
        return NULL;
    case KNOWN_REFUSE:
        return fleet_find_program(fleet, settings->name, settings->script);
    default:
        return fleet_find(fleet, settings->name);
    }
}

/* One sentence for one of several apps, so it is named, as far as it has a name. */
static void refuse(struct control_request *request, const json_t *description, const char *error) {
    const char *name = json_string_value(json_object_get(description, "name"));
    char shown[128];

    if (!name) {
        control_reply_error(request->connection, 400, "bad_app", "%s", error);
        return;
    }
    text_escape_utf8(shown, sizeof shown, name, strlen(name));
    control_reply_error(request->connection, 400, "bad_app", "app '%s': %s", shown, error);
}

static bool check_one(struct daemon *daemon, struct control_request *request, struct wish *wish,
                      json_t *description) {
    struct wanted *wanted = &wish->apps[wish->count];
    char error[SETTINGS_ERROR_MAX];

    if (!json_is_object(description)) {
        daemon_bad_request(request, "an app is described by an object");
        return false;
    }
    wanted->description = description;
    if (record_check(description, daemon->fleet.defaults, &wanted->settings, &wish->warnings,
                     error) < 0) {
        refuse(request, description, error);
        return false;
    }
    wish->count++;
    wanted->known = find_known(&daemon->fleet, wish->known, wanted->settings);
    if (!wanted->known || wish->known != KNOWN_REFUSE || !runs(wanted->known))
        return true;
    control_reply_error(request->connection, 409, "exists", "the app '%s' runs already",
                        wanted->settings->name);
    return false;
}

static bool check_wish(struct daemon *daemon, struct control_request *request, struct wish *wish) {
    const json_t *apps = json_object_get(request->body, "apps");
    json_t *description;
    size_t index;

    wish->known = read_known(request->body);
    if (!json_is_array(apps) || wish->known == KNOWN_NONE) {
        daemon_bad_request(request,
                           "\"apps\" must be an array, and \"known\" one of refuse, restart, "
                           "reload, duplicate");
        return false;
    }
    wish->apps = calloc(json_array_size(apps) + 1, sizeof *wish->apps);
    if (!wish->apps) {
        control_reply_json(request->connection, 503, NULL);
        return false;
    }
    json_array_foreach(apps, index, description) {
        if (!check_one(daemon, request, wish, description))
            return false;
    }
    return true;
}

/* As it will be: what is asked for goes before what is there. */
struct lookup {
    const struct fleet *fleet;
    const struct wish *wish;
};

static const struct settings *find_settings(void *owner, const char *name) {
    const struct lookup *lookup = owner;
    const struct record *record;

    for (size_t i = 0; i < lookup->wish->count; i++)
        if (strcmp(lookup->wish->apps[i].settings->name, name) == 0)
            return lookup->wish->apps[i].settings;
    record = fleet_find(lookup->fleet, name);
    return record ? record->settings : NULL;
}

static bool check_order(struct daemon *daemon, struct control_request *request,
                        const struct wish *wish) {
    struct lookup lookup = {.fleet = &daemon->fleet, .wish = wish};
    char path[SETTINGS_ERROR_MAX];

    for (size_t i = 0; i < wish->count; i++)
        if (dependency_cycle(wish->apps[i].settings, find_settings, &lookup, path, sizeof path)) {
            control_reply_error(request->connection, 400, "bad_app",
                                "depends_on goes round in a circle: %s", path);
            return false;
        }
    return true;
}

/* Adds or updates it; `selection` is what is to be started, or renewed if it was known. */
static int realise(struct daemon *daemon, struct wanted *wanted, struct fleet_selection *fresh,
                   struct fleet_selection *known, char error[SETTINGS_ERROR_MAX]) {
    struct settings *settings = settings_ref(wanted->settings);
    struct record *record = wanted->known;
    int result;

    snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
    if (record) {
        result = record_update(record, wanted->description, settings, error);
        return result < 0 ? result : fleet_select_record(record, known);
    }
    result = fleet_add(&daemon->fleet, wanted->description, settings, &record, error);
    if (result < 0 || !wanted->settings->autostart)
        return result;
    return fleet_select_record(record, fresh);
}

static void grant(struct daemon *daemon, struct control_request *request, struct wish *wish) {
    struct fleet_selection fresh = {.count = 0};
    struct fleet_selection known = {.count = 0};
    struct operation *operation = fleet_operation(&daemon->fleet, request);
    char error[SETTINGS_ERROR_MAX];

    if (!operation)
        return;
    operation->parallel = daemon_read_parallel(request->body);
    for (size_t i = 0; i < wish->warnings.count; i++)
        operation_warn(operation, wish->warnings.items[i]);
    for (size_t i = 0; i < wish->count; i++)
        if (realise(daemon, &wish->apps[i], &fresh, &known, error) < 0)
            operation_fail(operation, wish->apps[i].settings->name, error);
    fleet_act_both(&daemon->fleet, wish->known == KNOWN_RELOAD ? FLEET_RELOAD : FLEET_RESTART,
                   &known, &fresh, operation);
    fleet_selection_clear(&fresh);
    fleet_selection_clear(&known);
}

void daemon_on_apps(void *owner, struct control_request *request) {
    struct wish wish = {.count = 0};

    if (check_wish(owner, request, &wish) && check_order(owner, request, &wish))
        grant(owner, request, &wish);
    clear_wish(&wish);
}
