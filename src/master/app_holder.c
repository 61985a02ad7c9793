/* Which other app of the same host has an address that an app wants. */
#include "master/address.h"
#include "master/app.h"
#include "master/app_internal.h"
#include "master/process_sockets.h"

static bool listens_by_master(struct app *app, const struct listener_key *key) {
    LIST_EACH(node, following, &app->listeners.listeners) {
        const struct listener *listener = LIST_ENTRY(node, struct listener, in_set);

        if (!listener->finished && listener->key.kind == key->kind &&
            address_overlaps((const struct sockaddr *)&listener->bound, listener->bound_length,
                             &key->address.any, key->length))
            return true;
    }
    return false;
}

/* What is only supervised, and whatever a worker listens on besides. */
static bool listens_by_itself(struct app *app, const struct listener_key *key) {
    uint16_t port = address_port(&key->address.any);

    if (key->kind != LISTENER_TCP || port == 0)
        return false;
    LIST_EACH(node, following, &app->children)
        if (process_session_listens(LIST_ENTRY(node, struct child, in_app)->pid, port))
            return true;
    return false;
}

const struct app *app_find_holder(const struct app *app, const struct listener_key *key) {
    LIST_EACH(node, following, &app->host->apps) {
        struct app *other = LIST_ENTRY(node, struct app, in_host);

        if (other != app && (listens_by_master(other, key) || listens_by_itself(other, key)))
            return other;
    }
    return NULL;
}
