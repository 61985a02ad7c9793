#include "daemon/survivors.h"

#include "base/text.h"
#include "daemon/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"

/* Up to the room that is left; -1 when it cannot be read. */
static ssize_t read_file(const char *path, char *text, size_t size) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t length;

    if (descriptor < 0)
        return -1;
    length = read(descriptor, text, size - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

int survivor_started(pid_t pid, uint64_t *ret_ticks) {
    char path[64];
    char text[1024];
    const char *rest;
    char state;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof text) <= 0)
        return UV_ESRCH;
    rest = strrchr(text, ')'); /* the program's name may hold anything */
    if (!rest || sscanf(rest + 1,
                        " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                        "%*d %" SCNu64,
                        &state, ret_ticks) != 2)
        return UV_ESRCH;
    return state == 'Z' || state == 'X' ? UV_ESRCH : 0;
}

static int read_boot(char boot[SURVIVOR_BOOT_MAX]) {
    if (read_file(BOOT_FILE, boot, SURVIVOR_BOOT_MAX) <= 0)
        return UV_ENOSYS;
    boot[strcspn(boot, "\n")] = '\0';
    return 0;
}

int survivor_print(const struct survivor *survivor, char text[SURVIVOR_TEXT_MAX]) {
    int length =
        snprintf(text, SURVIVOR_TEXT_MAX, "%d %" PRIu64 " %s %" PRIu64 " %d %u %s",
                 (int)survivor->pid, survivor->started, survivor->boot, survivor->kill_timeout_ms,
                 survivor->treekill, survivor->id, survivor->name);

    return length < 0 || length >= SURVIVOR_TEXT_MAX ? UV_EINVAL : 0;
}

int survivor_parse(struct survivor *ret_survivor, const char *text) {
    struct survivor survivor = {.pid = 0};
    unsigned treekill;
    int name = 0;
    int pid;

    if (sscanf(text, "%d %" SCNu64 " %39s %" SCNu64 " %u %u%n", &pid, &survivor.started,
               survivor.boot, &survivor.kill_timeout_ms, &treekill, &survivor.id, &name) != 6)
        return UV_EINVAL;
    if (pid <= 1 || treekill > 1 || text[name] != ' ')
        return UV_EINVAL;
    survivor.pid = pid;
    survivor.treekill = treekill;
    survivor.name = strdup(text + name + 1);
    if (!survivor.name)
        return UV_ENOMEM;
    *ret_survivor = survivor;
    return 0;
}

bool survivor_is(const struct survivor *record, const char *boot, uint64_t started_now) {
    return record->started == started_now && strcmp(record->boot, boot) == 0;
}

static void record_path(const char *home, pid_t pid, char path[HOME_FILE_MAX]) {
    snprintf(path, HOME_FILE_MAX, "%s/%s/%d", home, HOME_WORKERS, (int)pid);
}

/* Not brought to the disk: after a crash of the machine there are no survivors. So it is a new
 * file, for one that is cut would be (ext4's auto_da_alloc). */
static int write_record(const char *path, const char *text) {
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int descriptor = open(path, flags, 0600);
    size_t length = strlen(text);
    ssize_t written;

    if (descriptor < 0 && errno == EEXIST && unlink(path) == 0)
        descriptor = open(path, flags, 0600);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    written = write(descriptor, text, length);
    close(descriptor);
    if (written == (ssize_t)length)
        return 0;
    unlink(path);
    return written < 0 ? uv_translate_sys_error(errno) : UV_ENOSPC;
}

int survivor_note(const char *home, const struct survivor *worker) {
    struct survivor survivor = *worker;
    char text[SURVIVOR_TEXT_MAX];
    char path[HOME_FILE_MAX];
    int result = survivor_started(worker->pid, &survivor.started);

    if (result == 0)
        result = read_boot(survivor.boot);
    if (result == 0)
        result = survivor_print(&survivor, text);
    if (result < 0)
        return result;
    record_path(home, worker->pid, path);
    return write_record(path, text);
}

void survivor_forget(const char *home, pid_t pid) {
    char path[HOME_FILE_MAX];

    record_path(home, pid, path);
    unlink(path);
}

/* 0 when the record is of a process that lives; else what is wrong with it. */
static int examine(const char *path, const char *boot, struct survivor *ret_survivor) {
    struct survivor survivor;
    char text[SURVIVOR_TEXT_MAX];
    uint64_t started;
    int result;

    if (read_file(path, text, sizeof text) <= 0)
        return UV_EINVAL;
    result = survivor_parse(&survivor, text);
    if (result < 0)
        return result;
    if (survivor_started(survivor.pid, &started) == 0 && survivor_is(&survivor, boot, started)) {
        *ret_survivor = survivor;
        return 0;
    }
    free(survivor.name);
    return UV_ESRCH;
}

static int add(struct survivors *survivors, const struct survivor *survivor) {
    struct survivor *items =
        reallocarray(survivors->items, survivors->count + 1, sizeof *survivors->items);

    if (!items)
        return UV_ENOMEM;
    survivors->items = items;
    items[survivors->count++] = *survivor;
    return 0;
}

static int look_at(struct survivors *survivors, const char *home, const char *name,
                   const char *boot) {
    struct survivor survivor;
    char path[HOME_FILE_MAX];
    int64_t pid;
    int result;

    if (text_to_number(name, 2, INT_MAX, &pid) < 0)
        return 0;
    record_path(home, (pid_t)pid, path);
    result = examine(path, boot, &survivor);
    if (result == UV_ENOMEM)
        return result;
    if (result < 0 || survivor.pid != pid) {
        if (result == 0)
            free(survivor.name);
        unlink(path);
        return 0;
    }
    result = add(survivors, &survivor);
    if (result < 0)
        free(survivor.name);
    return result;
}

int survivors_find(struct survivors *survivors, const char *home) {
    char boot[SURVIVOR_BOOT_MAX];
    char path[HOME_FILE_MAX];
    const struct dirent *entry;
    int result = read_boot(boot);
    DIR *directory;

    *survivors = (struct survivors){.items = NULL};
    if (result < 0)
        return result;
    snprintf(path, sizeof path, "%s/%s", home, HOME_WORKERS);
    directory = opendir(path);
    if (!directory)
        return uv_translate_sys_error(errno);
    while (result == 0 && (entry = readdir(directory)))
        result = look_at(survivors, home, entry->d_name, boot);
    closedir(directory);
    if (result < 0)
        survivors_clear(survivors);
    return result;
}

void survivors_clear(struct survivors *survivors) {
    for (size_t i = 0; i < survivors->count; i++)
        free(survivors->items[i].name);
    free(survivors->items);
    *survivors = (struct survivors){.items = NULL};
}
