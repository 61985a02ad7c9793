#include "daemon/log_tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char directory[64];
static char path[128];

static int set_up(void **state) {
    (void)state;
    strcpy(directory, "/tmp/log_tail.XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/a.log", directory);
    return 0;
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(name);
}

static int tear_down(void **state) {
    (void)state;
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes PATH and SUFFIX, as gzip if it ends so. */
static void put(const char *suffix, const char *text, size_t length) {
    char name[256];
    gzFile file;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    file = gzopen(name, strstr(suffix, ".gz") ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)length), length);
    assert_int_equal(gzclose(file), Z_OK);
}

static void put_text(const char *suffix, const char *text) {
    put(suffix, text, strlen(text));
}

static void rename_suffix(const char *from, const char *to) {
    char old[256];
    char new[256];

    snprintf(old, sizeof old, "%s%s", path, from);
    snprintf(new, sizeof new, "%s%s", path, to);
    assert_int_equal(rename(old, new), 0);
}

static void check_before(const struct log_tail_end *end, size_t lines, size_t max_bytes,
                         const char *expected) {
    struct buffer text;

    buffer_init(&text);
    assert_int_equal(log_tail_read(&text, path, lines, max_bytes, end), 0);
    assert_int_equal(buffer_length(&text), strlen(expected));
    if (expected[0])
        assert_memory_equal(buffer_data(&text), expected, strlen(expected));
    buffer_clear(&text);
}

static void check(size_t lines, size_t max_bytes, const char *expected) {
    check_before(NULL, lines, max_bytes, expected);
}

static void test_the_last_lines_of_one_file(void **state) {
    (void)state;
    put_text("", "one\ntwo\n\nthree\n");
    check(0, 1000, "");
    check(1, 1000, "three\n");
    check(2, 1000, "\nthree\n");
    check(3, 1000, "two\n\nthree\n");
    check(4, 1000, "one\ntwo\n\nthree\n");
    check(5, 1000, "one\ntwo\n\nthree\n");
    check(SIZE_MAX, 1000, "one\ntwo\n\nthree\n");
}

static void test_a_line_without_end_is_one(void **state) {
    (void)state;
    put_text("", "one\ntwo");
    check(1, 1000, "two");
    check(2, 1000, "one\ntwo");
}

static void test_an_empty_file_has_no_lines(void **state) {
    (void)state;
    put_text("", "");
    check(10, 1000, "");
    put_text("", "\n");
    check(10, 1000, "\n");
}

static void test_no_file_is_an_error(void **state) {
    struct buffer text;

    (void)state;
    buffer_init(&text);
    assert_int_equal(log_tail_read(&text, path, 10, 1000, NULL), UV_ENOENT);
    assert_int_equal(log_tail_read(&text, "/dev/null", 10, 1000, NULL), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(log_tail_read(&text, path, 10, 1000, NULL), 0);
    assert_int_equal(buffer_length(&text), 0);
}

static void test_predecessors_come_before(void **state) {
    (void)state;
    put_text("", "seven\neight\n");
    put_text(".1", "five\nsix\n");
    put_text(".2.gz", "three\nfour\n");
    put_text(".3.gz", "one\ntwo\n");
    put_text(".5", "not reached\n");
    check(2, 1000, "seven\neight\n");
    check(3, 1000, "six\nseven\neight\n");
    check(4, 1000, "five\nsix\nseven\neight\n");
    check(5, 1000, "four\nfive\nsix\nseven\neight\n");
    check(100, 1000, "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n");
}

/* Just rotated, and nothing written since. */
static void test_the_file_itself_may_be_missing_or_empty(void **state) {
    (void)state;
    put_text(".1", "one\ntwo\n");
    check(1, 1000, "two\n");
    put_text("", "");
    check(1, 1000, "two\n");
}

/* A rotation between two openings: the same file under two names. */
static void test_a_file_is_not_read_twice(void **state) {
    char name[256];

    (void)state;
    put_text("", "two\n");
    snprintf(name, sizeof name, "%s.1", path);
    assert_int_equal(link(path, name), 0);
    put_text(".2", "one\n");
    check(10, 1000, "one\ntwo\n");
}

static void test_an_old_file_that_is_broken_is_where_it_ends(void **state) {
    (void)state;
    put_text("", "new\n");
    put_text(".1", "\x1f\x8b\x08 this is not what follows");
    check(10, 1000,
          "\x1f\x8b\x08 this is not what follows"
          "new\n"); /* by its name it is plain */
    rename_suffix(".1", ".1.gz");
    check(10, 1000, "new\n");
}

static void test_of_a_file_that_was_cut_what_is_there_is_read(void **state) {
    char name[256];
    struct stat status;

    (void)state;
    put_text("", "new\n");
    put_text(".1.gz", "old\n");
    snprintf(name, sizeof name, "%s.1.gz", path);
    assert_int_equal(stat(name, &status), 0);
    assert_int_equal(truncate(name, status.st_size - 6), 0);
    check(10, 1000, "old\nnew\n");
}

/* Across the steps in which the end is read. */
static void test_many_lines(void **state) {
    static char lines[2000000];
    size_t length = 0;
    size_t starts[6] = {0};

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        static const unsigned from[6] = {99999, 99990, 90000, 50000, 1, 0};

        for (int j = 0; j < 6; j++)
            if (from[j] == i)
                starts[j] = length;
        length += (size_t)sprintf(lines + length, "line %u\n", i);
    }
    put("", lines, length);
    for (int j = 0; j < 6; j++) {
        static const unsigned counts[6] = {1, 10, 10000, 50000, 99999, 100000};

        check(counts[j], sizeof lines, lines + starts[j]);
    }
    put(".1.gz", lines, length);
    put_text("", "");
    check(10000, sizeof lines, lines + starts[2]);
}

