/* Exchanges an app's workers, one slot after the other.
 *
 * The happy path: app_renew_slot() marks slots; app_renew_next() takes the next one. A reload
 * starts the successor beside the worker that is there, and when it is ready (the first of them:
 * and has lived for min_uptime, if the host wants that) it takes the seats and the old one drains.
 * A restart drains the old one and starts the new one when it has ended. It can fail when the new
 * worker ends, is late or cannot be started: that is announced with the reason, and the other marks
 * of the same request are dropped. */
#include "base/clock.h"
#include "base/log.h"
#include "master/app.h"
#include "master/app_internal.h"

#define NOT_RENEWING (-1)

struct turn_failure {
    int error;
    const char *reason;
    pid_t pid; /* struct app_renewed */
};

static const struct app_mark no_mark = {.how = APP_RENEW_NONE};

static bool serves(const struct slot *slot) {
    return slot->current && slot->current->state == CHILD_READY;
}

/* --- whose turn it is --- */

/* Whether a worker is on its way: it will be ready, or late, before long. */
static bool is_coming(const struct slot *slot) {
    const struct child *child = slot->current;

    return slot->wish == SLOT_WANTED && child && child->state < CHILD_READY && !child->late;
}

static bool others_are_coming(const struct slot *slot) {
    for (const struct slot *other = app_slot_from(slot->app, 0); other;
         other = app_slot_from(slot->app, other->number + 1))
        if (other != slot && is_coming(other))
            return true;
    return false;
}

/* A program that listens by itself would find its address in use by the old worker. */
static enum app_renewal way_of(const struct slot *slot) {
    bool by_itself = slot->app->settings->intercept == SETTINGS_INTERCEPT_NONE;

    return by_itself ? APP_RESTART : slot->mark.how;
}

/* The first that serves nobody anyway, or else the first. */
static struct slot *choose(const struct app *app) {
    struct slot *first = NULL;

    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1)) {
        if (slot->mark.how == APP_RENEW_NONE)
            continue;
        if (!serves(slot))
            return slot;
        if (!first)
            first = slot;
    }
    return first;
}

bool app_is_renewing(const struct app *app) {
    return app->renewing != NOT_RENEWING || choose(app) != NULL;
}

/* --- the end of a turn --- */

static void announce_renewed(struct slot *slot, const struct app_renewed *renewed) {
    struct app *app = slot->app;

    if (app->events->renewed)
        app->events->renewed(app->owner, app, renewed);
}

static void announce(struct slot *slot, uint64_t request, int error, const char *reason) {
    struct app_renewed renewed = {
        .slot = slot->number, .request = request, .error = error, .reason = reason};

    announce_renewed(slot, &renewed);
}

static void announce_failed(struct slot *slot, uint64_t request, const struct turn_failure *why) {
    struct app_renewed renewed = {.slot = slot->number,
                                  .request = request,
                                  .error = why->error,
                                  .reason = why->reason,
                                  .pid = why->pid};

    announce_renewed(slot, &renewed);
}

static void end_run(struct app *app) {
    if (app->run_failed || app->run_request == 0)
        return;
    app->reloads++;
    log_info("%s reloaded: all %u workers replaced", app->settings->name, app->slot_count);
}

/* The slot waits for nothing any more. */
static struct app_mark leave_turn(struct slot *slot) {
    struct app_mark turn = slot->turn;

    if (slot->step == RENEWAL_PROVING)
        uv_timer_stop(&slot->timer);
    slot->turn = no_mark;
    slot->step = RENEWAL_IDLE;
    slot->app->renewing = NOT_RENEWING;
    return turn;
}

static void drop_mark(struct slot *slot, const char *reason) {
    struct app_renewed renewed = {.slot = slot->number,
                                  .request = slot->mark.request,
                                  .error = UV_ECANCELED,
                                  .untried = true,
                                  .reason = reason};

    slot->mark = no_mark;
    announce_renewed(slot, &renewed);
}

static void drop_marks(struct app *app, uint64_t request) {
    for (struct slot *slot = app_slot_from(app, 0); slot;
         slot = app_slot_from(app, slot->number + 1))
        if (slot->mark.how != APP_RENEW_NONE && slot->mark.request <= request)
            drop_mark(slot, "not tried after that, and as it was");
}

