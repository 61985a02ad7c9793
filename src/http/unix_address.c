#include "http/unix_address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_directory_of(const char *path, const char *name) {
    char *directory = strndup(path, (size_t)(name - path));
    int descriptor;

    if (!directory)
        return -ENOMEM;
    descriptor = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    descriptor = descriptor < 0 ? -errno : descriptor;
    free(directory);
    return descriptor;
}

int unix_address_set(struct sockaddr_un *address, const char *path, int *ret_directory) {
    const char *slash = strrchr(path, '/');
    size_t room = sizeof address->sun_path;
    int directory;
    int length;

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) < room) {
        memcpy(address->sun_path, path, strlen(path));
        *ret_directory = -1;
        return 0;
    }
    if (!slash)
        return -ENAMETOOLONG;
    directory = open_directory_of(path, slash + 1);
    if (directory < 0)
        return directory;
    length = snprintf(address->sun_path, room, "/proc/self/fd/%d/%s", directory, slash + 1);
    if (length < 0 || (size_t)length >= room) {
        close(directory);
        return -ENAMETOOLONG;
    }
    *ret_directory = directory;
    return 0;
}
