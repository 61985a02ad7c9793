#include "daemon/home.h"

#include "base/prng.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define HASH_TEXT_MAX 10 /* "-xxxxxxxx" and the NUL */

static int fail(char error[HOME_ERROR_MAX], const char *what, const char *path) {
    int result = uv_translate_sys_error(errno);
    char name[HOME_ERROR_MAX / 2];

    text_escape_utf8(name, sizeof name, path, strlen(path));
    snprintf(error, HOME_ERROR_MAX, "cannot %s %s: %s", what, name, uv_strerror(result));
    return result;
}

/* The directories above it, as `mkdir -p` makes them. */
static int make_parents(const char *directory, char error[HOME_ERROR_MAX]) {
    char path[PATH_MAX];

    if (strlen(directory) >= sizeof path) {
        errno = ENAMETOOLONG;
        return fail(error, "use", directory);
    }
    memcpy(path, directory, strlen(directory) + 1);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return fail(error, "make", path);
        *slash = '/';
    }
    return 0;
}

static int secure(const char *directory, char error[HOME_ERROR_MAX]) {
    char name[HOME_ERROR_MAX / 2];
    struct stat status;

    if (stat(directory, &status) < 0)
        return fail(error, "look at", directory);
    text_escape_utf8(name, sizeof name, directory, strlen(directory));
    if (!S_ISDIR(status.st_mode)) {
        snprintf(error, HOME_ERROR_MAX, "%s is no directory", name);
        return UV_ENOTDIR;
    }
    if (status.st_uid != geteuid()) {
        snprintf(error, HOME_ERROR_MAX,
                 "%s belongs to user %u: who owns it commands the daemon, so it must be your own",
                 name, (unsigned)status.st_uid);
        return UV_EPERM;
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) &&
        chmod(directory, status.st_mode & 07777 & ~(mode_t)(S_IWGRP | S_IWOTH)) < 0)
        return fail(error, "take others' right to write to", directory);
    return 0;
}

static int make_directory(const char *directory, char error[HOME_ERROR_MAX]) {
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return fail(error, "make", directory);
    return secure(directory, error);
}

int home_create(const char *home, char error[HOME_ERROR_MAX]) {
    static const char *const directories[] = {HOME_LOGS, HOME_PIDS, HOME_WORKERS};
    char path[HOME_FILE_MAX];
    int result = make_parents(home, error);

    if (result == 0)
        result = make_directory(home, error);
    for (size_t i = 0; i < sizeof directories / sizeof directories[0] && result == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", home, directories[i]);
        result = make_directory(path, error);
    }
    return result;
}

static char safe_byte(const char *name, size_t at) {
    unsigned char byte = (unsigned char)name[at];

    return byte < 0x20 || byte == 0x7f || byte == '/' || (at == 0 && byte == '.') ? '_'
                                                                                  : (char)byte;
}

/* FNV-1a, mixed: short and well spread, no secret. */
static uint32_t hash(const char *text) {
    uint64_t value = 0xcbf29ce484222325u;

    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 0x100000001b3u;
    return (uint32_t)prng_mix(value);
}

void home_safe_name(const char *name, char ret_text[HOME_NAME_MAX + 16]) {
    size_t whole = strlen(name);
    size_t length = whole < HOME_NAME_MAX ? whole : HOME_NAME_MAX;

    while (length < whole && length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80)
        length--;
    for (size_t i = 0; i < length; i++)
        ret_text[i] = safe_byte(name, i);
    ret_text[length] = '\0';
    if (length < whole || length == 0 || memcmp(ret_text, name, length) != 0)
        snprintf(ret_text + length, HASH_TEXT_MAX, "-%08x", hash(name));
}

int home_pid_path(const char *home, const char *name, uint32_t id, char *path, size_t size) {
    char text[HOME_NAME_MAX + 16];
    int length;

    home_safe_name(name, text);
    length = snprintf(path, size, "%s/%s/%s-%u.pid", home, HOME_PIDS, text, id);
    return length < 0 || (size_t)length >= size ? UV_ENAMETOOLONG : 0;
}

/* Over what is there, and then cut: a file that is cut to nothing first is brought to the disk when
 * it is closed (ext4's auto_da_alloc), which takes a hundred times as long. */
int home_write_pid(const char *path, int pid) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    int result = 0;
    int length;

    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    length = dprintf(descriptor, "%d\n", pid);
    if (length < 0 || (ftruncate(descriptor, length) < 0 && errno != EINVAL))
        result = uv_translate_sys_error(errno);
    close(descriptor);
    return result;
}

void home_remove_pid(const char *path) {
    unlink(path);
}

void home_remove_pids(const char *home) {
    char path[HOME_FILE_MAX];
    const struct dirent *entry;
    DIR *directory;

    snprintf(path, sizeof path, "%s/%s", home, HOME_PIDS);
    directory = opendir(path);
    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (text_ends_with(entry->d_name, ".pid"))
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}
