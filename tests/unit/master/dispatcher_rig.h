/* A dispatcher under test with workers that only pretend: it keeps every client's fate, and can
 * tell after each step whether the books are right.
 *
 * Clients have numbers from 1, kept in `cookie`, which survives the loss of the struct where the
 * delivery keeps a descriptor only. A worker is inline-like (the master keeps its clients) or
 * accept-like (receiving is accepting; what was not received can be taken back). */
#ifndef BATON_TESTS_UNIT_MASTER_DISPATCHER_RIG_H
#define BATON_TESTS_UNIT_MASTER_DISPATCHER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/client.h"
#include "master/dispatcher.h"
#include "master/member.h"
#include "policy/policy.h"

#define RIG_CLIENTS   8192
#define RIG_WORKERS   1024
#define RIG_QUEUE     64
#define RIG_PROBE     0 /* in a queue: a record without a client */
#define RIG_UNLIMITED UINT32_MAX

struct rig_worker {
    struct member member;
    struct rig *rig;
    bool gone;                 /* forgotten: may be used again */
    uint32_t capacity;         /* clients that its way still takes */
    uint32_t queue[RIG_QUEUE]; /* accept-like: sent and not received, oldest first */
    uint32_t queued;
    uint32_t sent; /* accept-like: sent and not settled */
    unsigned stuck_events;
    unsigned expired_events;
    unsigned sends; /* calls */
};

/* What the policy was told, in front of the real one. */
struct rig_policy {
    struct policy policy;
    struct policy *real;
    struct policy_candidate seen[RIG_WORKERS];
    unsigned picks;
};

struct rig {
    struct dispatcher dispatcher;
    struct rig_policy *spy;
    uint64_t now_ms;
    struct rig_worker workers[RIG_WORKERS];
    uint32_t worker_count;
    uint32_t recallable; /* clients that a live accept-like worker's way gives back, of all */
    bool mute;           /* nobody can be sent a probe */
    uint32_t clients;    /* added so far */
    uint8_t served[RIG_CLIENTS + 1];     /* how often */
    int8_t with_worker[RIG_CLIENTS + 1]; /* opened less taken back */
    uint32_t served_order[RIG_CLIENTS + 1];
    uint32_t served_count;
    unsigned credit_events;
    unsigned due_events;
};

/* --- the spying policy --- */

static inline void rig_policy_destroy(struct policy *policy) {
    struct rig_policy *spy = (struct rig_policy *)policy;

    policy_destroy(spy->real);
    free(spy);
}

static inline int rig_policy_resize(struct policy *policy, uint32_t capacity) {
    return policy_resize(((struct rig_policy *)policy)->real, capacity);
}

static inline void rig_policy_update(struct policy *policy, uint32_t slot,
                                     const struct policy_candidate *candidate) {
    struct rig_policy *spy = (struct rig_policy *)policy;

    spy->seen[slot] = *candidate;
    policy_update(spy->real, slot, candidate);
}

static inline int32_t rig_policy_pick(struct policy *policy, uint64_t key) {
    struct rig_policy *spy = (struct rig_policy *)policy;

    spy->picks++;
    return policy_pick(spy->real, key);
}

static const struct policy_type rig_policy_plain = {.name = "spy",
                                                    .destroy = rig_policy_destroy,
                                                    .resize = rig_policy_resize,
                                                    .update = rig_policy_update,
                                                    .pick = rig_policy_pick};
static const struct policy_type rig_policy_keyed = {.name = "keyed spy",
                                                    .keyed = true,
                                                    .destroy = rig_policy_destroy,
                                                    .resize = rig_policy_resize,
                                                    .update = rig_policy_update,
                                                    .pick = rig_policy_pick};

static inline struct rig_policy *rig_policy_create(const char *specification) {
    struct rig_policy *spy = calloc(1, sizeof *spy);

    assert_non_null(spy);
    assert_int_equal(policy_create(&spy->real, specification, 7), 0);
    spy->policy.type = spy->real->type->keyed ? &rig_policy_keyed : &rig_policy_plain;
    return spy;
}

/* --- deliveries --- */

static inline struct rig_worker *rig_worker_of(struct member *member) {
    return LIST_ENTRY(member, struct rig_worker, member);
}

