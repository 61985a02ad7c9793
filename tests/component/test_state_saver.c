#include "daemon/state_saver.h"

#include "component/loop.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct state_saver saver;
static char folder[] = "/tmp/baton-saver-XXXXXX";
static char path[64];
static int saved;
static int last_result;
static bool closed;

static void on_saved(void *owner, int result) {
    assert_ptr_equal(owner, &saver);
    saved++;
    last_result = result;
}

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &saver);
    closed = true;
}

static int set_up(void **state) {
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/state.json", folder);
    saved = last_result = 0;
    closed = false;
    return loop_set_up(state);
}

static int tear_down(void **state) {
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 ? -1 : loop_tear_down(state); /* the name is mkdtemp's */
}

static void save(int number, bool force) {
    json_t *list = number < 0 ? json_array() : json_pack("[i]", number);

    assert_int_equal(state_saver_save(&saver, list, force), 0);
    json_decref(list);
}

/* What the file lists: -1 for nothing. */
static int number_in_file(void) {
    enum state_file_source source;
    char error[STATE_FILE_ERROR_MAX];
    json_t *list;
    int number;

    assert_int_equal(state_file_read(path, &list, &source, error), 0);
    number = json_array_size(list) ? (int)json_integer_value(json_array_get(list, 0)) : -1;
    json_decref(list);
    return number;
}

static void start(void) {
    assert_int_equal(state_saver_start(&saver, &loop, path, on_saved, &saver), 0);
}

static void stop(void) {
    state_saver_close(&saver, on_closed);
    assert_false(closed); /* always later */
    LOOP_UNTIL(closed);
}

static void test_of_many_changes_the_last_is_written(void **state) {
    (void)state;
    start();
    for (int i = 0; i < 1000; i++)
        save(i, false);
    LOOP_UNTIL(saved == 2); /* the first, and the last of those that came meanwhile */
    assert_int_equal(last_result, 0);
    assert_int_equal(number_in_file(), 999);
    save(5, false);
    LOOP_UNTIL(saved == 3);
    assert_int_equal(number_in_file(), 5);
    stop();
    assert_int_equal(saved, 3);
}

static void test_what_is_under_way_is_written_before_the_end(void **state) {
    (void)state;
    start();
    save(1, false);
    save(2, false);
    stop();
    assert_int_equal(saved, 2);
    assert_int_equal(number_in_file(), 2);
}

static void test_nothing_to_write(void **state) {
    (void)state;
    start();
    stop();
    assert_int_equal(saved, 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_failures_are_told(void **state) {
    (void)state;
    start();
    save(1, false);
    LOOP_UNTIL(saved == 1);
    save(-1, false);
    LOOP_UNTIL(saved == 2);
    assert_int_equal(last_result, UV_ENOTEMPTY);
    assert_int_equal(number_in_file(), 1);
    save(-1, true);
    LOOP_UNTIL(saved == 3);
    assert_int_equal(last_result, 0);
    assert_int_equal(number_in_file(), -1);
    snprintf(path, sizeof path, "%s/none/state.json", folder);
    stop();
    closed = false;
    start();
    save(1, false);
    LOOP_UNTIL(saved == 4);
    assert_int_equal(last_result, UV_ENOENT);
    stop();
}

/* The file is not read before each write, but what somebody else has written is not lost. */
static void test_an_edit_in_between_is_kept(void **state) {
    char name[96];
    FILE *file;

    (void)state;
    start();
    save(1, false);
    LOOP_UNTIL(saved == 1);
    save(2, false);
    LOOP_UNTIL(saved == 2);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs("[2,", file);
    fclose(file);
    save(-1, false);
    LOOP_UNTIL(saved == 3);
    assert_int_equal(last_result, UV_ENOTEMPTY);
    save(3, false);
    LOOP_UNTIL(saved == 4);
    snprintf(name, sizeof name, "%s.broken", path);
    assert_int_equal(access(name, F_OK), 0);
    unlink(path);
    assert_int_equal(number_in_file(), 1); /* the copy is of the last that was whole */
    save(4, false);
    LOOP_UNTIL(saved == 5);
    assert_int_equal(last_result, 0);
    assert_int_equal(number_in_file(), 4);
    stop();
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(of_many_changes_the_last_is_written),
        TEST(what_is_under_way_is_written_before_the_end),
        TEST(nothing_to_write),
        TEST(failures_are_told),
        TEST(an_edit_in_between_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
