/* What a function prints on standard output and error. */
#ifndef BATON_TESTS_UNIT_CLI_CAPTURE_H
#define BATON_TESTS_UNIT_CLI_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct capture {
    int saved[2]; /* what standard output and error were */
    int file;     /* where both go meanwhile */
    char text[16384];
};

static inline void capture_start(struct capture *capture) {
    fflush(stdout);
    capture->file = memfd_create("capture", MFD_CLOEXEC);
    assert_true(capture->file >= 0);
    for (int i = 0; i < 2; i++) {
        capture->saved[i] = dup(STDOUT_FILENO + i);
        assert_true(dup2(capture->file, STDOUT_FILENO + i) >= 0);
    }
}

static inline void capture_end(struct capture *capture) {
    ssize_t length;

    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        dup2(capture->saved[i], STDOUT_FILENO + i);
        close(capture->saved[i]);
    }
    length = pread(capture->file, capture->text, sizeof capture->text - 1, 0);
    assert_true(length >= 0);
    capture->text[length] = '\0';
    close(capture->file);
}

/* A copy of words that getopt may move about; NULL-terminated. */
#define ARGV_MAX 16
struct arguments {
    int count;
    char *words[ARGV_MAX + 1];
};

static inline struct arguments arguments_create(const char *const *words) {
    struct arguments arguments = {.count = 0};

    for (; words[arguments.count]; arguments.count++) {
        assert_true(arguments.count < ARGV_MAX);
        arguments.words[arguments.count] = strdup(words[arguments.count]);
    }
    return arguments;
}

static inline void arguments_clear(struct arguments *arguments) {
    for (int i = 0; i < arguments->count; i++)
        free(arguments->words[i]);
}

#define ARGUMENTS(...) arguments_create((const char *const[]){__VA_ARGS__, NULL})

#endif
