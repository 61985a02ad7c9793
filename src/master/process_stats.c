#include "master/process_stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define PROC_PATH_MAX   64
#define GENERATIONS_MAX 32

int process_stats(pid_t pid, uint64_t *ret_cpu_ms, uint64_t *ret_memory) {
    char path[PROC_PATH_MAX];
    char text[1024];
    unsigned long long user;
    unsigned long long system;
    long long pages;
    const char *rest;
    ssize_t length;
    int descriptor;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return UV_ESRCH;
    length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (length <= 0)
        return UV_ESRCH;
    text[length] = '\0';
    rest = strrchr(text, ')'); /* the program's name may hold anything */
    if (!rest || sscanf(rest + 1,
                        " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
                        "%*d %*d %*u %*u %lld",
                        &user, &system, &pages) != 3)
        return UV_ESRCH;
    *ret_cpu_ms = (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    *ret_memory = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}

/* 0 when it is gone, or the first process. */
static pid_t parent_of(pid_t pid) {
    char path[PROC_PATH_MAX];
    char text[512];
    const char *rest;
    int parent = 0;
    ssize_t length;
    int descriptor;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
    rest = strrchr(text, ')'); /* the program's name may hold anything */
    return rest && sscanf(rest + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool process_is_descendant(pid_t pid) {
    for (int level = 0; level < GENERATIONS_MAX && pid > 1; level++) {
        pid = parent_of(pid);
        if (pid == getpid())
            return true;
    }
    return false;
}

bool process_has_mapped(pid_t pid, const char *path) {
    char name[PROC_PATH_MAX];
    size_t length = strlen(path);
    size_t room = 0;
    char *line = NULL;
    bool found = false;
    ssize_t read_length;
    FILE *file;

    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    file = fopen(name, "re");
    if (!file)
        return false;
    while (!found && (read_length = getline(&line, &room, file)) > 0) {
        if (line[read_length - 1] == '\n')
            line[--read_length] = '\0';
        found = (size_t)read_length > length && line[(size_t)read_length - length - 1] == ' ' &&
                strcmp(line + (size_t)read_length - length, path) == 0;
    }
    free(line);
    fclose(file);
    return found;
}
