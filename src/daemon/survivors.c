#include "daemon/survivors.h"

#include "base/text.h"
#include "daemon/home.h"
#include "master/orphans.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool survivor_is(const struct worker_note *note, const char *boot, uint64_t started_now) {
    return note->started == started_now && strcmp(note->boot, boot) == 0;
}

static int add(struct survivors *survivors, const struct worker_note *note) {
    struct worker_note *items =
        reallocarray(survivors->items, survivors->count + 1, sizeof *survivors->items);

    if (!items)
        return UV_ENOMEM;
    survivors->items = items;
    items[survivors->count++] = *note;
    return 0;
}

void survivors_clear(struct survivors *survivors) {
    free(survivors->items);
    *survivors = (struct survivors){.items = NULL};
}

/* --- notes --- */

static int read_note(int directory, const char *name, struct worker_note *ret_note) {
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char text[WORKER_NOTE_MAX + 512];
    ssize_t length;

    if (file < 0)
        return UV_EINVAL;
    length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return UV_EINVAL;
    text[length] = '\0';
    return worker_note_parse(ret_note, text);
}

/* Of this boot; another's cannot mean anybody, and is removed. */
static int take_note(struct survivors *notes, int directory, const char *name, const char *boot) {
    struct worker_note note;

    if (name[0] == '.' || strlen(name) != WORKER_NOTE_TOKEN_MAX - 1)
        return 0; /* whatever that is */
    if (read_note(directory, name, &note) == 0 && strcmp(note.token, name) == 0 &&
        strcmp(note.boot, boot) == 0)
        return add(notes, &note);
    worker_note_remove(directory, name);
    return 0;
}

static int read_notes(struct survivors *notes, DIR *directory) {
    char boot[WORKER_NOTE_BOOT_MAX];
    const struct dirent *entry;
    int result = worker_note_boot(boot);

    while (result == 0 && (entry = readdir(directory)))
        result = take_note(notes, dirfd(directory), entry->d_name, boot);
    return result;
}

/* --- processes --- */

static bool lives(const struct worker_note *note) {
    uint64_t started;

    return worker_note_started(note->pid, &started) == 0 && survivor_is(note, note->boot, started);
}

static int add_living(struct survivors *survivors, const struct survivors *notes) {
    int result = 0;

    for (size_t i = 0; i < notes->count && result == 0; i++)
        if (lives(&notes->items[i]))
            result = add(survivors, &notes->items[i]);
    return result;
}

static bool is_known(const struct survivors *survivors, pid_t pid) {
    for (size_t i = 0; i < survivors->count; i++)
        if (survivors->items[i].pid == pid)
            return true;
    return false;
}

/* Whose token the process was started with, or NULL. */
static const struct worker_note *starter_of(const struct survivors *notes, pid_t pid) {
    char token[WORKER_NOTE_TOKEN_MAX];

    if (!orphans_read_token(pid, token))
        return NULL;
    for (size_t i = 0; i < notes->count; i++)
        if (notes->items[i].treekill && strcmp(notes->items[i].token, token) == 0)
            return &notes->items[i];
    return NULL;
}

static int add_started(struct survivors *survivors, const struct survivors *notes, pid_t pid) {
    const struct worker_note *starter = is_known(survivors, pid) ? NULL : starter_of(notes, pid);
    struct worker_note one;

    if (!starter)
        return 0;
    one = *starter;
    one.pid = pid;
    return worker_note_started(pid, &one.started) == 0 ? add(survivors, &one) : 0;
}

/* What the noted workers have started. */
static int add_all_started(struct survivors *survivors, const struct survivors *notes) {
    DIR *processes = notes->count > 0 ? opendir("/proc") : NULL;
    const struct dirent *entry;
    int64_t pid;
    int result = 0;

    while (processes && result == 0 && (entry = readdir(processes)))
        if (text_to_number(entry->d_name, 2, INT_MAX, &pid) == 0 && pid != getpid())
            result = add_started(survivors, notes, (pid_t)pid);
    if (processes)
        closedir(processes);
    return result;
}

static bool has_any(const struct survivors *survivors, const char *token) {
    for (size_t i = 0; i < survivors->count; i++)
        if (strcmp(survivors->items[i].token, token) == 0)
            return true;
    return false;
}

int survivors_find(struct survivors *survivors, const char *home) {
    struct survivors notes = {.items = NULL};
    char path[HOME_FILE_MAX];
    DIR *directory;
    int result;

    *survivors = (struct survivors){.items = NULL};
    snprintf(path, sizeof path, "%s/%s", home, HOME_WORKERS);
    directory = opendir(path);
    if (!directory)
        return uv_translate_sys_error(errno);
    result = read_notes(&notes, directory);
    if (result == 0)
        result = add_living(survivors, &notes);
    if (result == 0)
        result = add_all_started(survivors, &notes);
    for (size_t i = 0; result == 0 && i < notes.count; i++)
        if (!has_any(survivors, notes.items[i].token))
            worker_note_remove(dirfd(directory), notes.items[i].token);
    closedir(directory);
    survivors_clear(&notes);
    if (result < 0)
        survivors_clear(survivors);
    return result;
}
