#include "master/process_sockets.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* States as /proc/net/tcp shows them, from the kernel's net/tcp_states.h. */
#define ESTABLISHED   0x01
#define CLOSE_WAIT    0x08
#define LISTENING     0x0a
#define PROC_PATH_MAX 64

/* Inode numbers of sockets. init: all zero; clear: free(items). */
struct inodes {
    unsigned long long *items;
    size_t count;
    size_t room;
};

/* One line of /proc/net/tcp. */
struct tcp_line {
    unsigned port;
    unsigned state;
    unsigned long long inode;
};

static bool add_inode(struct inodes *inodes, unsigned long long inode) {
    if (inodes->count == inodes->room) {
        size_t room = inodes->room ? 2 * inodes->room : 64;
        unsigned long long *items = realloc(inodes->items, room * sizeof *items);

        if (!items)
            return false;
        inodes->items = items;
        inodes->room = room;
    }
    inodes->items[inodes->count++] = inode;
    return true;
}

/* Adds the sockets of one process; false when memory is out. */
static bool add_sockets(struct inodes *inodes, pid_t pid) {
    char path[PROC_PATH_MAX];
    struct dirent *entry;
    bool complete = true;
    DIR *directory;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory)
        return true;
    while (complete && (entry = readdir(directory))) {
        char target[PROC_PATH_MAX] = "";
        unsigned long long inode;

        if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0 &&
            sscanf(target, "socket:[%llu]", &inode) == 1)
            complete = add_inode(inodes, inode);
    }
    closedir(directory);
    return complete;
}

/* Calls `visit` for each process of the session, its leader first, until it answers false; false
 * then. */
static bool each_process(pid_t session, bool (*visit)(void *argument, pid_t pid), void *argument) {
    bool more = visit(argument, session);
    DIR *processes = opendir("/proc");
    struct dirent *entry;

    if (!processes)
        return more;
    while (more && (entry = readdir(processes))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && pid != session && getsid(pid) == session)
            more = visit(argument, pid);
    }
    closedir(processes);
    return more;
}

static bool visit_sockets(void *argument, pid_t pid) {
    return add_sockets(argument, pid);
}

static bool has_inode(const struct inodes *inodes, unsigned long long inode) {
    for (size_t i = 0; i < inodes->count; i++)
        if (inodes->items[i] == inode)
            return true;
    return false;
}

static int compare_inodes(const void *one, const void *other) {
    const unsigned long long *left = one;
    const unsigned long long *right = other;

    return (*left > *right) - (*left < *right);
}

/* A process may have as many sockets as the table has lines, so they are looked up sorted. */
static bool find_inode(const struct inodes *inodes, unsigned long long inode) {
    return inodes->count > 0 && bsearch(&inode, inodes->items, inodes->count, sizeof *inodes->items,
                                        compare_inodes) != NULL;
}

/* How many lines of one table are the session's and wanted. */
static uint32_t count_in_table(const char *path, const struct inodes *inodes,
                               bool (*is_wanted)(const struct tcp_line *line, unsigned port),
                               unsigned port) {
    char text[512];
    uint32_t count = 0;
    FILE *file = fopen(path, "re");

    if (!file)
        return 0;
    while (fgets(text, sizeof text, file)) {
        struct tcp_line line;

        if (sscanf(text, " %*d: %*[^:]:%x %*s %x %*s %*s %*s %*u %*u %llu", &line.port, &line.state,
                   &line.inode) != 3)
            continue;
        if (is_wanted(&line, port) && find_inode(inodes, line.inode))
            count++;
    }
    fclose(file);
    return count;
}

/* In the network of that process: a worker may have one of its own. */
static uint32_t count_in_tables(pid_t pid, struct inodes *inodes,
                                bool (*is_wanted)(const struct tcp_line *line, unsigned port),
                                unsigned port) {
    char path[PROC_PATH_MAX];
    uint32_t count;

    if (inodes->count == 0)
        return 0;
    qsort(inodes->items, inodes->count, sizeof *inodes->items, compare_inodes);
    snprintf(path, sizeof path, "/proc/%d/net/tcp", (int)pid);
    count = count_in_table(path, inodes, is_wanted, port);
    snprintf(path, sizeof path, "/proc/%d/net/tcp6", (int)pid);
    return count + count_in_table(path, inodes, is_wanted, port);
}

static bool is_listening(const struct tcp_line *line, unsigned port) {
    (void)port;
    return line->state == LISTENING;
}

static bool is_connected(const struct tcp_line *line, unsigned port) {
    return line->port == port && (line->state == ESTABLISHED || line->state == CLOSE_WAIT);
}

bool process_session_holds(pid_t session, ino_t inode) {
    struct inodes inodes = {.items = NULL};
    bool complete = add_sockets(&inodes, session); /* the usual case, and all others are slow */
    bool held = has_inode(&inodes, inode);

    if (complete && !held) {
        complete = each_process(session, visit_sockets, &inodes);
        held = has_inode(&inodes, inode);
    }
    free(inodes.items);
    return held || !complete;
}

static bool visit_listener(void *argument, pid_t pid) {
    struct inodes inodes = {.items = NULL};
    pid_t *found = argument;

    add_sockets(&inodes, pid);
    if (count_in_tables(pid, &inodes, is_listening, 0) > 0)
        *found = pid;
    free(inodes.items);
    return *found == 0;
}

pid_t process_session_listener(pid_t session) {
    pid_t found = 0;

    each_process(session, visit_listener, &found);
    return found;
}

uint32_t process_session_connections(pid_t session, uint16_t port) {
    struct inodes inodes = {.items = NULL};
    uint32_t count;

    each_process(session, visit_sockets, &inodes);
    count = count_in_tables(session, &inodes, is_connected, port);
    free(inodes.items);
    return count;
}
