#include "master/child_state.h"

const char *child_state_name(enum child_state state) {
    static const char *const names[] = {"starting", "online", "ready", "draining", "exited"};

    return names[state];
}

bool child_state_allowed(enum child_state from, enum child_state to) {
    static const bool allowed[5][5] = {
        [CHILD_STARTING] = {[CHILD_ONLINE] = true,
                            [CHILD_READY] = true,
                            [CHILD_DRAINING] = true,
                            [CHILD_EXITED] = true},
        [CHILD_ONLINE] = {[CHILD_READY] = true, [CHILD_DRAINING] = true, [CHILD_EXITED] = true},
        [CHILD_READY] = {[CHILD_DRAINING] = true, [CHILD_EXITED] = true},
        [CHILD_DRAINING] = {[CHILD_EXITED] = true},
    };

    return allowed[from][to];
}
