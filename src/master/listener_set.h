/* The listeners of an app: found or opened when a worker asks for an address, closed when none
 * wants it any more.
 *
 * init/clear: embedded in the app. A listener belongs to the app and not to its last worker, so
 * that clients wait, not fail, while workers restart. */
#ifndef BATON_MASTER_LISTENER_SET_H
#define BATON_MASTER_LISTENER_SET_H

#include "base/list.h"
#include "master/child.h"
#include "master/connection_watch.h"
#include "master/listener.h"

#include <stdbool.h>
#include <uv.h>

struct listener_set_options {
    const struct settings *settings;
    uv_loop_t *loop;
    int descriptor_limit;           /* clients are accepted only below this number */
    struct connection_watch *watch; /* NULL where the kernel does not tell of closed connections */
    const struct listener_source *source; /* of sockets that are bound already; NULL: none */
};

struct listener_set {
    struct listener_set_options options;
    struct list listeners;
    unsigned open; /* listeners whose handles are not closed yet, those that are closing included */
    uint64_t seed; /* of the next policy's random stream */
    void (*on_closed)(void *owner); /* after each listener that has closed */
    void *owner;
};

void listener_set_init(struct listener_set *set, const struct listener_set_options *options,
                       void (*on_closed)(void *owner), void *owner);

/* The listener that serves this key, or NULL. */
struct listener *listener_set_find(struct listener_set *set, const struct listener_key *key);

/* Binds a new one. 0 with *ret_listener, or a UV_E* for the worker. */
int listener_set_open(struct listener_set *set, const struct child_listen_request *request,
                      struct listener **ret_listener);

/* The settings are others from now on, and so is the policy of the listeners that are there, but
 * for those that are shared, or would be. A watch is kept once there is one, for it knows members.
 */
void listener_set_change(struct listener_set *set, const struct settings *settings,
                         struct connection_watch *watch);

/* A member is going to be freed: its connections are followed no more. */
void listener_set_forget(struct listener_set *set, struct member *member);

/* Closes those that no worker is a member of. */
void listener_set_close_unwanted(struct listener_set *set);

/* All serve what has connected so far, and refuse who comes later; whether somebody still waits;
 * the end. */
void listener_set_finish(struct listener_set *set);
bool listener_set_has_waiting(const struct listener_set *set);
void listener_set_close(struct listener_set *set);

#endif