static void finish_turn(struct slot *slot) {
    struct app_mark turn = leave_turn(slot);

    if (!choose(slot->app))
        end_run(slot->app);
    announce(slot, turn.request, 0, NULL);
    app_renew_next(slot->app);
}

static void complain(const struct slot *slot, const struct app_mark *turn, const char *reason) {
    const char *name = slot->app->settings->name;

    if (turn->request == 0)
        log_error("worker %u of %s could not be replaced: %s", slot->number, name, reason);
    else if (turn->how == APP_RELOAD)
        log_error("reload of %s abandoned at worker %u: %s; the workers that are there go on "
                  "serving",
                  name, slot->number, reason);
    else
        log_error("restart of %s abandoned at worker %u: %s", name, slot->number, reason);
}

static void fail_turn(struct slot *slot, const struct turn_failure *failure) {
    struct app *app = slot->app;
    struct app_mark turn = leave_turn(slot);

    app->run_failed = true;
    complain(slot, &turn, failure->reason);
    announce_failed(slot, turn.request, failure);
    drop_marks(app, turn.request);
    app_renew_next(app);
}

/* --- what becomes of a turn --- */

static void drain(const struct slot *slot, struct child *old) {
    old->replaced = slot->turn.why;
    child_drain(old, clock_ms());
}

/* Counted when the old worker gives way, not before: an attempt that fails replaces nothing. */
static void count_turn(struct slot *slot) {
    if (slot->turn.request == 0)
        slot->history.restarts++;
    else
        slot->renewals++;
}

/* The successor takes the seats of the old worker, which then drains. */
static void replace(struct slot *slot) {
    struct child *old = slot->current;

    slot->current = slot->next;
    slot->next = NULL;
    count_turn(slot);
    child_serve(slot->current, clock_ms());
    if (old)
        drain(slot, old);
    app_note(slot);
    finish_turn(slot);
}

/* The last question before the new worker takes over from one that serves. */
static void examine(struct slot *slot) {
    struct app *app = slot->app;

    slot->step = RENEWAL_EXAMINED;
    if (!serves(slot) || !app->events->examine ||
        !app->events->examine(app->owner, app, slot->number))
        replace(slot);
}

void app_examined(struct app *app, uint32_t number, const char *failure) {
    struct slot *slot = app_slot(app, number);
    struct child *next = slot ? slot->next : NULL;

    if (!next || slot->step != RENEWAL_EXAMINED)
        return;
    if (!failure) {
        replace(slot);
        return;
    }
    app_successor_failed(slot, UV_ECANCELED, failure);
    child_kill(next, "it was not healthy");
}

static void on_proven(uv_timer_t *timer) {
    struct slot *slot = timer->data;

    slot->app->proven = true;
    examine(slot);
}

/* How long the first of the new ones has to live on, now that it is ready, before the others are
 * begun; 0: it need not. How long it took to get ready proves nothing. */
static uint64_t proof_ms(const struct slot *slot) {
    if (!slot->app->host->options.prove_reloads || slot->app->proven || !serves(slot))
        return 0;
    return slot->next->settings->min_uptime_ms;
}

void app_successor_ready(struct slot *slot) {
    uint64_t wait_ms = proof_ms(slot);

    if (wait_ms == 0) {
        examine(slot);
        return;
    }
    slot->step = RENEWAL_PROVING;
    uv_timer_start(&slot->timer, on_proven, wait_ms, 0);
}

void app_first_ready(struct slot *slot) {
    if (slot->step == RENEWAL_STARTING)
        finish_turn(slot);
}

void app_successor_failed(struct slot *slot, int error, const char *reason) {
    struct turn_failure failure = {
        .error = error, .reason = reason, .pid = slot->next ? slot->next->pid : -1};

    slot->next = NULL;
    fail_turn(slot, &failure);
}

void app_renewal_failed(struct slot *slot, int error, const char *reason) {
    struct turn_failure failure = {
        .error = error, .reason = reason, .pid = slot->current ? slot->current->pid : 0};

    if (slot->step == RENEWAL_STARTING)
        fail_turn(slot, &failure);
}

