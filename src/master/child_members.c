/* A worker's memberships: its shares in the listeners that it asked for. */
#include "base/clock.h"
#include "master/child.h"
#include "master/child_internal.h"
#include "master/dispatcher.h"
#include "master/process_sockets.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MEMBERS_MAX 1024 /* of one worker, so that others may have listeners too */

int child_create_member(struct child *child, struct listener *listener,
                        const struct child_listen_request *request,
                        struct child_member **ret_member) {
    struct child_member *member = calloc(1, sizeof *member);

    if (!member)
        return UV_ENOMEM;
    member_init(&member->member, &listener->dispatcher, child->slot);
    member->member.child = child;
    member->member.id = child->next_member++;
    member->member.window = child->settings->window ? child->settings->window : 1;
    member->member.open = listener->wants_cookies ? 0 : POLICY_OPEN_UNKNOWN;
    member->listener = listener;
    member->child = child;
    member->bound = request->bind_only;
    listener->members++;
    list_push_back(&child->members, &member->member.in_child);
    *ret_member = member;
    return 0;
}

static struct child_member *find_listener(struct child *child, const struct listener *listener) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (member->listener == listener && !member->leaving)
            return member;
    }
    return NULL;
}

static struct child_member *find_key(const struct child *child, const struct listener_key *key) {
    LIST_EACH(node, following, &child->members) {
        struct child_member *member = LIST_ENTRY(node, struct child_member, member.in_child);

        if (!member->leaving && listener_key_equal(&member->listener->key, key))
            return member;
    }
    return NULL;
}

bool child_has_key(const struct child *child, const struct listener_key *key) {
    return find_key(child, key) != NULL;
}

/* As the kernel has it, both sockets must have asked for that. */
static bool allows_another(const struct listener *listener) {
    int reuse_port = 0;
    socklen_t length = sizeof reuse_port;

    return getsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEPORT, &reuse_port, &length) == 0 &&
           reuse_port;
}

static unsigned count_members(const struct child *child) {
    unsigned count = 0;

    LIST_EACH(node, following, &child->members)
        count++;
    return count;
}

/* Another worker may have bound it, and not listened yet. */
static int listen_at_once(struct listener *listener, const struct child_listen_request *request) {
    if (request->bind_only || listener->listening || listener->shared)
        return 0;
    return listener_listen(listener, request->backlog > 0 ? request->backlog : SOMAXCONN);
}

int child_add_member(struct child *child, const struct child_listen_request *request,
                     struct child_member **ret_member) {
    struct child_member *member = find_key(child, request->key);
    struct listener *listener;
    int result;

    if (child->state == CHILD_EXITED)
        return UV_ECANCELED;
    if (member && request->reuse_port && allows_another(member->listener)) {
        *ret_member = member;
        return 0;
    }
    if (member)
        child_check_member(child, member); /* the listener may go with it */
    if (count_members(child) >= MEMBERS_MAX)
        return UV_EMFILE;
    result = child->events->listen(child->owner, child, request, &listener);
    if (result == 0)
        result = listen_at_once(listener, request);
    if (result < 0)
        return result;
    if (find_listener(child, listener))
        return UV_EADDRINUSE; /* what the operating system would say */
    return child_create_member(child, listener, request, ret_member);
}

/* What the worker listens on: its accept socket, or the shared TCP socket. Node says by its channel
 * when it closes that one. */
static int socket_of(const struct child_member *member) {
    if (member->member.delivery == &accept_delivery)
        return member->way.socket.worker;
    if (member->child->has_channel || !member->listener->shared)
        return -1;
    return member->listener->descriptor;
}

bool child_check_member(struct child *child, struct child_member *member) {
    struct stat status;

    if (!member->bound || member->leaving)
        return false;
    if (child->has_channel && !member->listening)
        return false; /* still on its way to the worker */
    if (fstat(socket_of(member), &status) < 0 ||
        process_holds(child->pid, status.st_ino, &member->place))
        return false;
    child_remove_member(child, member, false, false);
    return true;
}

void child_join_member(struct child *child, struct child_member *member) {
    member->listening = true;
    if (child->serving && child->state != CHILD_DRAINING)
        dispatcher_join(&member->listener->dispatcher, &member->member, clock_ms());
}

static void add_counts(struct child_counts *counts, const struct member *member) {
    counts->handed += member->handed_total;
    counts->acknowledged += member->acknowledged_total;
    counts->refused += member->refused_total;
    counts->returned += member->returned_total;
    counts->waiting += member->probed ? 0 : member->unacknowledged;
    if (member->open == POLICY_OPEN_UNKNOWN)
        return;
    counts->open = counts->open == POLICY_OPEN_UNKNOWN ? member->open : counts->open + member->open;
}

static void free_member(void *owner) {
    struct child_member *member = owner;
    struct child *child = member->child;

    free(member);
    child_handle_closed(child);
}

void child_remove_member(struct child *child, struct child_member *member, bool asked, bool dead) {
    struct listener *listener = member->listener;

    dispatcher_leave(&listener->dispatcher, &member->member, dead, clock_ms());
    /* What could not be recalled, as descriptors are short, would go with the accept socket. */
    if (member->member.unacknowledged > 0 && member->member.delivery == &accept_delivery)
        dispatcher_leave(&listener->dispatcher, &member->member, true, clock_ms());
    if (!list_empty(&member->member.handed)) {
        member->leaving = true; /* what it has been sent inline it will still answer */
        return;
    }
    dispatcher_forget(&member->member);
    add_counts(&child->removed, &member->member);
    list_remove(&member->member.in_child);
    listener->members--;
    child->events->unlisten(child->owner, child, member, asked);
    if (member->member.delivery == &accept_delivery) {
        child->open_handles++;
        member->way.owner = member;
        accept_delivery_close(&member->way, free_member);
        return;
    }
    free(member);
}

void child_count(const struct child *child, struct child_counts *ret_counts) {
    *ret_counts = child->removed;
    ret_counts->open = POLICY_OPEN_UNKNOWN;
    LIST_EACH(node, following, &child->members)
        add_counts(ret_counts, LIST_ENTRY(node, struct member, in_child));
}
