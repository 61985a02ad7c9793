#include "cli/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_names(void **state) {
    static const struct {
        const char *called;
        const char *name;
        bool pm2;
        bool runtime;
    } cases[] = {
        {"baton", "baton", false, false},
        {"/usr/bin/pm2", "pm2", true, false},
        {"pm2", "pm2", true, false},
        {"./bin/pm2-runtime", "pm2-runtime", true, true},
        {"/opt/pm2/baton", "baton", false, false},
        {"pm2x", "baton", false, false},
        {"", "baton", false, false},
        {NULL, "baton", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct cli_dialect *dialect = cli_dialect_of(cases[i].called);

        assert_string_equal(dialect->name, cases[i].name);
        assert_int_equal(dialect->pm2, cases[i].pm2);
        assert_int_equal(dialect->runtime, cases[i].runtime);
        assert_string_equal(dialect->home_variable, cases[i].pm2 ? "PM2_HOME" : "BATON_HOME");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
