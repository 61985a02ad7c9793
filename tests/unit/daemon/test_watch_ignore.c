#include "daemon/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool ignores(const char *pattern, const char *relative) {
    char copy[256];
    char *items[2] = {copy, NULL};
    const struct text_list patterns = {.items = items, .count = pattern ? 1 : 0};
    char absolute[512];

    snprintf(copy, sizeof copy, "%s", pattern ? pattern : "");
    snprintf(absolute, sizeof absolute, "/srv/app/%s", relative);
    return watch_ignores(&patterns, absolute + strlen("/srv/app/"), absolute);
}

static void test_what_nobody_wants_to_watch(void **state) {
    (void)state;
    assert_true(ignores(NULL, "node_modules"));
    assert_true(ignores(NULL, "node_modules/express/index.js"));
    assert_true(ignores(NULL, "packages/a/node_modules/b.js"));
    assert_true(ignores(NULL, ".git"));
    assert_true(ignores(NULL, ".git/HEAD"));
    assert_true(ignores(NULL, "src/.app.js.swp"));
    assert_false(ignores(NULL, "app.js"));
    assert_false(ignores(NULL, "src/deep/app.js"));
    assert_false(ignores(NULL, "my_node_modules/a.js"));
    assert_false(ignores(NULL, "a.b"));
    assert_false(ignores(NULL, "../shared/a.js"));
}

static void test_patterns(void **state) {
    static const struct {
        const char *pattern;
        const char *path;
        bool ignored;
    } cases[] = {
        {"logs", "logs", true},
        {"logs", "logs/a.txt", true},
        {"logs", "src/logs/a.txt", true}, /* a base name, anywhere */
        {"logs", "logs.txt", false},
        {"logs/", "logs/a.txt", true},
        {"logs/*", "logs", true},
        {"logs/**", "logs/x/a.txt", true},
        {"./logs", "logs/a.txt", true},
        {"*.log", "a.log", true},
        {"*.log", "deep/er/a.log", true},
        {"*.log", "a.log.js", false},
        {"**/*.log", "a.log", true},
        {"**/*.log", "deep/a.log", true},
        {"**/tmp/**", "tmp/a", true},
        {"**/tmp/**", "a/tmp/b/c", true},
        {"client/img", "client/img/a.png", true},
        {"client/img", "client/image", false},
        {"client/img", "server/client/img", false}, /* a path, from the root */
        {"/srv/app/data", "data/a", true},
        {"/srv/other", "data/a", false},
        {"[ab].js", "b.js", true},
        {"[ab].js", "c.js", false},
        {"", "a", false},
        {"./", "a", false},
        {"*", "a", true},
        {"**", "a/b", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (ignores(cases[i].pattern, cases[i].path) != cases[i].ignored)
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_nobody_wants_to_watch),
        cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
