#include "daemon/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static unsigned fit(const char *text, uint32_t pm_id, const char *name, const char *namespace) {
    struct target target;
    unsigned result;

    assert_int_equal(target_init(&target, text), 0);
    result = target_fit(&target, pm_id, name, namespace);
    target_clear(&target);
    return result;
}

static void test_all(void **state) {
    (void)state;
    assert_true(fit("all", 7, "api", "default") > 0);
}

static void test_number(void **state) {
    (void)state;
    assert_true(fit("7", 7, "api", "default") > 0);
    assert_int_equal(fit("7", 8, "api", "default"), 0);
    assert_int_equal(fit("7", 77, "api", "default"), 0);
}

/* An app may be called "7": the process of that number is meant first. */
static void test_a_number_goes_before_a_name_of_digits(void **state) {
    (void)state;
    assert_true(fit("7", 8, "7", "default") > 0);
    assert_true(fit("7", 7, "api", "default") > fit("7", 8, "7", "default"));
}

static void test_a_name_goes_before_a_namespace(void **state) {
    (void)state;
    assert_true(fit("api", 1, "web", "api") > 0);
    assert_true(fit("api", 1, "api", "default") > fit("api", 1, "web", "api"));
    assert_int_equal(fit("api", 1, "api2", "default"), 0);
}

static void test_expression(void **state) {
    (void)state;
    assert_true(fit("/^ap/", 1, "api", "default") > 0);
    assert_true(fit("/a|b/", 1, "xb", "default") > 0);
    assert_int_equal(fit("/^ap/", 1, "web", "ap"), 0);
}

/* Each of these would take all memory or all of the stack, or try a name for minutes. */
static void test_expressions_that_are_meant_to_burst(void **state) {
    static const char *const expressions[] = {
        "/((a{1,255}){1,255}){1,255}/",
        "/((a{,255}){255}){9,}/",
        "/a{9}{9}{9}{9}{9}/",
        "/a{99999999999999999999}/",
        "/[{(]((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+/",
        "/(a*)(a*)(a*)(a*)\\1\\2\\3\\4b/",
    };
    struct target target;
    char deep[100002];

    (void)state;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++)
        assert_int_equal(target_init(&target, expressions[i]), UV_EINVAL);
    memset(deep, '(', sizeof deep);
    deep[0] = deep[sizeof deep - 2] = '/';
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(target_init(&target, deep), UV_EINVAL);
}

static void test_expressions_that_repeat(void **state) {
    (void)state;
    assert_true(fit("/^[a-z]+-[a-z]+-[0-9]{1,3}$/", 1, "eu-west-12", "default") > 0);
    assert_true(fit("/^(api|web)-?[0-9]{2}.*[+{]/", 1, "api-12+", "default") > 0);
    assert_int_equal(fit("/^.{100}$/", 1, "api", "default"), 0);
}

static void test_what_is_no_expression(void **state) {
    struct target target;

    (void)state;
    assert_int_equal(target_init(&target, "/(/"), UV_EINVAL);
    assert_int_equal(fit("/", 1, "/", "default") > 0, 1);
    assert_int_equal(fit("//", 1, "web", "default"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_a_number_goes_before_a_name_of_digits),
        cmocka_unit_test(test_a_name_goes_before_a_namespace),
        cmocka_unit_test(test_expression),
        cmocka_unit_test(test_expressions_that_are_meant_to_burst),
        cmocka_unit_test(test_expressions_that_repeat),
        cmocka_unit_test(test_what_is_no_expression),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
