#include "ipc/accept_peek.h"

#include "ipc/native_protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define PROBES_MAX 8 /* skipped in one go; the master sends one at a time */

/* Ancillary data must be aligned as a struct cmsghdr (cmsg(3)). With room for one descriptor no
 * more are made, whatever the record brings. */
union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
};

static int descriptor_of(struct msghdr *header) {
    const struct cmsghdr *message = CMSG_FIRSTHDR(header);
    int descriptor;

    if (!message || message->cmsg_level != SOL_SOCKET || message->cmsg_type != SCM_RIGHTS ||
        message->cmsg_len < CMSG_LEN(sizeof(int)))
        return -1;
    memcpy(&descriptor, CMSG_DATA(message), sizeof(int));
    return descriptor;
}

static void fill_in(const struct native_client *record, int descriptor,
                    struct accept_socket_returned *ret_client) {
    *ret_client = (struct accept_socket_returned){.descriptor = descriptor,
                                                  .sequence = record->sequence,
                                                  .address_length = record->address_length};
    if (ret_client->address_length > sizeof record->address)
        ret_client->address_length = sizeof record->address;
    memcpy(&ret_client->address, record->address, ret_client->address_length);
}

/* 1 with a client, 0 for a record without one. */
static int peek_record(int worker_end, struct accept_socket_returned *ret_client) {
    struct native_client record = {0};
    union control control;
    struct iovec vector = {.iov_base = &record, .iov_len = sizeof record};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t length;
    int descriptor;

    memset(&control, 0, sizeof control);
    length = recvmsg(worker_end, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return -errno;
    if (length == 0)
        return -EPIPE;
    descriptor = descriptor_of(&header);
    if (descriptor < 0)
        return header.msg_flags & MSG_CTRUNC ? -EMFILE : 0;
    fill_in(&record, descriptor, ret_client);
    return 1;
}

int accept_peek(int worker_end, struct accept_socket_returned *ret_client) {
    for (int i = 0; i < PROBES_MAX; i++) {
        int result = peek_record(worker_end, ret_client);

        if (result == -EAGAIN)
            return 0;
        if (result == -ECONNRESET || result == -EINTR)
            continue; /* said once, in front of what is queued */
        if (result != 0)
            return result;
        accept_drop(worker_end);
    }
    return 0;
}

void accept_drop(int worker_end) {
    char byte;

    /* What is cut off of the record goes, and so does the descriptor. */
    while (recv(worker_end, &byte, sizeof byte, MSG_DONTWAIT) < 0 && errno == EINTR)
        continue;
}
