/* Expectations are what Node prints; the last test asks Node itself, where there is one. */
#include "cli/draw_pretty.h"

#include "unit/cli/drawing.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void expect_pretty(const char *json, const char *expected) {
    json_t *value = json_of(json);
    struct buffer out;

    buffer_init(&out);
    assert_int_equal(draw_pretty(&out, value), 0);
    json_decref(value);
    expect_text(&out, expected);
}

static void test_short_values_stand_on_a_line(void **state) {
    (void)state;
    expect_pretty("[]", "[]\n");
    expect_pretty("{}", "{}\n");
    expect_pretty("[{}]", "[ {} ]\n");
    expect_pretty("{'a': 1, 'b': [1, true, null]}", "{ a: 1, b: [ 1, true, null ] }\n");
}

static void test_keys_are_quoted_only_where_needed(void **state) {
    (void)state;
    expect_pretty("{'a_1': 1, 'a-b': 2, '1a': 3, '': 4, '__proto__': 5}",
                  "{ a_1: 1, 'a-b': 2, '1a': 3, '': 4, ['__proto__']: 5 }\n");
}

static void test_quotes_are_chosen_by_the_text(void **state) {
    json_t *value = json_pack("[s, s, s, s]", "a", "it's", "\"it's\"", "`\"it's\"`");
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(draw_pretty(&out, value), 0);
    expect_text(&out, "[ 'a', \"it's\", `\"it's\"`, '`\"it\\'s\"`' ]\n");
    json_decref(value);
}

static void test_nothing_reaches_the_terminal_unescaped(void **state) {
    (void)state;
    expect_pretty("'\\u001b[2J \\u0085\\u007f \\n\\t\\\\ \\u00fc'",
                  "'\\x1B[2J \\x85\\x7F \\n\\t\\\\ ü'\n");
}

static void test_numbers_as_javascript_writes_them(void **state) {
    (void)state;
    expect_pretty("[0.3, 1e21, 1e-7, 0.000001, 100000.0, -2.5]",
                  "[ 0.3, 1e+21, 1e-7, 0.000001, 100000, -2.5 ]\n");
    expect_pretty("123456789012345680000.0", "123456789012345680000\n");
    expect_pretty("9223372036854775807", "9223372036854776000\n");
    expect_pretty("5e-324", "5e-324\n");
    expect_pretty("-0.0", "-0\n");
}

static void test_four_levels_do_not_share_a_line(void **state) {
    (void)state;
    expect_pretty("{'a': {'b': {'c': {}}}}", "{ a: { b: { c: {} } } }\n");
    expect_pretty("{'a': {'b': {'c': {'d': 1}}}}", "{\n  a: { b: { c: { d: 1 } } }\n}\n");
}

static void test_many_items_are_set_in_columns(void **state) {
    (void)state;
    expect_pretty("[1, 2, 3, 4, 5, 6]", "[ 1, 2, 3, 4, 5, 6 ]\n");
    expect_pretty("[1, 2, 3, 4, 5, 6, 70]", "[\n  1, 2,  3, 4,\n  5, 6, 70\n]\n");
    expect_pretty("['a', 'bb', 'c', 'd', 'e', 'f', 'g']",
                  "[\n  'a', 'bb', 'c',\n  'd', 'e',  'f',\n  'g'\n]\n");
}

static void test_long_arrays_end_with_a_word(void **state) {
    json_t *array = json_array();
    struct buffer out;

    (void)state;
    for (int i = 0; i < 102; i++)
        json_array_append_new(array, json_object());
    buffer_init(&out);
    assert_int_equal(draw_pretty(&out, array), 0);
    expect_contains(&out, "... 2 more items\n]\n");
    buffer_clear(&out);
    json_decref(array);
}

static void test_long_texts_are_broken_at_their_newlines(void **state) {
    (void)state;
    expect_pretty("{'a': 'This is the first of two lines, and together they are more\\nthan "
                  "what fits into eighty columns.'}",
                  "{\n  a: 'This is the first of two lines, and together they are more\\n' +\n"
                  "    'than what fits into eighty columns.'\n}\n");
}

static void test_deep_nesting_is_printed_to_the_end(void **state) {
    json_t *value = json_string("core");
    struct buffer out;
    int opened = 0;

    (void)state;
    for (int i = 0; i < 500; i++)
        value = json_pack("[o]", value);
    buffer_init(&out);
    assert_int_equal(draw_pretty(&out, value), 0);
    expect_contains(&out, "'core'");
    for (const char *at = text_of(&out); *at != '\0'; at++)
        opened += *at == '[';
    assert_int_equal(opened, 500);
    buffer_clear(&out);
    json_decref(value);
}

