#include "master/app_status.h"

const char *app_status_name(enum app_status status) {
    static const char *const names[] = {
        [APP_STOPPED] = "stopped", [APP_LAUNCHING] = "launching",
        [APP_ONLINE] = "online",   [APP_STOPPING] = "stopping",
        [APP_ERRORED] = "errored", [APP_WAITING_RESTART] = "waiting restart",
    };

    return names[status];
}

static enum app_status of_current(enum child_state state) {
    switch (state) {
    case CHILD_STARTING:
    case CHILD_ONLINE:
        return APP_LAUNCHING;
    case CHILD_READY:
        return APP_ONLINE;
    case CHILD_DRAINING:
    case CHILD_EXITED:
        break;
    }
    return APP_STOPPING;
}

enum app_status app_status_decide(const struct app_status_input *input) {
    if (input->wish == SLOT_WANTED && input->has_current)
        return of_current(input->current);
    if (input->children > 0)
        return APP_STOPPING;
    switch (input->wish) {
    case SLOT_WANTED:
        return APP_WAITING_RESTART;
    case SLOT_FAILED:
        return APP_ERRORED;
    case SLOT_STOPPED:
    case SLOT_DONE:
        break;
    }
    return APP_STOPPED;
}
