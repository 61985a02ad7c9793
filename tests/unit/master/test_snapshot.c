#include "master/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char name[] = "shop";
static char policy[] = "least";
static struct settings settings = {.name = name, .policy = policy};
static struct slot slots[2];
static struct slot *table[] = {&slots[0], &slots[1]};
static struct child children[2];
static struct listener listeners[2];
static struct connection_watch watch;
static struct app app;

/* Slot 0 has a worker, and one that drains; slot 1 has none. */
static int set_up(void **state) {
    (void)state;
    memset(slots, 0, sizeof slots);
    memset(children, 0, sizeof children);
    memset(listeners, 0, sizeof listeners);
    app = (struct app){
        .settings = &settings, .slots = table, .slot_capacity = 2, .slot_count = 2, .reloads = 3};
    list_init(&app.children);
    list_init(&app.listeners.listeners);
    for (int i = 0; i < 2; i++) {
        children[i].pid = 100 + i;
        children[i].started_ms = 1000;
        children[i].state = i == 0 ? CHILD_READY : CHILD_DRAINING;
        children[i].removed.handed = 5;
        list_init(&children[i].members);
        list_push_back(&app.children, &children[i].in_app);
        list_push_back(&app.listeners.listeners, &listeners[i].in_set);
    }
    app.child_count = 2;
    slots[0].current = &children[0];
    slots[0].history.restarts = 7;
    slots[1].number = 1;
    return 0;
}

static void test_workers_come_by_slot(void **state) {
    struct snapshot snapshot;

    (void)state;
    assert_int_equal(snapshot_take(&snapshot, &app, 3500), 0);
    assert_string_equal(snapshot.name, "shop");
    assert_int_equal(snapshot.reloads, 3);
    assert_int_equal(snapshot.worker_count, 3);
    assert_int_equal(snapshot.workers[0].pid, 100);
    assert_int_equal(snapshot.workers[0].uptime_ms, 2500);
    assert_int_equal(snapshot.workers[0].restarts, 7);
    assert_int_equal(snapshot.workers[0].counts.handed, 5);
    assert_int_equal(snapshot.workers[0].counts.open, POLICY_OPEN_UNKNOWN);
    assert_int_equal(snapshot.workers[1].pid, 101);
    assert_int_equal(snapshot.workers[1].state, CHILD_DRAINING);
    assert_int_equal(snapshot.workers[2].pid, 0);
    assert_int_equal(snapshot.workers[2].slot, 1);
    assert_int_equal(snapshot.workers[2].state, CHILD_EXITED);
    snapshot_clear(&snapshot);
}

/* One that broke accepts nothing, but its workers do not accept themselves either. */
static void test_listeners_tell_who_accepts(void **state) {
    struct snapshot snapshot;

    (void)state;
    listeners[0].shared = listeners[0].stopped = true;
    listeners[1].stopped = true;
    listeners[1].accepted_total = 9;
    assert_int_equal(snapshot_take(&snapshot, &app, 0), 0);
    assert_int_equal(snapshot.listener_count, 2);
    assert_true(snapshot.listeners[0].shared);
    assert_false(snapshot.listeners[1].shared || snapshot.listeners[1].accepting);
    assert_int_equal(snapshot.listeners[1].accepted, 9);
    snapshot_clear(&snapshot);
}

static void test_connections_are_followed_where_the_kernel_tells(void **state) {
    struct snapshot snapshot;

    (void)state;
    assert_int_equal(snapshot_take(&snapshot, &app, 0), 0);
    assert_true(snapshot.wants_connections && !snapshot.follows_connections);
    snapshot_clear(&snapshot);
    app.watch = &watch;
    assert_int_equal(snapshot_take(&snapshot, &app, 0), 0);
    assert_true(snapshot.follows_connections);
    snapshot_clear(&snapshot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_workers_come_by_slot, set_up),
        cmocka_unit_test_setup(test_listeners_tell_who_accepts, set_up),
        cmocka_unit_test_setup(test_connections_are_followed_where_the_kernel_tells, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
