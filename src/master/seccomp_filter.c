#include "master/seccomp_filter.h"

#include "ipc/descriptor.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

/* The architectures on which each of the calls is one of its own and the number of x32's differ
 * from ours. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#define ARCHITECTURE 0
#endif

/* The filter's length is counted by hand, for jumps are relative: `left` tests follow this one,
 * then the return that allows, then the one that asks. */
#define ASK_ABOUT(number, left) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), (left) + 1, 0)
#define LOAD(field)             BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(action)          BPF_STMT(BPF_RET | BPF_K, (action))

/* The notification descriptor, or -1. */
static int install(void) {
    struct sock_filter instructions[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 6),
        LOAD(nr),
        ASK_ABOUT(SYS_accept4, 4),
        ASK_ABOUT(SYS_accept, 3),
        ASK_ABOUT(SYS_getsockname, 2),
        ASK_ABOUT(SYS_bind, 1),
        ASK_ABOUT(SYS_listen, 0),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {.len = sizeof instructions / sizeof instructions[0],
                                 .filter = instructions};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    /* Nothing is confined here, so nothing is to be slowed down against speculation either. */
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                        &program);
}

int seccomp_filter_install(int socket) {
    struct descriptor_message message = {.bytes = "n", .length = 1, .descriptor = install()};
    ssize_t sent;

    if (message.descriptor < 0)
        return errno;
    sent = descriptor_send(socket, &message);
    return sent < 0 ? (int)-sent : 0;
}

int seccomp_filter_receive(int socket, int *ret_notification) {
    struct descriptor_received received;
    char byte;
    int result = descriptor_receive(socket, &byte, sizeof byte, &received);

    if (result < 0)
        return result;
    if (received.count != 1) {
        descriptor_discard(&received);
        return received.truncated ? UV_EMFILE : UV_EPROTO;
    }
    *ret_notification = received.descriptors[0];
    return 0;
}

/* Unknown flags are refused before the call is looked for, of which there is none. */
static bool can_answer_with_descriptor(int notification) {
    struct seccomp_notif_addfd wanted = {.flags = SECCOMP_ADDFD_FLAG_SEND,
                                         .srcfd = (uint32_t)notification};

    return ioctl(notification, SECCOMP_IOCTL_NOTIF_ADDFD, &wanted) < 0 && errno == ENOENT;
}

static bool sizes_are_known(void) {
    struct seccomp_notif_sizes sizes;

    return syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 &&
           sizes.seccomp_notif == sizeof(struct seccomp_notif) &&
           sizes.seccomp_notif_resp == sizeof(struct seccomp_notif_resp);
}

static bool try_in_child(void) {
    int status = 1;
    pid_t pid = fork();

    if (pid == 0) {
        int notification = install();

        _exit(notification < 0 || !can_answer_with_descriptor(notification));
    }
    if (pid < 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool seccomp_supported(void) {
    if (ARCHITECTURE == 0 || !sizes_are_known())
        return false;
    if (syscall(SYS_pidfd_getfd, -1, -1, 0) < 0 && errno != EBADF)
        return false;
    return access("/proc/self/fd", X_OK) == 0 && try_in_child();
}
