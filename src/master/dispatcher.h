/* The waiting line of one listener: asks the policy, hands over, takes back.
 *
 * The happy path: dispatcher_add() puts a client at the end of the line, dispatcher_run() asks the
 * policy for each and gives the chosen members their clients in one go; an acknowledgement frees
 * the window and the line moves on. It can fail when a worker refuses (its client goes to the
 * front, the member rests for a growing while), dies (dispatcher_leave() with `dead`: what it had
 * not accepted goes to the front), is stuck (dispatcher_tick() stops giving it clients and takes
 * back what can be), or its way is full (the client stays in line).
 *
 * Pure: no socket, no clock, no loop; time is a parameter. A client is in `waiting` or with one
 * member, never both. */
#ifndef BATON_MASTER_DISPATCHER_H
#define BATON_MASTER_DISPATCHER_H

#include "base/list.h"
#include "master/client.h"
#include "master/member.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

#define DISPATCHER_LINE_MAX    16 /* clients accepted beyond what the windows have room for */
#define DISPATCHER_REFUSAL_MIN 5  /* ms of rest after the first refusal; doubles */
#define DISPATCHER_REFUSAL_MAX 320
#define DISPATCHER_TICK                                                                            \
    20 /* ms; how often dispatcher_tick() is due while something is outstanding */

struct dispatcher_limits {
    uint64_t slow_after_ms;       /* soft limit for an acknowledgement; 0: the delivery's default */
    uint64_t kill_stuck_after_ms; /* hard limit; 0: never */
    uint64_t wait_ms; /* a client that waits longer for a worker is given up; 0: never */
};

struct dispatcher;

/* Clients that a worker left behind when it died, still in the kernel: they are taken into the line
 * as it has room, so that however many there are, they do not use up our descriptors. */
struct leftover {
    struct list node;
    /* The next one: 1 with *ret_client, 0 when none is left, or a UV_E* when it cannot be taken
     * now. */
    int (*take)(struct leftover *leftover, struct client **ret_client);
    void (*destroy)(struct leftover *leftover);
};

/* Announcements to the owner; every one may be called from any function below. */
struct dispatcher_events {
    void (*opened)(void *owner, struct client *client, struct member *member); /* handed over */
    void (*taken_back)(void *owner, struct client *client, struct member *member);
    void (*stuck)(void *owner, struct member *member,
                  uint64_t held_ms); /* past the soft limit: once */
    void (*expired)(void *owner, struct member *member,
                    uint64_t held_ms); /* past the hard limit: kill it */
    void (*credit)(
        void *owner);         /* there is credit again after `thirsty` was set, which is cleared */
    void (*due)(void *owner); /* dispatcher_tick() is needed every DISPATCHER_TICK from now on until
                                 it answers false */
};

struct dispatcher {
    struct policy *policy; /* owned */
    struct dispatcher_limits limits;
    const struct dispatcher_events *events;
    void *owner;

    struct list leftovers; /* of dead workers; their clients go before those that wait */
    struct list waiting;   /* clients, by arrival */
    uint32_t waiting_count;
    struct member **seats; /* by slot; NULL where none is joined */
    uint32_t capacity;
    uint32_t joined_count;
    struct list busy; /* members, see member.h */
    struct list full;
    uint32_t resting_count; /* members that refused or whose way is full: tick finds them through
                               seats */
    uint64_t credit;        /* free room in the windows of the available members */
    uint64_t arrivals;
    uint64_t gave_up_total; /* clients that no worker took in time */
    bool ticking;
    bool thirsty; /* set by the owner when it stopped accepting for lack of credit */
};

/* Takes over `policy`. */
void dispatcher_init(struct dispatcher *dispatcher, struct policy *policy,
                     const struct dispatcher_events *events, void *owner);

/* Takes over `policy` in the place of the one before, which is destroyed; it decides from now on,
 * about the clients that wait, too. 0, or UV_ENOMEM with nothing changed and `policy` the caller's.
 */
int dispatcher_set_policy(struct dispatcher *dispatcher, struct policy *policy, uint64_t now_ms);

/* Closes the clients that still wait. No member may be joined any more. */
void dispatcher_clear(struct dispatcher *dispatcher);

/* Puts a member on its slot's seat: clients may come to it. A member that sat there leaves. 0 or
 * UV_ENOMEM. */
int dispatcher_join(struct dispatcher *dispatcher, struct member *member, uint64_t now_ms);

/* Takes a member out of the rotation; with `dead`, or where the delivery can, what it has not
 * accepted goes to the front of the line. Harmless when it is out already. */
void dispatcher_leave(struct dispatcher *dispatcher, struct member *member, bool dead,
                      uint64_t now_ms);

/* Takes over what a dead worker has left. */
void dispatcher_inherit(struct dispatcher *dispatcher, struct leftover *leftover);

/* Takes a member out of the rotation, but leaves it what it was sent: for the end of all. */
void dispatcher_withdraw(struct dispatcher *dispatcher, struct member *member);

/* A member that has left and has nothing outstanding is going to be freed: drops what still refers
 * to it. */
void dispatcher_forget(struct member *member);

/* How many more clients may be accepted now. */
uint32_t dispatcher_credit(const struct dispatcher *dispatcher);

/* Puts a newly accepted client at the end of the line; the line owns it from now on. */
void dispatcher_add(struct dispatcher *dispatcher, struct client *client, uint64_t now_ms);

/* Gives this client to this member, whatever the policy and the window say, and past the line: a
 * client of our own that is for nobody else, also before it joins. False when its way is full; the
 * client is then still the caller's. Should the member not accept it in time, it is
 * taken back and dealt like any other. */
bool dispatcher_hand_to(struct member *member, struct client *client, uint64_t now_ms);

/* Hands over as many waiting clients as the policy finds workers for. */
void dispatcher_run(struct dispatcher *dispatcher, uint64_t now_ms);

/* A member has acknowledged `count` clients. Where the master kept them, the caller has taken them
 * out and destroyed them. */
void dispatcher_acknowledged(struct member *member, uint32_t count, uint64_t now_ms);

/* A member refused this client, which the caller has taken out of `handed`: it goes to the front of
 * the line. */
void dispatcher_refused(struct member *member, struct client *client, uint64_t now_ms);

/* For take_back: this client was not accepted and goes to the front of the line. */
void dispatcher_return(struct member *member, struct client *client);

/* The member's way has room again. */
void dispatcher_room(struct member *member, uint64_t now_ms);

/* The connections or the load of a member changed: tell the policy. */
void dispatcher_refresh(struct member *member);

/* Limits, rests and settling. True while it must be called again after DISPATCHER_TICK. */
bool dispatcher_tick(struct dispatcher *dispatcher, uint64_t now_ms);

#endif
