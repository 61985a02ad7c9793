#include "master/spawn.h"

#include "master/cgroup.h"
#include "master/seccomp_filter.h"
#include "master/worker_note.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

/* Beyond all numbers that descriptors are placed at. */
#define KEPT_COPIES_FROM (SPAWN_CHANNEL_DESCRIPTOR + 1 + SPAWN_KEPT_MAX)

/* Everything below until exec runs in the vfork child, on the parent's memory: system calls only.
 */

static int duplicate_kept(const struct spawn_options *options, int copies[SPAWN_KEPT_MAX]) {
    for (unsigned i = 0; i < options->kept_count; i++) {
        copies[i] = fcntl(options->kept[i], F_DUPFD_CLOEXEC, KEPT_COPIES_FROM);
        if (copies[i] < 0)
            return errno;
    }
    return 0;
}

static int place_channel(int channel) {
    if (channel == SPAWN_CHANNEL_DESCRIPTOR)
        return fcntl(channel, F_SETFD, 0) < 0 ? errno : 0;
    return dup2(channel, SPAWN_CHANNEL_DESCRIPTOR) < 0 ? errno : 0;
}

static int place_descriptors(const struct spawn_options *options) {
    unsigned first_free = SPAWN_CHANNEL_DESCRIPTOR;
    int kept[SPAWN_KEPT_MAX] = {0};
    int error = duplicate_kept(options, kept); /* before their numbers are taken by others */

    if (error)
        return error;
    if (dup2(options->input, STDIN_FILENO) < 0)
        return errno;
    if (options->output >= 0 && dup2(options->output, STDOUT_FILENO) < 0)
        return errno;
    if (options->error >= 0 && dup2(options->error, STDERR_FILENO) < 0)
        return errno;
    if (options->channel >= 0) {
        error = place_channel(options->channel);
        if (error)
            return error;
        first_free++;
    }
    for (unsigned i = 0; i < options->kept_count; i++)
        if (dup2(kept[i], (int)first_free++) < 0)
            return errno;
    /* What our own parent left open for us is not the worker's. Kernels before 5.11 do not know the
     * call: ours are close-on-exec anyway. */
    close_range(first_free, ~0u, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static int change_user(const struct spawn_options *options) {
    uid_t real;
    uid_t effective;
    uid_t saved;

    if (setgroups(0, NULL) < 0 || setresgid(options->gid, options->gid, options->gid) < 0 ||
        setresuid(options->uid, options->uid, options->uid) < 0)
        return errno;
    if (getresuid(&real, &effective, &saved) < 0 || real != options->uid ||
        effective != options->uid || saved != options->uid)
        return EPERM;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

/* By the system call itself: glibc keeps signals 32 and 33 to itself, and its posix_spawn() leaves
 * them ignored in whoever it starts, as we may have been. */
static void reset_signals(const sigset_t *mask) {
    static const unsigned long
        by_default[4]; /* struct kernel_sigaction: SIG_DFL, no flags, no mask */

    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, by_default, NULL, sizeof(uint64_t));
    sigprocmask(SIG_SETMASK, mask, NULL);
}

static void write_pid(char *text) {
    char digits[16];
    unsigned count = 0;

    for (unsigned rest = (unsigned)getpid(); rest > 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        *text++ = digits[--count];
    *text = '\0';
}

/* `notify`: where the filter's descriptor is sent; -1: no filter. It goes first, for the worker's
 * own descriptors may take that number. */
static int become_worker(const struct spawn_options *options, const sigset_t *mask, int notify) {
    int error = notify >= 0 ? seccomp_filter_install(notify) : 0;

    if (error)
        return error;
    if (options->cgroup >= 0) {
        error = cgroup_enter(options->cgroup);
        if (error)
            return error;
    }
    setsid();
    if (options->note_token)
        worker_note_write(options->note_directory, options->note_token, options->note_text);
    if (options->cwd && chdir(options->cwd) < 0)
        return errno;
    error = place_descriptors(options);
    if (error == 0 && setrlimit(RLIMIT_NOFILE, &options->descriptors) < 0)
        error = errno;
    if (error == 0 && options->change_user)
        error = change_user(options);
    if (error)
        return error;
    if (options->pid_text)
        write_pid(options->pid_text);
    reset_signals(mask);
    execve(options->arguments[0], options->arguments, options->environment);
    return errno;
}

static int start(const struct spawn_options *options, int notify, pid_t *ret_pid) {
    volatile int error = 0; /* written by the child on our memory */
    sigset_t all;
    sigset_t none;
    sigset_t before;
    pid_t pid;

    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = vfork();
    if (pid == 0) {
        error = become_worker(options, &none, notify);
        _exit(127);
    }
    if (pid < 0)
        error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (error)
        return uv_translate_sys_error(error); /* the child that failed is reaped as an orphan */
    *ret_pid = pid;
    return 0;
}

/* A worker whose filter nobody answers for could not even bind. */
static int start_with_filter(const struct spawn_options *options, pid_t *ret_pid) {
    int ends[2];
    pid_t pid = 0;
    int result;

    *options->ret_notification = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return uv_translate_sys_error(errno);
    result = start(options, ends[1], &pid);
    if (result == 0) {
        result = seccomp_filter_receive(ends[0], options->ret_notification);
        if (result < 0)
            kill(pid, SIGKILL);
        else
            *ret_pid = pid;
    }
    close(ends[0]);
    close(ends[1]);
    return result;
}

int spawn(const struct spawn_options *options, pid_t *ret_pid) {
    if (options->ret_notification)
        return start_with_filter(options, ret_pid);
    return start(options, -1, ret_pid);
}
