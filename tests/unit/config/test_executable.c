#include "config/executable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <unistd.h>

/* A program file of two headers at most and a note, as small as they come. */
struct program {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    struct {
        Elf64_Nhdr header;
        char name[4];
        char description[8];
    } note;
};

static char path[] = "/tmp/test_executable_XXXXXX";

static int create_file(void **state) {
    int file = mkstemp(path);

    (void)state;
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static struct program make_program(uint32_t first, uint32_t second) {
    struct program program = {
        .header = {.e_phentsize = sizeof(Elf64_Phdr),
                   .e_phoff = offsetof(struct program, segments),
                   .e_phnum = 2},
        .segments = {{.p_type = first}, {.p_type = second}},
        .note = {.header = {.n_namesz = 4, .n_descsz = 8, .n_type = 4}, .name = "Go"},
    };

    memcpy(program.header.e_ident, ELFMAG, SELFMAG);
    program.header.e_ident[EI_CLASS] = ELFCLASS64;
    for (int i = 0; i < 2; i++) {
        program.segments[i].p_offset = offsetof(struct program, note);
        program.segments[i].p_filesz = sizeof program.note;
    }
    return program;
}

static enum executable_kind inspect(const void *bytes, size_t length) {
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return executable_inspect(path);
}

static void test_a_program_with_an_interpreter_is_dynamic(void **state) {
    struct program program = make_program(PT_INTERP, PT_LOAD);

    (void)state;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
    assert_int_equal(executable_inspect("/bin/sh"), EXECUTABLE_DYNAMIC);
}

static void test_a_program_without_one_is_static(void **state) {
    struct program program = make_program(PT_LOAD, PT_LOAD);

    (void)state;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_STATIC);
}

static void test_the_note_of_go_tells_even_where_it_is_dynamic(void **state) {
    struct program program = make_program(PT_INTERP, PT_NOTE);

    (void)state;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_GO);
    memcpy(program.note.name, "GNU", 4);
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
    memcpy(program.note.name, "Go", 3);
    program.note.header.n_type = 3;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
}

static void test_lengths_that_lie_are_not_believed(void **state) {
    struct program program = make_program(PT_INTERP, PT_NOTE);

    (void)state;
    program.note.header.n_type = 1;
    program.note.header.n_namesz = UINT32_MAX;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
    program.note.header.n_namesz = 4;
    program.note.header.n_descsz = UINT32_MAX;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
    program = make_program(PT_INTERP, PT_NOTE);
    program.segments[1].p_filesz = UINT64_MAX;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_GO);
    program.segments[1].p_offset = INT64_MAX;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
    program.header.e_phoff = UINT64_MAX;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
}

static void test_what_is_no_program_counts_as_dynamic(void **state) {
    struct program program = make_program(PT_LOAD, PT_LOAD);

    (void)state;
    assert_int_equal(inspect("#!/bin/sh\n", 10), EXECUTABLE_DYNAMIC);
    assert_int_equal(inspect("", 0), EXECUTABLE_DYNAMIC);
    for (size_t length = 0; length < offsetof(struct program, note); length += 7)
        assert_int_equal(inspect(&program, length), EXECUTABLE_DYNAMIC);
    program.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(inspect(&program, sizeof program), EXECUTABLE_DYNAMIC);
    assert_int_equal(executable_inspect("/nonexistent"), EXECUTABLE_DYNAMIC);
    assert_int_equal(executable_inspect("/tmp"), EXECUTABLE_DYNAMIC);
}

static void test_each_kind_has_words_for_a_sentence(void **state) {
    (void)state;
    assert_string_equal(executable_describe(EXECUTABLE_DYNAMIC), "dynamically linked");
    assert_string_equal(executable_describe(EXECUTABLE_STATIC), "statically linked");
    assert_string_equal(executable_describe(EXECUTABLE_GO), "written in Go");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_with_an_interpreter_is_dynamic),
        cmocka_unit_test(test_a_program_without_one_is_static),
        cmocka_unit_test(test_the_note_of_go_tells_even_where_it_is_dynamic),
        cmocka_unit_test(test_lengths_that_lie_are_not_believed),
        cmocka_unit_test(test_what_is_no_program_counts_as_dynamic),
        cmocka_unit_test(test_each_kind_has_words_for_a_sentence),
    };

    return cmocka_run_group_tests(tests, create_file, remove_file);
}
