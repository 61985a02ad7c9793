#include "master/dispatcher.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BATCH 64 /* clients sent to a member in one go */

void dispatcher_init(struct dispatcher *dispatcher, struct policy *policy,
                     const struct dispatcher_events *events, void *owner) {
    *dispatcher = (struct dispatcher){.policy = policy, .events = events, .owner = owner};
    list_init(&dispatcher->leftovers);
    list_init(&dispatcher->waiting);
    list_init(&dispatcher->busy);
    list_init(&dispatcher->full);
}

static void destroy_leftover(struct leftover *leftover) {
    list_remove(&leftover->node);
    leftover->destroy(leftover);
}

void dispatcher_clear(struct dispatcher *dispatcher) {
    LIST_EACH(node, following, &dispatcher->waiting)
        client_destroy(LIST_ENTRY(node, struct client, node));
    dispatcher->waiting_count = 0;
    LIST_EACH(node, following, &dispatcher->leftovers)
        destroy_leftover(LIST_ENTRY(node, struct leftover, node));
    policy_destroy(dispatcher->policy);
    dispatcher->policy = NULL;
    free(dispatcher->seats);
    dispatcher->seats = NULL;
    dispatcher->capacity = 0;
}

/* --- candidates --- */

static bool is_ready(const struct member *member) {
    return member->joined && !member->stuck && member->refused_until_ms == 0;
}

static bool is_available(const struct member *member) {
    return is_ready(member) && !member->blocked && member->unacknowledged < member->window;
}

void dispatcher_refresh(struct member *member) {
    struct dispatcher *dispatcher = member->dispatcher;
    struct policy_candidate candidate = {
        .ready = is_ready(member),
        .available = is_available(member),
        .unacknowledged = member->unacknowledged,
        .handed = member->handed_total,
        .open = member->open,
        .load = member->load,
        .weight = 1,
    };
    uint32_t credit = candidate.available ? member->window - member->unacknowledged : 0;

    dispatcher->credit += credit;
    dispatcher->credit -= member->credit;
    member->credit = credit;
    if (dispatcher->seats && dispatcher->seats[member->slot] == member)
        policy_update(dispatcher->policy, member->slot, &candidate);
}

int dispatcher_set_policy(struct dispatcher *dispatcher, struct policy *policy, uint64_t now_ms) {
    int result = policy_resize(policy, dispatcher->capacity);

    if (result < 0)
        return result;
    policy_destroy(dispatcher->policy);
    dispatcher->policy = policy;
    for (uint32_t slot = 0; slot < dispatcher->capacity; slot++)
        if (dispatcher->seats[slot])
            dispatcher_refresh(dispatcher->seats[slot]);
    dispatcher_run(dispatcher, now_ms);
    return 0;
}

static void need_tick(struct dispatcher *dispatcher) {
    if (dispatcher->ticking)
        return;
    dispatcher->ticking = true;
    dispatcher->events->due(dispatcher->owner);
}

/* Puts the member into the lists that its counts call for. */
static void update_busy(struct dispatcher *dispatcher, struct member *member) {
    bool full = member->joined && member->unacknowledged >= member->window && !member->watched;

    list_remove(&member->in_full);
    if (full && member->delivery->settle)
        list_push_back(&dispatcher->full, &member->in_full);
    if (member->unacknowledged == 0) {
        list_remove(&member->in_busy);
        return;
    }
    if (list_empty(&member->in_busy))
        list_push_back(&dispatcher->busy, &member->in_busy);
    need_tick(dispatcher);
}

static int grow_seats(struct dispatcher *dispatcher, uint32_t slot) {
    uint32_t capacity = dispatcher->capacity ? dispatcher->capacity : 4;
    struct member **seats;
    int result;

    while (capacity <= slot)
        capacity *= 2;
    result = policy_resize(dispatcher->policy, capacity);
    if (result < 0)
        return result;
    seats = realloc(dispatcher->seats, capacity * sizeof(*seats));
    if (!seats)
        return UV_ENOMEM;
    memset(seats + dispatcher->capacity, 0, (capacity - dispatcher->capacity) * sizeof(*seats));
    dispatcher->seats = seats;
    dispatcher->capacity = capacity;
    return 0;
}

