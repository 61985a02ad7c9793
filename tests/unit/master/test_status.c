#include "master/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct snapshot_worker workers[] = {
    {.slot = 0,
     .pid = 4711,
     .state = CHILD_READY,
     .uptime_ms = 59999,
     .counts =
         {.handed = 100, .acknowledged = 98, .refused = 1, .returned = 2, .waiting = 1, .open = 7},
     .restarts = 3,
     .stuck = 4,
     .cpu_percent = 12.34,
     .memory = 55312384},
    {.slot = 1, .state = CHILD_EXITED, .counts = {.open = POLICY_OPEN_UNKNOWN}},
};

static struct snapshot_listener listeners[] = {
    {.address = "127.0.0.1:8080", .accepted = 101, .waiting = 2, .accepting = true},
    {.address = "/tmp/a \"quoted\".sock", .gave_up = 1},
};

static const struct snapshot snapshot = {.name = "shop",
                                         .policy = "least",
                                         .wants_connections = true,
                                         .reloads = 5,
                                         .listener_count = 2,
                                         .listeners = listeners,
                                         .worker_count = 2,
                                         .workers = workers};

static char *text_of(int (*print)(struct buffer *out)) {
    struct buffer out;
    char *text;

    buffer_init(&out);
    assert_int_equal(print(&out), 0);
    text = strndup(buffer_data(&out), buffer_length(&out));
    assert_non_null(text);
    buffer_clear(&out);
    return text;
}

static int print_plain(struct buffer *out) {
    return status_table(out, &snapshot, &(struct status_view){.color = false});
}

static int print_colored(struct buffer *out) {
    return status_table(out, &snapshot, &(struct status_view){.color = true});
}

static int print_json(struct buffer *out) {
    return status_json(out, &snapshot);
}

static void test_the_table_tells_all_and_has_no_escapes(void **state) {
    char *text = text_of(print_plain);

    (void)state;
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "shop  policy least, open connections unknown"));
    assert_non_null(strstr(text, "127.0.0.1:8080  accepted 101, in line 2\n"));
    assert_non_null(strstr(text, ", some let go, paused\n"));
    assert_non_null(strstr(text, "4711 ready        59s        100           98      7        1 "
                                 "        3        3   12.3%    52.8mb\n"));
    assert_non_null(strstr(text, "     1        - exited         -"));
    free(text);
}

static void test_each_state_has_its_colour(void **state) {
    char *text = text_of(print_colored);

    (void)state;
    assert_non_null(strstr(text, "\x1b[32mready    \x1b[0m"));
    assert_non_null(strstr(text, "\x1b[31mexited   \x1b[0m"));
    free(text);
}

/* Every line from the heading on has the same width, and it fits. */
static void check_width(unsigned columns) {
    struct status_view view = {.columns = columns};
    struct buffer out;
    size_t width = 0;
    int line = 0;

    buffer_init(&out);
    assert_int_equal(status_table(&out, &snapshot, &view), 0);
    while (buffer_length(&out) > 0) {
        const char *start = buffer_data(&out);
        const char *end = memchr(start, '\n', buffer_length(&out));
        size_t length;

        assert_non_null(end);
        length = (size_t)(end - start);
        if (line == 3)
            width = length;
        if (line >= 3)
            assert_int_equal(length, width);
        line++;
        buffer_consume(&out, length + 1);
    }
    assert_int_equal(line, 6);
    assert_true(columns == 0 || width <= columns);
    buffer_clear(&out);
}

static void test_columns_stand_below_each_other(void **state) {
    (void)state;
    check_width(0);
    check_width(STATUS_WIDE);
    check_width(STATUS_WIDE - 1);
    check_width(80);
}

static void test_workers_that_do_not_fit_are_counted(void **state) {
    struct snapshot_worker many[50] = {{.slot = 0}};
    struct snapshot crowd = {.name = "x", .policy = "node", .worker_count = 50, .workers = many};

    (void)state;
    for (unsigned rows = 1; rows < 60; rows++) {
        struct status_view view = {.rows = rows};
        struct buffer out;
        unsigned lines = 0;

        buffer_init(&out);
        assert_int_equal(status_table(&out, &crowd, &view), 0);
        for (size_t i = 0; i < buffer_length(&out); i++)
            lines += buffer_data(&out)[i] == '\n';
        assert_true(lines < rows || lines == 3);
        assert_true(rows < 53 ? lines < 52 : lines == 52);
        buffer_clear(&out);
    }
}

static void test_json_is_one_line_with_every_counter(void **state) {
    static const char expected[] =
        "{\"app\":\"shop\",\"policy\":\"least\",\"follows_connections\":false,\"reloads\":5,"
        "\"listeners\":[{\"address\":\"127.0.0.1:8080\",\"accepted\":101,\"waiting\":2,"
        "\"gave_up\":0,\"paused_total\":0,\"starved_total\":0,\"paused\":false,\"shared\":false},"
        "{\"address\":\"/tmp/a \\\"quoted\\\".sock\",\"accepted\":0,\"waiting\":0,\"gave_up\":1,"
        "\"paused_total\":0,\"starved_total\":0,\"paused\":true,\"shared\":false}],"
        "\"workers\":[{\"slot\":0,\"pid\":4711,\"state\":\"ready\",\"uptime_ms\":59999,"
        "\"handed\":100,\"acknowledged\":98,\"refused\":1,\"returned\":2,\"waiting\":1,\"open\":7,"
        "\"restarts\":3,\"stuck\":4,\"cpu\":12.34,\"memory\":55312384},"
        "{\"slot\":1,\"pid\":0,\"state\":\"exited\",\"uptime_ms\":0,\"handed\":0,"
        "\"acknowledged\":0,\"refused\":0,\"returned\":0,\"waiting\":0,\"open\":null,"
        "\"restarts\":0,\"stuck\":0,\"cpu\":0.0,\"memory\":0}]}\n";
    char *text = text_of(print_json);

    (void)state;
    assert_string_equal(text, expected);
    free(text);
}

/* Names are the user's own bytes. */
static void test_a_name_that_is_no_utf8_still_gives_a_line(void **state) {
    struct snapshot odd = {.name = "caf\xe9", .policy = "node"};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(status_json(&out, &odd), 0);
    assert_memory_equal(buffer_data(&out), "{\"app\":\"caf\\\\xe9\"", 17);
    buffer_clear(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_tells_all_and_has_no_escapes),
        cmocka_unit_test(test_each_state_has_its_colour),
        cmocka_unit_test(test_columns_stand_below_each_other),
        cmocka_unit_test(test_workers_that_do_not_fit_are_counted),
        cmocka_unit_test(test_json_is_one_line_with_every_counter),
        cmocka_unit_test(test_a_name_that_is_no_utf8_still_gives_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
