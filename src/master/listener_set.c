#include "master/listener_set.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_BACKLOG 511   /* Node's */
#define WAIT_LIMIT_MS   60000 /* a client that no worker takes for so long is let go */
#define STUCK_SAID_MS   10000 /* how often it is said that a worker is stuck */
#define STUCK_LONG_MS   5000  /* after which it is said of a server that is no event loop */
#define LISTENERS_MAX   2048  /* together, of all workers */
#define LISTENERS_MIN   16    /* allowed in any case … */
#define LISTENER_SHARE  8     /* … and a listener for so many descriptors that we may have */

void listener_set_init(struct listener_set *set, const struct listener_set_options *options,
                       void (*on_closed)(void *owner), void *owner) {
    *set = (struct listener_set){
        .options = *options, .seed = clock_ns(), .on_closed = on_closed, .owner = owner};
    list_init(&set->listeners);
}

struct listener *listener_set_find(struct listener_set *set, const struct listener_key *key) {
    LIST_EACH(node, following, &set->listeners) {
        struct listener *listener = LIST_ENTRY(node, struct listener, in_set);

        if (!listener->finished && listener_key_equal(&listener->key, key))
            return listener;
    }
    return NULL;
}

/* --- what listeners announce --- */

static void on_opened(void *owner, struct client *client, struct member *member) {
    struct listener_set *set = owner;

    if (!set->options.watch || member->open < 0)
        return;
    if (!client->cookie) /* it came back from another worker */
        client_note_cookie(client);
    connection_watch_add(set->options.watch, client->cookie, member);
}

static void on_taken_back(void *owner, struct client *client, struct member *member) {
    struct listener_set *set = owner;

    if (!set->options.watch || member->open < 0)
        return;
    if (!client->cookie)
        client_note_cookie(client);
    connection_watch_remove(set->options.watch, client->cookie);
}

static void complain_of_stuck(struct child *child, uint64_t held_ms) {
    if (child->stuck_said_ms && clock_ms() - child->stuck_said_ms < STUCK_SAID_MS)
        return;
    child->stuck_said_ms = clock_ms();
    log_warning("worker %u of %s (pid %d) has not taken a client for %llu ms: it gets no more "
                "until it does",
                child->slot, child->settings->name, (int)child->pid, (unsigned long long)held_ms);
}

/* An event loop should never be held up. A server that does one thing after the other is, by each
 * request that takes its time. */
static bool is_event_loop(const struct child *child) {
    return child->has_channel || child->settings->intercept == SETTINGS_INTERCEPT_NATIVE;
}

static void on_stuck(void *owner, struct member *member, uint64_t held_ms) {
    struct child *child = member->child;

    (void)owner;
    child->stuck_total++;
    if (is_event_loop(child))
        complain_of_stuck(child, held_ms);
}

/* A worker that has closed its accept socket looks stuck, for our copy keeps that open. */
static void examine(struct member *member) {
    struct child *child = member->child;
    uint64_t held_ms = clock_ms() - member->progress_ms;

    if (child_check_member(child, LIST_ENTRY(member, struct child_member, member)))
        return;
    if (!is_event_loop(child) && held_ms >= STUCK_LONG_MS)
        complain_of_stuck(child, held_ms);
}

static void on_examine(void *owner, struct listener *listener) {
    (void)owner;
    for (uint32_t slot = 0; slot < listener->dispatcher.capacity; slot++) {
        struct member *member = listener->dispatcher.seats[slot];

        if (member && member->stuck)
            examine(member);
    }
}

static void on_expired(void *owner, struct member *member, uint64_t held_ms) {
    struct child *child = member->child;

    (void)owner;
    (void)held_ms;
    child_kill(child, "it had taken no client for longer than --kill-stuck-after");
}

static void on_failed(void *owner, struct listener *listener, int error) {
    char text[ADDRESS_TEXT_MAX];

    (void)owner;
    listener_describe(listener, text);
    log_error("%s accepts no more clients: %s", text, uv_strerror(error));
}

static const struct listener_events listener_events = {.opened = on_opened,
                                                       .taken_back = on_taken_back,
                                                       .stuck = on_stuck,
                                                       .expired = on_expired,
                                                       .examine = on_examine,
                                                       .failed = on_failed};

/* --- opening --- */

