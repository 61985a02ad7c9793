#include "daemon/dependency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define APPS 4

static struct settings apps[APPS];

static const struct settings *lookup(void *owner, const char *name) {
    (void)owner;
    for (int i = 0; i < APPS; i++)
        if (apps[i].name && strcmp(apps[i].name, name) == 0)
            return &apps[i];
    return NULL;
}

static int set_up(void **state) {
    static const char *const names[APPS] = {"a", "b", "c", "d"};

    (void)state;
    for (int i = 0; i < APPS; i++) {
        settings_init(&apps[i]);
        settings_set_text(&apps[i].name, names[i]);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < APPS; i++)
        settings_clear(&apps[i]);
    return 0;
}

static void depends(int app, const char *name) {
    assert_int_equal(text_list_add(&apps[app].depends_on, name), 0);
}

static bool cycle(int app, char path[64]) {
    return dependency_cycle(&apps[app], lookup, NULL, path, 64);
}

static void test_an_order(void **state) {
    char path[64];

    (void)state;
    depends(0, "b");
    depends(0, "c");
    depends(1, "d");
    depends(2, "d");
    for (int i = 0; i < APPS; i++)
        assert_false(cycle(i, path));
}

static void test_a_circle_tells_its_way(void **state) {
    char path[64];

    (void)state;
    depends(0, "d");
    depends(0, "b");
    depends(1, "c");
    depends(2, "a");
    assert_true(cycle(0, path));
    assert_string_equal(path, "a → b → c → a");
    assert_true(cycle(1, path));
}

static void test_itself(void **state) {
    char path[64];

    (void)state;
    depends(0, "a");
    assert_true(cycle(0, path));
    assert_string_equal(path, "a → a");
}

static void test_nobody_knows_the_name(void **state) {
    char path[64];

    (void)state;
    depends(0, "elsewhere");
    assert_false(cycle(0, path));
}

/* Whoever leads into a circle without being part of it has no order either. */
static void test_a_way_into_a_circle_ends(void **state) {
    char path[64];

    (void)state;
    depends(0, "b");
    depends(1, "c");
    depends(2, "b");
    assert_true(cycle(0, path));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_circle_tells_its_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_knows_the_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_way_into_a_circle_ends, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
