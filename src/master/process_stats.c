#include "master/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define SOCKETS_MAX   1024
#define LISTENING     0x0a /* TCP_LISTEN as /proc/net/tcp shows it */
#define PROC_PATH_MAX 64

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

/* The inode numbers of the process's sockets: how many. */
static size_t list_sockets(pid_t pid, unsigned long long inodes[SOCKETS_MAX]) {
    char path[PROC_PATH_MAX];
    struct dirent *entry;
    size_t count = 0;
    DIR *directory;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory)
        return 0;
    while (count < SOCKETS_MAX && (entry = readdir(directory))) {
        char target[PROC_PATH_MAX] = "";

        if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0 &&
            sscanf(target, "socket:[%llu]", &inodes[count]) == 1)
            count++;
    }
    closedir(directory);
    return count;
}

static bool table_has(pid_t pid, const char *table, const unsigned long long *inodes,
                      size_t count) {
    char path[PROC_PATH_MAX];
    char line[512];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, table);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file)) {
        unsigned long long inode;
        unsigned state;

        if (sscanf(line, " %*d: %*s %*s %x %*s %*s %*s %*u %*u %llu", &state, &inode) != 2 ||
            state != LISTENING)
            continue;
        for (size_t i = 0; i < count && !found; i++)
            found = inodes[i] == inode;
    }
    fclose(file);
    return found;
}

bool process_listens(pid_t pid) {
    unsigned long long inodes[SOCKETS_MAX];
    size_t count = list_sockets(pid, inodes);

    return count > 0 &&
           (table_has(pid, "tcp", inodes, count) || table_has(pid, "tcp6", inodes, count));
}
