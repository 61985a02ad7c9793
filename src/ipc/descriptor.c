#include "ipc/descriptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define KERNEL_MAX 253 /* SCM_MAX_FD: so many descriptors fit one message */

/* Ancillary data must be aligned as a struct cmsghdr (cmsg(3)). */
union send_control {
    char bytes[CMSG_SPACE(DESCRIPTOR_SEND_MAX * sizeof(int))];
    struct cmsghdr alignment;
};

/* Room for all that the kernel can bring: with less, a descriptor too many could not be told from a
 * full descriptor table, for both are MSG_CTRUNC. */
union receive_control {
    char bytes[CMSG_SPACE(KERNEL_MAX * sizeof(int))];
    struct cmsghdr alignment;
};

static void attach_descriptors(struct msghdr *header, union send_control *control,
                               const int *descriptors, unsigned count) {
    size_t size = count * sizeof(int);
    struct cmsghdr *message;

    memset(control, 0, sizeof(*control));
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(size);
    message = CMSG_FIRSTHDR(header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(message), descriptors, size);
}

/* sendmsg(2) only reads the bytes, but takes them through a pointer that is not const. */
static struct iovec vector_of(const void *bytes, size_t length) {
    union {
        const void *in;
        void *out;
    } pointer = {.in = bytes};

    return (struct iovec){.iov_base = pointer.out, .iov_len = length};
}

ssize_t descriptor_send_several(int socket, const void *bytes, size_t length,
                                const int *descriptors, unsigned count) {
    union send_control control;
    struct iovec vector = vector_of(bytes, length);
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t sent;

    if (count > DESCRIPTOR_SEND_MAX)
        return -EINVAL;
    if (count > 0)
        attach_descriptors(&header, &control, descriptors, count);
    do {
        sent = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t descriptor_send(int socket, const struct descriptor_message *message) {
    return descriptor_send_several(socket, message->bytes, message->length, &message->descriptor,
                                   message->descriptor >= 0);
}

static int count_whole(const struct mmsghdr *headers, const struct descriptor_message *messages,
                       int sent) {
    int whole = 0;

    while (whole < sent && headers[whole].msg_len == messages[whole].length)
        whole++;
    return whole;
}

int descriptor_send_batch(int socket, const struct descriptor_message *messages, unsigned count) {
    union send_control controls[DESCRIPTOR_BATCH_MAX];
    struct iovec vectors[DESCRIPTOR_BATCH_MAX];
    struct mmsghdr headers[DESCRIPTOR_BATCH_MAX];
    int sent;

    if (count > DESCRIPTOR_BATCH_MAX)
        count = DESCRIPTOR_BATCH_MAX;
    for (unsigned i = 0; i < count; i++) {
        vectors[i] = vector_of(messages[i].bytes, messages[i].length);
        headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &vectors[i], .msg_iovlen = 1}};
        if (messages[i].descriptor >= 0)
            attach_descriptors(&headers[i].msg_hdr, &controls[i], &messages[i].descriptor, 1);
    }
    do {
        sent = sendmmsg(socket, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : count_whole(headers, messages, sent);
}

static void keep_or_close(struct descriptor_received *received, int descriptor) {
    if (received->count < DESCRIPTOR_RECEIVE_MAX) {
        received->descriptors[received->count++] = descriptor;
        return;
    }
    close(descriptor);
    received->dropped++;
}

static void collect_descriptors(struct descriptor_received *received, struct msghdr *header) {
    struct cmsghdr *message;
    int descriptor;

    for (message = CMSG_FIRSTHDR(header); message; message = CMSG_NXTHDR(header, message)) {
        if (message->cmsg_level != SOL_SOCKET || message->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= message->cmsg_len; at += sizeof(int)) {
            memcpy(&descriptor, (const char *)message + at, sizeof(int));
            keep_or_close(received, descriptor);
        }
    }
}

int descriptor_receive(int socket, void *bytes, size_t size,
                       struct descriptor_received *ret_received) {
    union receive_control control;
    struct iovec vector = {.iov_base = bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t length;

    do {
        length = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    ret_received->length = (size_t)length;
    ret_received->count = 0;
    ret_received->dropped = 0;
    ret_received->truncated = (header.msg_flags & MSG_CTRUNC) != 0;
    collect_descriptors(ret_received, &header);
    return 0;
}

void descriptor_discard(struct descriptor_received *received) {
    while (received->count > 0)
        close(received->descriptors[--received->count]);
}
