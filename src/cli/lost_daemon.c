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
#define CANNOT_END     "the daemon, process %d, cannot be ended: %s"

struct socket_line {
    unsigned flags;
    unsigned long inode;
    const char *name; /* within the line */
};

/* A line of /proc/net/unix; false for its head, and for sockets without a name. */
static bool read_line(const char *line, struct socket_line *ret) {
    int name = 0;

    if (sscanf(line, "%*s %*s %*s %x %*s %*s %lu %n", &ret->flags, &ret->inode, &name) < 2)
        return false;
    ret->name = line + name;
    return name > 0;
}

/* The inode of the first that listens under the name, or 0 … */
static unsigned long inode_under(FILE *table, const char *name) {
    struct socket_line socket;
    unsigned long inode = 0;
    char *line = NULL;
    size_t size = 0;

    while (inode == 0 && getline(&line, &size, table) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (read_line(line, &socket) && (socket.flags & LISTENS) && strcmp(socket.name, name) == 0)
            inode = socket.inode;
    }
    free(line);
    return inode;
}

/* … and how many lines there are of it: a socket has one. */
static unsigned count_lines(FILE *table, unsigned long inode) {
    struct socket_line socket;
    unsigned count = 0;
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, table) > 0)
        count += read_line(line, &socket) && socket.inode == inode;
    free(line);
    return count;
}

/* Names are printed as they are: that of anybody's socket may have a line break in it and go on
 * like a line of ours. Then two lines tell of one socket, and which of them is true is not known.
 */
static unsigned long find_socket(const char *socket_path) {
    FILE *table = fopen("/proc/net/unix", "re");
    unsigned long inode = 0;

    if (!table)
        return 0;
    inode = inode_under(table, socket_path);
    rewind(table);
    if (inode != 0 && count_lines(table, inode) != 1)
        inode = 0;
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

/* Others may name a socket and a process as they like, also one that runs with our rights. */
static bool is_of_our_user(const char *pid) {
    unsigned real = 0;
    unsigned effective = 0;
    bool found = false;
    char path[64];
    char *line = NULL;
    size_t size = 0;
    FILE *status;

    snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    status = fopen(path, "re");
    while (status && !found && getline(&line, &size, status) > 0)
        found = sscanf(line, "Uid: %u %u", &real, &effective) == 2;
    free(line);
    if (status)
        fclose(status);
    return found && real == getuid() && effective == geteuid();
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
            is_of_our_user(entry->d_name) && shares_our_files(entry->d_name))
            found = pid;
    }
    if (processes)
        closedir(processes);
    return (pid_t)found;
}

/* 0 once the process has ended, else the exit code of one that could not be ended. */
static int end_process(const struct cli_call *call, pid_t daemon, int process) {
    struct pollfd waited = {.fd = process, .events = POLLIN};
    int count;

    if (syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) < 0)
        return errno == ESRCH ? 0 : cli_fail(call, CANNOT_END, (int)daemon, strerror(errno));
    do {
        count = poll(&waited, 1, END_TIMEOUT_MS);
    } while (count < 0 && errno == EINTR);
    return count == 1 ? 0 : cli_fail(call, "the daemon, process %d, has not ended", (int)daemon);
}

int cli_lost_daemon_end(const struct cli_call *call, const char *socket_path, pid_t daemon) {
    int process = (int)syscall(SYS_pidfd_open, daemon, 0);
    int code = 0;

    if (process < 0)
        return errno == ESRCH ? 0 : cli_fail(call, CANNOT_END, (int)daemon, strerror(errno));
    if (cli_lost_daemon_find(socket_path) == daemon) /* its number is not another's meanwhile */
        code = end_process(call, daemon, process);
    close(process);
    return code;
}
