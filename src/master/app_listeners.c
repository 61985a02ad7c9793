/* What an app's workers ask of it: its listeners. */
#include "base/log.h"
#include "master/app.h"
#include "master/app_internal.h"

#include <stdio.h>
#include <string.h>

#define UNWANTED_MS 1000 /* for a program that has closed its sockets to end */

static void describe_in_use(struct app *app, const struct listener_key *key, const char *address) {
    const struct app *holder = app_find_holder(app, key);
    const char *name = app->settings->name;

    if (holder)
        snprintf(app->bind_reason, sizeof app->bind_reason,
                 "%.160s: %s is in use by the app '%.160s'", name, address, holder->settings->name);
    else
        snprintf(app->bind_reason, sizeof app->bind_reason,
                 "%.256s: %s is in use by another program", name, address);
}

/* The other workers meet the same, and one sentence is enough. */
static void on_bind_failed(struct app *app, const struct listener_key *key, int error) {
    const char *name = app->settings->name;
    char text[ADDRESS_TEXT_MAX];

    if (app->bind_error == error && listener_key_equal(&app->bind_key, key))
        return;
    app->bind_error = error;
    app->bind_key = *key;
    address_describe(&key->address.any, key->length, text);
    if (error == UV_EADDRINUSE)
        describe_in_use(app, key, text);
    else
        snprintf(app->bind_reason, sizeof app->bind_reason, "%.256s: cannot listen on %s: %s", name,
                 text, uv_strerror(error));
    log_error("%s", app->bind_reason);
}

static int open_listener(struct app *app, const struct child_listen_request *request,
                         struct listener **ret_listener) {
    int result = app_is_wanted(app) ? listener_set_open(&app->listeners, request, ret_listener)
                                    : UV_ECANCELED;

    if (result == 0) {
        app->bind_error = 0;
        if (app->events->serving)
            app->events->serving(app->owner, app, *ret_listener);
    } else if (result != UV_ECANCELED) {
        on_bind_failed(app, request->key, result);
    }
    return result;
}

int app_open_inherited(struct app *app) {
    struct listener_key key = {.kind = LISTENER_TCP};
    struct child_listen_request request = {.key = &key};
    struct listener *inherited;
    struct sockaddr_storage address;
    int result = address_parse(app->settings->listen, &address, &key.length);

    if (result < 0) {
        snprintf(app->bind_reason, sizeof app->bind_reason,
                 "--listen takes [HOST:]PORT or the path of a Unix socket, not '%.128s'",
                 app->settings->listen);
        log_error("%s", app->bind_reason);
        return result;
    }
    memcpy(&key.address, &address, key.length);
    key.any_host = strchr(app->settings->listen, ':') == NULL;
    if (address.ss_family == AF_UNIX)
        key.kind = LISTENER_UNIX;
    result = open_listener(app, &request, &inherited);
    if (result == 0)
        result = listener_share(inherited, 0);
    if (result < 0)
        return result;
    app->listened = true;
    app->inherited = inherited;
    return 0;
}

int app_listen(void *owner, struct child *child, const struct child_listen_request *request,
               struct listener **ret_listener) {
    struct app *app = owner;
    int result = 0;

    (void)child;
    *ret_listener = listener_set_find(&app->listeners, request->key);
    if (!*ret_listener)
        result = open_listener(app, request, ret_listener);
    if (result == 0)
        app->listened = true;
    return result;
}

bool app_is_awaited(const struct app *app) {
    for (const struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        if (slot->wish == SLOT_WANTED &&
            (!slot->current || slot->next || slot->current->state < CHILD_READY))
            return true;
    return false;
}

static void on_unwanted(uv_timer_t *timer) {
    struct app *app = timer->data;

    if (!app_is_awaited(app))
        listener_set_close_unwanted(&app->listeners);
}

/* A program that does not know of the master closes its sockets when it ends in good order, too,
 * just before it does: then its successor will want the listener, and clients wait for that. */
void app_unlisten(void *owner, struct child *child, struct child_member *member, bool asked) {
    struct app *app = owner;

    listener_set_forget(&app->listeners, &member->member);
    if (!app_is_wanted(app) || (asked && !app_is_awaited(app)))
        listener_set_close_unwanted(&app->listeners);
    else if (!asked && child->state != CHILD_EXITED)
        uv_timer_start(&app->unwanted_timer, on_unwanted, UNWANTED_MS, 0);
}
