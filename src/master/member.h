/* A member is one worker's share in one listener: what makes it a candidate for that listener's
 * clients.
 *
 * The child owns it; while it is joined, the dispatcher's seat of its slot points to it. How a
 * client travels to the worker is known to the delivery alone. */
#ifndef BATON_MASTER_MEMBER_H
#define BATON_MASTER_MEMBER_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct dispatcher;
struct member;

/* The ways for a client to reach a worker: inline on the Node channel, by accept socket, or not at
 * all because the worker accepts itself from the shared listening socket. */
struct delivery {
    const char *name;
    uint64_t slow_after_ms; /* the soft limit for an acknowledgement where the user sets none */

    /* Sends clients in order and takes over as many from the front as it answers; 0 when the way is
     * full for now. */
    unsigned (*send)(struct member *member, struct client **clients, unsigned count);

    /* How many handed clients were acknowledged since it was last asked; NULL where
     * acknowledgements come by message. */
    uint32_t (*settle)(struct member *member);

    /* Calls dispatcher_room() as soon as a worker with a full window has received something; NULL
     * as above. */
    void (*watch)(struct member *member, bool on);

    /* Gives back what the worker has not accepted, oldest first, by dispatcher_return() or, when it
     * is dead, dispatcher_inherit(); false when some cannot be recalled, or not yet, while it
     * lives. */
    bool (*take_back)(struct member *member, bool dead);

    /* Asks a stuck worker that holds no client for a sign of life, false when it cannot be asked;
     * NULL where its late acknowledgement is one. */
    bool (*probe)(struct member *member);
};

struct member {
    struct list in_child;
    struct list in_busy;  /* the dispatcher's members with un-acknowledged clients */
    struct list in_full;  /* the dispatcher's members with a full window that can be settled and are
                             not watched */
    struct list in_round; /* the dispatcher's members that get clients in this round */
    struct list outbox;   /* clients picked for it in this round */
    struct list connections; /* open ones, where they are followed (connection_watch.h) */
    struct list handed;      /* clients sent whose copy the master keeps (inline), oldest first */

    struct dispatcher *dispatcher;
    const struct delivery *delivery; /* NULL: shared, never a candidate */
    void *way;                       /* the delivery's own: a Node channel, an accept socket */
    void *child;                     /* owner */
    uint32_t slot;
    uint32_t id; /* names the listener in this worker's messages; unique within the child */
    uint32_t window;

    bool joined;  /* sits on its slot's seat: in rotation */
    bool blocked; /* the way was full; cleared by dispatcher_room() or the next tick */
    bool watched;
    bool stuck;   /* has held a client for longer than the soft limit */
    bool expired; /* past the hard limit: the owner was told to kill it */
    bool probed;  /* its one un-acknowledged record is a probe, no client */
    uint32_t unacknowledged;
    uint32_t credit;           /* what it contributes to the dispatcher's credit */
    uint32_t refusal_delay_ms; /* grows while it refuses */
    uint64_t refused_until_ms; /* no clients before; 0: not refused */
    uint64_t progress_ms;      /* last acknowledgement, or the hand-over after which it had any */

    uint64_t handed_total;
    uint64_t acknowledged_total;
    uint64_t refused_total;
    uint64_t returned_total; /* taken back and dealt again */
    int64_t open;            /* connections, or POLICY_OPEN_UNKNOWN */
    uint32_t load;
};

void member_init(struct member *member, struct dispatcher *dispatcher, uint32_t slot);

#endif
