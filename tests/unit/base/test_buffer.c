#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"

static void expect(const struct buffer *buffer, const char *text) {
    assert_int_equal(buffer_length(buffer), strlen(text));
    if (*text)
        assert_memory_equal(buffer_data(buffer), text, strlen(text));
}

static void test_appends_and_consumes(void **state) {
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    expect(&buffer, "");
    assert_int_equal(buffer_append(&buffer, "hello", 5), 0);
    assert_int_equal(buffer_append(&buffer, "", 0), 0);
    assert_int_equal(buffer_print(&buffer, " %s %d", "world", 42), 0);
    expect(&buffer, "hello world 42");
    buffer_consume(&buffer, 6);
    expect(&buffer, "world 42");
    buffer_consume(&buffer, 0);
    assert_int_equal(buffer_append(&buffer, "!", 1), 0);
    expect(&buffer, "world 42!");
    buffer_consume(&buffer, 9);
    expect(&buffer, "");
    buffer_clear(&buffer);
    expect(&buffer, "");
    buffer_clear(&buffer);
}

static void test_what_is_reserved_counts_when_committed(void **state) {
    struct buffer buffer;
    char *room;

    (void)state;
    buffer_init(&buffer);
    assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
    room = buffer_reserve(&buffer, 1000);
    assert_non_null(room);
    memset(room, 'x', 1000);
    expect(&buffer, "ab");
    buffer_commit(&buffer, 3);
    expect(&buffer, "abxxx");
    buffer_clear(&buffer);
}

/* printf's NUL must not count, also where it just does not fit any more. */
static void test_prints_at_every_fill_level(void **state) {
    (void)state;
    for (size_t length = 240; length < 270; length++) {
        char filler[300];
        struct buffer buffer;

        memset(filler, 'f', length);
        buffer_init(&buffer);
        assert_int_equal(buffer_append(&buffer, filler, length), 0);
        assert_int_equal(buffer_print(&buffer, "%s", "0123456789"), 0);
        assert_int_equal(buffer_length(&buffer), length + 10);
        assert_memory_equal(buffer_data(&buffer), filler, length);
        assert_memory_equal(buffer_data(&buffer) + length, "0123456789", 10);
        buffer_clear(&buffer);
    }
}

static void test_an_empty_one_gives_a_large_block_back(void **state) {
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    assert_non_null(buffer_reserve(&buffer, 100000));
    buffer_commit(&buffer, 100000);
    buffer_consume(&buffer, 99999);
    assert_true(buffer.capacity >= 100000);
    buffer_consume(&buffer, 1);
    assert_int_equal(buffer.capacity, 0);
    assert_null(buffer.bytes);
    assert_int_equal(buffer_append(&buffer, "x", 1), 0);
    buffer_consume(&buffer, 1);
    assert_non_null(buffer.bytes); /* a small one is kept */
    buffer_clear(&buffer);
}

/* A stream that is written and read in pieces needs room for what is unread only. */
static void test_a_long_stream_needs_little_room(void **state) {
    struct prng prng = {.state = 7};
    unsigned char written = 0, read = 0;
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    for (int round = 0; round < 20000; round++) {
        for (uint32_t i = prng_below(&prng, 100); i > 0; i--, written++)
            assert_int_equal(buffer_append(&buffer, &written, 1), 0);
        for (uint32_t i = prng_below(&prng, 100); i > 0 && buffer_length(&buffer) > 0; i--) {
            assert_int_equal((unsigned char)*buffer_data(&buffer), read++);
            buffer_consume(&buffer, 1);
        }
        if (buffer_length(&buffer) > 400)
            while (buffer_length(&buffer) > 10) {
                assert_int_equal((unsigned char)*buffer_data(&buffer), read++);
                buffer_consume(&buffer, 1);
            }
        assert_true(buffer.capacity <= 1024);
    }
    buffer_clear(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_and_consumes),
        cmocka_unit_test(test_what_is_reserved_counts_when_committed),
        cmocka_unit_test(test_prints_at_every_fill_level),
        cmocka_unit_test(test_an_empty_one_gives_a_large_block_back),
        cmocka_unit_test(test_a_long_stream_needs_little_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
