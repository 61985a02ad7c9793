#include "master/seccomp_address.h"

#include "ipc/shared_bind.h"

#include <netinet/in.h>
#include <string.h>
#include <uv.h>

bool seccomp_address_read(const struct seccomp_call *call, struct native_request *request) {
    union {
        struct sockaddr_in start;
        struct sockaddr_in6 whole;
    } address = {.whole = {.sin6_family = AF_UNSPEC}};
    size_t length = call->arguments[2] < sizeof address ? call->arguments[2] : sizeof address;

    if (length < sizeof address.start ||
        seccomp_call_read(call, call->arguments[1], &address, length) < 0)
        return false;
    request->address_length = shared_bind_address_length(&address.start, length);
    memcpy(request->address, &address, request->address_length);
    return request->address_length > 0;
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
