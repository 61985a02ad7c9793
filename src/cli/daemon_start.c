#include "cli/daemon_start.h"

#include "base/text.h"
#include "cli/message.h"
#include "config/home.h"
#include "ipc/native_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define READY_DESCRIPTOR      3
#define READY_DESCRIPTOR_TEXT "3"
#define READY                 "ready"

extern char **environ;

int cli_daemon_lock(const char *home) {
    int directory;

    mkdir(home, 0700); /* whoever cannot is told by the daemon, which makes it with all it needs */
    directory = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0)
        while (flock(directory, LOCK_EX) < 0 && errno == EINTR)
            ;
    return directory;
}

void cli_daemon_unlock(int lock) {
    if (lock >= 0)
        close(lock);
}

/* Default signals, a session of its own, and none of our files. */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *files, int ready) {
    sigset_t signals;
    int error = 0;

    sigfillset(&signals);
    posix_spawnattr_setsigdefault(attributes, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(attributes, &signals);
    posix_spawnattr_setflags(attributes,
                             POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    for (int i = 0; error == 0 && i < READY_DESCRIPTOR; i++)
        error = posix_spawn_file_actions_addopen(files, i, "/dev/null", O_RDWR, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(files, ready, READY_DESCRIPTOR);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(files, READY_DESCRIPTOR + 1);
    return error;
}

#define WORDS_MAX  7
#define READY_WORD 3

/* What starts it. */
struct command {
    char program[PATH_MAX];
    char words[WORDS_MAX][24];
    char *argv[WORDS_MAX + 1];
};

static int find_command(const struct cli_call *call, bool background, struct command *command) {
    const struct cli_flags *flags = &call->flags;
    const char *const words[] = {call->context->dialect->pm2 ? "pm2" : "baton",
                                 "daemon",
                                 "--ready-descriptor",
                                 READY_DESCRIPTOR_TEXT,
                                 background ? "--background" : NULL,
                                 flags->fresh || (!background && flags->foreground) ? "--fresh"
                                                                                    : NULL,
                                 !background && flags->until_down ? "--until-down" : NULL};
    size_t length = sizeof command->program;
    size_t count = 0;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!words[i])
            continue;
        snprintf(command->words[count], sizeof command->words[count], "%s", words[i]);
        command->argv[count] = command->words[count];
        count++;
    }
    command->argv[count] = NULL;
    return uv_exepath(command->program, &length);
}

static int spawn(struct command *command, int ready) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    pid_t pid;
    int error;

    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    error = prepare(&attributes, &files, ready);
    if (error == 0)
        error = posix_spawn(&pid, command->program, &files, &attributes, command->argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? 0 : uv_translate_sys_error(error);
}

/* This process becomes the daemon; the caller goes on in a child. The sockets that a service
 * manager has opened for it stay where they are, so the pipe must. */
static int become(struct command *command, int ready) {
    pid_t child = fork();

    if (child < 0)
        return uv_translate_sys_error(errno);
    if (child == 0)
        return 0;
    snprintf(command->words[READY_WORD], sizeof command->words[READY_WORD], "%d", ready);
    fcntl(ready, F_SETFD, 0);
    execve(command->program, command->argv, environ);
    _exit(1); /* the pipe ends without a word, which the child tells */
}

/* What the daemon wrote until it closed the pipe, without its newline. */
static void read_word(int pipe, char *word, size_t size) {
    size_t length = 0;
    ssize_t count = 1;

    while (length + 1 < size && count != 0) {
        count = read(pipe, word + length, size - 1 - length);
        if (count < 0 && errno != EINTR)
            break;
        if (count > 0)
            length += (size_t)count;
    }
    word[length] = '\0';
    word[strcspn(word, "\n")] = '\0';
}

static int wait_ready(const struct cli_call *call, const char *home, int pipe) {
    char word[1024];

    read_word(pipe, word, sizeof word);
    if (strcmp(word, READY) == 0)
        return 0;
    if (word[0])
        cli_fail(call, "%s", word);
    else
        cli_fail(call, "the daemon ended before it was ready; its log is in %s", home);
    return UV_ECONNREFUSED;
}

static int start_with(const struct cli_call *call, const char *home, bool background,
                      struct command *command) {
    int ends[2];
    int error;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return uv_translate_sys_error(errno);
    error = background ? spawn(command, ends[1]) : become(command, ends[1]);
    close(ends[1]);
    if (error == 0 && wait_ready(call, home, ends[0]) < 0)
        error = UV_ECANCELED;
    close(ends[0]);
    return error;
}

/* A worker that has asked for the daemon ends with all that it has started, but not with that. */
static void leave_worker(void) {
    unsetenv(NATIVE_SOCKET_VARIABLE);
    unsetenv(NATIVE_TOKEN_VARIABLE);
    unsetenv(NATIVE_SLOT_VARIABLE);
}

static int start(const struct cli_call *call, const char *home, bool background) {
    const struct cli_dialect *dialect = call->context->dialect;
    struct command command;
    int error = find_command(call, background, &command);

    setenv(dialect->home_variable, home, 1); /* absolute: the daemon changes its directory */
    if (background)
        leave_worker();
    if (error == 0)
        error = start_with(call, home, background, &command);
    if (error < 0 && error != UV_ECANCELED) /* which has been said */
        cli_fail(call, "the daemon cannot be started: %s", uv_strerror(error));
    return error;
}

int cli_daemon_start(const struct cli_call *call, const char *home, bool crashed) {
    int error;

    if (crashed) {
        error = start(call, home, true);
        if (error == 0)
            cli_warn(call,
                     "the daemon had crashed, and has started again; %s/daemon.log may say why",
                     home);
        return error;
    }
    if (call->context->dialect->pm2 && getenv("PM2_DISCRETE_MODE"))
        return start(call, home, true);
    if (call->context->dialect->pm2)
        cli_say(call, "Spawning PM2 daemon with pm2_home=%s", home);
    error = start(call, home, true);
    if (error < 0)
        return error;
    if (call->context->dialect->pm2)
        cli_say(call, "PM2 Successfully daemonized");
    else
        cli_say(call, "The daemon has started; its home is %s", home);
    return 0;
}

int cli_daemon_become(const struct cli_call *call, const char *home) {
    return start(call, home, false);
}
