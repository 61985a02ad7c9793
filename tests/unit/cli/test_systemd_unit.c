#include "cli/systemd_unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

static struct buffer buffer;

static int set_up(void **state) {
    (void)state;
    buffer_init(&buffer);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    buffer_clear(&buffer);
    return 0;
}

static const char *print(const struct systemd_unit *unit) {
    assert_int_equal(systemd_unit_print(unit, &buffer), 0);
    assert_int_equal(buffer_append(&buffer, "", 1), 0);
    return buffer_data(&buffer);
}

static const struct systemd_unit plain = {
    .program = "/usr/bin/baton",
    .name = "baton",
    .user = "web",
    .home = "/home/web/.baton",
    .home_variable = "BATON_HOME",
    .path = "/usr/local/bin:/usr/bin",
};

static void test_a_unit(void **state) {
    static const char *const lines[] = {
        "\nType=notify\n",
        "\nUser=web\n",
        "\nExecStart=\"@/usr/bin/baton\" baton daemon --resurrect\n",
        "\nExecReload=\"@/usr/bin/baton\" baton reload all\n",
        "\nExecStop=\"@/usr/bin/baton\" baton kill\n",
        "\nEnvironment=\"BATON_HOME=/home/web/.baton\"\n",
        "\nEnvironment=\"PATH=/usr/local/bin:/usr/bin\"\n",
        "\nRestart=on-failure\n",
        "\nKillMode=process\n",
        "\nDelegate=yes\n",
        "\nLimitNOFILE=",
        "\nWantedBy=multi-user.target\n",
    };
    const char *text = print(&plain);

    (void)state;
    assert_memory_equal(text, "[Unit]\n", 7);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(text, lines[i]))
            fail_msg("no %s in\n%s", lines[i], text);
}

static void test_what_means_something_to_systemd_is_escaped(void **state) {
    struct systemd_unit unit = plain;
    const char *text;

    (void)state;
    unit.program = "/opt/my \"apps\"/100%/baton";
    unit.home = "/srv/a b\\c%h";
    text = print(&unit);
    assert_non_null(strstr(text, "\nExecStart=\"@/opt/my \\\"apps\\\"/100%%/baton\" baton daemon"));
    assert_non_null(strstr(text, "\nEnvironment=\"BATON_HOME=/srv/a b\\\\c%%h\"\n"));
}

static void test_a_path_may_be_missing(void **state) {
    struct systemd_unit unit = plain;

    (void)state;
    unit.path = NULL;
    assert_null(strstr(print(&unit), "PATH="));
}

/* A newline would begin a setting of somebody else's choice. */
static void test_control_bytes_are_refused(void **state) {
    struct systemd_unit unit = plain;

    (void)state;
    unit.home = "/home\nExecStartPre=/bin/evil";
    assert_int_equal(systemd_unit_print(&unit, &buffer), UV_EINVAL);
    unit = plain;
    unit.program = "/usr/bin/\x7f";
    assert_int_equal(systemd_unit_print(&unit, &buffer), UV_EINVAL);
    unit = plain;
    unit.user = "web\nUser=root";
    assert_int_equal(systemd_unit_print(&unit, &buffer), UV_EINVAL);
    unit = plain;
    unit.path = "/bin\t";
    assert_int_equal(systemd_unit_print(&unit, &buffer), UV_EINVAL);
}

static void test_names(void **state) {
    char text[32];

    (void)state;
    assert_int_equal(systemd_unit_name("baton", "web_1-a.b", text, sizeof text), 0);
    assert_string_equal(text, "baton-web_1-a.b.service");
    assert_int_equal(systemd_unit_name("pm2", "a/../b c@x", text, sizeof text), 0);
    assert_string_equal(text, "pm2-a_.._b_c_x.service");
    assert_int_equal(systemd_unit_name("baton", "a-name-that-is-too-long", text, sizeof text),
                     UV_ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_unit),
        TEST(what_means_something_to_systemd_is_escaped),
        TEST(a_path_may_be_missing),
        TEST(control_bytes_are_refused),
        TEST(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
