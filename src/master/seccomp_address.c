#include "master/seccomp_address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

bool seccomp_address_read(const struct seccomp_call *call, struct native_request *request) {
    struct sockaddr_in6 address = {0};
    size_t length = call->arguments[2] < sizeof address ? call->arguments[2] : sizeof address;
    size_t needed;
    size_t whole;

    if (length < sizeof(struct sockaddr_in) ||
        seccomp_call_read(call, call->arguments[1], &address, length) < 0)
        return false;
    /* Of an IPv6 address the kernel does not insist on the scope, which comes last. */
    needed = address.sin6_family == AF_INET ? sizeof(struct sockaddr_in)
                                            : offsetof(struct sockaddr_in6, sin6_scope_id);
    whole = address.sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof address;
    /* The port is at the same place in both. */
    if ((address.sin6_family != AF_INET && address.sin6_family != AF_INET6) || length < needed ||
        address.sin6_port == 0)
        return false;
    memcpy(request->address, &address, whole);
    request->address_length = (uint32_t)whole;
    return true;
}

int seccomp_address_find(const struct seccomp_call *call, struct seccomp_address_place *ret_place) {
    *ret_place =
        (struct seccomp_address_place){.address = call->arguments[1], .length = call->arguments[2]};
    if (seccomp_call_read(call, ret_place->length, &ret_place->room, sizeof ret_place->room) < 0)
        return UV_EFAULT;
    return ret_place->room < 0 ? UV_EINVAL : 0;
}

int seccomp_address_write(const struct seccomp_call *call,
                          const struct seccomp_address_place *place, const void *address,
                          uint32_t length) {
    uint32_t room = (uint32_t)place->room < length ? (uint32_t)place->room : length;

    if (!seccomp_call_waits(call))
        return UV_ENOENT;
    if (room > 0 && seccomp_call_write(call, place->address, address, room) < 0)
        return UV_EFAULT;
    if (length == (uint32_t)place->room)
        return 0;
    return seccomp_call_write(call, place->length, &length, sizeof length);
}

void seccomp_address_restore_length(const struct seccomp_call *call,
                                    const struct seccomp_address_place *place) {
    seccomp_call_write(call, place->length, &place->room, sizeof place->room);
}
