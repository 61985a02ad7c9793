#include "master/member.h"

#include "policy/policy.h"

void member_init(struct member *member, struct dispatcher *dispatcher, uint32_t slot) {
    *member = (struct member){
        .dispatcher = dispatcher, .slot = slot, .window = 1, .open = POLICY_OPEN_UNKNOWN};
    list_init(&member->in_child);
    list_init(&member->in_busy);
    list_init(&member->in_full);
    list_init(&member->in_round);
    list_init(&member->outbox);
    list_init(&member->handed);
    list_init(&member->connections);
}
