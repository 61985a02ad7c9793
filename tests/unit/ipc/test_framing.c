#include "ipc/framing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What came out, as one text: each line ends in '|', a cut one in '~'. */
struct seen {
    struct buffer text;
    unsigned lines;
    size_t last_length;
    const char *last_bytes;
    unsigned stop_at; /* the line at which on_line gives up; 0: never */
};

static int on_line(void *owner, const struct framing_line *line) {
    struct seen *seen = owner;

    seen->lines++;
    seen->last_length = line->length;
    seen->last_bytes = line->bytes;
    assert_int_equal(buffer_append(&seen->text, line->bytes, line->length), 0);
    assert_int_equal(buffer_append(&seen->text, line->cut ? "~" : "|", 1), 0);
    return seen->lines == seen->stop_at ? -ECANCELED : 0;
}

static void assert_seen(const struct seen *seen, const char *text) {
    assert_int_equal(buffer_length(&seen->text), strlen(text));
    if (strlen(text) > 0)
        assert_memory_equal(buffer_data(&seen->text), text, strlen(text));
}

static int feed(struct framing *framing, const char *text, struct seen *seen) {
    return framing_feed(framing, text, strlen(text), on_line, seen);
}

static void test_glued_lines(void **state) {
    struct framing framing;
    struct seen seen = {.lines = 0};

    (void)state;
    framing_init(&framing);
    assert_int_equal(feed(&framing, "one\n\ntwo\nthr", &seen), 0);
    assert_seen(&seen, "one||two|");
    assert_int_equal(feed(&framing, "ee", &seen), 0);
    assert_int_equal(feed(&framing, "", &seen), 0);
    assert_int_equal(feed(&framing, "\nfour\n", &seen), 0);
    assert_seen(&seen, "one||two|three|four|");
    framing_clear(&framing);
    buffer_clear(&seen.text);
}

static void test_split_at_every_byte(void **state) {
    static const char text[] = "{\"a\":1}\n\nlonger line here\nx\nend";

    (void)state;
    for (size_t first = 0; first < sizeof(text) - 1; first++) {
        for (size_t second = first; second < sizeof(text) - 1; second++) {
            struct framing framing;
            struct seen seen = {.lines = 0};

            framing_init(&framing);
            framing_feed(&framing, text, first, on_line, &seen);
            framing_feed(&framing, text + first, second - first, on_line, &seen);
            framing_feed(&framing, text + second, sizeof(text) - 1 - second, on_line, &seen);
            assert_seen(&seen, "{\"a\":1}||longer line here|x|");
            framing_clear(&framing);
            buffer_clear(&seen.text);
        }
    }
}

static void test_whole_line_is_not_copied(void **state) {
    static const char text[] = "whole\n";
    struct framing framing;
    struct seen seen = {.lines = 0};

    (void)state;
    framing_init(&framing);
    assert_int_equal(feed(&framing, text, &seen), 0);
    assert_ptr_equal(seen.last_bytes, text);
    assert_null(framing.pending.bytes);
    framing_clear(&framing);
    buffer_clear(&seen.text);
}

/* A line of `length` bytes, fed in pieces, and a short one behind it. */
static struct seen feed_long(size_t length, size_t piece) {
    char *text = malloc(length + 3);
    struct framing framing;
    struct seen seen = {.lines = 0};

    memset(text, 'a', length);
    memcpy(text + length, "\nb\n", 3);
    framing_init(&framing);
    for (size_t at = 0; at < length + 3; at += piece) {
        size_t rest = length + 3 - at;

        assert_int_equal(
            framing_feed(&framing, text + at, rest < piece ? rest : piece, on_line, &seen), 0);
        assert_true(buffer_length(&framing.pending) <= FRAMING_LINE_MAX);
    }
    framing_clear(&framing);
    free(text);
    return seen;
}

static void test_long_lines_are_cut(void **state) {
    static const size_t lengths[] = {FRAMING_LINE_MAX - 1, FRAMING_LINE_MAX, FRAMING_LINE_MAX + 1,
                                     FRAMING_LINE_MAX * 3};
    static const size_t pieces[] = {1000, 65536, 65537, 1000000};

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        size_t length = lengths[i % 4];
        size_t kept = length < FRAMING_LINE_MAX ? length : FRAMING_LINE_MAX;
        struct seen seen = feed_long(length, pieces[i / 4]);

        assert_int_equal(seen.lines, 2);
        assert_int_equal(buffer_length(&seen.text), kept + 3);
        assert_int_equal(buffer_data(&seen.text)[kept], length > FRAMING_LINE_MAX ? '~' : '|');
        assert_memory_equal(buffer_data(&seen.text) + kept + 1, "b|", 2);
        buffer_clear(&seen.text);
    }
}

static void test_endless_line_ends_the_conversation(void **state) {
    const size_t piece = 1u << 20;
    char *text = calloc(1, piece);
    struct framing framing;
    struct seen seen = {.lines = 0};

    (void)state;
    framing_init(&framing);
    for (size_t fed = 0; fed < FRAMING_LINE_HARD_MAX; fed += piece) {
        assert_int_equal(framing_feed(&framing, text, piece, on_line, &seen), 0);
        assert_true(framing.pending.capacity <= (size_t)2 * FRAMING_LINE_MAX);
    }
    assert_int_equal(framing_feed(&framing, text, 1, on_line, &seen), -EMSGSIZE);
    assert_int_equal(seen.lines, 0);
    framing_clear(&framing);
    free(text);
}

static void test_longest_line(void **state) {
    const size_t length = FRAMING_LINE_HARD_MAX;
    char *text = calloc(1, length + 2);
    struct framing framing;
    struct seen seen = {.lines = 0};

    (void)state;
    framing_init(&framing);
    text[length] = '\n';
    assert_int_equal(framing_feed(&framing, text, length + 1, on_line, &seen), 0);
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.last_length, FRAMING_LINE_MAX);
    text[length] = 0;
    text[length + 1] = '\n';
    assert_int_equal(framing_feed(&framing, text, length + 2, on_line, &seen), -EMSGSIZE);
    assert_int_equal(seen.lines, 1);
    framing_clear(&framing);
    buffer_clear(&seen.text);
    free(text);
}

static void test_callback_stops_feeding(void **state) {
    struct framing framing;
    struct seen seen = {.stop_at = 2};

    (void)state;
    framing_init(&framing);
    assert_int_equal(feed(&framing, "pen", &seen), 0);
    assert_int_equal(feed(&framing, "ding\ntwo\nthree\n", &seen), -ECANCELED);
    assert_seen(&seen, "pending|two|");
    framing_clear(&framing);
    buffer_clear(&seen.text);
}

static void test_large_pending_memory_is_given_back(void **state) {
    struct seen seen = {.lines = 0};
    char *text = calloc(1, FRAMING_LINE_MAX);
    struct framing framing;

    (void)state;
    framing_init(&framing);
    assert_int_equal(framing_feed(&framing, text, FRAMING_LINE_MAX, on_line, &seen), 0);
    assert_int_equal(feed(&framing, "\n", &seen), 0);
    assert_int_equal(framing.pending.capacity, 0);
    framing_clear(&framing);
    buffer_clear(&seen.text);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glued_lines),
        cmocka_unit_test(test_split_at_every_byte),
        cmocka_unit_test(test_whole_line_is_not_copied),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_endless_line_ends_the_conversation),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_callback_stops_feeding),
        cmocka_unit_test(test_large_pending_memory_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
