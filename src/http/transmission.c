#include "http/transmission.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_MAX 1048576 /* bytes of a file in one call */

void http_transmission_init(struct http_transmission *transmission) {
    *transmission = (struct http_transmission){.file = -1};
    buffer_init(&transmission->bytes);
}

void http_transmission_clear(struct http_transmission *transmission) {
    if (transmission->file >= 0)
        close(transmission->file);
    buffer_clear(&transmission->bytes);
    http_transmission_init(transmission);
}

void http_transmission_add_file(struct http_transmission *transmission, int file, int64_t offset,
                                uint64_t length) {
    transmission->file = file;
    transmission->offset = offset;
    transmission->remaining = length;
}

static int send_bytes(struct http_transmission *transmission, int socket) {
    /* With a file to follow, the header block shall travel in the file's first packet. */
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (transmission->remaining > 0 ? MSG_MORE : 0);
    struct buffer *bytes = &transmission->bytes;

    while (buffer_length(bytes) > 0) {
        ssize_t sent = send(socket, buffer_data(bytes), buffer_length(bytes), flags);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        buffer_consume(bytes, (size_t)sent);
    }
    return 0;
}

static int send_file(struct http_transmission *transmission, int socket) {
    uint64_t turn = TURN_MAX;

    while (transmission->remaining > 0) {
        uint64_t wanted = transmission->remaining < turn ? transmission->remaining : turn;
        ssize_t sent;

        if (wanted == 0)
            return -EAGAIN;
        sent = sendfile(socket, transmission->file, &transmission->offset, (size_t)wanted);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return sent < 0 ? -errno : -EIO;
        transmission->remaining -= (uint64_t)sent;
        turn -= (uint64_t)sent;
    }
    return 0;
}

int http_transmission_send(struct http_transmission *transmission, int socket) {
    int status = send_bytes(transmission, socket);

    if (status == 0 && transmission->file >= 0)
        status = send_file(transmission, socket);
    if (status < 0)
        return status;
    if (transmission->file >= 0)
        close(transmission->file);
    transmission->file = -1;
    return 0;
}