static struct listener_options make_options(const struct listener_set *set,
                                            const struct child_listen_request *request,
                                            struct policy *policy) {
    const struct settings *settings = set->options.settings;
    bool tcp = request->key->kind == LISTENER_TCP;

    return (struct listener_options){
        .key = request->key,
        .backlog = request->backlog > 0 ? request->backlog : DEFAULT_BACKLOG,
        .bind_only = request->bind_only,
        .socket = request->socket,
        .policy = policy,
        .limits = {.slow_after_ms = settings->slow_after_ms,
                   .kill_stuck_after_ms = settings->kill_stuck_after_ms,
                   .wait_ms = WAIT_LIMIT_MS},
        .descriptor_limit = set->options.descriptor_limit,
        .wants_cookies = policy->type->needs_open && set->options.watch && tcp,
        .shared = policy->type->shared || request->key->kind == LISTENER_UDP ||
                  settings->intercept == SETTINGS_INTERCEPT_LISTEN_FDS,
        .source = set->options.source,
    };
}

/* Whoever opens one after the other must leave descriptors for clients. Those that nobody wants
 * are kept for a worker that is about to come, but not at any price. */
static int check_room(struct listener_set *set) {
    unsigned most = LISTENERS_MIN + (unsigned)set->options.descriptor_limit / LISTENER_SHARE;

    if (set->open < LISTENERS_MAX && set->open < most)
        return 0;
    listener_set_close_unwanted(set);
    return UV_EMFILE;
}

static int create(struct listener_set *set, const struct child_listen_request *request,
                  struct listener **ret_listener) {
    struct listener *listener = malloc(sizeof *listener);
    struct policy *policy = NULL;
    struct listener_options options;
    int result =
        listener ? policy_create(&policy, set->options.settings->policy, set->seed++) : UV_ENOMEM;

    if (result < 0)
        goto failed;
    options = make_options(set, request, policy);
    result = listener_start(listener, set->options.loop, &options, &listener_events, set);
    if (result < 0)
        goto failed;
    if (request->data && strcmp(request->data, "null") != 0)
        listener->data = strdup(request->data);
    list_push_back(&set->listeners, &listener->in_set);
    set->open++;
    *ret_listener = listener;
    return 0;
failed:
    policy_destroy(policy);
    free(listener);
    return result;
}

int listener_set_open(struct listener_set *set, const struct child_listen_request *request,
                      struct listener **ret_listener) {
    int result = check_room(set);

    return result < 0 ? result : create(set, request, ret_listener);
}

/* --- other settings --- */

static void change_policy(struct listener_set *set, struct listener *listener,
                          const char *specification) {
    struct policy *policy;

    if (listener->shared || listener->finished || policy_find(specification)->shared ||
        policy_create(&policy, specification, set->seed++) < 0)
        return;
    if (dispatcher_set_policy(&listener->dispatcher, policy, clock_ms()) < 0) {
        policy_destroy(policy);
        return;
    }
    /* Of members that come: what those that are there have open nobody has counted. */
    listener->wants_cookies =
        policy->type->needs_open && set->options.watch && listener->key.kind == LISTENER_TCP;
}

void listener_set_change(struct listener_set *set, const struct settings *settings,
                         struct connection_watch *watch) {
    const struct settings *before = set->options.settings;

    set->options.settings = settings;
    if (watch)
        set->options.watch = watch;
    if (!before || strcmp(before->policy, settings->policy) == 0)
        return;
    LIST_EACH(node, following, &set->listeners)
        change_policy(set, LIST_ENTRY(node, struct listener, in_set), settings->policy);
}

/* --- closing --- */

static void on_listener_closed(void *owner, struct listener *listener) {
    struct listener_set *set = owner;

    free(listener);
    set->open--;
    set->on_closed(set->owner);
}

static void close_one(struct listener *listener) {
    list_remove(&listener->in_set);
    listener_close(listener, on_listener_closed);
}

void listener_set_forget(struct listener_set *set, struct member *member) {
    if (set->options.watch)
        connection_watch_forget(set->options.watch, member);
}

void listener_set_close_unwanted(struct listener_set *set) {
    LIST_EACH(node, following, &set->listeners) {
        struct listener *listener = LIST_ENTRY(node, struct listener, in_set);

        if (listener->members == 0)
            close_one(listener);
    }
}

void listener_set_finish(struct listener_set *set) {
    LIST_EACH(node, following, &set->listeners)
        listener_finish(LIST_ENTRY(node, struct listener, in_set));
}

bool listener_set_has_waiting(const struct listener_set *set) {
    LIST_EACH(node, following, &set->listeners)
        if (LIST_ENTRY(node, struct listener, in_set)->dispatcher.waiting_count > 0)
            return true;
    return false;
}

void listener_set_close(struct listener_set *set) {
    LIST_EACH(node, following, &set->listeners)
        close_one(LIST_ENTRY(node, struct listener, in_set));
}
