/* The C worker of the benchmark that knows its master, and is the same program for each of them:
 *
 *     bench_worker PORT          under Baton: its clients come through libbaton
 *     bench_worker --channel FD  under bench_floor: a client comes with each record on a Unix
 *                                socket, and is acknowledged with one byte; on a stream socket in
 *                                one call for all that were taken, on a SOCK_SEQPACKET socket with
 *                                a record for each */
#include "serve.h"

#include "baton/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH_MAX 16

struct batch {
    int clients[BATCH_MAX];
    size_t count;
    int error; /* that ended it, or 0 */
};

static const char acknowledgements[BATCH_MAX];

/* As baton_accept(), from the channel of bench_floor. */
static int receive_client(int channel) {
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    /* A reset is an end too, with acknowledgements that the master had not read. */
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return -ESHUTDOWN;
    if (got < 0)
        return -errno;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return -EPROTO;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}

static int receive_and_acknowledge(int channel) {
    int client = receive_client(channel);
    if (client >= 0 && send(channel, acknowledgements, 1, MSG_NOSIGNAL) < 0)
        serve_die("acknowledge", errno);
    return client;
}

static int accept_client(int listener) {
    return baton_accept(listener, NULL, NULL);
}

/* Takes what waits, before any of it is read from. */
static void take_batch(int source, int (*take)(int source), struct batch *ret_batch) {
    int result = 0;
    ret_batch->count = 0;
    while (ret_batch->count < BATCH_MAX && (result = take(source)) >= 0)
        ret_batch->clients[ret_batch->count++] = result;
    ret_batch->error = result < 0 ? result : 0;
}

static void serve_batch(int poll, const struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        serve_client(poll, batch->clients[i]);
    if (batch->error == -ESHUTDOWN)
        exit(0);
    if (batch->error < 0 && batch->error != -EAGAIN && batch->error != -EINTR)
        serve_die("accept", -batch->error);
}

static void take_from_baton(int poll, int listener) {
    struct batch batch;
    take_batch(listener, accept_client, &batch);
    serve_batch(poll, &batch);
}

static void take_from_stream(int poll, int channel) {
    struct batch batch;
    take_batch(channel, receive_client, &batch);
    if (batch.count && send(channel, acknowledgements, batch.count, MSG_NOSIGNAL) < 0)
        serve_die("acknowledge", errno);
    serve_batch(poll, &batch);
}

static void take_from_records(int poll, int channel) {
    struct batch batch;
    take_batch(channel, receive_and_acknowledge, &batch);
    serve_batch(poll, &batch);
}

static noreturn void run_on_channel(int channel) {
    int type;
    socklen_t length = sizeof type;
    if (getsockopt(channel, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        serve_die("channel", errno);
    serve_run(channel, type == SOCK_STREAM ? take_from_stream : take_from_records);
}

static noreturn void run_on_port(uint16_t port) {
    int listener = baton_listen_tcp("127.0.0.1", port, 0);
    if (listener < 0)
        serve_die("listen", -listener);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    serve_run(listener, take_from_baton);
}

int main(int argc, char **argv) {
    serve_prepare();
    if (argc == 3 && strcmp(argv[1], "--channel") == 0)
        run_on_channel(atoi(argv[2]));
    if (argc == 2)
        run_on_port((uint16_t)atoi(argv[1]));
    fprintf(stderr, "usage: bench_worker PORT | bench_worker --channel FD\n");
    return 2;
}
