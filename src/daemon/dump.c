/* The lists of apps in files: the one that a daemon begins with, and the one that a person saves,
 * resurrects and clears. */
#include "base/log.h"
#include "daemon/daemon_internal.h"
#include "daemon/home.h"

#include <stdio.h>

static void tell_of_loss(struct daemon *daemon, const char *path, const char *why) {
    bool kept = state_file_put_aside(path) == 0;

    snprintf(daemon->lost, sizeof daemon->lost, "%s%s", why,
             kept ? "; it is kept with .broken behind its name" : "");
    log_error("what ran before is not known: %s", daemon->lost);
}

json_t *daemon_read_list(struct daemon *daemon, const char *path) {
    char error[STATE_FILE_ERROR_MAX];
    enum state_file_source source;
    json_t *list = NULL;

    if (state_file_read(path, &list, &source, error) < 0)
        tell_of_loss(daemon, path, error);
    else if (error[0])
        log_warning("%s; the copy that was saved before it is used", error);
    return list;
}

void daemon_on_save(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;

    saving_dump(&daemon->saving, request, json_is_true(json_object_get(request->body, "force")));
}

void daemon_on_resurrect(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    char error[STATE_FILE_ERROR_MAX];
    enum state_file_source source;
    struct operation *operation;
    json_t *saved = NULL;
    char path[HOME_FILE_MAX];
    int result = home_file(daemon->home, HOME_DUMP, path, sizeof path);

    if (result == 0)
        result = state_file_read(path, &saved, &source, error);
    if (result < 0) {
        control_reply_error(request->connection, 500, "failed", "%s", error);
        return;
    }
    operation = fleet_operation(&daemon->fleet, request);
    if (operation)
        fleet_restore(&daemon->fleet, saved, operation);
    json_decref(saved);
}

void daemon_on_clear_dump(void *owner, struct control_request *request) {
    struct daemon *daemon = owner;
    char path[HOME_FILE_MAX];
    int result = home_file(daemon->home, HOME_DUMP, path, sizeof path);

    if (result == 0)
        result = state_file_remove(path);
    if (result < 0)
        control_reply_error(request->connection, 500, "failed", "cannot remove %s: %s", path,
                            uv_strerror(result));
    else
        control_reply_json(request->connection, 200, json_object());
}
