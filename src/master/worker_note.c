#include "master/worker_note.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define STAT_MAX  512

void worker_note_print(const struct worker_note *note, char text[WORKER_NOTE_MAX]) {
    snprintf(text, WORKER_NOTE_MAX, "%s %s %d %" PRIu64 " %d %d\n", note->boot, note->token,
             note->kill_signal, note->kill_timeout_ms, note->treekill, note->listens);
}

/* Up to the room that is left, ended by a NUL; -1 when it cannot be read. */
static ssize_t read_file(const char *path, char *text, size_t size) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length;

    if (descriptor < 0)
        return -1;
    length = read(descriptor, text, size - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

void worker_note_write(int directory, const char *token, const char *text) {
    char state[STAT_MAX];
    ssize_t length = read_file("/proc/self/stat", state, sizeof state);
    ssize_t written;
    int descriptor;

    if (length <= 0)
        return;
    descriptor = openat(directory, token, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return;
    written = write(descriptor, text, strlen(text));
    if (written < 0 || write(descriptor, state, (size_t)length) != length)
        unlinkat(directory, token, 0);
    close(descriptor);
}

/* From a line of /proc/PID/stat. */
static int parse_state(const char *line, pid_t *ret_pid, char *ret_state, uint64_t *ret_ticks) {
    const char *rest = strrchr(line, ')'); /* the program's name may hold anything */
    int pid;

    if (!rest || sscanf(line, "%d (", &pid) != 1 || pid <= 1)
        return UV_EINVAL;
    if (sscanf(rest + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
               "%*d %" SCNu64,
               ret_state, ret_ticks) != 2)
        return UV_EINVAL;
    *ret_pid = pid;
    return 0;
}

static bool is_token(const char *text) {
    return strlen(text) == WORKER_NOTE_TOKEN_MAX - 1 &&
           strspn(text, "0123456789abcdef") == WORKER_NOTE_TOKEN_MAX - 1;
}

int worker_note_parse(struct worker_note *ret_note, const char *text) {
    struct worker_note note = {.pid = 0};
    const char *line = strchr(text, '\n');
    unsigned treekill;
    unsigned listens;
    char state;

    if (!line || sscanf(text, "%39s %32s %d %" SCNu64 " %u %u\n", note.boot, note.token,
                        &note.kill_signal, &note.kill_timeout_ms, &treekill, &listens) != 6)
        return UV_EINVAL;
    if (note.kill_signal < 1 || note.kill_signal >= NSIG || treekill > 1 || listens > 1 ||
        !is_token(note.token) || parse_state(line + 1, &note.pid, &state, &note.started) < 0)
        return UV_EINVAL;
    note.treekill = treekill;
    note.listens = listens;
    *ret_note = note;
    return 0;
}

void worker_note_remove(int directory, const char *token) {
    unlinkat(directory, token, 0);
}

int worker_note_boot(char boot[WORKER_NOTE_BOOT_MAX]) {
    if (read_file(BOOT_FILE, boot, WORKER_NOTE_BOOT_MAX) <= 0)
        return UV_ENOSYS;
    boot[strcspn(boot, "\n")] = '\0';
    return 0;
}

int worker_note_started(pid_t pid, uint64_t *ret_ticks) {
    char path[64];
    char text[STAT_MAX];
    char state;
    pid_t found;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof text) <= 0 ||
        parse_state(text, &found, &state, ret_ticks) < 0 || state == 'Z' || state == 'X')
        return UV_ESRCH;
    return 0;
}