static void test_memory_is_bounded(void **state) {
    static char giant[300001];
    struct buffer text;

    (void)state;
    put_text("", "one\ntwo\nthree\n");
    check(10, 10, "three\n"); /* not the half of a line */
    memset(giant, 'x', sizeof giant - 1);
    put("", giant, sizeof giant - 1);
    put(".1.gz", giant, sizeof giant - 1);
    buffer_init(&text);
    assert_int_equal(log_tail_read(&text, path, 2, 1000, NULL), 0);
    assert_int_equal(buffer_length(&text), 1000);
    buffer_clear(&text);
    assert_int_equal(log_tail_read(&text, path, 2, 400000, NULL), 0);
    assert_int_equal(buffer_length(&text), 400000);
    assert_true(text.capacity <= 4 * 400000);
    buffer_clear(&text);
}

static void test_what_comes_after_the_end_is_not_read(void **state) {
    struct log_tail_end end;
    struct buffer text;

    (void)state;
    put_text(".1", "zero\n");
    put_text("", "one\ntwo\nthr");
    assert_int_equal(log_tail_look(path, &end), 0);
    assert_int_equal(end.size, 11);
    put_text("", "one\ntwo\nthree\nfour\n"); /* the same file, longer */
    check_before(&end, 2, 1000, "two\nthr");
    check_before(&end, 10, 1000, "zero\none\ntwo\nthr");
    rename_suffix(".1", ".2");
    rename_suffix("", ".1");
    put_text("", "five\n"); /* rotated meanwhile */
    check_before(&end, 2, 1000, "two\nthr");
    check_before(&end, 10, 1000, "zero\none\ntwo\nthr");
    put_text(".1", "one\n"); /* cut meanwhile */
    check_before(&end, 2, 1000, "zero\none\n");
    rename_suffix(".1", ".moved");
    buffer_init(&text);
    assert_int_equal(log_tail_read(&text, path, 2, 1000, &end), UV_ENOENT);
    assert_int_equal(buffer_length(&text), 0);
    rename_suffix("", ".gone");
    assert_int_equal(log_tail_look(path, &end), UV_ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_last_lines_of_one_file),
        TEST(a_line_without_end_is_one),
        TEST(an_empty_file_has_no_lines),
        TEST(no_file_is_an_error),
        TEST(predecessors_come_before),
        TEST(the_file_itself_may_be_missing_or_empty),
        TEST(a_file_is_not_read_twice),
        TEST(an_old_file_that_is_broken_is_where_it_ends),
        TEST(of_a_file_that_was_cut_what_is_there_is_read),
        TEST(many_lines),
        TEST(memory_is_bounded),
        TEST(what_comes_after_the_end_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
