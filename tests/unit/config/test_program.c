#include "config/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static struct settings settings;
static char error[SETTINGS_ERROR_MAX];
static char root[] = "/tmp/test_program_XXXXXX"; /* holds bin/, the whole of PATH, and app/ */
static char old_path[4096];
static char old_directory[4096];

static void write_file(const char *name, const char *content, mode_t mode) {
    char path[256];
    int descriptor;

    snprintf(path, sizeof path, "%s/%s", root, name);
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(descriptor, mode), 0);
    close(descriptor);
}

static const char *path_of(const char *name) {
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static int create_files(void **state) {
    char path[256];

    (void)state;
    snprintf(old_path, sizeof old_path, "%s", getenv("PATH"));
    if (!getcwd(old_directory, sizeof old_directory) || !mkdtemp(root))
        return -1;
    mkdir(path_of("bin"), 0700);
    mkdir(path_of("app"), 0700);
    mkdir(path_of("app/folder.js"), 0700);
    write_file("bin/node", "#!/bin/sh\n", 0755);
    write_file("bin/python3", "#!/bin/sh\n", 0755);
    write_file("bin/tool", "#!/usr/bin/env -S node\n", 0755);
    write_file("bin/plain", "not executable", 0644);
    write_file("bin/npm", "#!/bin/sh\n", 0755);
    write_file("app/a.js", "", 0644);
    write_file("app/a.py", "", 0644);
    write_file("app/a.rb", "", 0644);
    write_file("app/run", "#!/usr/bin/env node\n", 0755);
    write_file("app/run_sh", "#!/bin/sh\n", 0755);
    write_file("app/data", "", 0644);
    write_file("app/tool", "#!/bin/sh\n", 0755);
    snprintf(path, sizeof path, "/nonexistent::%s/bin", root);
    setenv("PATH", path, 1);
    return chdir(root);
}

static int remove_files(void **state) {
    char command[300];

    (void)state;
    setenv("PATH", old_path, 1);
    if (chdir(old_directory) < 0)
        return -1;
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static int set_up(void **state) {
    (void)state;
    settings_init(&settings);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    settings_clear(&settings);
    return 0;
}

static int resolve(const char *script) {
    assert_int_equal(settings_set_text(&settings.script, script), 0);
    return program_resolve(&settings, error);
}

static void check(const char *script, const char *path, const char *interpreter, bool node) {
    char *given = settings.interpreter ? strdup(settings.interpreter) : NULL;
    char *cwd = settings.cwd ? strdup(settings.cwd) : NULL;

    assert_int_equal(resolve(script), 0);
    assert_string_equal(settings.script, path_of(path));
    assert_string_equal(settings.interpreter,
                        strcmp(interpreter, "none") == 0 ? "none" : path_of(interpreter));
    assert_int_equal(program_is_node(&settings), node);
    settings_clear(&settings);
    settings.interpreter = given;
    settings.cwd = cwd;
}

static void test_the_ending_names_the_interpreter(void **state) {
    (void)state;
    check("app/a.js", "app/a.js", "bin/node", true);
    check("app/a.py", "app/a.py", "bin/python3", false);
    check(path_of("app/a.js"), "app/a.js", "bin/node", true);
}

static void test_a_script_is_looked_for_in_its_working_directory(void **state) {
    (void)state;
    assert_int_equal(settings_set_text(&settings.cwd, "app"), 0);
    check("a.js", "app/a.js", "bin/node", true);
    check("./a.js", "app/a.js", "bin/node", true);
    check(".///./a.js", "app/a.js", "bin/node", true);
    check("../app/a.js", "app/../app/a.js", "bin/node", true);
    check(path_of("app/a.py"), "app/a.py", "bin/python3", false);
    assert_int_equal(resolve("app/a.js"), UV_ENOENT);
}

static void test_the_first_line_tells_what_an_executable_is(void **state) {
    (void)state;
    check("app/run", "app/run", "none", true);
    check("app/run_sh", "app/run_sh", "none", false);
    check("tool", "bin/tool", "none", true); /* through env -S */
}

static void test_a_bare_name_is_a_file_here_before_it_is_a_command(void **state) {
    (void)state;
    assert_int_equal(settings_set_text(&settings.cwd, "app"), 0);
    check("tool", "app/tool", "none", false);
}

static void test_the_interpreter_that_was_given_is_taken(void **state) {
    (void)state;
    assert_int_equal(settings_set_text(&settings.interpreter, "python3"), 0);
    check("app/a.js", "app/a.js", "bin/python3", false);
    assert_int_equal(settings_set_text(&settings.interpreter, path_of("bin/node")), 0);
    check("app/data", "app/data", "bin/node", true);
    assert_int_equal(settings_set_text(&settings.interpreter, "none"), 0);
    check("app/run", "app/run", "none", true);
}

/* The worker starts in its own working directory: a relative name would mean another file there. */
static void test_a_relative_interpreter_is_made_absolute(void **state) {
    (void)state;
    assert_int_equal(settings_set_text(&settings.interpreter, "bin/node"), 0);
    assert_int_equal(settings_set_text(&settings.cwd, "app"), 0);
    check("a.js", "app/a.js", "bin/node", true);
}

/* A reload must find what the link leads to by then. */
static void test_links_to_a_release_are_kept(void **state) {
    (void)state;
    assert_int_equal(symlink("app", path_of("current")), 0);
    check("current/a.js", "current/a.js", "bin/node", true);
    assert_int_equal(settings_set_text(&settings.cwd, "current"), 0);
    check("./a.js", "current/a.js", "bin/node", true);
}

/* Some interpreters go by the name they are called, as python3 of a virtual environment does. */
static void test_links_to_an_interpreter_are_kept(void **state) {
    (void)state;
    assert_int_equal(symlink("../bin/python3", path_of("app/venv_python")), 0);
    assert_int_equal(settings_set_text(&settings.interpreter, "app/venv_python"), 0);
    check("app/a.py", "app/a.py", "app/venv_python", false);
    settings_clear(&settings);
    check("./app/venv_python", "app/venv_python", "none", false);
}

static void check_refused(const char *script, int result, const char *text) {
    error[0] = '\0';
    assert_int_equal(resolve(script), result);
    assert_non_null(strstr(error, text));
}

static void test_what_cannot_run_is_refused_with_a_sentence(void **state) {
    char long_name[5000];

    (void)state;
    check_refused("app/none.js", UV_ENOENT, "'app/none.js'");
    check_refused("nothing", UV_ENOENT, "no command of that name");
    check_refused("plain", UV_ENOENT, "no command of that name");
    check_refused("app/folder.js", UV_EISDIR, "'app/folder.js' is a directory");
    check_refused("app", UV_EISDIR, "'app' is a directory");
    check_refused("app/../app/", UV_EISDIR, "is a directory");
    check_refused(".", UV_EISDIR, "'.' is a directory");
    check_refused("app/data", UV_EACCES, "--interpreter");
    check_refused("app/a.rb", UV_ENOENT, "'ruby'");
    check_refused("", UV_ENOENT, "''");
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    check_refused(long_name, UV_ENOENT, "xxx");
    assert_int_equal(settings_set_text(&settings.interpreter, "app/missing"), 0);
    check_refused("app/a.js", UV_ENOENT, "app/missing");
    assert_int_equal(settings_set_text(&settings.interpreter, "bin/plain"), 0);
    check_refused("app/a.js", UV_ENOENT, "bin/plain");
}

static void test_wrappers_are_refused_unless_unbalanced(void **state) {
    (void)state;
    check_refused("npm", UV_EINVAL, "-x");
    settings.fork_mode = true;
    assert_int_equal(resolve("npm"), 0);
    settings.fork_mode = false;
    settings.intercept = SETTINGS_INTERCEPT_NONE;
    assert_int_equal(resolve("npm"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_ending_names_the_interpreter),
        TEST(a_script_is_looked_for_in_its_working_directory),
        TEST(the_first_line_tells_what_an_executable_is),
        TEST(a_bare_name_is_a_file_here_before_it_is_a_command),
        TEST(the_interpreter_that_was_given_is_taken),
        TEST(a_relative_interpreter_is_made_absolute),
        TEST(links_to_a_release_are_kept),
        TEST(links_to_an_interpreter_are_kept),
        TEST(what_cannot_run_is_refused_with_a_sentence),
        TEST(wrappers_are_refused_unless_unbalanced),
    };

    return cmocka_run_group_tests(tests, create_files, remove_files);
}
