/* Which calls of bind(2) the master takes over from a program that does not know of it: those of a
 * TCP socket, to an Internet address with a port, of the socket's own family. Every other one the
 * kernel gets to see as it is. Pure; for the preload library and the seccomp supervisor, which come
 * by the arguments in different ways. */
#ifndef BATON_IPC_SHARED_BIND_H
#define BATON_IPC_SHARED_BIND_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* The length of the whole address that begins with `start`, of which the program has given `length`
 * bytes; 0 when the master does not take it over. Programs may give more, as a whole struct
 * sockaddr_storage, and of an IPv6 address less: the kernel does not insist on the scope, which
 * comes last. */
static inline uint32_t shared_bind_address_length(const struct sockaddr_in *start, size_t length) {
    bool is_ipv6 = start->sin_family == AF_INET6;
    size_t least =
        is_ipv6 ? offsetof(struct sockaddr_in6, sin6_scope_id) : sizeof(struct sockaddr_in);

    if (!is_ipv6 && start->sin_family != AF_INET)
        return 0;
    if (length < least || start->sin_port == 0) /* the port is at the same place in both */
        return 0;
    return is_ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* `type`, `domain` and `protocol` as SO_TYPE, SO_DOMAIN and SO_PROTOCOL say, `family` of the
 * address. */
static inline bool shared_bind_takes_socket(int type, int domain, int protocol, int family) {
    return type == SOCK_STREAM && domain == family &&
           (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

#endif
