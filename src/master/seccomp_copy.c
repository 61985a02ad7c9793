#include "master/seccomp_internal.h"

#include <fcntl.h>
#include <string.h>

/* A number of the caller's that still has a copy of no use, or -1: whatever the program has put
 * there meanwhile is its own. */
static int find_free(const struct seccomp_supervisor *supervisor, const struct seccomp_call *call) {
    for (unsigned i = 0; i < supervisor->free_copy_count; i++) {
        const struct seccomp_copy *copy = &supervisor->free_copies[i];
        uint64_t inode;

        if (seccomp_call_inode(call, copy->number, &inode) == 0 && inode == copy->inode)
            return copy->number;
    }
    return -1;
}

void seccomp_copy_leave_notification(struct seccomp_supervisor *supervisor,
                                     const struct seccomp_call *call) {
    int number = supervisor->copied ? -1 : seccomp_call_spare_number(call);

    if (number >= 0 && seccomp_call_replace(call, supervisor->notification, number, O_CLOEXEC) == 0)
        supervisor->copied = true;
}

struct seccomp_copy seccomp_copy_leave(const struct seccomp_supervisor *supervisor,
                                       const struct seccomp_call *call, int socket) {
    struct seccomp_copy copy = {.number = find_free(supervisor, call),
                                .inode = seccomp_listener_inode(socket)};

    if (copy.number < 0)
        copy.number = seccomp_call_spare_number(call);
    if (copy.number >= 0 && seccomp_call_replace(call, socket, copy.number, O_CLOEXEC) < 0)
        copy.number = -1;
    return copy;
}

void seccomp_copy_give_up(struct seccomp_supervisor *supervisor, struct seccomp_copy copy) {
    struct seccomp_copy *copies = supervisor->free_copies;

    if (copy.number < 0)
        return;
    if (supervisor->free_copy_count == SECCOMP_FREE_COPIES_MAX)
        memmove(copies, copies + 1, --supervisor->free_copy_count * sizeof *copies);
    copies[supervisor->free_copy_count++] = copy;
}
