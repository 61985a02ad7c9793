#include "daemon/activation.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define FIRST_DESCRIPTOR 3
#define SOCKETS_MAX      4096

static void print_ip(struct activation_socket *one) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&one->bound;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&one->bound;
    char host[INET6_ADDRSTRLEN] = "";

    if (one->bound.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(one->address, sizeof one->address, "%s:%u", host, ntohs(v4->sin_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(one->address, sizeof one->address, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}

static void print_unix(struct activation_socket *one) {
    const struct sockaddr_un *address = (const struct sockaddr_un *)&one->bound;
    size_t length = one->bound_length - offsetof(struct sockaddr_un, sun_path);
    char *to = one->address;
    size_t room = sizeof one->address;

    if (one->bound_length <= offsetof(struct sockaddr_un, sun_path))
        return; /* not bound */
    if (address->sun_path[0] == '\0') {
        *to++ = '@';
        text_escape_utf8(to, room - 1, address->sun_path + 1, length - 1);
    } else {
        text_escape_utf8(to, room, address->sun_path, strnlen(address->sun_path, length));
    }
}

static void look_at(struct activation_socket *one) {
    socklen_t size = sizeof one->type;

    if (getsockopt(one->descriptor, SOL_SOCKET, SO_TYPE, &one->type, &size) < 0) {
        one->type = -1; /* a FIFO or a file, which the manager passes as well */
        return;
    }
    one->bound_length = sizeof one->bound;
    if (getsockname(one->descriptor, (struct sockaddr *)&one->bound, &one->bound_length) < 0) {
        one->bound.ss_family = AF_UNSPEC;
        return;
    }
    if (one->bound.ss_family == AF_INET || one->bound.ss_family == AF_INET6)
        print_ip(one);
    else if (one->bound.ss_family == AF_UNIX)
        print_unix(one);
}

/* The next of the names, which are separated by colons; *names moves on. */
static char *next_name(const char **names) {
    const char *end;
    char *name;

    if (!*names || !**names)
        return strdup("unknown");
    end = strchrnul(*names, ':');
    name = strndup(*names, (size_t)(end - *names));
    *names = *end ? end + 1 : end;
    return name;
}

static int add(struct activation *activation, int descriptor, const char **names) {
    struct activation_socket *one = &activation->sockets[activation->count];
    int flags = fcntl(descriptor, F_GETFD);

    if (flags < 0 || fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) < 0)
        return UV_EBADF;
    *one = (struct activation_socket){.descriptor = descriptor, .name = next_name(names)};
    if (!one->name)
        return UV_ENOMEM;
    activation->count++;
    look_at(one);
    return 0;
}

/* How many descriptors are meant for this process: 0 for none. */
static int count_of_environment(int64_t *ret_count) {
    const char *count = getenv("LISTEN_FDS");
    const char *pid = getenv("LISTEN_PID");
    int64_t number;

    *ret_count = 0;
    if (!count || !pid)
        return 0;
    if (text_to_number(pid, 1, INT32_MAX, &number) < 0)
        return UV_EINVAL;
    if (number != getpid())
        return 0;
    return text_to_number(count, 0, SOCKETS_MAX, ret_count) < 0 ? UV_EINVAL : 0;
}

static int collect(struct activation *activation, int64_t count) {
    const char *names = getenv("LISTEN_FDNAMES");
    int result = 0;

    activation->sockets = calloc((size_t)count, sizeof *activation->sockets);
    if (!activation->sockets)
        return UV_ENOMEM;
    for (int i = 0; i < count && result == 0; i++)
        result = add(activation, FIRST_DESCRIPTOR + i, &names);
    return result;
}

int activation_init(struct activation *activation) {
    int64_t count;
    int result = count_of_environment(&count);

    *activation = (struct activation){.sockets = NULL};
    if (result == 0 && count > 0)
        result = collect(activation, count);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (result < 0)
        activation_clear(activation);
    return result;
}

/* What bind(2) would compare: neither flow labels nor the bytes behind an address. */
static bool same_address(const struct sockaddr *one, socklen_t one_length,
                         const struct sockaddr *other, socklen_t other_length) {
    const struct sockaddr_in *v4[2] = {(const void *)one, (const void *)other};
    const struct sockaddr_in6 *v6[2] = {(const void *)one, (const void *)other};
    const struct sockaddr_un *un[2] = {(const void *)one, (const void *)other};

    if (one->sa_family != other->sa_family)
        return false;
    switch (one->sa_family) {
    case AF_INET:
        return v4[0]->sin_port == v4[1]->sin_port &&
               v4[0]->sin_addr.s_addr == v4[1]->sin_addr.s_addr;
    case AF_INET6:
        return v6[0]->sin6_port == v6[1]->sin6_port &&
               v6[0]->sin6_scope_id == v6[1]->sin6_scope_id &&
               memcmp(&v6[0]->sin6_addr, &v6[1]->sin6_addr, sizeof v6[0]->sin6_addr) == 0;
    case AF_UNIX:
        if (un[0]->sun_path[0] != '\0')
            return strncmp(un[0]->sun_path, un[1]->sun_path, sizeof un[0]->sun_path) == 0;
        return one_length == other_length && memcmp(one, other, one_length) == 0;
    default:
        return false;
    }
}

static struct activation_socket *find(struct activation *activation, const struct sockaddr *address,
                                      socklen_t length) {
    for (size_t i = 0; i < activation->count; i++) {
        struct activation_socket *one = &activation->sockets[i];

        if (one->descriptor >= 0 && !one->lent && one->type >= 0 &&
            one->bound_length > sizeof(sa_family_t) &&
            same_address((const struct sockaddr *)&one->bound, one->bound_length, address, length))
            return one;
    }
    return NULL;
}

int activation_take(struct activation *activation, const struct sockaddr *address,
                    socklen_t length) {
    struct activation_socket *one = find(activation, address, length);
    int descriptor = one ? one->descriptor : -1;

    if (one)
        one->descriptor = -1;
    return descriptor;
}

int activation_lend(struct activation *activation, int type, const struct sockaddr *address,
                    socklen_t length) {
    struct activation_socket *one = find(activation, address, length);

    if (!one || one->type != type)
        return -1;
    one->lent = true;
    return one->descriptor;
}

void activation_give_back(struct activation *activation, int descriptor) {
    for (size_t i = 0; i < activation->count; i++)
        if (activation->sockets[i].descriptor == descriptor)
            activation->sockets[i].lent = false;
}

void activation_clear(struct activation *activation) {
    for (size_t i = 0; i < activation->count; i++) {
        if (activation->sockets[i].descriptor >= 0)
            close(activation->sockets[i].descriptor);
        free(activation->sockets[i].name);
    }
    free(activation->sockets);
    *activation = (struct activation){.sockets = NULL};
}
