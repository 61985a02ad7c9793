#include "daemon/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct health_rule rule = {
    .interval_ms = 1000, .timeout_ms = 300, .grace_ms = 5000, .failures = 3};

/* The next probe, sent when it is due, ends after 100 ms. */
static enum health_change probe(struct health *health, uint64_t *now, bool healthy) {
    assert_false(health_due(health, health_next(health) - 1));
    *now = health_next(health);
    assert_true(health_due(health, *now));
    assert_false(health_due(health, *now + 100000)); /* one at a time */
    assert_true(health_next(health) == UINT64_MAX);
    *now += 100;
    return health_result(health, healthy, *now);
}

static void test_failures_in_a_row_make_it_unhealthy(void **state) {
    struct health health;
    uint64_t now = 50;

    (void)state;
    health_init(&health, &rule, now);
    assert_int_equal(health_next(&health), 1050);
    assert_int_equal(probe(&health, &now, true), HEALTH_SAME);
    assert_int_equal(health_next(&health), now + 1000);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, true), HEALTH_SAME); /* begins anew */
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_false(health.unhealthy);
    assert_int_equal(probe(&health, &now, false), HEALTH_LOST);
    assert_true(health.unhealthy);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME); /* said once */
    assert_int_equal(probe(&health, &now, true), HEALTH_REGAINED);
    assert_int_equal(probe(&health, &now, true), HEALTH_SAME);
}

static void test_failures_after_the_start_do_not_count(void **state) {
    struct health health;
    uint64_t now = 0;
    unsigned failures = 0;

    (void)state;
    health_init(&health, &rule, now);
    while (health_next(&health) + 100 < rule.grace_ms) {
        assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
        failures++;
    }
    assert_int_equal(failures, 4);
    assert_int_equal(health.failed, 0);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_LOST);
}

static void test_the_first_success_ends_the_grace(void **state) {
    struct health health;
    uint64_t now = 0;

    (void)state;
    health_init(&health, &rule, now);
    assert_int_equal(probe(&health, &now, true), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_SAME);
    assert_int_equal(probe(&health, &now, false), HEALTH_LOST);
    assert_true(now < rule.grace_ms);
}

static void test_what_could_not_be_sent_counts_as_nothing(void **state) {
    struct health health;
    uint64_t now = 0;

    (void)state;
    health_init(&health, &rule, now);
    probe(&health, &now, true);
    probe(&health, &now, false);
    probe(&health, &now, false);
    now = health_next(&health);
    assert_true(health_due(&health, now));
    health_skip(&health, now);
    assert_int_equal(health_next(&health), now + 1000);
    assert_false(health.unhealthy);
    assert_int_equal(probe(&health, &now, false), HEALTH_LOST);
}

static int parse(const char *text) {
    return health_parse_status(text, strlen(text));
}

static void test_statuses(void **state) {
    static const char *const no_http[] = {
        "SSH-2.0-x\r\n",        "HTTP/2 200\r\n",      "HTTP/1.x 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 X\r\n",   "HTTP/1.1 600 X\r\n",  "h",
        "HTTP/1.1 -20 OK\r\n",  "HTTP/1.1 20\r\n\r\n"};

    (void)state;
    assert_int_equal(parse("HTTP/1.1 200 OK\r\n"), 200);
    assert_int_equal(parse("HTTP/1.0 404 Not Found"), 404);
    assert_int_equal(parse("HTTP/1.1 599\n"), 599);
    assert_int_equal(parse("HTTP/1.1 302\r"), 302);
    for (size_t length = 0; length <= 12; length++)
        assert_int_equal(health_parse_status("HTTP/1.1 204 No Content", length), 0);
    assert_int_equal(health_parse_status("HTTP/1.1 204 No Content", 13), 204);
    assert_int_equal(health_parse_status("HTTP/1.1 204\0", 13), UV_EPROTO);
    for (size_t i = 0; i < sizeof no_http / sizeof no_http[0]; i++)
        assert_int_equal(parse(no_http[i]), UV_EPROTO);
}

static void test_interim_answers_are_skipped(void **state) {
    (void)state;
    assert_int_equal(parse("HTTP/1.1 100 Continue\r\n"), 0);
    assert_int_equal(parse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 5"), 0);
    assert_int_equal(parse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 503 No"), 503);
    assert_int_equal(parse("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK"), 200);
    assert_int_equal(parse("HTTP/1.1 100 C\r\n\r\nnonsense"), UV_EPROTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_in_a_row_make_it_unhealthy),
        cmocka_unit_test(test_failures_after_the_start_do_not_count),
        cmocka_unit_test(test_the_first_success_ends_the_grace),
        cmocka_unit_test(test_what_could_not_be_sent_counts_as_nothing),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_interim_answers_are_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