static inline unsigned rig_take(struct rig_worker *worker, unsigned count) {
    unsigned taken = count < worker->capacity ? count : worker->capacity;

    worker->sends++;
    if (worker->capacity != RIG_UNLIMITED)
        worker->capacity -= taken;
    return taken;
}

static inline unsigned rig_inline_send(struct member *member, struct client **clients,
                                       unsigned count) {
    unsigned taken = rig_take(rig_worker_of(member), count);

    for (unsigned i = 0; i < taken; i++)
        list_push_back(&member->handed, &clients[i]->node);
    return taken;
}

static inline bool rig_inline_take_back(struct member *member, bool dead) {
    struct list *node;

    if (!dead)
        return member->unacknowledged == 0;
    while ((node = list_pop_front(&member->handed)))
        dispatcher_return(member, LIST_ENTRY(node, struct client, node));
    return true;
}

static const struct delivery rig_inline = {.name = "inline-like",
                                           .slow_after_ms = 250,
                                           .send = rig_inline_send,
                                           .take_back = rig_inline_take_back};

static inline unsigned rig_accept_send(struct member *member, struct client **clients,
                                       unsigned count) {
    struct rig_worker *worker = rig_worker_of(member);
    uint32_t room = member->window > worker->queued ? member->window - worker->queued : 0;
    unsigned taken = rig_take(worker, count < room ? count : room);

    for (unsigned i = 0; i < taken; i++) {
        assert_true(worker->queued < RIG_QUEUE);
        worker->queue[worker->queued++] = (uint32_t)clients[i]->cookie;
        client_destroy(clients[i]);
    }
    worker->sent += taken;
    return taken;
}

static inline uint32_t rig_accept_settle(struct member *member) {
    struct rig_worker *worker = rig_worker_of(member);
    uint32_t received = worker->sent > worker->queued ? worker->sent - worker->queued : 0;

    worker->sent -= received;
    return received;
}

static inline void rig_accept_watch(struct member *member, bool on) {
    assert_true(on == member->watched);
}

static inline uint32_t rig_dequeue(struct rig_worker *worker) {
    uint32_t first = worker->queue[0];

    assert_true(worker->queued > 0);
    memmove(worker->queue, worker->queue + 1, --worker->queued * sizeof worker->queue[0]);
    return first;
}

static inline void rig_recall(struct rig_worker *worker) {
    uint32_t number = rig_dequeue(worker);
    struct client *client;

    worker->sent--;
    if (number == RIG_PROBE)
        return;
    client = client_create(-1);
    assert_non_null(client);
    client->cookie = number;
    client->accepted_ms = worker->rig->now_ms;
    dispatcher_return(&worker->member, client);
}

/* Of a live worker as many as there are descriptors for: with none left it cannot even tell that
 * nothing is left. */
static inline bool rig_accept_take_back(struct member *member, bool dead) {
    struct rig_worker *worker = rig_worker_of(member);
    uint32_t *recallable = &worker->rig->recallable;
    uint32_t received = rig_accept_settle(member);

    member->unacknowledged -= received;
    if (!member->probed)
        member->acknowledged_total += received;
    while (worker->queued > 0 && (dead || *recallable > 0)) {
        if (!dead && *recallable != RIG_UNLIMITED && worker->queue[0] != RIG_PROBE)
            --*recallable;
        rig_recall(worker);
    }
    return dead || *recallable > 0;
}

static inline bool rig_accept_probe(struct member *member) {
    struct rig_worker *worker = rig_worker_of(member);

    assert_int_equal(worker->queued, 0);
    if (worker->rig->mute)
        return false;
    worker->queue[worker->queued++] = RIG_PROBE;
    worker->sent = 1;
    return true;
}

static const struct delivery rig_accept = {.name = "accept-like",
                                           .slow_after_ms = 100,
                                           .send = rig_accept_send,
                                           .settle = rig_accept_settle,
                                           .watch = rig_accept_watch,
                                           .take_back = rig_accept_take_back,
                                           .probe = rig_accept_probe};

/* --- announcements --- */

static inline void rig_on_opened(void *owner, struct client *client, struct member *member) {
    struct rig *rig = owner;

    (void)member;
    assert_int_equal(rig->with_worker[client->cookie]++, 0);
}

