#include "worker/preload_accept.h"

#include "ipc/native_protocol.h"
#include "worker/preload_cancel.h"
#include "worker/preload_master.h"
#include "worker/preload_socket.h"
#include "worker/system_call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>

/* A descriptor that finds no free number in our table is lost together with its record, so this is
 * asked before: 0 or -EMFILE. Nothing cheaper tells for sure. */
static int check_free_number(int any_descriptor) {
    int spare = system_fcntl(any_descriptor, F_DUPFD_CLOEXEC, 0);

    return spare < 0 ? spare : system_close(spare);
}

#define FULL_PAUSE_MS 1

/* libuv answers EMFILE by letting go of whoever waits: it closes a descriptor that it holds in
 * reserve, accepts, and closes the clients. So in a Node worker without room nobody seems to be
 * there. The client stays and wakes the event loop again and again: shortly, for the master takes
 * it back, and with a pause in between. A probe would stay, so that is taken. */
static int pretend_nobody(int listener) {
    struct native_client record;
    struct iovec part = {.iov_base = &record, .iov_len = sizeof(record)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    long length = system_recvmsg(listener, &message, MSG_PEEK | MSG_DONTWAIT);

    if (length == sizeof(record) && record.sequence == 0)
        system_recvmsg(listener, &message, MSG_DONTWAIT);
    else if (length > 0)
        system_sleep_ms(FULL_PAUSE_MS);
    return -EBUSY;
}

static int check_room(int listener) {
    int error = check_free_number(listener);

    return error < 0 && preload_is_node() ? pretend_nobody(listener) : error;
}

union control {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
};

/* The descriptor in a record that was received, -1 when there is none. */
static int descriptor_of(const struct msghdr *message, const union control *control) {
    int descriptor;

    if (message->msg_controllen < CMSG_LEN(sizeof(int)) ||
        control->header.cmsg_level != SOL_SOCKET || control->header.cmsg_type != SCM_RIGHTS)
        return -1;
    preload_copy(&descriptor, CMSG_DATA(&control->header), sizeof(descriptor));
    return descriptor;
}

/* The client in a record, -ERESTART when it is a probe, or an error. */
static int client_of(int descriptor, long length, bool cut_off,
                     const struct native_client *record) {
    if (length == 0) /* end of file: shut down by the program, or the master ends us */
        return -EINVAL;
    if (descriptor >= 0 && length == sizeof(*record) && record->magic == NATIVE_MAGIC &&
        record->address_length <= sizeof(record->address))
        return descriptor;
    if (descriptor >= 0) {
        system_close(descriptor);
        return -EPROTO;
    }
    if (cut_off) /* another thread took the free number meanwhile */
        return -EMFILE;
    return length >= (long)sizeof(record->magic) && record->magic == NATIVE_MAGIC ? -ERESTART
                                                                                  : -EPROTO;
}

/* Takes one record: a client's descriptor; -EAGAIN when there is none; -EBUSY when there is no room
 * for one, but libuv must not know; -ERESTART when the next is to be taken instead; or another
 * error. It never waits, so that the number that was found free is so still. What is longer than a
 * record of this version is cut off. */
static int take_record(int listener, int flags, struct native_client *ret_record) {
    union control control;
    struct iovec part = {.iov_base = ret_record, .iov_len = sizeof(*ret_record)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    int receive_flags = MSG_DONTWAIT | (flags & SOCK_CLOEXEC ? MSG_CMSG_CLOEXEC : 0);
    long length = check_room(listener);

    if (length < 0)
        return (int)length;
    length = system_recvmsg(listener, &message, receive_flags);
    if (length == -ECONNRESET) /* the master is gone, but what it sent before is still there */
        return -ERESTART;
    if (length < 0)
        return (int)length;
    return client_of(descriptor_of(&message, &control), length,
                     (message.msg_flags & MSG_CTRUNC) != 0, ret_record);
}

/* Waits for a record and leaves it there: the kernel knows whether this descriptor waits, and how
 * long, and what a signal does to it. -ERESTART, or -EAGAIN, -EINTR and others. */
static int wait_for_record(int listener) {
    unsigned char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = sizeof(byte)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int type;
    long length;

    if (preload_hint(listener) != PRELOAD_LISTENING) {
        if (!preload_is_listening(listener))
            return -EINVAL;
        preload_set_hint(listener, PRELOAD_LISTENING);
    }
    type = preload_allow_cancel();
    length = system_recvmsg(listener, &message, MSG_PEEK);
    preload_restore_cancel(type);
    return length >= 0 || length == -ECONNRESET ? -ERESTART : (int)length;
}

static int check_arguments(const void *address, const socklen_t *length, int flags) {
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    if (address && !length)
        return -EFAULT;
    return address && *length > INT_MAX ? -EINVAL : 0;
}

int preload_accept(int listener, void *address, socklen_t *length, int flags) {
    struct native_client record;
    int client = check_arguments(address, length, flags);

    if (client < 0)
        return client;
    preload_test_cancel();
    do {
        client = take_record(listener, flags, &record);
        if (client == -EAGAIN)
            client = wait_for_record(listener);
    } while (client == -ERESTART);
    if (client < 0)
        return client == -EBUSY ? -EAGAIN : client;
    if (!(flags & SOCK_NONBLOCK)) /* clients come non-blocking, with no other flag set */
        system_fcntl(client, F_SETFL, 0);
    if (address)
        preload_store_address(record.address, record.address_length, address, length);
    preload_set_hint(client, PRELOAD_FOREIGN);
    return client;
}
