#include "master/listener.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static uint16_t key_port(const struct listener_key *key) {
    if (key->address.any.sa_family == AF_INET)
        return ntohs(key->address.ipv4.sin_port);
    if (key->address.any.sa_family == AF_INET6)
        return ntohs(key->address.ipv6.sin6_port);
    return 0;
}

bool listener_key_equal(const struct listener_key *one, const struct listener_key *other) {
    if (one->kind != other->kind || one->length != other->length)
        return false;
    if (memcmp(&one->address, &other->address, one->length) != 0)
        return false;
    return one->kind == LISTENER_UNIX || key_port(one) != 0 || one->index == other->index;
}

uint16_t listener_port(const struct listener *listener) {
    const struct sockaddr_storage *bound = &listener->bound;

    if (bound->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)bound)->sin_port);
    if (bound->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)bound)->sin6_port);
    return 0;
}

void listener_describe(const struct listener *listener, char text[LISTENER_TEXT_MAX]) {
    const struct sockaddr_storage *bound = &listener->bound;
    char host[INET6_ADDRSTRLEN];

    if (bound->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)bound)->sin_addr, host, sizeof host);
        snprintf(text, LISTENER_TEXT_MAX, "%s:%u", host, listener_port(listener));
    } else if (bound->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)bound)->sin6_addr, host, sizeof host);
        snprintf(text, LISTENER_TEXT_MAX, "[%s]:%u", host, listener_port(listener));
    } else {
        const char *path = listener->key.address.local.sun_path;

        snprintf(text, LISTENER_TEXT_MAX, "%s%.107s", path[0] ? "" : "@",
                 path[0] ? path : path + 1);
    }
}