static void unwatch(struct member *member) {
    if (!member->watched)
        return;
    member->watched = false;
    member->delivery->watch(member, false);
}

static void unseat(struct dispatcher *dispatcher, struct member *member) {
    if (!member->joined)
        return;
    member->joined = false;
    dispatcher->joined_count--;
    if (member->blocked || member->refused_until_ms > 0)
        dispatcher->resting_count--;
    member->blocked = false;
    member->refused_until_ms = 0;
    unwatch(member);
    dispatcher_refresh(member);
    dispatcher->seats[member->slot] = NULL;
}

int dispatcher_join(struct dispatcher *dispatcher, struct member *member, uint64_t now_ms) {
    struct member *before;

    if (member->joined || !member->delivery)
        return 0;
    if (member->slot >= dispatcher->capacity) {
        int result = grow_seats(dispatcher, member->slot);

        if (result < 0)
            return result;
    }
    before = dispatcher->seats[member->slot];
    if (before)
        dispatcher_leave(dispatcher, before, false, now_ms);
    dispatcher->seats[member->slot] = member;
    dispatcher->joined_count++;
    member->joined = true;
    member->progress_ms = now_ms;
    dispatcher_refresh(member);
    dispatcher_run(dispatcher, now_ms);
    return 0;
}

void dispatcher_withdraw(struct dispatcher *dispatcher, struct member *member) {
    unseat(dispatcher, member);
    update_busy(dispatcher, member);
}

void dispatcher_inherit(struct dispatcher *dispatcher, struct leftover *leftover) {
    list_push_back(&dispatcher->leftovers, &leftover->node);
    need_tick(dispatcher);
}

void dispatcher_leave(struct dispatcher *dispatcher, struct member *member, bool dead,
                      uint64_t now_ms) {
    unseat(dispatcher, member);
    if (!member->delivery)
        return;
    if (member->delivery->take_back(member, dead)) {
        member->unacknowledged = 0;
        member->probed = false;
    }
    update_busy(dispatcher, member);
    dispatcher_run(dispatcher, now_ms);
}

void dispatcher_forget(struct member *member) {
    list_remove(&member->in_busy);
    list_remove(&member->in_full);
}

/* --- the line --- */

uint32_t dispatcher_credit(const struct dispatcher *dispatcher) {
    uint64_t room = dispatcher->credit + DISPATCHER_LINE_MAX;

    if (!list_empty(&dispatcher->leftovers))
        return 0;
    if (room <= dispatcher->waiting_count)
        return 0;
    room -= dispatcher->waiting_count;
    return room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
}

/* Inserts by arrival: those that were in line before stand in front of those that came later. */
static void line_insert(struct dispatcher *dispatcher, struct client *client) {
    struct list *position = dispatcher->waiting.next;

    while (position != &dispatcher->waiting &&
           LIST_ENTRY(position, struct client, node)->arrival <= client->arrival)
        position = position->next;
    list_remove(&client->node);
    list_insert_before(position, &client->node);
    dispatcher->waiting_count++;
}

void dispatcher_add(struct dispatcher *dispatcher, struct client *client, uint64_t now_ms) {
    client->arrival = ++dispatcher->arrivals;
    client->accepted_ms = now_ms;
    list_push_back(&dispatcher->waiting, &client->node);
    dispatcher->waiting_count++;
}

static void count_handed(struct member *member, struct client *client, uint64_t now_ms) {
    if (member->unacknowledged == 0)
        member->progress_ms = now_ms;
    member->unacknowledged++;
    member->handed_total++;
    client->handed_ms = now_ms;
    if (member->dispatcher->events->opened)
        member->dispatcher->events->opened(member->dispatcher->owner, client, member);
    dispatcher_refresh(member);
}

static void count_returned(struct member *member, struct client *client) {
    member->unacknowledged -= member->unacknowledged > 0;
    if (member->dispatcher->events->taken_back)
        member->dispatcher->events->taken_back(member->dispatcher->owner, client, member);
}

