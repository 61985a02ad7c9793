#include "worker/preload_socket.h"

#include "worker/system_call.h"

#define HINTS 65536u

static uint8_t hints[HINTS];

enum preload_hint preload_hint(int descriptor) {
    if ((unsigned)descriptor >= HINTS)
        return PRELOAD_UNKNOWN;
    return (enum preload_hint)__atomic_load_n(&hints[descriptor], __ATOMIC_RELAXED);
}

/* Writes only what changes: after a fork each page that is written is copied. */
void preload_set_hint(int descriptor, enum preload_hint hint) {
    if ((unsigned)descriptor < HINTS && preload_hint(descriptor) != hint)
        __atomic_store_n(&hints[descriptor], (uint8_t)hint, __ATOMIC_RELAXED);
}

bool preload_parse_name(const struct sockaddr_un *address, socklen_t length,
                        struct native_name *ret_name) {
    if (length != PRELOAD_NAME_LENGTH || address->sun_family != AF_UNIX)
        return false;
    preload_copy(ret_name, address->sun_path, sizeof(*ret_name));
    return ret_name->zero[0] == 0 && ret_name->zero[1] == 0 && ret_name->magic == NATIVE_MAGIC &&
           ret_name->version == NATIVE_VERSION &&
           ret_name->address_length <= sizeof(ret_name->address);
}

/* What cannot be named, as it is closed or no socket, may be anything in a moment. */
bool preload_read_name(int descriptor, struct native_name *ret_name) {
    struct sockaddr_un own;
    socklen_t length = sizeof(own);
    int error = system_getsockname(descriptor, &own, &length);

    if (error < 0 || !preload_parse_name(&own, length, ret_name)) {
        preload_set_hint(descriptor, error < 0 ? PRELOAD_UNKNOWN : PRELOAD_FOREIGN);
        return false;
    }
    if (preload_hint(descriptor) != PRELOAD_LISTENING)
        preload_set_hint(descriptor, PRELOAD_ACCEPT);
    return true;
}

bool preload_is_accept_socket(int descriptor, struct native_name *ret_name) {
    return preload_hint(descriptor) != PRELOAD_FOREIGN && preload_read_name(descriptor, ret_name);
}

bool preload_is_listening(int descriptor) {
    int bound_only = 0;
    socklen_t length = sizeof(bound_only);

    return system_getsockopt(descriptor, SOL_SOCKET, SO_BROADCAST, &bound_only, &length) < 0 ||
           !bound_only;
}

void preload_set_listening(int descriptor, bool listening) {
    int bound_only = !listening;

    system_setsockopt(descriptor, SOL_SOCKET, SO_BROADCAST, &bound_only, sizeof(bound_only));
    preload_set_hint(descriptor, listening ? PRELOAD_LISTENING : PRELOAD_ACCEPT);
}

void preload_store_address(const uint8_t *bytes, uint32_t size, void *address, socklen_t *length) {
    static const sa_family_t unnamed = AF_UNIX;
    const void *source = bytes;

    if (size == 0) {
        source = &unnamed;
        size = sizeof(unnamed);
    }
    preload_copy(address, source, size < *length ? size : *length);
    *length = size;
}

void preload_copy(void *to, const void *from, size_t size) {
    uint8_t *target = to;
    const uint8_t *source = from;

    for (size_t i = 0; i < size; i++)
        target[i] = source[i];
}

void preload_clear(void *bytes, size_t size) {
    uint8_t *target = bytes;

    for (size_t i = 0; i < size; i++)
        target[i] = 0;
}
