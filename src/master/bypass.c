#include "master/bypass.h"

#include "config/executable.h"
#include "master/process_sockets.h"
#include "master/process_stats.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static void read_program(pid_t pid, char program[PATH_MAX]) {
    char link[64];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    length = readlink(link, program, PATH_MAX - 1);
    program[length > 0 ? length : 0] = '\0';
}

static void explain(pid_t pid, const char *program, char text[BYPASS_TEXT_MAX]) {
    enum executable_kind kind = executable_inspect(program);

    if (kind == EXECUTABLE_DYNAMIC)
        snprintf(text, BYPASS_TEXT_MAX,
                 "process %d, %.160s, listens past the master, for it was started without the "
                 "preload library (by env -i, or with other rights); keep LD_PRELOAD and the "
                 "BATON_ variables in its environment, or use --intercept seccomp",
                 (int)pid, program);
    else
        snprintf(text, BYPASS_TEXT_MAX,
                 "process %d, %.160s, listens past the master, for it is %s and makes its system "
                 "calls without libc, where the preload library cannot see them; use --intercept "
                 "seccomp, or --intercept listen-fds if it can inherit a socket",
                 (int)pid, program, executable_describe(kind));
}

void bypass_find(const pid_t *sessions, size_t count, const char *library,
                 struct bypass_found *ret_found) {
    pid_t pid = process_find_listener(sessions, count, library);
    char program[PATH_MAX];

    ret_found->kind = BYPASS_NONE;
    ret_found->session = getsid(pid);
    if (pid == 0)
        return;
    if (!library && pid != ret_found->session)
        return;
    read_program(pid, program);
    ret_found->kind = library ? BYPASS_UNSEEN : BYPASS_UNSHARED;
    if (library)
        explain(pid, program, ret_found->text);
    else
        snprintf(ret_found->text, sizeof ret_found->text,
                 "process %d, %.160s, listens by itself, past the master: its clients are not "
                 "balanced",
                 (int)pid, program);
}
