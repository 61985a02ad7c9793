/* What an app makes of workers that listen past the master (bypass.h). */
#include "base/clock.h"
#include "base/log.h"
#include "master/app.h"
#include "master/app_internal.h"
#include "master/bypass.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_PAUSE_MS 100  /* between two looks */
#define LOOKED_AT_MS  5000 /* of a worker's life: later it hardly begins to listen */

/* It serves, but not through us: with `exclusive: true`, say, or without the preload library. */
static void count_bypass(struct app *app, struct child *child, const struct bypass_found *found) {
    bool unseen = found->kind == BYPASS_UNSEEN;

    if (!unseen)
        log_warning("worker %u of %s: %s", child->slot, app->settings->name, found->text);
    else if (!app->bypass_said)
        log_error("worker %u of %s: %s", child->slot, app->settings->name, found->text);
    if (unseen && !app->bypass_said)
        snprintf(app->bypass_reason, sizeof app->bypass_reason, "%s", found->text);
    app->bypass_said = app->bypass_said || unseen;
    child->listened = true;
    child_said_ready(child);
}

bool app_listens_by_itself(struct app *app, struct child *child) {
    struct bypass_found found = {.kind = BYPASS_NONE};

    if (child->preload)
        bypass_find(&child->pid, 1, child->preload, &found);
    if (found.kind == BYPASS_NONE)
        bypass_find(&child->pid, 1, NULL, &found);
    if (found.kind == BYPASS_NONE)
        return false;
    count_bypass(app, child, &found);
    return child->state == CHILD_READY;
}

static struct child *find_session(struct app *app, pid_t session) {
    LIST_EACH(node, following, &app->children) {
        struct child *child = LIST_ENTRY(node, struct child, in_app);

        if (child->pid == session)
            return child;
    }
    return NULL;
}

static bool has_young(struct app *app, uint64_t now_ms) {
    LIST_EACH(node, following, &app->children)
        if (now_ms - LIST_ENTRY(node, struct child, in_app)->started_ms < LOOKED_AT_MS)
            return true;
    return false;
}

static void find_bypass(struct app *app, uint64_t now_ms) {
    pid_t *sessions = malloc(app->child_count * sizeof *sessions);
    struct bypass_found found = {.kind = BYPASS_NONE};
    struct child *child;
    size_t count = 0;

    LIST_EACH(node, following, &app->children) {
        const struct child *one = LIST_ENTRY(node, struct child, in_app);

        if (sessions && now_ms - one->started_ms < LOOKED_AT_MS)
            sessions[count++] = one->pid;
    }
    if (count > 0)
        bypass_find(sessions, count, app->preload, &found);
    free(sessions);
    child = found.kind == BYPASS_NONE ? NULL : find_session(app, found.session);
    if (child)
        count_bypass(app, child, &found);
}

void app_look_for_bypass(struct app *app) {
    uint64_t now_ms = clock_ms();

    if (!app->preload || app->bypass_said || now_ms - app->looked_ms < LOOK_PAUSE_MS ||
        !has_young(app, now_ms))
        return;
    app->looked_ms = now_ms;
    find_bypass(app, now_ms);
}
