/* A policy names the worker that the next client goes to.
 *
 * The contract: whoever owns the workers (the dispatcher; a simulator) tells the policy of every
 * change of a candidate with policy_update(), and asks policy_pick() for each client. A policy
 * knows no process, no loop and no clock; it allocates in create and resize, never in pick. A
 * decision is O(1) for node, rr, random, p2c and hash, and at most O(log n) for least. The same
 * objects are linked into the master, the tests and experiments.
 *
 * A candidate is named by its slot, 0 to capacity-1. Slots that were never updated are neither
 * ready nor available. `available` implies `ready`, whatever the field says.
 *
 * The difference between the two is for keyed policies only. They choose among the ready
 * candidates, so that a window that is full for a moment moves no client to another worker; while
 * the chosen one is ready but not available, that client waits. All others go by `available`.
 *
 * To add one: write src/policy/NAME.c with a const struct policy_type, declare it in policy_types.h
 * and name it in the table of policy.c. */
#ifndef BATON_POLICY_POLICY_H
#define BATON_POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_NONE         (-1)
#define POLICY_SLOTS_MAX    65536
#define POLICY_OPEN_UNKNOWN (-1)

/* What a policy may look at. */
struct policy_candidate {
    bool ready;              /* in rotation at all, whether or not its window has room right now */
    bool available;          /* ready, and its window has room: only these may be picked */
    uint32_t unacknowledged; /* handed over and not acknowledged yet */
    uint64_t handed;         /* handed over in all */
    int64_t open;    /* open connections, or POLICY_OPEN_UNKNOWN: then go by `unacknowledged` */
    uint32_t load;   /* as the worker reported, 0 when it never did */
    uint32_t weight; /* 1 unless configured */
};

struct policy; /* each type embeds it as its first member */

struct policy_type {
    const char *name;
    const char *summary; /* one line for the help text */
    bool needs_open;     /* decides by `open`: tell it, where the kernel tells us */
    bool keyed;  /* decides by the client's key: another client may go where this one cannot */
    bool shared; /* the kernel distributes: workers get the listening socket, pick is never asked */

    /* Allocates one for no slots. `argument` is what stood behind the colon, or NULL. 0, UV_EINVAL
     * for an argument that it does not take, UV_ENOMEM. */
    int (*create)(struct policy **ret_policy, const char *argument, uint64_t seed);
    void (*destroy)(struct policy *policy);
    /* Called with every slot at or above `capacity` not ready; never needs memory to shrink. The
     * policy's own `capacity` is still the old one. 0 or UV_ENOMEM with nothing changed. */
    int (*resize)(struct policy *policy, uint32_t capacity);
    void (*update)(struct policy *policy, uint32_t slot, const struct policy_candidate *candidate);
    int32_t (*pick)(struct policy *policy, uint64_t key);
};

struct policy {
    const struct policy_type *type;
    uint32_t capacity;
};

/* The types, ended by NULL; the first is the default. */
extern const struct policy_type *const policy_types[];

/* The type called `name`, with whatever follows a colon ignored, or NULL. */
const struct policy_type *policy_find(const char *name);

/* Makes the policy that "NAME" or "NAME:argument" says. `seed` starts its random stream, if it has
 * one. 0, UV_ENOENT for an unknown name, UV_EINVAL for a wrong argument, UV_ENOMEM. */
int policy_create(struct policy **ret_policy, const char *specification, uint64_t seed);
void policy_destroy(struct policy *policy); /* NULL is allowed */

/* Makes room for slots 0 to capacity-1. Growing keeps what is known; slots beyond a smaller
 * capacity are forgotten. 0, UV_EINVAL past POLICY_SLOTS_MAX, UV_ENOMEM with nothing changed;
 * shrinking always succeeds. */
int policy_resize(struct policy *policy, uint32_t capacity);

/* Tells what candidate `slot` (below the capacity) looks like now. An update that changes nothing
 * has no effect on any policy. */
void policy_update(struct policy *policy, uint32_t slot, const struct policy_candidate *candidate);

/* The slot for a client, always an available one, or POLICY_NONE: no candidate is available or,
 * with a keyed policy, this client's is not. `key` identifies the client's source for keyed
 * policies (policy_key()); others ignore it. The pick changes no candidate: the caller hands the
 * client over and follows with policy_update(), in which `handed` has grown. */
int32_t policy_pick(struct policy *policy, uint64_t key);

/* A key of `length` bytes of a source address, well mixed (SplitMix64 finaliser over FNV-1a). */
uint64_t policy_key(const void *bytes, unsigned length);

#endif
