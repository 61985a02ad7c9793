#include "http/event_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* What was announced: "event=data;" each. */
struct heard {
    char text[512];
    int result; /* of the callback */
};

static int on_event(void *owner, const char *event, const char *data, size_t length) {
    struct heard *heard = owner;

    assert_int_equal(strlen(data), length);
    strcat(heard->text, event);
    strcat(heard->text, "=");
    strcat(heard->text, data);
    strcat(heard->text, ";");
    return heard->result;
}

/* Feeds the text in pieces of each length. */
static void check(const char *text, const char *wanted) {
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct heard heard = {.text = ""};
        struct event_reader reader;

        event_reader_init(&reader, on_event, &heard);
        for (size_t i = 0; i < strlen(text); i += piece) {
            size_t rest = strlen(text) - i;

            assert_int_equal(event_reader_feed(&reader, text + i, rest < piece ? rest : piece), 0);
        }
        assert_string_equal(heard.text, wanted);
        event_reader_clear(&reader);
    }
}

static void test_events(void **state) {
    (void)state;
    check("event: log\ndata: {\"a\":1}\n\n", "log={\"a\":1};");
    check("event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", "a=1;b=2;");
    check("data: 1\n\n", "message=1;");
    check("event:a\ndata:  two blanks \n\n", "a= two blanks ;");
    check("data: 1\nevent: late\n\ndata: 2\n\n", "late=1;message=2;");
}

static void test_lines_may_end_in_three_ways(void **state) {
    (void)state;
    check("event: a\r\ndata: 1\r\n\r\n", "a=1;");
    check("event: a\rdata: 1\r\r", "a=1;");
    check("event: a\ndata: 1\r\n\nevent: b\rdata: 2\n\r\n", "a=1;b=2;");
}

static void test_several_lines_of_data_are_one_event(void **state) {
    (void)state;
    check("data: a\ndata: b\ndata\ndata: c\n\n", "message=a\nb\n\nc;");
    check("data\n\n", "message=;");
}

static void test_what_is_passed_over(void **state) {
    (void)state;
    check(": a comment\n\n\n\nid: 4\nretry: 5\nnonsense\ndatax: 1\n: \n\n", "");
    check("event: a\n\ndata: 1\n\n", "message=1;"); /* an event without data is none */
    check("data: unfinished", "");
    check("data: unfinished\n", "");
    check("\xef\xbb\xbf"
          "data: 1\n\n",
          "message=1;");
}

static void test_a_name_that_is_too_long_is_none(void **state) {
    char text[EVENT_NAME_MAX + 64];
    char wanted[EVENT_NAME_MAX + 8];
    char name[EVENT_NAME_MAX + 1];

    (void)state;
    memset(name, 'n', sizeof name);
    name[EVENT_NAME_MAX - 1] = '\0';
    snprintf(text, sizeof text, "event: %s\ndata: 1\n\n", name);
    snprintf(wanted, sizeof wanted, "%s=1;", name);
    check(text, wanted);
    name[EVENT_NAME_MAX - 1] = 'n';
    name[EVENT_NAME_MAX] = '\0';
    snprintf(text, sizeof text, "event: %s\ndata: 1\n\n", name);
    check(text, "message=1;");
}

static void test_a_callback_ends_the_feeding(void **state) {
    static const char text[] = "data: 1\n\ndata: 2\n\n";
    struct heard heard = {.result = UV_ECANCELED};
    struct event_reader reader;

    (void)state;
    event_reader_init(&reader, on_event, &heard);
    assert_int_equal(event_reader_feed(&reader, text, sizeof text - 1), UV_ECANCELED);
    assert_string_equal(heard.text, "message=1;");
    event_reader_clear(&reader);
}

/* Feeds the same piece until it is refused. */
static void check_limit(const char *piece, size_t length) {
    struct heard heard = {.text = ""};
    struct event_reader reader;
    size_t fed = 0;
    int status;

    event_reader_init(&reader, on_event, &heard);
    do
        status = event_reader_feed(&reader, piece, length);
    while (status == 0 && (fed += length) < 2 * EVENT_SIZE_MAX);
    assert_int_equal(status, UV_EMSGSIZE);
    assert_true(fed <= EVENT_SIZE_MAX + length);
    assert_string_equal(heard.text, "");
    event_reader_clear(&reader);
}

static void test_an_event_has_a_limit(void **state) {
    size_t length = 1000000;
    char *piece = malloc(length);

    (void)state;
    assert_non_null(piece);
    memset(piece, 'x', length);
    check_limit(piece, length);
    memcpy(piece, "data: ", 6);
    piece[length - 1] = '\n';
    check_limit(piece, length);
    free(piece);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_lines_may_end_in_three_ways),
        cmocka_unit_test(test_several_lines_of_data_are_one_event),
        cmocka_unit_test(test_what_is_passed_over),
        cmocka_unit_test(test_a_name_that_is_too_long_is_none),
        cmocka_unit_test(test_a_callback_ends_the_feeding),
        cmocka_unit_test(test_an_event_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