static inline void rig_on_taken_back(void *owner, struct client *client, struct member *member) {
    struct rig *rig = owner;

    (void)member;
    assert_int_equal(rig->with_worker[client->cookie]--, 1);
}

static inline void rig_on_stuck(void *owner, struct member *member, uint64_t held_ms) {
    (void)owner;
    assert_true(held_ms >= member->delivery->slow_after_ms);
    rig_worker_of(member)->stuck_events++;
}

static inline void rig_on_expired(void *owner, struct member *member, uint64_t held_ms) {
    struct rig *rig = owner;

    assert_true(held_ms >= rig->dispatcher.limits.kill_stuck_after_ms);
    rig_worker_of(member)->expired_events++;
}

static inline void rig_on_credit(void *owner) {
    struct rig *rig = owner;

    rig->credit_events++;
    assert_true(dispatcher_credit(&rig->dispatcher) > 0);
}

static inline void rig_on_due(void *owner) {
    ((struct rig *)owner)->due_events++;
}

static const struct dispatcher_events rig_events = {.opened = rig_on_opened,
                                                    .taken_back = rig_on_taken_back,
                                                    .stuck = rig_on_stuck,
                                                    .expired = rig_on_expired,
                                                    .credit = rig_on_credit,
                                                    .due = rig_on_due};

/* --- the invariant --- */

static inline uint32_t rig_list_length(const struct list *head) {
    uint32_t length = 0;

    LIST_EACH(node, following, head) {
        assert_ptr_equal(node->next->previous, node);
        length++;
    }
    return length;
}

static inline void rig_find(uint8_t *found, uint64_t number) {
    assert_true(number >= 1 && number <= RIG_CLIENTS);
    assert_int_equal(found[number], 0); /* in two places */
    found[number] = 1;
}

static inline bool rig_is_ready(const struct member *member) {
    return member->joined && !member->stuck && member->refused_until_ms == 0;
}

static inline uint32_t rig_room(const struct member *member) {
    bool available =
        rig_is_ready(member) && !member->blocked && member->unacknowledged < member->window;

    return available ? member->window - member->unacknowledged : 0;
}

static inline void rig_check_candidate(const struct rig *rig, const struct member *member) {
    const struct policy_candidate *seen = &rig->spy->seen[member->slot];

    if (!member->joined)
        return;
    assert_ptr_equal(rig->dispatcher.seats[member->slot], member);
    assert_int_equal(seen->ready, rig_is_ready(member));
    assert_int_equal(seen->available, rig_room(member) > 0);
    assert_int_equal(seen->unacknowledged, member->unacknowledged);
    assert_int_equal(seen->handed, member->handed_total);
    assert_int_equal(seen->open, member->open);
    assert_int_equal(seen->load, member->load);
}

static inline void rig_check_worker(const struct rig *rig, const struct rig_worker *worker,
                                    uint8_t *found) {
    const struct member *member = &worker->member;
    bool settles = member->delivery->settle != NULL;

    if (settles) {
        assert_int_equal(member->unacknowledged, worker->sent);
        assert_true(list_empty(&member->handed));
        for (uint32_t i = 0; i < worker->queued; i++)
            if (worker->queue[i] != RIG_PROBE)
                rig_find(found, worker->queue[i]);
    } else {
        assert_int_equal(member->unacknowledged, rig_list_length(&member->handed));
        LIST_EACH(node, following, &member->handed)
            rig_find(found, LIST_ENTRY(node, struct client, node)->cookie);
    }
    assert_true(list_empty(&member->outbox) && list_empty(&member->in_round));
    assert_int_equal(!list_empty(&member->in_busy), member->unacknowledged > 0);
    assert_int_equal(!list_empty(&member->in_full), settles && member->joined && !member->watched &&
                                                        member->unacknowledged >= member->window);
    assert_int_equal(member->credit, rig_room(member));
    assert_true(member->unacknowledged <= member->window);
    /* It is its next acknowledgement that lets it have clients again. */
    assert_true(!member->stuck || !member->joined || member->unacknowledged > 0);
    if (!member->joined)
        assert_true(!member->blocked && !member->watched && member->refused_until_ms == 0);
    rig_check_candidate(rig, member);
}

