#include "master/seccomp_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#define NUMBERS_MIN 128 /* a limit of descriptors that has room for ours, too */
#define NUMBERS_MAX 1024

/* Receiving blocks when there is nothing; a hang-up alone is no call. */
static int check_ready(int notification) {
    struct pollfd ready = {.fd = notification, .events = POLLIN};

    if (poll(&ready, 1, 0) < 0)
        return uv_translate_sys_error(errno);
    if (ready.revents & POLLIN)
        return 0;
    return ready.revents ? UV_EOF : UV_EAGAIN;
}

int seccomp_call_receive(int notification, struct seccomp_call *ret_call) {
    struct seccomp_notif notice;
    int result = check_ready(notification);

    if (result < 0)
        return result;
    memset(&notice, 0, sizeof notice); /* the kernel insists */
    if (ioctl(notification, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
        return uv_translate_sys_error(errno);
    *ret_call = (struct seccomp_call){.notification = notification,
                                      .id = notice.id,
                                      .thread = (pid_t)notice.pid,
                                      .number = notice.data.nr};
    memcpy(ret_call->arguments, notice.data.args, sizeof ret_call->arguments);
    return 0;
}

bool seccomp_call_waits(const struct seccomp_call *call) {
    return ioctl(call->notification, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) == 0;
}

/* --- what it is about --- */

int seccomp_call_inode(const struct seccomp_call *call, int descriptor, uint64_t *ret_inode) {
    static const char prefix[] = "socket:[";
    char path[64];
    char target[64];
    ssize_t length;

    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)call->thread, descriptor);
    length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return UV_EBADF;
    target[length] = '\0';
    if (strncmp(target, prefix, sizeof prefix - 1) != 0)
        return UV_ENOTSOCK;
    *ret_inode = strtoull(target + sizeof prefix - 1, NULL, 10);
    return 0;
}

/* Reads the small file /proc/THREAD/`name` and finds the number after `label` in it. */
static int read_number(const struct seccomp_call *call, const char *name, const char *label,
                       int base) {
    char path[64];
    char text[1024];
    const char *found;
    ssize_t length;
    int file;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)call->thread, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return uv_translate_sys_error(errno);
    length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    found = strstr(text, label);
    return found ? (int)strtol(found + strlen(label), NULL, base) : UV_ENOENT;
}

int seccomp_call_flags(const struct seccomp_call *call, int descriptor, int *ret_flags) {
    char name[32];
    int result;

    snprintf(name, sizeof name, "fdinfo/%d", descriptor);
    result = read_number(call, name, "flags:\t", 8);
    if (result < 0)
        return result;
    *ret_flags = result;
    return 0;
}

int seccomp_call_open(const struct seccomp_call *call, int descriptor) {
    int group = read_number(call, "status", "\nTgid:\t", 10);
    int process;
    int duplicate;

    if (group < 0)
        return group;
    process = (int)syscall(SYS_pidfd_open, group, 0);
    if (process < 0)
        return uv_translate_sys_error(errno);
    duplicate = (int)syscall(SYS_pidfd_getfd, process, descriptor, 0);
    if (duplicate < 0)
        duplicate = uv_translate_sys_error(errno);
    close(process);
    return duplicate;
}

int seccomp_call_spare_number(const struct seccomp_call *call) {
    struct rlimit limit;
    uint64_t inode;
    int number;

    if (prlimit(call->thread, RLIMIT_NOFILE, NULL, &limit) < 0 || limit.rlim_cur < NUMBERS_MIN)
        return UV_EMFILE;
    number = limit.rlim_cur < NUMBERS_MAX ? (int)limit.rlim_cur : NUMBERS_MAX;
    for (int i = 0; i < NUMBERS_MIN / 2; i++)
        if (seccomp_call_inode(call, --number, &inode) == UV_EBADF)
            return number;
    return UV_EMFILE;
}

/* The address is the other process's: it is never used as one of ours. */
static struct iovec remote_vector(uint64_t address, size_t size) {
    struct iovec vector = {.iov_len = size};

    memcpy(&vector.iov_base, &address, sizeof vector.iov_base);
    return vector;
}

int seccomp_call_read(const struct seccomp_call *call, uint64_t address, void *bytes, size_t size) {
    struct iovec local = {.iov_base = bytes, .iov_len = size};
    struct iovec remote = remote_vector(address, size);

    return process_vm_readv(call->thread, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0
                                                                                     : UV_EFAULT;
}

int seccomp_call_write(const struct seccomp_call *call, uint64_t address, const void *bytes,
                       size_t size) {
    union {
        const void *in;
        void *out;
    } pointer = {.in = bytes}; /* only read, but taken through a pointer that is not const */
    struct iovec local = {.iov_base = pointer.out, .iov_len = size};
    struct iovec remote = remote_vector(address, size);

    return process_vm_writev(call->thread, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0
                                                                                      : UV_EFAULT;
}

/* --- answers --- */

static int respond(const struct seccomp_call *call, int error, uint32_t flags) {
    struct seccomp_notif_resp response = {.id = call->id, .error = error, .flags = flags};

    return ioctl(call->notification, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0
               ? uv_translate_sys_error(errno)
               : 0;
}

void seccomp_call_continue(const struct seccomp_call *call) {
    respond(call, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

int seccomp_call_answer(const struct seccomp_call *call, int result) {
    return respond(call, result, 0); /* UV_E* is -errno, which is what the kernel wants */
}

/* The kernel has the calling thread install the descriptor itself and waits for it, which is on the
 * processor next. A signal of ours must not end that wait: a call that is half answered would
 * return 0. */
static int add_descriptor(const struct seccomp_call *call, struct seccomp_notif_addfd *wanted) {
    sigset_t all;
    sigset_t before;
    int result;

    wanted->id = call->id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = ioctl(call->notification, SECCOMP_IOCTL_NOTIF_ADDFD, wanted);
    if (result < 0)
        result = uv_translate_sys_error(errno);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == UV_ESRCH)
        return UV_ENOENT; /* interrupted while the descriptor was on its way */
    return result < 0 ? result : 0;
}

int seccomp_call_answer_descriptor(const struct seccomp_call *call, int descriptor, int flags) {
    struct seccomp_notif_addfd wanted = {.flags = SECCOMP_ADDFD_FLAG_SEND,
                                         .srcfd = (uint32_t)descriptor,
                                         .newfd_flags = (uint32_t)flags};

    return add_descriptor(call, &wanted);
}

int seccomp_call_replace(const struct seccomp_call *call, int descriptor, int number, int flags) {
    struct seccomp_notif_addfd wanted = {.flags = SECCOMP_ADDFD_FLAG_SETFD,
                                         .srcfd = (uint32_t)descriptor,
                                         .newfd = (uint32_t)number,
                                         .newfd_flags = (uint32_t)flags};

    return add_descriptor(call, &wanted);
}
