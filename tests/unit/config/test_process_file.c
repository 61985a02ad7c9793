#include "config/process_file.h"

#include "config/attribute.h"
#include "config/relaxed_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static char directory[] = "/tmp/test_process_file_XXXXXX";
static char path[PATH_MAX];
static struct text_list warnings;
static struct text_list problems;
static char error[SETTINGS_ERROR_MAX];

static int create_directory(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

static int set_up(void **state) {
    (void)state;
    error[0] = path[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    text_list_clear(&warnings);
    text_list_clear(&problems);
    if (path[0])
        unlink(path);
    return 0;
}

static void write_file(const char *name, const char *text) {
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

/* In `expected` an @ stands for the directory. */
static void check_apps(json_t *apps, const char *expected) {
    char text[4096] = "";
    json_t *other = NULL;
    char *found = json_dumps(apps, 0);

    for (size_t length = 0; *expected; expected++, length = strlen(text))
        snprintf(text + length, sizeof text - length, *expected == '@' ? "%s" : "%.1s",
                 *expected == '@' ? directory : expected);
    assert_int_equal(relaxed_json_parse(text, strlen(text), &other, error), 0);
    if (!json_equal(apps, other))
        fail_msg("%s instead of %s", found, text);
    free(found);
    json_decref(other);
    json_decref(apps);
}

static void check(const char *name, const char *text, const char *expected) {
    json_t *apps = NULL;

    write_file(name, text);
    if (process_file_load(path, &apps, &warnings, error) < 0)
        fail_msg("%s: %s", text, error);
    check_apps(apps, expected);
    unlink(path);
}

static void check_refused(const char *name, const char *text, int result, const char *sentence) {
    json_t *apps = NULL;

    write_file(name, text);
    assert_int_equal(process_file_load(path, &apps, &warnings, error), result);
    assert_null(apps);
    if (!strstr(error, sentence) || strncmp(error, path, strlen(path)) != 0)
        fail_msg("%s: '%s' instead of '%s'", text, error, sentence);
    unlink(path);
}

static void test_which_files_are_process_files(void **state) {
    static const char *const are[] = {
        "a.json", "ecosystem.config.js", "/x/y.config.cjs", "e.config.mjs", "p.yml", "p.yaml",
        ".json"};
    static const char *const are_not[] = {"app.js",      "config.js", "a.json5", "yaml",    "json",
                                          "a.config.ts", "api",       "",        "a.JSON/b"};

    (void)state;
    for (size_t i = 0; i < sizeof are / sizeof are[0]; i++)
        assert_true(process_file_is(are[i]));
    for (size_t i = 0; i < sizeof are_not / sizeof are_not[0]; i++)
        assert_false(process_file_is(are_not[i]));
}

static void test_each_form_of_the_top_level(void **state) {
    (void)state;
    check("a.json", "{apps: [{script: 'a.js'}, {cmd: 'b'}]}",
          "[{script: 'a.js', cwd: '@'}, {script: 'b', cwd: '@'}]");
    check("a.json", "{apps: {script: 'a.js'}}", "[{script: 'a.js', cwd: '@'}]");
    check("a.json", "[{script: 'a.js'}]", "[{script: 'a.js', cwd: '@'}]");
    check("a.json", "{script: 'a.js'}", "[{script: 'a.js', cwd: '@'}]");
    check("a.yml", "apps:\n- script: a.js\n", "[{script: 'a.js', cwd: '@'}]");
    check("a.yaml", "- script: a.js\n  instances: max\n",
          "[{script: 'a.js', instances: 'max', cwd: '@'}]");
    check("a.yaml", "script: a.js\n", "[{script: 'a.js', cwd: '@'}]");
}

static void test_paths_are_meant_from_the_files_directory(void **state) {
    (void)state;
    check("a.json", "[{cwd: 'sub', outFile: 'o.log', interpreter: './bin/x'}, {cwd: '/'}]",
          "[{cwd: '@/sub', out_file: '@/sub/o.log', interpreter: '@/bin/x'}, {cwd: '/'}]");
}

static void test_a_relative_name_of_the_file(void **state) {
    char before[PATH_MAX];
    json_t *apps = NULL;

    (void)state;
    write_file("a.json", "{script: 'a'}");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(process_file_load("./a.json", &apps, NULL, error), 0);
    check_apps(apps, "[{script: 'a', cwd: '@'}]");
    assert_int_equal(process_file_load("a.json", &apps, NULL, error), 0);
    check_apps(apps, "[{script: 'a', cwd: '@'}]");
    assert_int_equal(chdir(before), 0);
}

static void test_deploy_goes_to_each_app(void **state) {
    (void)state;
    check("a.json", "{apps: [{script: 'a'}, {script: 'b', deploy: 1}], deploy: {p: {env: {A: 1}}}}",
          "[{script: 'a', cwd: '@', deploy: {p: {env: {A: 1}}}},"
          " {script: 'b', cwd: '@', deploy: 1}]");
}

/* Behind the name of the file. */
static void check_sentence(const char *found, const char *expected) {
    size_t length = strlen(path);

    assert_memory_equal(found, path, length);
    assert_memory_equal(found + length, ": ", 2);
    assert_string_equal(found + length + 2, expected);
}

static void test_warnings_name_the_app(void **state) {
    (void)state;
    check("a.json", "[{name: 'api', instnces: 2}, {script: 'x/b.js', foo: 1}, {foo: 1}]",
          "[{name: 'api', cwd: '@'}, {script: 'x/b.js', cwd: '@'}, {cwd: '@'}]");
    assert_int_equal(warnings.count, 3);
    check_sentence(warnings.items[0], "app 'api': there is no attribute 'instnces'; did you "
                                      "mean 'instances'?");
    check_sentence(warnings.items[1], "app 'b': there is no attribute 'foo'; it is ignored");
    check_sentence(warnings.items[2], "app 3: there is no attribute 'foo'; it is ignored");
}

static void test_what_has_no_apps_is_refused(void **state) {
    (void)state;
    check_refused("a.json", "{apps: []}", UV_EINVAL, "there are no apps in it");
    check_refused("a.json", "[]", UV_EINVAL, "there are no apps in it");
    check_refused("a.json", "{}", UV_EINVAL, "there are no apps in it");
    check_refused("a.json", "null", UV_EINVAL, "there are no apps in it");
    check_refused("a.yml", "", UV_EINVAL, "there are no apps in it");
    check_refused("a.json", "5", UV_EINVAL, "an app, a list of apps or {apps: […]} is expected");
    check_refused("a.json", "{apps: 5}", UV_EINVAL, "an app, a list");
    check_refused("a.json", "[{}, 5]", UV_EINVAL, "app 2 is no object of attributes");
}

static void test_files_that_cannot_be_read(void **state) {
    json_t *apps = NULL;

    (void)state;
    check_refused("a.json", "{apps: [}", UV_EINVAL, "line 1, column 9: a value is missing here");
    check_refused("a.yml", "a: [", UV_EINVAL, ": line ");
    check_refused("a.txt", "{}", UV_EINVAL, "a process file ends in .json");
    assert_int_equal(process_file_load("/none/a.json", &apps, NULL, error), UV_ENOENT);
    assert_string_equal(error, "/none/a.json: there is no such file");
    assert_int_equal(process_file_load("/none/a.config.js", &apps, NULL, error), UV_ENOENT);
    assert_string_equal(error, "/none/a.config.js: there is no such file");
    snprintf(path, sizeof path, "%s/d.json", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(process_file_load(path, &apps, NULL, error), UV_EISDIR);
    assert_non_null(strstr(error, "it cannot be read: "));
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/d.config.js", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(process_file_load(path, &apps, NULL, error), UV_EISDIR);
    assert_int_equal(rmdir(path), 0);
    path[0] = '\0';
    assert_int_equal(process_file_load("/dev/zero/\x1b.json", &apps, NULL, error), UV_ENOTDIR);
    assert_non_null(strstr(error, "\\x1b"));
}

static void test_a_file_that_never_ends(void **state) {
    json_t *apps = NULL;

    (void)state;
    snprintf(path, sizeof path, "%s/zero.json", directory);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(process_file_load(path, &apps, NULL, error), UV_E2BIG);
    assert_non_null(strstr(error, "larger than a process file may be"));
}

static void test_too_many_apps(void **state) {
    char *text = calloc(PROCESS_FILE_APPS_MAX + 2, 3);

    (void)state;
    assert_non_null(text);
    strcpy(text, "[");
    for (size_t i = 0; i <= PROCESS_FILE_APPS_MAX; i++)
        memcpy(text + 1 + 3 * i, "{},", 3);
    text[1 + 3 * (PROCESS_FILE_APPS_MAX + 1)] = ']';
    check_refused("a.json", text, UV_EINVAL, "there are too many apps in it");
    free(text);
}

/* The read end of a pipe that has this text. */
static int input_of(const char *text) {
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    return ends[0];
}

static int read_input(const char *text, json_t **ret_apps) {
    int input = input_of(text);
    int result = process_file_read(input, "/d", ret_apps, NULL, error);

    close(input);
    return result;
}

static void test_standard_input(void **state) {
    json_t *apps = NULL;

    (void)state;
    assert_int_equal(read_input("{script: 'a', cwd: 'b'}", &apps), 0);
    check_apps(apps, "[{script: 'a', cwd: '/d/b'}]");
    assert_int_equal(read_input("[1", &apps), UV_EINVAL);
    assert_string_equal(error, "standard input: line 1, column 3: a comma or ] is missing here");
    assert_int_equal(process_file_read(-1, "/d", &apps, NULL, error), UV_EBADF);
    assert_string_equal(error, "standard input: it cannot be read: bad file descriptor");
}

/* ---- JavaScript ---- */

static bool has_node(void) {
    return access("/usr/bin/node", X_OK) == 0 || access("/usr/local/bin/node", X_OK) == 0;
}

static void test_scripts_are_evaluated(void **state) {
    (void)state;
    if (!has_node())
        skip();
    check("a.config.js", "module.exports = {apps: [{script: 'a' + 1, instances: 1 + 1}]}",
          "[{script: 'a1', instances: 2, cwd: '@'}]");
    check("a.config.cjs", "exports.apps = [{script: __dirname, x: undefined, f() {}}]",
          "[{script: '@', cwd: '@'}]");
    check("a.config.mjs", "export default {apps: [{script: 'm'}]}", "[{script: 'm', cwd: '@'}]");
    check("a.config.mjs", "export const apps = [{script: 'n'}]", "[{script: 'n', cwd: '@'}]");
    check("a.config.js", "module.exports = Promise.resolve([{script: 'p'}])",
          "[{script: 'p', cwd: '@'}]");
    check("a.config.js",
          "module.exports = [{script: process.env.PATH ? 'e' : 'none'}];"
          " setInterval(() => {}, 1000)",
          "[{script: 'e', cwd: '@'}]");
}

static void test_what_a_script_prints_does_not_matter(void **state) {
    (void)state;
    if (!has_node())
        skip();
    check("a.config.js",
          "process.stdout.write('{\"value\": 5}\\n'); module.exports = {script: 'a'}",
          "[{script: 'a', cwd: '@'}]");
}

static void test_large_exports(void **state) {
    json_t *apps = NULL;

    (void)state;
    if (!has_node())
        skip();
    write_file("a.config.js",
               "module.exports = {script: 'a', env: {A: 'x'.repeat(3 * 1024 * 1024)}}");
    assert_int_equal(process_file_load(path, &apps, NULL, error), 0);
    assert_int_equal(
        json_string_length(json_object_get(json_object_get(json_array_get(apps, 0), "env"), "A")),
        3 * 1024 * 1024);
    json_decref(apps);
    check_refused("a.config.js", "module.exports = {script: 'x'.repeat(9 * 1024 * 1024)}", UV_E2BIG,
                  "what it exports is too large");
}

static void test_scripts_that_go_wrong(void **state) {
    (void)state;
    if (!has_node())
        skip();
    check_refused("a.config.js", "const a = 1;\nmodule.exports = b;", UV_EINVAL,
                  "ReferenceError: b is not defined (line 2)");
    check_refused("a.config.js", "\n\nmodule.exports = {", UV_EINVAL,
                  "SyntaxError: Unexpected end of input (line 3)");
    check_refused("a.config.mjs", "throw new Error('one\\ntwo')", UV_EINVAL,
                  ": Error: one (line 1)");
    check_refused("a.config.js", "throw null", UV_EINVAL, ": null");
    check_refused("a.config.js", "module.exports = Promise.reject(new TypeError('no'))", UV_EINVAL,
                  ": TypeError: no");
    check_refused("a.config.js", "require('./none')", UV_EINVAL, "Cannot find module './none'");
    check_refused("a.config.js", "process.exit(3)", UV_EINVAL, "node exited with code 3");
    check_refused("a.config.js", "process.kill(process.pid, 'SIGKILL')", UV_EINVAL,
                  "node was ended by signal 9");
    check_refused("a.config.js", "module.exports = () => ({})", UV_EINVAL, "it exports a function");
    check_refused("a.config.js", "const a = {}; a.a = a; module.exports = a", UV_EINVAL,
                  "TypeError: Converting circular structure");
    check_refused("a.config.js", "module.exports = {script: 'a\\0b'}", UV_EINVAL, "NUL character");
    check_refused("a.config.js", "module.exports = undefined", UV_EINVAL,
                  "there are no apps in it");
}

static void test_no_node(void **state) {
    char *before = strdup(getenv("PATH"));
    json_t *apps = NULL;
    int result;

    (void)state;
    write_file("a.config.js", "module.exports = {}");
    setenv("PATH", directory, 1);
    result = process_file_load(path, &apps, NULL, error);
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(result, UV_ENOENT);
    assert_null(apps);
    assert_non_null(
        strstr(error, ": it is evaluated by node, which is not installed or not in PATH"));
}

/* ---- Validating ---- */

static int validate(const char *text, const char *env_name) {
    write_file("a.json", text);
    text_list_clear(&warnings);
    text_list_clear(&problems);
    return process_file_validate(path, &(struct process_file_choice){.env_name = env_name},
                                 &problems, &warnings);
}

static void test_a_file_that_can_work(void **state) {
    (void)state;
    assert_int_equal(validate("[{script: 'sh', name: 'a'}, {script: 'sh', name: 'b',"
                              " depends_on: 'a', env_x: {A: 1}}]",
                              NULL),
                     2);
    assert_int_equal(problems.count, 0);
    assert_int_equal(warnings.count, 0);
}

static void test_every_problem_is_found(void **state) {
    (void)state;
    assert_int_equal(validate("[{script: 'sh', name: 'a', instances: 'many'}, {name: 'b'},"
                              " {script: './none.js'}, {script: 'sh', name: 'd', health: '/h'},"
                              " {script: 'sh', depends_on: 'sh'}, {script: 'sh', name: 'e'}]",
                              NULL),
                     6);
    assert_int_equal(problems.count, 5);
    check_sentence(problems.items[0], "app 'a': instances takes a number, 0 or 'max' for one "
                                      "per CPU, or -K for K fewer, not \"many\"");
    check_sentence(problems.items[1], "app 'b': a script is missing");
    check_sentence(problems.items[2], "app 'none': there is no file './none.js'");
    check_sentence(
        problems.items[3],
        "app 'd': health needs a port in fork mode: health.port, or the app's own as port");
    check_sentence(problems.items[4], "app 'sh': 'sh' cannot depend on itself");
    assert_int_equal(warnings.count, 0);
}

static void test_warnings_of_a_file(void **state) {
    (void)state;
    assert_int_equal(validate("[{script: 'sh', nme: 'a'}, {script: 'sh', depends_on: 'x'}]", "p"),
                     2);
    assert_int_equal(problems.count, 0);
    assert_int_equal(warnings.count, 5);
    check_sentence(warnings.items[0],
                   "app 'sh': there is no attribute 'nme'; did you mean 'name'?");
    check_sentence(warnings.items[1], "app 'sh': another app has this name, too");
    check_sentence(warnings.items[2], "app 'sh': the app has no env_p");
    check_sentence(warnings.items[4], "app 'sh': it depends on 'x', which is not in this file");
}

static void test_only_what_is_named_is_checked(void **state) {
    const struct process_file_choice choice = {.only = "b, sh"};

    (void)state;
    validate("[{name: 'a'}, {script: 'sh', name: 'b', depends_on: 'a'}, {script: 'sh'}]", NULL);
    assert_int_equal(problems.count, 1);
    text_list_clear(&problems);
    assert_int_equal(process_file_validate(path, &choice, &problems, &warnings), 2);
    assert_int_equal(problems.count, 0);
    assert_int_equal(warnings.count, 0);
}

static void test_a_file_that_cannot_be_read_is_the_problem(void **state) {
    (void)state;
    assert_int_equal(validate("[", NULL), UV_EINVAL);
    assert_int_equal(problems.count, 1);
    assert_non_null(strstr(problems.items[0], "line 1, column 2: a value is missing here"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(which_files_are_process_files),
        TEST(each_form_of_the_top_level),
        TEST(paths_are_meant_from_the_files_directory),
        TEST(a_relative_name_of_the_file),
        TEST(deploy_goes_to_each_app),
        TEST(warnings_name_the_app),
        TEST(what_has_no_apps_is_refused),
        TEST(files_that_cannot_be_read),
        TEST(a_file_that_never_ends),
        TEST(too_many_apps),
        TEST(standard_input),
        TEST(scripts_are_evaluated),
        TEST(what_a_script_prints_does_not_matter),
        TEST(large_exports),
        TEST(scripts_that_go_wrong),
        TEST(no_node),
        TEST(a_file_that_can_work),
        TEST(every_problem_is_found),
        TEST(warnings_of_a_file),
        TEST(only_what_is_named_is_checked),
        TEST(a_file_that_cannot_be_read_is_the_problem),
    };

    return cmocka_run_group_tests(tests, create_directory, remove_directory);
}
