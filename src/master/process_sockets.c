#include "master/process_sockets.h"

#include "master/process_stats.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROC_PATH_MAX   64
#define DUMP_SIZE       32768
#define IN_STATE(state) (1u << (state))

/* Inode numbers of sockets. init: all zero; clear: free(items). */
struct inodes {
    unsigned long long *items;
    size_t count;
    size_t room;
};

/* What of all TCP sockets is looked for. */
struct wanted_sockets {
    const struct inodes *inodes; /* sorted */
    uint32_t states;             /* IN_STATE()s */
    uint16_t port;               /* local; 0: any */
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

/* Calls `visit` for each process, but ours and those of session `without`, until it answers false;
 * false then. With `only` it is called for those of that session alone. */
static bool each_entry(pid_t only, pid_t without, bool (*visit)(void *argument, pid_t pid),
                       void *argument) {
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    bool more = true;

    if (!processes)
        return true;
    while (more && (entry = readdir(processes))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        pid_t session = pid > 0 && pid != getpid() ? getsid(pid) : -1;

        if (session > 0 && session != without && (only == 0 || session == only) && pid != only)
            more = visit(argument, pid);
    }
    closedir(processes);
    return more;
}

/* For each process of the session, its leader first. */
static bool each_process(pid_t session, bool (*visit)(void *argument, pid_t pid), void *argument) {
    return visit(argument, session) && each_entry(session, 0, visit, argument);
}

static bool visit_sockets(void *argument, pid_t pid) {
    return add_sockets(argument, pid);
}

static int compare_inodes(const void *one, const void *other) {
    const unsigned long long *left = one;
    const unsigned long long *right = other;

    return (*left > *right) - (*left < *right);
}

/* A process may have as many sockets as the dump, so they are looked up sorted. */
static bool find_inode(const struct inodes *inodes, unsigned long long inode) {
    return inodes->count > 0 && bsearch(&inode, inodes->items, inodes->count, sizeof *inodes->items,
                                        compare_inodes) != NULL;
}

static int ask_for_dump(int netlink, uint8_t family, uint32_t states) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = states}};

    return send(netlink, &message, sizeof message, 0) < 0 ? -1 : 0;
}

static bool is_wanted(const struct wanted_sockets *wanted, const struct inet_diag_msg *socket) {
    if (wanted->port && ntohs(socket->id.idiag_sport) != wanted->port)
        return false;
    return find_inode(wanted->inodes, socket->idiag_inode);
}

/* Counts in one part of a dump; false when it was the last. */
static bool count_part(const struct wanted_sockets *wanted, void *part, size_t length,
                       uint32_t *count) {
    struct nlmsghdr *message = part;

    for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return false;
        if (message->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
            message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
            *count += is_wanted(wanted, NLMSG_DATA(message));
    }
    return true;
}

/* The kernel fills a dump in while it is read, so no read waits. Unlike the tables of /proc/net it
 * goes by state: connections that linger after their end, often many more, cost nothing. */
static uint32_t count_family(const struct wanted_sockets *wanted, int netlink, uint8_t family) {
    union {
        struct nlmsghdr alignment;
        char bytes[DUMP_SIZE];
    } part;
    uint32_t count = 0;
    ssize_t length;

    if (ask_for_dump(netlink, family, wanted->states) < 0)
        return 0;
    do
        length = recv(netlink, &part, sizeof part, MSG_DONTWAIT);
    while (length > 0 && count_part(wanted, &part, (size_t)length, &count));
    return count;
}

static uint32_t count_sockets(struct inodes *inodes, uint32_t states, uint16_t port) {
    struct wanted_sockets wanted = {.inodes = inodes, .states = states, .port = port};
    uint32_t count;
    int netlink;

    if (inodes->count == 0)
        return 0;
    netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return 0;
    qsort(inodes->items, inodes->count, sizeof *inodes->items, compare_inodes);
    count = count_family(&wanted, netlink, AF_INET) + count_family(&wanted, netlink, AF_INET6);
    close(netlink);
    return count;
}