void dispatcher_return(struct member *member, struct client *client) {
    member->returned_total++;
    count_returned(member, client);
    line_insert(member->dispatcher, client);
}

static void block(struct member *member) {
    if (member->blocked || !member->joined)
        return;
    member->blocked = true;
    if (member->refused_until_ms == 0)
        member->dispatcher->resting_count++;
    need_tick(member->dispatcher);
}

/* Undoes what the picks of this round counted for clients that the member's way had no room for. */
static void put_back(struct member *member, struct client **clients, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        member->handed_total--;
        count_returned(member, clients[i]);
        line_insert(member->dispatcher, clients[i]);
    }
    block(member);
}

/* True when its way was full: others may be free for its clients. */
static bool send_outbox(struct member *member) {
    bool full = false;

    while (!list_empty(&member->outbox)) {
        struct client *clients[BATCH];
        unsigned count = 0;
        unsigned taken;

        while (count < BATCH && !list_empty(&member->outbox))
            clients[count++] = LIST_ENTRY(list_pop_front(&member->outbox), struct client, node);
        taken = member->blocked ? 0 : member->delivery->send(member, clients, count);
        if (taken < count)
            put_back(member, clients + taken, count - taken);
        full = full || taken < count;
    }
    update_busy(member->dispatcher, member);
    dispatcher_refresh(member);
    return full;
}

bool dispatcher_hand_to(struct member *member, struct client *client, uint64_t now_ms) {
    struct dispatcher *dispatcher = member->dispatcher;
    bool taken;

    if (member->blocked)
        return false;
    client->arrival = ++dispatcher->arrivals;
    client->accepted_ms = now_ms;
    count_handed(member, client, now_ms);
    taken = member->delivery->send(member, &client, 1) == 1;
    if (!taken) {
        member->handed_total--;
        count_returned(member, client);
    }
    update_busy(dispatcher, member);
    dispatcher_refresh(member);
    return taken;
}

/* However it was noticed, an acknowledgement is a sign of life. */
static void count_acknowledged(struct member *member, uint32_t count, uint64_t now_ms) {
    member->unacknowledged -= count < member->unacknowledged ? count : member->unacknowledged;
    if (member->probed)
        member->probed = false;
    else
        member->acknowledged_total += count;
    member->progress_ms = now_ms;
    member->stuck = false;
    member->refusal_delay_ms = 0;
    update_busy(member->dispatcher, member);
    dispatcher_refresh(member);
}

/* Asks members with a full window what they have received since; those that are still full are
 * watched. True when one has room now. */
static bool settle_full(struct dispatcher *dispatcher, uint64_t now_ms) {
    bool found = false;

    LIST_EACH(node, following, &dispatcher->full) {
        struct member *member = LIST_ENTRY(node, struct member, in_full);
        uint32_t received = member->delivery->settle(member);

        if (received == 0) {
            member->watched = true;
            list_remove(&member->in_full);
            member->delivery->watch(member, true);
            continue;
        }
        count_acknowledged(member, received, now_ms);
        found = found || is_available(member);
    }
    return found;
}

/* Moves clients from the line to the outboxes of the members that the policy names. */
static void deal(struct dispatcher *dispatcher, struct list *round, uint64_t now_ms) {
    LIST_EACH(node, following, &dispatcher->waiting) {
        struct client *client = LIST_ENTRY(node, struct client, node);
        int32_t slot = policy_pick(dispatcher->policy, client->key);
        struct member *member;

        if (slot == POLICY_NONE && dispatcher->policy->type->keyed)
            continue; /* its worker is busy; another client's need not be */
        if (slot == POLICY_NONE)
            return;
        member = dispatcher->seats[slot];
        list_remove(&client->node);
        dispatcher->waiting_count--;
        list_push_back(&member->outbox, &client->node);
        if (list_empty(&member->in_round))
            list_push_back(round, &member->in_round);
        count_handed(member, client, now_ms);
    }
}

/* Half the line must be free, so that a busy app does not stop and start accepting for every
 * client. */
