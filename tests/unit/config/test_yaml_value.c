#include "config/yaml_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <uv.h>

static char error[YAML_VALUE_ERROR_MAX];

static void check(const char *text, const char *json) {
    json_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);
    json_t *value = NULL;

    assert_non_null(expected);
    if (yaml_value_parse(text, strlen(text), &value, error) < 0)
        fail_msg("%s: %s", text, error);
    if (!json_equal(value, expected))
        fail_msg("%s: %s instead of %s", text, json_dumps(value, JSON_ENCODE_ANY), json);
    json_decref(value);
    json_decref(expected);
}

static void check_refused(const char *text, const char *sentence) {
    json_t *value = NULL;

    error[0] = '\0';
    if (yaml_value_parse(text, strlen(text), &value, error) != UV_EINVAL)
        fail_msg("%s is taken", text);
    assert_null(value);
    if (!strstr(error, sentence))
        fail_msg("%s: '%s' instead of '%s'", text, error, sentence);
}

static void test_a_process_file(void **state) {
    (void)state;
    check("apps:\n"
          "  - script: ./app.js   # the main one\n"
          "    instances: 4\n"
          "    watch: false\n"
          "    env:\n"
          "      NODE_ENV: production\n"
          "    args: [\"--port\", 80]\n"
          "  - script: worker.py\n",
          "{\"apps\": [{\"script\": \"./app.js\", \"instances\": 4, \"watch\": false,"
          " \"env\": {\"NODE_ENV\": \"production\"}, \"args\": [\"--port\", 80]},"
          " {\"script\": \"worker.py\"}]}");
}

static void test_empty_texts_are_null(void **state) {
    (void)state;
    check("", "null");
    check("# nothing\n", "null");
    check("---\n...\n", "null");
    check("---\n", "null");
}

static void test_words_of_the_core_schema(void **state) {
    (void)state;
    check("[null, Null, NULL, ~, ]", "[null, null, null, null]");
    check("a:\nb: x", "{\"a\": null, \"b\": \"x\"}");
    check("[true, True, TRUE, false, False, FALSE]", "[true, true, true, false, false, false]");
    check("[yes, no, on, off, y, tRUE, nULL]",
          "[\"yes\", \"no\", \"on\", \"off\", \"y\", \"tRUE\", \"nULL\"]");
}

static void test_numbers_of_the_core_schema(void **state) {
    (void)state;
    check("[0, -1, +2, 0o17, 0x1f, 010, 9223372036854775807]",
          "[0, -1, 2, 15, 31, 10, 9223372036854775807]");
    check("[1.5, -.5, 1., 1e3, +1.5E-2, 9223372036854775808]",
          "[1.5, -0.5, 1.0, 1000.0, 0.015, 9223372036854775808.0]");
    check("[1_000, 1.2.3, 0b1, -0x1, 0x, 0o8, ., +, '-', 1e, 12px, 0x1p3, 60:30, 200M]",
          "[\"1_000\", \"1.2.3\", \"0b1\", \"-0x1\", \"0x\", \"0o8\", \".\", \"+\", \"-\", \"1e\","
          " \"12px\", \"0x1p3\", \"60:30\", \"200M\"]");
    check("[.inf, .nan, 1e999, nan, inf, abc, -fade]",
          "[\".inf\", \".nan\", \"1e999\", \"nan\", \"inf\", \"abc\", \"-fade\"]");
}

static void test_quoted_scalars_are_texts(void **state) {
    (void)state;
    check("['1', \"true\", '', \"a\\tb\\u00e9\"]", "[\"1\", \"true\", \"\", \"a\\tb\\u00e9\"]");
    check("a: |\n  1\n  2\nb: >\n  x\n  y\n", "{\"a\": \"1\\n2\\n\", \"b\": \"x y\\n\"}");
}

static void test_tags(void **state) {
    (void)state;
    check("[!!str 5, ! 5, !!int '5', !!bool \"true\", !!null '', !!float 1.5]",
          "[\"5\", \"5\", 5, true, null, 1.5]");
    check_refused("a: !shell ls", "line 1, column 4: the tag '!shell' is not known");
    check_refused("!!binary aGk=", "is not known");
}

static void test_aliases_are_copies(void **state) {
    json_t *value = NULL;
    const char *text = "a: &x {b: 1}\nc: *x\nd: &x 5\ne: *x\nf: [&y [], *y]";

    (void)state;
    check(text, "{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}, \"d\": 5, \"e\": 5, \"f\": [[], []]}");
    assert_int_equal(yaml_value_parse(text, strlen(text), &value, error), 0);
    assert_ptr_not_equal(json_object_get(value, "a"), json_object_get(value, "c"));
    json_decref(value);
}