/* Whether the entry of a process's directory of descriptors is this socket. */
static bool is_socket(int directory, const char *entry, ino_t inode) {
    char target[PROC_PATH_MAX] = "";
    unsigned long long found;

    return readlinkat(directory, entry, target, sizeof target - 1) > 0 &&
           sscanf(target, "socket:[%llu]", &found) == 1 && found == inode;
}

/* One system call, where the search takes one for each descriptor of each process. */
static bool is_still_there(const struct process_place *place, ino_t inode) {
    char path[PROC_PATH_MAX];

    if (place->pid == 0)
        return false;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)place->pid, place->descriptor);
    return is_socket(AT_FDCWD, path, inode);
}

struct search {
    ino_t inode;
    struct process_place *place;
    bool of_session; /* it must be known what its processes hold */
    bool over;       /* found, or nobody can say */
};

/* When no directory could be opened. A process that has ended holds nothing. */
static bool is_unknown(const struct search *search) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        return true;
    return search->of_session && (errno == EACCES || errno == EPERM);
}

static bool visit_search(void *argument, pid_t pid) {
    struct search *search = argument;
    char path[PROC_PATH_MAX];
    struct dirent *entry;
    DIR *directory;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory) {
        search->over = is_unknown(search);
        return !search->over;
    }
    while (!search->over && (entry = readdir(directory))) {
        search->over = is_socket(dirfd(directory), entry->d_name, search->inode);
        if (search->over)
            *search->place = (struct process_place){
                .pid = pid, .descriptor = (int)strtol(entry->d_name, NULL, 10)};
    }
    closedir(directory);
    return !search->over;
}

bool process_holds(pid_t session, ino_t inode, struct process_place *place) {
    struct search search = {.inode = inode, .place = place, .of_session = true};

    if (is_still_there(place, inode))
        return true;
    if (each_process(session, visit_search, &search)) {
        search.of_session = false; /* a child may have begun a session of its own */
        each_entry(0, session, visit_search, &search);
    }
    return search.over;
}

static bool has_listener(pid_t pid) {
    struct inodes inodes = {.items = NULL};
    bool found;

    add_sockets(&inodes, pid);
    found = count_sockets(&inodes, IN_STATE(TCP_LISTEN), 0) > 0;
    free(inodes.items);
    return found;
}

struct listener_search {
    const pid_t *sessions;
    size_t count;
    const char *without; /* a library that the process must not have mapped, or NULL */
    pid_t found;
};

static bool visit_listener(void *argument, pid_t pid) {
    struct listener_search *search = argument;
    pid_t session = getsid(pid);
    bool wanted = false;

    for (size_t i = 0; i < search->count && !wanted; i++)
        wanted = search->sessions[i] == session;
    if (wanted && !(search->without && process_has_mapped(pid, search->without)) &&
        has_listener(pid))
        search->found = pid;
    return search->found == 0;
}

pid_t process_find_listener(const pid_t *sessions, size_t count, const char *without) {
    struct listener_search search = {.sessions = sessions, .count = count, .without = without};

    each_entry(0, 0, visit_listener, &search);
    return search.found;
}

static uint32_t count_of_session(pid_t session, uint32_t states, uint16_t port) {
    struct inodes inodes = {.items = NULL};
    uint32_t count;

    each_process(session, visit_sockets, &inodes);
    count = count_sockets(&inodes, states, port);
    free(inodes.items);
    return count;
}

bool process_session_listens(pid_t session, uint16_t port) {
    return count_of_session(session, IN_STATE(TCP_LISTEN), port) > 0;
}

uint32_t process_session_connections(pid_t session, uint16_t port) {
    return count_of_session(session, IN_STATE(TCP_ESTABLISHED) | IN_STATE(TCP_CLOSE_WAIT), port);
}
