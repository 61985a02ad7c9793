/* The note that a worker of a daemon leaves of itself before it becomes its program. By it the next
 * daemon finds the workers of one that was killed.
 *
 * The worker writes it, not the daemon: that may be killed at any moment, also right after it has
 * started a worker. The notes are files of one directory, each named by its worker's token, which
 * no other worker ever has; process numbers are used again. Who keeps them removes a note when the
 * worker has ended, with all that ended with it. */
#ifndef BATON_MASTER_WORKER_NOTE_H
#define BATON_MASTER_WORKER_NOTE_H

#include "ipc/native_protocol.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORKER_NOTE_MAX       1024
#define WORKER_NOTE_BOOT_MAX  40 /* a UUID with its NUL */
#define WORKER_NOTE_TOKEN_MAX (2 * NATIVE_TOKEN_SIZE + 1)

struct worker_note {
    pid_t pid;
    uint64_t started;                  /* in clock ticks since the boot: proc(5), starttime */
    char boot[WORKER_NOTE_BOOT_MAX];   /* /proc/sys/kernel/random/boot_id */
    char token[WORKER_NOTE_TOKEN_MAX]; /* hexadecimal */
    int kill_signal;                   /* that asks it to end … */
    uint64_t kill_timeout_ms;          /* … and from that to SIGKILL */
    bool treekill;                     /* what it has started ends with it */
    bool listens; /* on its own ports, which its successor needs: it has to end first */
};

/* What is known before there is a process: everything but `pid` and `started`. */
void worker_note_print(const struct worker_note *note, char text[WORKER_NOTE_MAX]);

/* Writes that and what the kernel says of the calling process. System calls only: for the child of
 * vfork(2). Not brought to the disk, for after a crash of the machine nobody survives. A note that
 * cannot be written is missing, no more. */
void worker_note_write(int directory, const char *token, const char *text);

/* A whole note: 0 or UV_EINVAL. Pure. */
int worker_note_parse(struct worker_note *ret_note, const char *text);

/* Harmless when there is none. */
void worker_note_remove(int directory, const char *token);

/* 0 or a UV_E*. */
int worker_note_boot(char boot[WORKER_NOTE_BOOT_MAX]);

/* When a process began: 0, or UV_ESRCH when there is none (a zombie is none). */
int worker_note_started(pid_t pid, uint64_t *ret_ticks);

#endif
