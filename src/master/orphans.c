#include "master/orphans.h"

#include "ipc/native_protocol.h"
#include "master/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK   4096
#define EXITING 0x4u /* PF_EXITING among the flags of proc(5), /proc/PID/stat */

/* What of an environment is read so far. */
struct search {
    size_t place;  /* in the variable's name and value; ELSEWHERE: this is another variable */
    char *token;   /* what was found */
    bool is_whole; /* … to its end */
};

#define NAME      NATIVE_TOKEN_VARIABLE "="
#define NAME_SIZE (sizeof NAME - 1)
#define ELSEWHERE SIZE_MAX

static void take_byte(struct search *search, char byte) {
    size_t place = search->place;

    if (byte == '\0') {
        search->is_whole = place == NAME_SIZE + WORKER_NOTE_TOKEN_MAX - 1;
        search->place = 0;
        return;
    }
    if (place == ELSEWHERE)
        return;
    search->place = ELSEWHERE;
    if (place < NAME_SIZE && byte != NAME[place])
        return;
    if (place >= NAME_SIZE + WORKER_NOTE_TOKEN_MAX - 1)
        return;
    if (place >= NAME_SIZE)
        search->token[place - NAME_SIZE] = byte;
    search->place = place + 1;
}

bool orphans_read_token(pid_t pid, char ret_token[WORKER_NOTE_TOKEN_MAX]) {
    struct search search = {.token = ret_token};
    size_t total = 0;
    char block[BLOCK];
    char path[64];
    ssize_t length;
    int file;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    file = open(path, O_RDONLY | O_CLOEXEC);
    while (file >= 0 && !search.is_whole && total < ORPHANS_ENVIRONMENT_MAX &&
           (length = read(file, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < length && !search.is_whole; i++)
            take_byte(&search, block[i]);
        total += (size_t)length;
    }
    if (file >= 0)
        close(file);
    ret_token[WORKER_NOTE_TOKEN_MAX - 1] = '\0';
    return search.is_whole;
}

static bool has_token(pid_t pid, const char *token) {
    char found[WORKER_NOTE_TOKEN_MAX];

    return orphans_read_token(pid, found) && strcmp(found, token) == 0;
}

static bool is_left_behind(const struct orphans_of *whose, pid_t pid) {
    if (whose->is_worker(whose->owner, pid) || getpgid(pid) == whose->session)
        return false;
    return (whose->session > 0 && getsid(pid) == whose->session) ||
           (whose->grouped && cgroup_has(pid, whose->token)) || has_token(pid, whose->token);
}

/* One that is just ending has no environment any more, and may still have children, which are not
 * ours yet. */
static bool is_ending(pid_t pid) {
    char path[64];
    char line[512];
    const char *rest;
    unsigned flags;
    char state;
    size_t length;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    rest = strrchr(line, ')'); /* the program's name may hold anything */
    return rest && sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2 &&
           (flags & EXITING) != 0;
}

/* Its number is nobody else's before we reap it. */
static size_t visit(const struct orphans_of *whose, pid_t pid, int number) {
    if (!is_left_behind(whose, pid))
        return !whose->is_worker(whose->owner, pid) && is_ending(pid);
    if (number != 0)
        kill(getpgid(pid) == pid ? -pid : pid, number);
    return 1;
}

static size_t visit_children(const struct orphans_of *whose, int number) {
    char path[64];
    char block[BLOCK];
    size_t count = 0;
    ssize_t length;
    pid_t pid = 0;
    int file;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    file = open(path, O_RDONLY | O_CLOEXEC);
    while (file >= 0 && (length = read(file, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < length; i++) {
            if (block[i] >= '0' && block[i] <= '9') {
                pid = pid * 10 + (block[i] - '0');
                continue;
            }
            if (pid > 0)
                count += visit(whose, pid, number);
            pid = 0;
        }
    }
    if (file >= 0)
        close(file);
    return count;
}

/* The list may lack a child when another one ends while it is read (proc(5)). */
size_t orphans_signal(const struct orphans_of *whose, int number) {
    size_t count = visit_children(whose, number);

    return count > 0 ? count : visit_children(whose, number);
}
