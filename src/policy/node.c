/* The default: the rule of Node's cluster primary. The free workers stand in one line, first in,
 * first out. The first one gets the client; it leaves the line while its window is full and comes
 * back at the end. One whose window has room left goes to the end at once. */
#include <stdlib.h>
#include <uv.h>

#include "policy/policy_types.h"

#define HEAD 0u /* the place that closes the ring; slot s has place s + 1 */

struct place {
    uint32_t next; /* itself: not in the line */
    uint32_t previous;
    uint64_t handed; /* as last told */
};

struct node_policy {
    struct policy policy;
    struct place *places; /* linked by index, so that the array may move */
};

static void leave(struct place *places, uint32_t place) {
    places[places[place].previous].next = places[place].next;
    places[places[place].next].previous = places[place].previous;
    places[place].next = place;
    places[place].previous = place;
}

static void join(struct place *places, uint32_t place) {
    places[place].next = HEAD;
    places[place].previous = places[HEAD].previous;
    places[places[HEAD].previous].next = place;
    places[HEAD].previous = place;
}

static int node_create(struct policy **ret_policy, const char *argument, uint64_t seed) {
    struct node_policy *node;

    (void)seed;
    if (argument)
        return UV_EINVAL;
    node = calloc(1, sizeof *node);
    if (!node)
        return UV_ENOMEM;
    node->places = calloc(1, sizeof *node->places); /* all zero: HEAD alone, an empty line */
    if (!node->places) {
        free(node);
        return UV_ENOMEM;
    }
    *ret_policy = &node->policy;
    return 0;
}

static void node_destroy(struct policy *policy) {
    struct node_policy *node = (struct node_policy *)policy;

    free(node->places);
    free(node);
}

static int node_resize(struct policy *policy, uint32_t capacity) {
    struct node_policy *node = (struct node_policy *)policy;
    struct place *places;

    if (capacity <= policy->capacity)
        return 0;
    places = realloc(node->places, (capacity + 1) * sizeof *places);
    if (!places)
        return UV_ENOMEM;
    for (uint32_t place = policy->capacity + 1; place <= capacity; place++)
        places[place] = (struct place){.next = place, .previous = place};
    node->places = places;
    return 0;
}

static void node_update(struct policy *policy, uint32_t slot,
                        const struct policy_candidate *candidate) {
    struct place *places = ((struct node_policy *)policy)->places;
    uint32_t place = slot + 1;
    bool waiting = places[place].next != place;
    bool served = candidate->handed > places[place].handed;

    places[place].handed = candidate->handed;
    if (waiting && (served || !candidate->available)) {
        leave(places, place);
        waiting = false;
    }
    if (!waiting && candidate->available)
        join(places, place);
}

static int32_t node_pick(struct policy *policy, uint64_t key) {
    const struct place *places = ((struct node_policy *)policy)->places;

    (void)key;
    return (int32_t)places[HEAD].next - 1; /* an empty line: HEAD itself, so POLICY_NONE */
}

const struct policy_type policy_node = {
    .name = "node",
    .summary = "the worker that has been free for longest, as in Node's cluster (default)",
    .create = node_create,
    .destroy = node_destroy,
    .resize = node_resize,
    .update = node_update,
    .pick = node_pick,
};
