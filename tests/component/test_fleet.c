/* The fleet and its operations on a loop, with real workers: when an action is answered. */
#include "daemon/fleet.h"

#include "component/app_rig.h"
#include "daemon/fleet_actions.h"
#include "daemon/fleet_saved.h"
#include "daemon/home.h"

#include <string.h>

static struct {
    struct fleet fleet;
    bool closed;
    unsigned changes; /* of what would be saved */
    unsigned saved;   /* how many of them are */
    bool over;        /* the action has been answered */
} test;

/* --- what is saved --- */

static void on_changed(void *owner) {
    (void)owner;
    test.changes++;
}

static bool is_saved(void *owner) {
    (void)owner;
    return test.saved == test.changes;
}

static void save(void) {
    test.saved = test.changes;
    operation_saved(&test.fleet.operations, NULL);
}

static size_t count_saved_processes(void) {
    json_t *saved = fleet_save(&test.fleet);
    size_t count = json_array_size(json_object_get(json_array_get(saved, 0), "processes"));

    json_decref(saved);
    return count;
}

/* --- the rest that a fleet announces --- */

static void on_process(void *owner, struct record *record, uint32_t slot) {
    (void)owner;
    (void)record;
    (void)slot;
}

static void on_removed(void *owner, struct record *record, uint32_t pm_id) {
    (void)owner;
    (void)record;
    (void)pm_id;
}

static void on_line(void *owner, struct record *record, const struct log_line *line) {
    (void)owner;
    (void)record;
    (void)line;
}

static const struct fleet_events events = {.changed = on_changed,
                                           .is_saved = is_saved,
                                           .process = on_process,
                                           .removed = on_removed,
                                           .line = on_line};

/* --- actions --- */

static void on_over(void *owner) {
    (void)owner;
    test.over = true;
}

static void act(enum fleet_action action, const struct fleet_selection *selection) {
    struct operation *operation = fleet_operation(&test.fleet, NULL);

    assert_non_null(operation);
    operation->on_over = on_over;
    test.over = false;
    fleet_act(&test.fleet, action, selection, operation);
}

/* A shell program of that many processes, all online. */
static struct record *add_app(int instances) {
    struct fleet_selection selection = {.count = 0};
    struct settings *settings;
    struct record *record = NULL;
    char error[SETTINGS_ERROR_MAX];
    json_t *description;

    rig_write("program.sh", "#!/bin/sh\nexec sleep 1000\n");
    description = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "name", "web", "script",
                            rig_path("program.sh"), "cwd", rig.directory, "interpreter", "/bin/sh",
                            "exec_mode", "fork", "instances", instances);
    if (record_check(description, NULL, &settings, NULL, error) < 0 ||
        fleet_add(&test.fleet, description, settings, &record, error) < 0)
        fail_msg("%s", error);
    json_decref(description);
    assert_int_equal(fleet_select_record(record, &selection), 0);
    act(FLEET_START, &selection);
    fleet_selection_clear(&selection);
    LOOP_UNTIL((save(), test.over));
    return record;
}

static struct fleet_selection select_one(const char *target) {
    struct fleet_selection selection = {.count = 0};

    assert_int_equal(fleet_select(&test.fleet, target, &selection), 0);
    return selection;
}

/* --- life --- */

static void on_closed(void *owner) {
    (void)owner;
    test.closed = true;
}

static int set_up(void **state) {
    char error[HOME_ERROR_MAX];
    struct host_options options = {.silent_workers = true};

    memset(&test, 0, sizeof test);
    if (rig_set_up_with(state, options) < 0 || home_create(rig.directory, error) < 0)
        return -1;
    return fleet_start(&test.fleet, &rig.host, rig.directory, &events, NULL);
}

static int tear_down(void **state) {
    fleet_close(&test.fleet, on_closed);
    LOOP_UNTIL(test.closed);
    return rig_tear_down(state);
}

/* --- tests --- */

/* That it is to end is saved at once, that it is gone when it has ended: a daemon that dies after
 * the answer must not bring it back. */
static void test_a_removal_is_answered_when_it_is_saved(void **state) {
    struct fleet_selection selection;
    struct record *record;

    (void)state;
    record = add_app(3);
    selection = select_one("2");
    act(FLEET_DELETE, &selection);
    fleet_selection_clear(&selection);
    save();
    assert_int_equal(count_saved_processes(), 3);
    assert_false(test.over);
    LOOP_UNTIL(record_count(record) == 2);
    assert_false(test.over);
    save();
    assert_true(test.over);
    assert_int_equal(count_saved_processes(), 2);
}

static void test_a_stop_is_answered_when_it_is_saved(void **state) {
    struct fleet_selection selection;

    (void)state;
    add_app(1);
    selection = select_one("web");
    act(FLEET_STOP, &selection);
    LOOP_UNTIL(fleet_is_down(&test.fleet));
    assert_false(test.over);
    save();
    assert_true(test.over);
    act(FLEET_DELETE, &selection); /* it is gone before the action has begun */
    fleet_selection_clear(&selection);
    assert_false(test.over);
    save();
    assert_true(test.over);
    assert_int_equal(count_saved_processes(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_removal_is_answered_when_it_is_saved),
        TEST(a_stop_is_answered_when_it_is_saved),
    };

    return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
