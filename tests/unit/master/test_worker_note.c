#include "master/worker_note.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sys/types.h>
#include <unistd.h>
#include <uv.h>

#define TOKEN "00112233445566778899aabbccddeeff"
#define FIRST "boot " TOKEN " 15 1600 1 0\n"
#define STATE "12 (a (b) c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654321 0 0\n"

static void test_a_note(void **state) {
    struct worker_note note = {.pid = 0};

    (void)state;
    assert_int_equal(worker_note_parse(&note, FIRST STATE), 0);
    assert_int_equal(note.pid, 12);
    assert_int_equal(note.started, 987654321);
    assert_string_equal(note.boot, "boot");
    assert_string_equal(note.token, TOKEN);
    assert_int_equal(note.kill_signal, SIGTERM);
    assert_int_equal(note.kill_timeout_ms, 1600);
    assert_true(note.treekill);
    assert_false(note.listens);
}

static void test_there_and_back(void **state) {
    struct worker_note note = {
        .kill_signal = SIGQUIT, .kill_timeout_ms = UINT64_MAX, .listens = true, .token = TOKEN};
    struct worker_note read = {.pid = 0};
    char text[WORKER_NOTE_MAX + sizeof STATE];

    (void)state;
    assert_int_equal(worker_note_boot(note.boot), 0);
    worker_note_print(&note, text);
    strcat(text, STATE);
    assert_int_equal(worker_note_parse(&read, text), 0);
    assert_string_equal(read.boot, note.boot);
    assert_int_equal(read.kill_signal, SIGQUIT);
    assert_int_equal(read.kill_timeout_ms, UINT64_MAX);
    assert_false(read.treekill);
    assert_true(read.listens);
}

static void test_what_is_none(void **state) {
    static const char *const wrong[] = {
        "",
        "x",
        FIRST,
        STATE,
        "boot " TOKEN " 1600 2 0\n" STATE,
        "boot " TOKEN " 15 1600 1\n" STATE,
        "boot 0123 15 1600 1 0\n" STATE,
        "boot 0011223344556677_899aabbccddeeff 15 1600 1 0\n" STATE,
        "boot " TOKEN " 1600 1 0\n" STATE,
        "boot " TOKEN " 0 1600 1 0\n" STATE,
        FIRST "1 (init) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0\n",
        FIRST "-5 (a) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0\n",
        FIRST "12 (a S 1\n",
        FIRST "12 (a) S 1 1 1\n",
    };
    struct worker_note note = {.pid = -7};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(worker_note_parse(&note, wrong[i]), UV_EINVAL);
    assert_int_equal(note.pid, -7);
}

static void test_when_a_process_began(void **state) {
    uint64_t own = 0;
    uint64_t parents = 0;

    (void)state;
    assert_int_equal(worker_note_started(getpid(), &own), 0);
    assert_int_equal(worker_note_started(getppid(), &parents), 0);
    assert_true(parents <= own);
    assert_int_equal(worker_note_started(0x7ffffff0, &own), UV_ESRCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_note),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_when_a_process_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