static void test_merge_keys(void **state) {
    (void)state;
    check("base: &b {x: 1, y: 2}\napp:\n  <<: *b\n  y: 3\n",
          "{\"base\": {\"x\": 1, \"y\": 2}, \"app\": {\"x\": 1, \"y\": 3}}");
    check("app:\n  y: 3\n  <<: {y: 2, z: 1}\n", "{\"app\": {\"y\": 3, \"z\": 1}}");
    check("- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]\n",
          "[{\"x\": 1}, {\"x\": 2, \"y\": 2}, {\"x\": 1, \"y\": 2}]");
    check("{'<<': 1}", "{\"<<\": 1}");
    check_refused("a:\n  <<: 5", "line 2, column 3: << takes a mapping");
    check_refused("<<: [{a: 1}, 5]", "<< takes a mapping");
}

static void test_mistakes_are_named_with_their_place(void **state) {
    (void)state;
    check_refused("a: [1, 2", "did not find expected");
    check_refused("a: 1\n b: 2", "line 2, column 3: ");
    check_refused("a: 'x", "found unexpected end of stream");
    check_refused("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands here twice");
    check_refused("? [a]\n: 1", "a key must be a scalar");
    check_refused("&k a: 1\n*k : 2", "a key must be a scalar");
    check_refused("a: *none", "line 1, column 4: there is no anchor 'none'");
    check_refused("a: &x [1, *x]", "line 1, column 11: the alias 'x' stands within what it means");
    check_refused("a\n---\nb", "there is more than one document");
    check_refused("\"a\\0b\"", "NUL");
    check_refused("\"a\\0b\": 1", "NUL");
    check_refused("a: \"\xff\"", "not valid UTF-8");
    check_refused("\ta: 1", "line 1");
}

/* Nine lists of nine of the one before: 9^9 nodes out of a few hundred bytes. */
static void test_what_aliases_become_is_bounded(void **state) {
    char text[4096] = "a: &a [x, x, x, x, x, x, x, x, x]\n";

    (void)state;
    for (char name = 'b'; name <= 'i'; name++) {
        char line[128];

        snprintf(line, sizeof line, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", name, name,
                 name - 1, name - 1, name - 1, name - 1, name - 1, name - 1, name - 1, name - 1,
                 name - 1);
        strcat(text, line);
    }
    check_refused(text, "the aliases make this too large");
}

static void test_depth_is_bounded(void **state) {
    char text[2 * YAML_VALUE_DEPTH_MAX + 3] = "";
    json_t *value;

    (void)state;
    memset(text, '[', YAML_VALUE_DEPTH_MAX);
    memset(text + YAML_VALUE_DEPTH_MAX, ']', YAML_VALUE_DEPTH_MAX);
    assert_int_equal(yaml_value_parse(text, strlen(text), &value, error), 0);
    json_decref(value);
    memset(text, '[', YAML_VALUE_DEPTH_MAX + 1);
    memset(text + YAML_VALUE_DEPTH_MAX + 1, ']', YAML_VALUE_DEPTH_MAX + 1);
    check_refused(text, "this is nested too deep");
}

static void test_anchors_are_bounded(void **state) {
    char *text = malloc(64 * 1024);
    size_t length = 0;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < 1100; i++)
        length += (size_t)snprintf(text + length, 64, "- &n%d 1\n", i);
    check_refused(text, "line 1025, column 3: there are too many anchors");
    free(text);
}

/* Cut anywhere, it is taken or refused, and nothing leaks. */
static void test_every_beginning_of_a_text(void **state) {
    static const char text[] =
        "- &a {x: 1, 'y': [\"z\\u00e9\", ~]}\n- <<: [*a, {q: *a}]\n- !!str 5\n";

    (void)state;
    for (size_t length = 0; length < sizeof text; length++) {
        json_t *value = NULL;
        int result = yaml_value_parse(text, length, &value, error);

        assert_int_equal(result == 0, value != NULL);
        json_decref(value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_file),
        cmocka_unit_test(test_empty_texts_are_null),
        cmocka_unit_test(test_words_of_the_core_schema),
        cmocka_unit_test(test_numbers_of_the_core_schema),
        cmocka_unit_test(test_quoted_scalars_are_texts),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_aliases_are_copies),
        cmocka_unit_test(test_merge_keys),
        cmocka_unit_test(test_mistakes_are_named_with_their_place),
        cmocka_unit_test(test_what_aliases_become_is_bounded),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_anchors_are_bounded),
        cmocka_unit_test(test_every_beginning_of_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
