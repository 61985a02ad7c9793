#include "master/seccomp_internal.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct seccomp_listener *seccomp_listener_of(struct list *node) {
    return LIST_ENTRY(node, struct seccomp_listener, node);
}

static bool read_name(int socket, struct native_name *ret_name) {
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof address;

    if (getsockname(socket, (struct sockaddr *)&address, &length) < 0 ||
        address.sun_family != AF_UNIX ||
        length != offsetof(struct sockaddr_un, sun_path) + sizeof *ret_name)
        return false;
    memcpy(ret_name, address.sun_path, sizeof *ret_name);
    return true;
}

uint64_t seccomp_listener_inode(int socket) {
    struct stat status;

    return fstat(socket, &status) < 0 ? 0 : status.st_ino;
}

struct seccomp_listener *seccomp_listener_create(struct seccomp_supervisor *supervisor,
                                                 const struct worker_reply *reply) {
    struct seccomp_listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return NULL;
    list_init(&listener->node);
    list_init(&listener->waiting);
    listener->copy.number = -1;
    listener->number = reply->message.listener;
    listener->shared = !read_name(reply->descriptors[0], &listener->name);
    listener->socket = fcntl(reply->descriptors[0], F_DUPFD_CLOEXEC, 0);
    if (listener->socket < 0) {
        free(listener);
        return NULL;
    }
    listener->inode = seccomp_listener_inode(listener->socket);
    list_push_back(&supervisor->listeners, &listener->node);
    return listener;
}

void seccomp_listener_destroy(struct seccomp_supervisor *supervisor,
                              struct seccomp_listener *listener) {
    seccomp_waiting_forget_all(supervisor, listener);
    list_remove(&listener->node);
    close(listener->socket);
    free(listener);
}

void seccomp_listener_destroy_given_up(struct seccomp_supervisor *supervisor) {
    LIST_EACH(node, following, &supervisor->listeners) {
        struct seccomp_listener *listener = seccomp_listener_of(node);

        if (listener->shared ||
            supervisor->events->has_listener(supervisor->owner, listener->number))
            continue;
        seccomp_waiting_fail(supervisor, listener, UV_EINVAL);
        seccomp_copy_give_up(supervisor, listener->copy);
        seccomp_listener_destroy(supervisor, listener);
    }
}

struct seccomp_listener *seccomp_listener_find(struct seccomp_supervisor *supervisor,
                                               const struct seccomp_call *call) {
    uint64_t inode;

    if (list_empty(&supervisor->listeners) ||
        seccomp_call_inode(call, (int)call->arguments[0], &inode) < 0)
        return NULL;
    LIST_EACH(node, following, &supervisor->listeners)
        if (seccomp_listener_of(node)->inode == inode && !seccomp_listener_of(node)->shared)
            return seccomp_listener_of(node);
    return NULL;
}
