#include "daemon/control_socket.h"

#include "http/unix_address.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024

int control_socket_prepare(const char *directory) {
    struct stat status;
    int result = 0;
    int descriptor;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    if (fstat(descriptor, &status) < 0)
        result = -errno;
    else if (status.st_uid != geteuid())
        result = -EPERM;
    else if ((status.st_mode & 07777) != 0700 && fchmod(descriptor, 0700) < 0)
        result = -errno;
    close(descriptor);
    return result;
}

/* Whoever holds the daemon's lock knows that nobody listens there. */
static int remove_stale(const char *path) {
    struct stat status;

    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    return unlink(path) < 0 ? -errno : 0;
}

/* The mode is there from the first moment on, as chmod(2) would leave a gap. */
static int bind_private(int listener, const char *path) {
    struct sockaddr_un address;
    int directory;
    int result = unix_address_set(&address, path, &directory);
    mode_t before;

    if (result < 0)
        return result;
    before = umask(0177);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        result = -errno;
    umask(before);
    if (directory >= 0)
        close(directory);
    return result;
}

int control_socket_listen(const char *path) {
    int result = remove_stale(path);
    int listener;

    if (result < 0)
        return result;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -errno;
    result = bind_private(listener, path);
    if (result == 0 && listen(listener, BACKLOG) < 0) {
        result = -errno;
        (void)unlink(path);
    }
    if (result == 0)
        return listener;
    close(listener);
    return result;
}

bool control_socket_is_ours(int socket) {
    struct ucred peer;
    socklen_t length = sizeof peer;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}