static void announce_credit(struct dispatcher *dispatcher) {
    if (!dispatcher->thirsty || dispatcher->waiting_count > DISPATCHER_LINE_MAX / 2 ||
        dispatcher_credit(dispatcher) == 0)
        return;
    dispatcher->thirsty = false;
    dispatcher->events->credit(dispatcher->owner);
}

/* True when clients were put back that others may be free for. */
static bool run_round(struct dispatcher *dispatcher, uint64_t now_ms) {
    struct list round;
    bool full = false;

    list_init(&round);
    deal(dispatcher, &round, now_ms);
    while (!list_empty(&round))
        full |= send_outbox(LIST_ENTRY(list_pop_front(&round), struct member, in_round));
    return full;
}

/* Fills the line up with those that were left behind: true when there may be more than had room. */
static bool draw_leftovers(struct dispatcher *dispatcher) {
    while (!list_empty(&dispatcher->leftovers) && dispatcher->waiting_count < DISPATCHER_LINE_MAX) {
        struct leftover *leftover = LIST_ENTRY(dispatcher->leftovers.next, struct leftover, node);
        struct client *client;
        int result = leftover->take(leftover, &client);

        if (result < 0)
            return false; /* descriptors are short: the tick tries again */
        if (result == 0)
            destroy_leftover(leftover);
        else
            line_insert(dispatcher, client);
    }
    return !list_empty(&dispatcher->leftovers);
}

/* Deals until the line is empty or nobody has room. */
static void run_line(struct dispatcher *dispatcher, uint64_t now_ms) {
    bool again = true;

    /* Whoever still waits does so for a full window: it may have room by now, or is watched from
     * here on. */
    while (!list_empty(&dispatcher->waiting) && (again || settle_full(dispatcher, now_ms)))
        again = run_round(dispatcher, now_ms);
}

void dispatcher_run(struct dispatcher *dispatcher, uint64_t now_ms) {
    bool more;

    do {
        more = draw_leftovers(dispatcher);
        run_line(dispatcher, now_ms);
    } while (more && list_empty(&dispatcher->waiting));
    if (!list_empty(&dispatcher->waiting))
        need_tick(dispatcher);
    announce_credit(dispatcher);
}

/* --- what workers answer --- */

void dispatcher_acknowledged(struct member *member, uint32_t count, uint64_t now_ms) {
    count_acknowledged(member, count, now_ms);
    dispatcher_run(member->dispatcher, now_ms);
}

void dispatcher_refused(struct member *member, struct client *client, uint64_t now_ms) {
    struct dispatcher *dispatcher = member->dispatcher;
    uint32_t delay =
        member->refusal_delay_ms ? member->refusal_delay_ms * 2 : DISPATCHER_REFUSAL_MIN;

    member->refusal_delay_ms = delay < DISPATCHER_REFUSAL_MAX ? delay : DISPATCHER_REFUSAL_MAX;
    member->refused_total++;
    member->progress_ms = now_ms;
    member->stuck = false;
    if (member->joined) {
        if (member->refused_until_ms == 0 && !member->blocked)
            dispatcher->resting_count++;
        member->refused_until_ms = now_ms + member->refusal_delay_ms;
        need_tick(dispatcher);
    }
    count_returned(member, client);
    line_insert(dispatcher, client);
    update_busy(dispatcher, member);
    dispatcher_refresh(member);
    dispatcher_run(dispatcher, now_ms);
}

static void end_rest(struct member *member) {
    member->blocked = false;
    member->refused_until_ms = 0;
    member->dispatcher->resting_count--;
    dispatcher_refresh(member);
}

void dispatcher_room(struct member *member, uint64_t now_ms) {
    uint32_t received = member->delivery->settle ? member->delivery->settle(member) : 0;

    unwatch(member);
    if (member->blocked && member->refused_until_ms == 0)
        end_rest(member);
    if (received > 0)
        dispatcher_acknowledged(member, received, now_ms);
    update_busy(member->dispatcher, member);
    dispatcher_refresh(member);
    dispatcher_run(member->dispatcher, now_ms);
}

/* --- time --- */