static inline void rig_check_line(const struct rig *rig, uint8_t *found) {
    const struct dispatcher *dispatcher = &rig->dispatcher;
    uint64_t arrival = 0;

    LIST_EACH(node, following, &dispatcher->waiting) {
        const struct client *client = LIST_ENTRY(node, struct client, node);

        rig_find(found, client->cookie);
        assert_int_equal(rig->with_worker[client->cookie], 0);
        assert_true(client->arrival >= arrival);
        arrival = client->arrival;
    }
    assert_int_equal(dispatcher->waiting_count, rig_list_length(&dispatcher->waiting));
}

/* Every client is in one place or has been served once; what is counted twice agrees; whatever
 * needs a later look has a tick coming. */
static inline void rig_check(const struct rig *rig) {
    const struct dispatcher *dispatcher = &rig->dispatcher;
    uint8_t *found = calloc(RIG_CLIENTS + 1, 1);
    uint64_t credit = 0;
    uint32_t joined = 0;
    uint32_t resting = 0;
    uint32_t lost = 0;

    assert_non_null(found);
    rig_check_line(rig, found);
    for (uint32_t i = 0; i < rig->worker_count; i++) {
        const struct member *member = &rig->workers[i].member;

        if (rig->workers[i].gone)
            continue;
        rig_check_worker(rig, &rig->workers[i], found);
        credit += rig_room(member);
        joined += member->joined;
        resting += member->blocked || member->refused_until_ms > 0;
    }
    for (uint32_t i = 1; i <= rig->clients; i++) {
        assert_int_equal(found[i] + rig->served[i] <= 1, true);
        lost += found[i] + rig->served[i] == 0;
    }
    assert_int_equal(lost, dispatcher->gave_up_total);
    assert_int_equal(dispatcher->credit, credit);
    assert_int_equal(dispatcher->joined_count, joined);
    assert_int_equal(dispatcher->resting_count, resting);
    if (!list_empty(&dispatcher->busy) || dispatcher->waiting_count > 0 || resting > 0)
        assert_true(dispatcher->ticking);
    /* Nobody waits while somebody is free, except for the one worker whose turn it is. */
    if (!rig->spy->policy.type->keyed && strcmp(rig->spy->real->type->name, "rr") != 0)
        assert_true(dispatcher->waiting_count == 0 || credit == 0);
    if (dispatcher->thirsty)
        assert_true(dispatcher->waiting_count > DISPATCHER_LINE_MAX / 2 ||
                    dispatcher_credit(dispatcher) == 0);
    free(found);
}

/* --- what happens --- */

static inline void rig_init(struct rig *rig, const char *policy) {
    memset(rig, 0, sizeof *rig);
    rig->now_ms = 1000;
    rig->recallable = RIG_UNLIMITED;
    rig->spy = rig_policy_create(policy);
    dispatcher_init(&rig->dispatcher, &rig->spy->policy, &rig_events, rig);
}

static inline void rig_join(struct rig *rig, struct rig_worker *worker) {
    assert_int_equal(dispatcher_join(&rig->dispatcher, &worker->member, rig->now_ms), 0);
    rig_check(rig);
}

/* A new worker, not joined yet. */
static inline struct rig_worker *rig_worker_create(struct rig *rig, const struct delivery *delivery,
                                                   uint32_t slot, uint32_t window) {
    struct rig_worker *worker = NULL;

    for (uint32_t i = 0; i < rig->worker_count && !worker; i++)
        if (rig->workers[i].gone)
            worker = &rig->workers[i];
    if (!worker) {
        assert_true(rig->worker_count < RIG_WORKERS);
        worker = &rig->workers[rig->worker_count++];
    }
    *worker = (struct rig_worker){.rig = rig, .capacity = RIG_UNLIMITED};
    member_init(&worker->member, &rig->dispatcher, slot);
    worker->member.delivery = delivery;
    worker->member.window = window;
    return worker;
}

static inline struct rig_worker *rig_worker_join(struct rig *rig, const struct delivery *delivery,
                                                 uint32_t slot, uint32_t window) {
    struct rig_worker *worker = rig_worker_create(rig, delivery, slot, window);

    rig_join(rig, worker);
    return worker;
}

static inline void rig_add_keyed(struct rig *rig, uint64_t key) {
    struct client *client = client_create(-1);

    assert_non_null(client);
    assert_true(rig->clients < RIG_CLIENTS);
    client->cookie = ++rig->clients;
    client->key = key;
    dispatcher_add(&rig->dispatcher, client, rig->now_ms);
}

