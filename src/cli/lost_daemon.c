#include "cli/lost_daemon.h"

#include "base/text.h"
#include "cli/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LISTENS        0x10000 /* __SO_ACCEPTCON of the kernel's flags */
#define END_TIMEOUT_MS 60000   /* its apps are given their kill_timeout */

/* The inode of a line of /proc/net/unix, if it is a listening socket of this name; else 0. */
static unsigned long inode_of(const char *line, const char *socket_path) {
    unsigned long inode;
    unsigned flags;
    int name = 0;

    if (sscanf(line, "%*s %*s %*s %x %*s %*s %lu %n", &flags, &inode, &name) < 2 || name == 0)
        return 0;
    return (flags & LISTENS) && strcmp(line + name, socket_path) == 0 ? inode : 0;
}

static unsigned long find_socket(const char *socket_path) {
    FILE *table = fopen("/proc/net/unix", "re");
    unsigned long inode = 0;
    char *line = NULL;
    size_t size = 0;

    while (table && inode == 0 && getline(&line, &size, table) > 0) {
        line[strcspn(line, "\n")] = '\0';
        inode = inode_of(line, socket_path);
    }
    free(line);
    if (table)
        fclose(table);
    return inode;
}

static bool has_socket(const char *pid, unsigned long inode) {
    char wanted[64];
    char path[64];
    DIR *descriptors;
    bool found = false;

    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    descriptors = opendir(path);
    for (struct dirent *entry; descriptors && !found && (entry = readdir(descriptors));) {
        char target[64];
        ssize_t length = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target - 1);

        target[length > 0 ? length : 0] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    if (descriptors)
        closedir(descriptors);
    return found;
}

/* Whether paths mean the same to it: it may be in a container that shares our network. */
static bool shares_our_files(const char *pid) {
    static const char *const names[] = {"ns/mnt", "root"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat own;
        struct stat its;
        char path[64];

        snprintf(path, sizeof path, "/proc/self/%s", names[i]);
        if (stat(path, &own) < 0)
            return false;
        snprintf(path, sizeof path, "/proc/%.20s/%s", pid, names[i]);
        if (stat(path, &its) < 0 || its.st_dev != own.st_dev || its.st_ino != own.st_ino)
            return false;
    }
    return true;
}

/* Its second word is `daemon`: whoever else has its socket, such as a service manager, is not it.
 */
static bool is_daemon(const char *pid) {
    char words[PATH_MAX];
    char path[64];
    ssize_t length;
    size_t first;
    int file;

    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    length = read(file, words, sizeof words - 1);
    close(file);
    words[length > 0 ? length : 0] = '\0';
    first = strlen(words) + 1;
    return (ssize_t)first < length && strcmp(words + first, "daemon") == 0;
}

pid_t cli_lost_daemon_find(const char *socket_path) {
    unsigned long inode = find_socket(socket_path);
    DIR *processes = inode ? opendir("/proc") : NULL;
    int64_t found = 0;

    for (struct dirent *entry; processes && found == 0 && (entry = readdir(processes));) {
        int64_t pid;

        if (text_to_number(entry->d_name, 1, INT_MAX, &pid) == 0 &&
            has_socket(entry->d_name, inode) && is_daemon(entry->d_name) &&
            shares_our_files(entry->d_name))
            found = pid;
    }
    if (processes)
        closedir(processes);
    return (pid_t)found;
}

int cli_lost_daemon_end(const struct cli_call *call, pid_t daemon) {
    int process = (int)syscall(SYS_pidfd_open, daemon, 0);
    struct pollfd waited = {.fd = process, .events = POLLIN};
    int count;

    if (process < 0 && errno == ESRCH)
        return 0;
    if (process < 0 || syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) < 0) {
        cli_fail(call, "the daemon, process %d, cannot be ended: %s", (int)daemon, strerror(errno));
        if (process >= 0)
            close(process);
        return 1;
    }
    do {
        count = poll(&waited, 1, END_TIMEOUT_MS);
    } while (count < 0 && errno == EINTR);
    close(process);
    return count == 1 ? 0 : cli_fail(call, "the daemon, process %d, has not ended", (int)daemon);
}