/* What was stamped during a tick may bear a later time than the tick itself. */
static uint64_t elapsed(uint64_t since_ms, uint64_t now_ms) {
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

/* A stuck worker without clients must have a probe, for nothing else would tell that it is well
 * again; who cannot be asked is tried with clients. */
static void ask_for_life(struct member *member) {
    member->probed = member->delivery->probe && member->delivery->probe(member);
    member->unacknowledged = member->probed;
    member->stuck = member->probed;
}

/* Takes the clients of a stuck worker to others, then asks it for a sign of life. Those that cannot
 * be recalled yet are one when it takes them. */
static void relieve(struct dispatcher *dispatcher, struct member *member) {
    if (member->probed)
        return;
    if (member->delivery->take_back(member, false) || member->unacknowledged == 0)
        ask_for_life(member);
    update_busy(dispatcher, member);
    dispatcher_refresh(member);
}

static void mark_stuck(struct dispatcher *dispatcher, struct member *member, uint64_t held_ms) {
    member->stuck = true;
    dispatcher_refresh(member);
    dispatcher->events->stuck(dispatcher->owner, member, held_ms);
}

static void check_progress(struct dispatcher *dispatcher, struct member *member, uint64_t now_ms) {
    uint64_t soft = dispatcher->limits.slow_after_ms ? dispatcher->limits.slow_after_ms
                                                     : member->delivery->slow_after_ms;
    uint64_t hard = dispatcher->limits.kill_stuck_after_ms;
    uint32_t received = member->delivery->settle ? member->delivery->settle(member) : 0;
    uint64_t held_ms;

    if (received > 0)
        dispatcher_acknowledged(member, received, now_ms);
    if (member->unacknowledged == 0)
        return;
    held_ms = elapsed(member->progress_ms, now_ms);
    if (held_ms >= soft && !member->stuck)
        mark_stuck(dispatcher, member, held_ms);
    if (member->stuck && member->joined) /* at the end of all there is nobody else */
        relieve(dispatcher, member);
    if (hard > 0 && held_ms >= hard && !member->expired) {
        member->expired = true;
        dispatcher->events->expired(dispatcher->owner, member, held_ms);
    }
}

/* A check can take any member out of the busy ones, so they are gone through one by one, not by a
 * held position. */
static void check_busy(struct dispatcher *dispatcher, uint64_t now_ms) {
    struct list unchecked;
    struct list *node;

    list_init(&unchecked);
    list_move_all(&unchecked, &dispatcher->busy);
    while ((node = list_pop_front(&unchecked))) {
        list_push_back(&dispatcher->busy, node);
        check_progress(dispatcher, LIST_ENTRY(node, struct member, in_busy), now_ms);
    }
}

static void check_rests(struct dispatcher *dispatcher, uint64_t now_ms) {
    for (uint32_t slot = 0; slot < dispatcher->capacity && dispatcher->resting_count > 0; slot++) {
        struct member *member = dispatcher->seats[slot];

        if (!member || (!member->blocked && member->refused_until_ms == 0))
            continue;
        if (now_ms >= member->refused_until_ms)
            end_rest(member);
    }
}

static void give_up_old(struct dispatcher *dispatcher, uint64_t now_ms) {
    uint64_t limit = dispatcher->limits.wait_ms;

    while (limit > 0 && !list_empty(&dispatcher->waiting)) {
        struct client *client = LIST_ENTRY(dispatcher->waiting.next, struct client, node);

        if (elapsed(client->accepted_ms, now_ms) < limit)
            return;
        client_destroy(client);
        dispatcher->waiting_count--;
        dispatcher->gave_up_total++;
    }
}

bool dispatcher_tick(struct dispatcher *dispatcher, uint64_t now_ms) {
    check_busy(dispatcher, now_ms);
    check_rests(dispatcher, now_ms);
    give_up_old(dispatcher, now_ms);
    dispatcher_run(dispatcher, now_ms);
    dispatcher->ticking = !list_empty(&dispatcher->busy) || dispatcher->waiting_count > 0 ||
                          dispatcher->resting_count > 0 || !list_empty(&dispatcher->leftovers);
    return dispatcher->ticking;
}