/* Clients arrive in one batch, as the listener brings them. */
static inline void rig_add(struct rig *rig, unsigned count) {
    while (count-- > 0)
        rig_add_keyed(rig, 0);
    dispatcher_run(&rig->dispatcher, rig->now_ms);
    rig_check(rig);
}

static inline void rig_serve(struct rig *rig, uint32_t number) {
    assert_int_equal(rig->with_worker[number], 1);
    assert_int_equal(rig->served[number]++, 0);
    rig->served_order[rig->served_count++] = number;
}

static inline struct client *rig_handed(const struct rig_worker *worker, uint32_t index) {
    LIST_EACH(node, following, &worker->member.handed)
        if (index-- == 0)
            return LIST_ENTRY(node, struct client, node);
    fail_msg("the worker has no such client");
    return NULL;
}

/* An inline-like worker accepts its index-th client. */
static inline void rig_acknowledge(struct rig *rig, struct rig_worker *worker, uint32_t index) {
    struct client *client = rig_handed(worker, index);

    rig_serve(rig, (uint32_t)client->cookie);
    client_destroy(client);
    dispatcher_acknowledged(&worker->member, 1, rig->now_ms);
    rig_check(rig);
}

static inline void rig_refuse(struct rig *rig, struct rig_worker *worker, uint32_t index) {
    struct client *client = rig_handed(worker, index);

    list_remove(&client->node);
    dispatcher_refused(&worker->member, client, rig->now_ms);
    rig_check(rig);
}

/* An accept-like worker receives one record; nobody hears of it unless it is watched. */
static inline void rig_receive(struct rig *rig, struct rig_worker *worker) {
    uint32_t number = rig_dequeue(worker);

    if (number != RIG_PROBE)
        rig_serve(rig, number);
    if (worker->member.watched)
        dispatcher_room(&worker->member, rig->now_ms);
    rig_check(rig);
}

/* Its way takes that many more. */
static inline void rig_give_room(struct rig *rig, struct rig_worker *worker, uint32_t capacity) {
    worker->capacity = capacity;
    dispatcher_room(&worker->member, rig->now_ms);
    rig_check(rig);
}

static inline void rig_leave(struct rig *rig, struct rig_worker *worker, bool dead) {
    dispatcher_leave(&rig->dispatcher, &worker->member, dead, rig->now_ms);
    rig_check(rig);
}

/* For a worker that has nothing outstanding. */
static inline void rig_forget(struct rig *rig, struct rig_worker *worker) {
    assert_int_equal(worker->member.unacknowledged, 0);
    dispatcher_forget(&worker->member);
    worker->gone = true;
    rig_check(rig);
}

static inline void rig_kill(struct rig *rig, struct rig_worker *worker) {
    rig_leave(rig, worker, true);
    rig_forget(rig, worker);
}

/* Time goes by, with the ticks that were asked for. */
static inline void rig_wait(struct rig *rig, uint64_t ms) {
    uint64_t until = rig->now_ms + ms;

    while (rig->now_ms + DISPATCHER_TICK <= until) {
        rig->now_ms += DISPATCHER_TICK;
        if (rig->dispatcher.ticking)
            dispatcher_tick(&rig->dispatcher, rig->now_ms);
        rig_check(rig);
    }
    rig->now_ms = until;
}

static inline uint32_t rig_waiting(const struct rig *rig) {
    return rig->dispatcher.waiting_count;
}

/* The number of the index-th client in line. */
static inline uint32_t rig_in_line(const struct rig *rig, uint32_t index) {
    LIST_EACH(node, following, &rig->dispatcher.waiting)
        if (index-- == 0)
            return (uint32_t)LIST_ENTRY(node, struct client, node)->cookie;
    return 0;
}

/* All workers die; clients that still wait go with the dispatcher. */
static inline void rig_clear(struct rig *rig) {
    for (uint32_t i = 0; i < rig->worker_count; i++)
        if (!rig->workers[i].gone)
            rig_leave(rig, &rig->workers[i], true);
    for (uint32_t i = 0; i < rig->worker_count; i++)
        if (!rig->workers[i].gone)
            rig_forget(rig, &rig->workers[i]);
    dispatcher_clear(&rig->dispatcher);
}

#endif
