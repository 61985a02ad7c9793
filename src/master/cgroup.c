#include "master/cgroup.h"

#include "master/worker_note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <uv.h>

#define PREFIX         "baton-"
#define GROUP_NAME_MAX (sizeof PREFIX + WORKER_NOTE_TOKEN_MAX + 16) /* with a file in it */
#define LINE           4096

/* The rest of the line of a file that begins so: false when there is none. */
static bool find_line(const char *path, const char *beginning, char line[LINE]) {
    size_t length = strlen(beginning);
    FILE *file = fopen(path, "re");
    bool found = false;

    while (file && !found && fgets(line, LINE, file))
        found = strncmp(line, beginning, length) == 0;
    if (file)
        fclose(file);
    if (!found)
        return false;
    line[strcspn(line, "\n")] = '\0';
    memmove(line, line + length, strlen(line + length) + 1);
    return true;
}

/* Where version 2 is mounted whole: proc(5), /proc/PID/mountinfo. */
static bool find_mount(char mount[LINE]) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[LINE];
    bool found = false;

    while (file && !found && fgets(line, sizeof line, file))
        found = strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s / %4095s", mount) == 1;
    if (file)
        fclose(file);
    return found;
}

static bool is_delegated(const char *path) {
    char value[2] = "";

    if (getxattr(path, "user.delegate", value, sizeof value) != 1 &&
        getxattr(path, "trusted.delegate", value, sizeof value) != 1)
        return false;
    return value[0] == '1' && access(path, W_OK) == 0;
}

int cgroup_open(int *ret_directory) {
    char path[2 * LINE];
    char mount[LINE];
    char own[LINE];
    int directory;

    if (!find_mount(mount) || !find_line("/proc/self/cgroup", "0::", own))
        return UV_ENOTSUP;
    snprintf(path, sizeof path, "%s%s", mount, own);
    if (!is_delegated(path))
        return UV_ENOTSUP;
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return UV_ENOTSUP;
    *ret_directory = directory;
    return 0;
}

static int open_file(int directory, const char *token, const char *file, int flags) {
    char name[GROUP_NAME_MAX];
    int descriptor;

    snprintf(name, sizeof name, PREFIX "%s/%s", token, file);
    descriptor = openat(directory, name, flags | O_CLOEXEC);
    return descriptor < 0 ? uv_translate_sys_error(errno) : descriptor;
}

int cgroup_create(int directory, const char *token) {
    char name[GROUP_NAME_MAX];
    int group;

    snprintf(name, sizeof name, PREFIX "%s", token);
    if (mkdirat(directory, name, 0755) < 0)
        return uv_translate_sys_error(errno);
    group = open_file(directory, token, "cgroup.procs", O_WRONLY);
    if (group < 0)
        cgroup_remove(directory, token);
    return group;
}

int cgroup_enter(int group) {
    return write(group, "0", 1) < 0 ? errno : 0;
}

bool cgroup_populated(int directory, const char *token) {
    int file = open_file(directory, token, "cgroup.events", O_RDONLY);
    char text[256];
    ssize_t length;

    if (file < 0)
        return false;
    length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    return strstr(text, "populated 1") != NULL;
}

bool cgroup_has(pid_t pid, const char *token) {
    char path[64];
    char line[LINE];
    char name[GROUP_NAME_MAX];

    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    snprintf(name, sizeof name, "/" PREFIX "%s", token);
    return find_line(path, "0::", line) && strstr(line, name);
}

void cgroup_kill(int directory, const char *token) {
    int file = open_file(directory, token, "cgroup.kill", O_WRONLY);

    if (file < 0)
        return;
    if (write(file, "1", 1) < 0) {
        close(file);
        return; /* it has gone meanwhile */
    }
    close(file);
}

void cgroup_remove(int directory, const char *token) {
    char name[GROUP_NAME_MAX];

    snprintf(name, sizeof name, PREFIX "%s", token);
    unlinkat(directory, name, AT_REMOVEDIR);
}

void cgroup_sweep(int directory, bool (*is_known)(void *owner, const char *token), void *owner) {
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *groups = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    while (groups && (entry = readdir(groups))) {
        const char *token = entry->d_name + strlen(PREFIX);

        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            strlen(token) != WORKER_NOTE_TOKEN_MAX - 1 || is_known(owner, token))
            continue;
        cgroup_kill(directory, token);
        cgroup_remove(directory, token);
    }
    if (groups)
        closedir(groups);
    else if (copy >= 0)
        close(copy);
}