/* --- Node itself --- */

/* Prints, for a seed, a value as JSON in one line, its length as inspected, and that. */
static const char generator[] =
    "let seed = 7; const u = require('util');"
    "const r = n => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >> 8) % n; };"
    "const words = ['a', 'bb', 'hello world', \"it's\", 'say \"x\"', 'tab\\t', 'line\\nnext', 'ü',"
    " '日本', '😀', '\\x1b[1m', '\\x85', 'back\\\\slash', 'x'.repeat(30), '', '/usr/bin/node',"
    " '${x}`\\'\"', 'some longer text with spaces '.repeat(4), 'y'.repeat(10050),"
    " 'two lines of some text\\nthat go over the limit '.repeat(3)];"
    "const numbers = [0, 1, -1, 42, 1790000000000, 0.3, 1.5, -2.25, 1e21, 1e-7, 3.14159, 1e300,"
    " 5e-324, 0.000001, 9007199254740991, 100000];"
    "const key = () => ['name', 'pm_id', 'a-b', 'x y', '_z', 'A1', '1a', 'ü', \"it's\"][r(9)] +"
    " (r(2) ? String.fromCharCode(97 + r(26)) : '');"
    "const value = d => { const k = r(d > 5 ? 6 : 10);"
    " if (k < 2) return words[r(r(20) ? 17 : 20)]; if (k < 4) return numbers[r(16)];"
    " if (k == 4) return !!r(2); if (k == 5) return null;"
    " if (k < 8) { const a = [], n = r(5) ? r(12) : r(130), same = r(3);"
    "  for (let i = 0; i < n; i++) a.push(same == 0 ? numbers[r(16)] : same == 1 ? words[r(15)] :"
    "   value(d + 1)); return a; }"
    " const o = {}; for (let n = r(7); n > 0; n--) o[key()] = value(d + 1); return o; };"
    "for (let i = 0; i < 400; i++) { const v = value(0), t = u.inspect(v, {depth: null}) + '\\n';"
    " process.stdout.write(JSON.stringify(v) + '\\n' + Buffer.byteLength(t) + '\\n' + t); }";

/* Node's output, or NULL where there is no Node. */
static FILE *start_node(pid_t *ret_pid) {
    char *arguments[] = {(char[]){"node"}, (char[]){"-e"}, strdup(generator), NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    int result;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    result = posix_spawnp(ret_pid, "node", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(arguments[2]);
    close(ends[1]);
    if (result == 0)
        return fdopen(ends[0], "r");
    close(ends[0]);
    return NULL;
}

/* One value and what Node makes of it; false at the end. */
static bool compare_one(FILE *node, char **line, size_t *size) {
    json_t *value;
    struct buffer out;
    size_t length;
    char *expected;

    if (getline(line, size, node) < 0)
        return false;
    value = json_loads(*line, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    assert_true(getline(line, size, node) > 0);
    length = strtoul(*line, NULL, 10);
    expected = calloc(1, length + 1);
    assert_non_null(expected);
    assert_int_equal(fread(expected, 1, length, node), length);
    buffer_init(&out);
    assert_int_equal(draw_pretty(&out, value), 0);
    expect_text(&out, expected);
    free(expected);
    json_decref(value);
    return true;
}

static void test_as_node_prints_it(void **state) {
    char *line = NULL;
    size_t size = 0;
    int compared = 0;
    int status;
    pid_t pid;
    FILE *node = start_node(&pid);

    (void)state;
    if (!node)
        skip();
    while (compare_one(node, &line, &size))
        compared++;
    fclose(node);
    free(line);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(compared, 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_values_stand_on_a_line),
        cmocka_unit_test(test_keys_are_quoted_only_where_needed),
        cmocka_unit_test(test_quotes_are_chosen_by_the_text),
        cmocka_unit_test(test_nothing_reaches_the_terminal_unescaped),
        cmocka_unit_test(test_numbers_as_javascript_writes_them),
        cmocka_unit_test(test_four_levels_do_not_share_a_line),
        cmocka_unit_test(test_many_items_are_set_in_columns),
        cmocka_unit_test(test_long_arrays_end_with_a_word),
        cmocka_unit_test(test_long_texts_are_broken_at_their_newlines),
        cmocka_unit_test(test_deep_nesting_is_printed_to_the_end),
        cmocka_unit_test(test_as_node_prints_it),
    };

    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
