/* Addresses, lengths and values that are not there: the kernel says EFAULT. */
#include "oracle.h"

#include <unistd.h>

#define NOWHERE ((void *)8) /* never mapped */

static int bind_null(int descriptor) {
    return bind(descriptor, NULL, sizeof(struct sockaddr_in));
}

static int bind_null_empty(int descriptor) {
    return bind(descriptor, NULL, 0);
}

static int bind_unmapped(int descriptor) {
    return bind(descriptor, NOWHERE, sizeof(struct sockaddr_in));
}

static int accept_without_length(int descriptor) {
    struct sockaddr_in address;

    return accept(descriptor, (struct sockaddr *)&address, NULL);
}

static int accept_unmapped(int descriptor) {
    socklen_t length = sizeof(struct sockaddr_in);

    return accept(descriptor, NOWHERE, &length);
}

static int accept_unmapped_length(int descriptor) {
    struct sockaddr_in address;

    return accept(descriptor, (struct sockaddr *)&address, NOWHERE);
}

static int connect_unmapped(int descriptor) {
    return connect(descriptor, NOWHERE, sizeof(struct sockaddr_in));
}

static int name_null(int descriptor) {
    socklen_t length = sizeof(struct sockaddr_in);

    return getsockname(descriptor, NULL, &length);
}

static int name_unmapped(int descriptor) {
    socklen_t length = sizeof(struct sockaddr_in);

    return getsockname(descriptor, NOWHERE, &length);
}

static int name_without_length(int descriptor) {
    struct sockaddr_in address;

    return getsockname(descriptor, (struct sockaddr *)&address, NULL);
}

static int peer_null(int descriptor) {
    return getpeername(descriptor, NULL, NULL);
}

static int get_unmapped(int descriptor) {
    socklen_t length = sizeof(int);

    return getsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, NOWHERE, &length);
}

static int get_type_unmapped(int descriptor) {
    socklen_t length = sizeof(int);

    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, NOWHERE, &length);
}

static int get_without_length(int descriptor) {
    int value;

    return getsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &value, NULL);
}

static int set_null(int descriptor) {
    return setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof(int));
}

static int set_unmapped(int descriptor) {
    return setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, NOWHERE, sizeof(int));
}

static const struct {
    const char *observation;
    int (*call)(int);
} on_listener[] = {
    {"connect_unmapped", connect_unmapped},
    {"name_null", name_null},
    {"name_unmapped", name_unmapped},
    {"name_without_length", name_without_length},
    {"peer_null", peer_null},
    {"get_unmapped", get_unmapped},
    {"get_type_unmapped", get_type_unmapped},
    {"get_without_length", get_without_length},
    {"set_null", set_null},
    {"set_unmapped", set_unmapped},
};

static void try_accept(const char *observation, int (*call)(int)) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address), client = client_of(&address);

    readable(listener, SOON_MS);
    say_in_child(observation, call, listener);
    close_both(listener, client);
}

void observe_pointers(void) {
    struct address address = fresh_address("127.0.0.1");
    int listener = listening_at(&address), unbound = reusing_socket(AF_INET);

    say_in_child("bind_null", bind_null, unbound);
    say_in_child("bind_null_empty", bind_null_empty, unbound);
    say_in_child("bind_unmapped", bind_unmapped, unbound);
    for (size_t i = 0; i < sizeof on_listener / sizeof on_listener[0]; i++)
        say_in_child(on_listener[i].observation, on_listener[i].call, listener);
    try_accept("accept_without_length", accept_without_length);
    try_accept("accept_unmapped", accept_unmapped);
    try_accept("accept_unmapped_length", accept_unmapped_length);
    say("serves", "%d", serves(listener));
    close_both(listener, unbound);
}
