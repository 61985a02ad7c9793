/* Sockets that a service manager opened for us: socket activation as in sd_listen_fds(3).
 *
 * The daemon's control socket is taken out for good; the others are lent to the apps that want to
 * listen on their addresses, and stay open, with the clients that wait in them, while no app does.
 *
 * init/clear: an embedded value that owns the descriptors which nobody has taken out. */
#ifndef BATON_DAEMON_ACTIVATION_H
#define BATON_DAEMON_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ACTIVATION_ADDRESS_MAX 128

struct activation_socket {
    int descriptor; /* close-on-exec; -1: taken */
    bool lent;
    char *name;                    /* of LISTEN_FDNAMES, "unknown" without one */
    int type;                      /* SOCK_STREAM …; -1: no socket at all */
    struct sockaddr_storage bound; /* ss_family AF_UNSPEC: not known */
    socklen_t bound_length;
    char address[ACTIVATION_ADDRESS_MAX]; /* for people: "0.0.0.0:80", "[::]:80", "/run/x",
                                             "@abstract"; control bytes are escaped */
};

struct activation {
    struct activation_socket *sockets; /* NULL when there are none */
    size_t count;
};

/* Takes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out of the environment and lists the descriptors
 * from 3 on, if they are meant for this process. To be called before anything else is opened. 0
 * (also with none), UV_EINVAL when the variables make no sense, UV_EBADF when a descriptor is not
 * open, or UV_ENOMEM; then the list is empty. */
int activation_init(struct activation *activation);

/* The first one not yet taken that is bound to this address (IP address and port, or path), which
 * the caller then owns; -1: none. */
int activation_take(struct activation *activation, const struct sockaddr *address,
                    socklen_t length);

/* The first one of this type and address that is neither taken nor lent, until it is given back: it
 * must not be closed. -1: none. */
int activation_lend(struct activation *activation, int type, const struct sockaddr *address,
                    socklen_t length);
void activation_give_back(struct activation *activation, int descriptor);

/* Closes those that nobody took. */
void activation_clear(struct activation *activation);

#endif