void app_promote(struct slot *slot) {
    struct child *next = slot->next;

    slot->current = next;
    slot->next = NULL;
    count_turn(slot);
    next->wants_to_serve = true;
    if (next->state == CHILD_READY || !next->settings->wait_ready)
        child_serve(next, clock_ms());
    if (next->state == CHILD_READY)
        finish_turn(slot);
}

void app_cancel_renewal(struct slot *slot) {
    static const char reason[] = "it was stopped";

    if (slot->mark.how != APP_RENEW_NONE)
        drop_mark(slot, reason);
    if (slot->turn.how != APP_RENEW_NONE) {
        slot->app->run_failed = true;
        announce(slot, leave_turn(slot).request, UV_ECANCELED, reason);
    }
}

/* --- the begin of a turn --- */

/* It is over as soon as the worker is ready, which may be at once. */
static void start_fresh(struct slot *slot) {
    slot->step = RENEWAL_STARTING;
    app_fill_slot(slot);
}

bool app_renewal_emptied(struct slot *slot) {
    if (slot->step != RENEWAL_ENDING)
        return false;
    start_fresh(slot);
    return true;
}

static void start_successor(struct slot *slot) {
    int result;

    slot->step = RENEWAL_STARTING;
    result = app_start_child(slot, false, &slot->next);
    if (result < 0)
        app_successor_failed(slot, result, uv_strerror(result));
}

static void end_old(struct slot *slot) {
    struct child *old = slot->current;

    slot->step = RENEWAL_ENDING;
    slot->current = NULL;
    if (old)
        drain(slot, old);
}

static void begin_turn(struct slot *slot) {
    enum app_renewal how = way_of(slot);
    bool beside = how == APP_RELOAD && slot->current;
    bool started;

    slot->turn = slot->mark;
    slot->mark = no_mark;
    slot->app->renewing = (int32_t)slot->number;
    started = slot->wish == SLOT_STOPPED && slot->turn.request > 0; /* for PM2 no restart either */
    restart_forget(&slot->history);
    uv_timer_stop(&slot->timer);
    app_want_slot(slot);
    if (!beside && !started)
        count_turn(slot);
    if (beside)
        start_successor(slot);
    else if (how == APP_RESTART && slot->children > 0)
        end_old(slot);
    else
        start_fresh(slot);
    app_note(slot);
}

static struct slot *choose_startable(const struct app *app) {
    struct slot *slot = choose(app);
    bool must_wait = slot && serves(slot) && way_of(slot) == APP_RESTART && others_are_coming(slot);

    return must_wait ? NULL : slot;
}

/* A turn may be over at once, and its end asks for the next. */
void app_renew_next(struct app *app) {
    struct slot *slot;

    if (app->advancing)
        return;
    app->advancing = true;
    while (app->renewing == NOT_RENEWING && !app->closing && (slot = choose_startable(app)))
        begin_turn(slot);
    app->advancing = false;
}

/* --- marks --- */

static void mark(struct slot *slot, enum app_renewal how, uint64_t request, const char *why) {
    struct app *app = slot->app;

    if (!app_is_renewing(app)) {
        app->run_failed = false;
        app->run_request = 0;
        app->proven = false;
    }
    if (request > app->run_request)
        app->run_request = request;
    slot->mark.how = how;
    slot->mark.why = why;
    if (request > slot->mark.request)
        slot->mark.request = request;
}

void app_renew_slot(struct app *app, uint32_t number, enum app_renewal how, uint64_t request) {
    struct slot *slot = app_slot(app, number);

    if (!slot || app->closing)
        return;
    mark(slot, how, request, NULL);
    app_renew_next(app);
}

void app_replace_slot(struct app *app, uint32_t number, const char *why) {
    struct slot *slot = app_slot(app, number);

    if (!slot || app->closing || slot->wish != SLOT_WANTED || slot->mark.how != APP_RENEW_NONE)
        return;
    mark(slot, APP_RELOAD, 0, why);
    app_renew_next(app);
}

void app_renew_large(struct slot *slot) {
    log_warning("worker %u of %s (pid %d) uses %llu MB, more than --max-memory-restart allows; "
                "replacing it",
                slot->number, slot->app->settings->name, (int)slot->current->pid,
                (unsigned long long)(slot->current->memory >> 20));
    app_replace_slot(slot->app, slot->number, "it used more than --max-memory-restart allows");
}
